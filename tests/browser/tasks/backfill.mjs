import { check, task } from "../browser.mjs";

// A destination that was added late gets what it never got: the count comes first, the progress after.
await task(async ({ knows, person }) => {
  const ann = await person();
  await ann.opens(`/destinations/${knows.destination}?tab=settings`, knows.key);
  await ann.clicks("Backfill…", "link");
  await ann.reads(`${knows.missed} messages`);
  const objections = await ann.objections();
  check(objections.length === 0, objections.join("\n"));
  await ann.page.locator("#event_type").fill("other.type");
  await ann.clicks("Count messages");
  await ann.reads("0 messages");
  await ann.page.locator("#event_type").fill("");
  await ann.clicks("Count messages");
  await ann.clicks(`Send ${knows.missed} messages`);
  await ann.page.locator("h1 .badge", { hasText: "finished" }).waitFor();
  await ann.reads(`${knows.missed} of ${knows.missed}`);
  await ann.opens(`/deliveries?destination_id=${knows.destination}`);
  await ann.page.locator("tbody tr", { hasText: "succeeded" }).nth(knows.missed - 1).waitFor();
});
