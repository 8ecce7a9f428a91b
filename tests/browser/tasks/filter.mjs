import { check, same, task } from "../browser.mjs";

// A list is narrowed, its address is sent to a colleague, who sees the same.
await task(async ({ knows, person }) => {
  const ann = await person();
  await ann.opens("/deliveries", knows.key);
  await ann.page.getByRole("link", { name: /^failed/ }).click();
  await ann.page.getByLabel("Destination", { exact: true }).selectOption(knows.destination);
  await ann.page.getByLabel("Event type").fill("report.ready");
  await ann.page.getByLabel("Time").selectOption("1h");
  await ann.clicks("Filter");
  ann.took(2, "to a list by state, destination, event type and time");
  const rows = async (someone) => (await someone.page.locator("tbody tr").allInnerTexts()).map((row) => row.split(/\s+/)[1]);
  const seen = await rows(ann);
  check(seen.length === knows.expected, `${knows.expected} deliveries, not ${seen.length}`);
  check((await ann.page.locator("tbody").allInnerTexts()).every((text) => !text.includes("succeeded")), "failed ones alone");
  const bob = await person();
  await bob.opens(ann.page.url(), knows.viewer);
  same(await rows(bob), seen, "what a colleague sees");
  await ann.page.getByText("Custom range").click();
  await ann.page.getByLabel("From (UTC)").fill("2001-01-01T00:00");
  await ann.page.getByLabel("Until (UTC)").fill("2001-01-02T00:00");
  await ann.page.getByLabel("Time").selectOption("");
  await ann.clicks("Filter");
  await ann.reads("No delivery matches the filter.");
});
