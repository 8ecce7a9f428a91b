import { check, same, task } from "../browser.mjs";

// Every mistake stands at its field, with a script and without; and nothing that was typed is lost but secrets without one.
await task(async ({ knows, person }) => {
  for (const script of [true, false]) {
    const ann = await person({ script });
    await ann.opens("/destinations/new/webhook", knows.key);
    await ann.page.locator('[id="settings.url"]').fill("https://169.254.169.254/latest");
    await ann.page.locator('[id="credentials.kind"]').selectOption("basic");
    await ann.page.locator('[id="credentials.basic.username"]').fill("ann");
    await ann.clicks("Check and save");
    const mistake = (name) => ann.page.locator(`[id="${name}-mistake"]`);
    await mistake("settings.url").filter({ hasText: /.+/ }).waitFor();
    check((await mistake("name").innerText()).length > 0, "the name's mistake");
    check((await mistake("credentials.basic.password").innerText()).length > 0, "the password's mistake");
    same(await ann.page.locator('[id="settings.url"]').getAttribute("aria-invalid"), "true", "the field is marked");
    same(await ann.page.locator('[id="settings.url"]').inputValue(), "https://169.254.169.254/latest", "what was typed");
  }
});
