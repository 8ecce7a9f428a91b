import { check, task } from "../browser.mjs";

// The keys that a server presents are fetched into the form, with fingerprints to compare; with a script and without.
await task(async ({ knows, person }) => {
  for (const script of [true, false]) {
    const ann = await person({ script });
    await ann.opens("/destinations/new/sftp", knows.key);
    await ann.page.locator('[id="settings.host"]').fill(knows.host);
    await ann.page.locator('[id="settings.port"]').fill(knows.port);
    await ann.clicks("Fetch host keys");
    await ann.reads("Compare before you save.");
    await ann.reads(knows.fingerprint);
    if (script) ann.took(1, "to the keys of a server");
    const keys = await ann.page.locator('[id="settings.host_keys"]').inputValue();
    check(keys.includes(knows.public_key), `the key stands in its field: ${keys}`);
    check((await ann.page.locator('[id="settings.host"]').inputValue()) === knows.host, "what was typed stays");
  }
});
