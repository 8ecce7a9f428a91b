import { check, task } from "../browser.mjs";

// A destination is paused with a reason; its page says so, and the list finds it.
await task(async ({ knows, person }) => {
  const ann = await person();
  await ann.opens(`/destinations/${knows.destination}`, knows.key);
  await ann.clicks("Pause", "link");
  await ann.page.locator("#until").fill("2020-01-01T00:00");
  await ann.clicks("Pause");
  await ann.reads(/Must be in the future/);
  await ann.page.locator("#until").fill("");
  await ann.page.locator("#reason").fill("Moving the warehouse");
  await ann.clicks("Pause");
  await ann.reads("This destination is paused");
  await ann.reads("Moving the warehouse");
  for (const path of [`/destinations/${knows.destination}`, `/destinations/${knows.destination}/pause`]) {
    await ann.opens(path);
    const objections = await ann.objections();
    check(objections.length === 0, objections.join("\n"));
  }
  await ann.opens("/destinations?status=paused");
  await ann.page.locator("tbody tr", { hasText: "Warehouse" }).getByText("paused").waitFor();
});
