import { task } from "../browser.mjs";

// Deliveries wait for their turn, and say until when; then the destination's own limits and fallback are removed.
await task(async ({ knows, person }) => {
  const ann = await person();
  await ann.opens(`/deliveries?destination_id=${knows.destination}&status=queued`, knows.key);
  await ann.page.locator("tbody tr", { hasText: "waiting for its turn" }).first().locator("a").first().click();
  await ann.reads(/expected to start/);
  await ann.opens(`/destinations/${knows.destination}/edit`);
  await ann.page.locator("summary", { hasText: "Limits" }).click();
  await ann.page.locator("#limits").selectOption("organization");
  await ann.page.locator("summary", { hasText: "Fallback" }).click();
  await ann.page.locator("#fallback_1").selectOption("");
  await ann.clicks("Save without a check");
  await ann.reads(/Saved/);
});
