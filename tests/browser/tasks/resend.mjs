import { same, task } from "../browser.mjs";

// A message is sent to a destination that does not have it; those that have it are not offered.
await task(async ({ knows, person }) => {
  const ann = await person();
  await ann.opens(knows.message, knows.key);
  await ann.clicks("Send to more destinations", "link");
  same(await ann.page.locator("fieldset label").allInnerTexts(), ["Audit"], "destinations without the message");
  await ann.page.getByLabel("Audit").check();
  await ann.clicks("Count deliveries");
  await ann.reads("1 delivery");
  await ann.clicks("Send 1 delivery");
  await ann.reads("The message is being sent to 1 more destination.");
  await ann.page.locator("tbody tr", { hasText: "Audit" }).waitFor();
  for (let look = 0; look < 40; look++) {
    if (await ann.page.locator("tbody tr", { hasText: "Audit" }).getByText("succeeded").count()) break;
    await ann.page.waitForTimeout(300);
    await ann.page.reload();
  }
});
