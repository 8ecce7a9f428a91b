import { check, same, task } from "../browser.mjs";

// Markup planted in everything that comes from outside is text and nothing else.
await task(async ({ knows, person }) => {
  const ann = await person();
  await ann.opens("/", knows.key);
  for (const path of knows.pages) {
    const response = await ann.opens(path);
    check(response.status() < 500, `${path} answered ${response.status()}`);
    same(await ann.page.locator("[data-planted], img[src=x], script:not([src])").count(), 0, `planted elements on ${path}`);
    const html = await response.text();
    check(!/<b data-planted/i.test(html), `planted markup on ${path}`);
  }
  const text = async (path) => { await ann.opens(path); return ann.page.locator("main").innerText(); };
  for (const [path, words] of Object.entries(knows.shown)) {
    for (const word of words) check((await text(path)).includes(word), `${path} does not show ${word} as text`);
  }
});
