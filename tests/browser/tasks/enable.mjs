import { check, same, task } from "../browser.mjs";

// A destination was disabled; it is enabled again and what it missed is replayed.
await task(async ({ knows, person }) => {
  const ann = await person();
  await ann.opens("/destinations?status=disabled", knows.key);
  await ann.clicks("Warehouse", "link");
  await ann.reads(/Enabling resets the failure counter/);
  await ann.clicks(`Enable and replay ${knows.missed}`);
  await ann.page.locator("h1 .badge", { hasText: "finished" }).waitFor();
  ann.took(2, "from the disabled destinations to a finished replay");
  await ann.opens(`/deliveries?destination_id=${knows.destination}`);
  await ann.page.locator("tbody tr", { hasText: "succeeded" }).nth(knows.missed - 1).waitFor();
});
