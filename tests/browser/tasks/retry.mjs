import { check, same, task } from "../browser.mjs";

// One that failed is retried; then all that match a filter, after their count was shown, with the progress of it.
await task(async ({ knows, person }) => {
  const ann = await person();
  await ann.opens(`/deliveries?status=failed&destination_id=${knows.destination}`, knows.key);
  await ann.page.locator("tbody th a").first().click();
  await ann.clicks("Retry now");
  await ann.page.locator("h1 .badge", { hasText: "succeeded" }).waitFor();
  ann.took(2, "from the list to a retry");
  await ann.opens(`/deliveries?status=failed&destination_id=${knows.destination}`);
  await ann.clicks(/Retry all that match/, "link");
  same(await ann.title(), `Retry ${knows.left} deliveries?`, "the count comes first");
  await ann.clicks(`Retry ${knows.left}`);
  await ann.page.locator("h1 .badge", { hasText: "finished" }).waitFor();
  await ann.reads(`${knows.left} of ${knows.left}`);
  ann.took(2, "from the list to a retry of all that match");
  await ann.opens(`/deliveries?status=failed&destination_id=${knows.destination}`);
  await ann.reads("No delivery matches the filter.");
});
