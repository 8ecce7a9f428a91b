import { task } from "../browser.mjs";

// A destination gets a rate limit and a fallback in its form.
await task(async ({ knows, person }) => {
  const ann = await person();
  await ann.opens(`/destinations/${knows.destination}/edit`, knows.key);
  await ann.page.locator("summary", { hasText: "Limits" }).click();
  await ann.page.locator("#limits").selectOption("own");
  await ann.page.locator('[id="delivery_limits.max_per_second"]').fill("0.01");
  await ann.page.locator("summary", { hasText: "Fallback" }).click();
  await ann.page.locator("#fallback_1").selectOption({ label: "Archive" });
  await ann.clicks("Save without a check");
  await ann.page.locator('[id="delivery_limits.max_per_second-mistake"]', { hasText: /0\.1/ }).waitFor();
  await ann.page.locator('[id="delivery_limits.max_per_second"]').fill("0.1");
  await ann.clicks("Save without a check");
  await ann.reads(/Saved/);
  await ann.opens(`/destinations/${knows.destination}?tab=settings`);
  await ann.reads(/At most 0.1 deliveries start each second/);
  await ann.reads(/A delivery that fails is sent to/);
});
