import { check, same, task } from "../browser.mjs";

// Three minutes: a destination was disabled because its token was revoked. Why, mend it, enable it, and everything arrives: four clicks, none of
// which needs scrolling.
await task(async ({ knows, person }) => {
  const ann = await person();
  await ann.opens("/", knows.key);
  let clicks = 0;
  const click = async (name, role = "button") => {
    const target = ann.page.getByRole(role, { name, exact: typeof name === "string" }).first();
    await target.waitFor();
    const box = await target.boundingBox();
    const scrolled = await ann.page.evaluate(() => window.scrollY);
    check(scrolled === 0 && box.y >= 0 && box.y + box.height <= 800, `${name} is in view without scrolling: ${JSON.stringify(box)} ${scrolled}`);
    await target.click();
    clicks += 1;
  };
  await ann.reads(new RegExp(`${knows.missed} deliveries did not arrive`));
  await click("CRM", "link");
  const incident = await ann.page.locator(".incident").innerText();
  check(incident.includes(`Disabled after ${knows.missed} consecutive failures`), incident);
  check(incident.includes("Authentication") && incident.includes("401"), `why: ${incident}`);
  check(incident.includes(`${knows.missed} not delivered`), `how much: ${incident}`);
  await click("Fix settings", "link");
  await ann.page.getByLabel("Token", { exact: true }).fill("the-right-token");
  await ann.page.evaluate(() => window.scrollTo(0, 0));
  await click("Check and save");
  await ann.reads("Saved. The destination is still disabled.");
  await click(`Enable and replay ${knows.missed}`);
  await ann.page.locator("h1 .badge", { hasText: "finished" }).waitFor();
  await ann.reads(`${knows.missed} of ${knows.missed}`);
  ann.took(clicks, "that were in view without scrolling");
  check(clicks <= 4, `${clicks} clicks`);
  await ann.opens(`/deliveries?destination_id=${knows.destination}&status=succeeded`);
  await ann.page.locator("tbody tr").nth(knows.missed - 1).waitFor();
  same(await ann.page.locator("tbody tr").count(), knows.missed, "all of them arrived");
  return clicks;
});
