import { task } from "../browser.mjs";

// Three deliveries wait for a pause; their page says so; the destination is resumed and they are sent.
await task(async ({ knows, person }) => {
  const ann = await person();
  await ann.opens(`/deliveries?destination_id=${knows.destination}`, knows.key);
  await ann.page.locator("tbody tr", { hasText: "waiting for its paused destination" }).nth(2).waitFor();
  await ann.page.locator("tbody tr a").first().click();
  await ann.reads(/Waiting/);
  await ann.opens(`/destinations/${knows.destination}`);
  await ann.reads(/3 waiting/);
  await ann.clicks("Resume");
  await ann.reads(/Resumed/);
  await ann.opens(`/deliveries?destination_id=${knows.destination}&live=true`);
  await ann.page.locator("tbody tr", { hasText: "succeeded" }).nth(2).waitFor();
});
