import { check, same, task } from "../browser.mjs";

// A secret is rotated: the new one is shown once, and the page says which sign until when.
await task(async ({ knows, person }) => {
  const ann = await person();
  await ann.opens(`/destinations/${knows.destination}`, knows.key);
  await ann.clicks("Signing secrets", "link");
  await ann.clicks("Rotate secret", "link");
  await ann.page.getByLabel("Older secrets keep signing").selectOption("3600");
  await ann.clicks("Rotate secret");
  const secret = await ann.page.locator("#secret").innerText();
  ann.took(3, "from a destination to its new secret");
  await ann.page.reload();
  same(await ann.page.locator("#secret").count(), 0, "loaded again, the page shows no secret");
  const rows = ann.page.locator("tbody tr");
  same(await rows.count(), 2, "secrets that sign");
  check((await rows.nth(0).innerText()).includes("Active until replaced"), "the newest has no end");
  check(/in (59|60) min/.test(await rows.nth(1).innerText()), "the older one ends");
  return { secret };
});
