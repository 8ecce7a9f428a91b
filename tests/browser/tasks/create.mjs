import { check, same, task } from "../browser.mjs";

// One destination of each type, filled in as a person would.
await task(async ({ knows, person }) => {
  // High enough that the form's buttons, which stick to the window's end, cover no field.
  const ann = await person();
  const made = {};
  await ann.opens("/destinations", knows.key);
  for (const [kind, { card, fields, choices = {}, checked }] of Object.entries(knows.types)) {
    await ann.opens("/destinations/new");
    await ann.page.locator(".cards a").filter({ hasText: card }).first().click();
    await ann.page.locator("#name").fill(`A ${card}`);
    // Settings first: they decide which kinds of credentials there are.
    const settingsFirst = ([one], [other]) => Number(other.startsWith("settings.")) - Number(one.startsWith("settings."));
    for (const [name, value] of Object.entries(choices).sort(settingsFirst)) await ann.page.locator(`[id="${name}"]`).selectOption(value);
    for (const [name, value] of Object.entries(fields)) {
      const field = ann.page.locator(`[id="${name}"]`);
      const fold = field.locator("xpath=ancestor::details[not(@open)]");
      if (await fold.count()) await fold.locator("summary").click();
      await field.fill(value);
    }
    await ann.clicks(checked ? "Check and save" : "Save without a check");
    await ann.reads(checked ? /Signing secret|The connection works/ : "without a check");
    await ann.page.waitForURL(/\/destinations\/dst_/);
    made[kind] = ann.path.split("/").pop();
    if (kind === "webhook") {
      check((await ann.page.locator("#secret").innerText()).startsWith("whsec_"), "the signing secret is shown");
      await ann.page.reload();
      same(await ann.page.locator("#secret").count(), 0, "once");
    }
  }
  return made;
});
