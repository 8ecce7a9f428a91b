import { check, same, task } from "../browser.mjs";

// No rule of WCAG 2.2 AA that can be checked by a program is broken, in either colour scheme; a phone's width is enough; the keyboard is.
await task(async ({ knows, person }) => {
  const broken = [];
  for (const options of knows.variants) {
    const ann = await person(options);
    await ann.opens("/sign-in");
    broken.push(...(await ann.objections()).map((text) => `/sign-in: ${text}`));
    await ann.opens("/", knows.key);
    await ann.page.locator("figure").first().waitFor();
    for (const path of knows.pages) {
      await ann.opens(path);
      broken.push(...(await ann.objections()).map((text) => `${path} ${JSON.stringify(options)}: ${text}`));
      const over = await ann.overflow();
      if (over > 0) broken.push(`${path} ${JSON.stringify(options)}: ${over} px wider than the window`);
    }
    same(ann.requests.filter((url) => !url.startsWith(ann.url)), [], "requests to others");
  }
  same(broken, [], "objections");

  const ken = await person();
  await ken.opens("/sign-in");
  // The field has the keyboard from the start; a browser gives it once the page is laid out.
  await ken.page.locator("input[name=key]:focus").waitFor();
  const press = (...keys) => keys.reduce((before, key) => before.then(() => ken.page.keyboard.press(key)), Promise.resolve());
  await ken.page.keyboard.type(knows.key);
  await press("Enter");
  await ken.page.waitForURL((url) => url.pathname === "/");
  await press("Tab");
  same(await ken.page.evaluate(() => document.activeElement.textContent), "Skip to the content", "the first stop");
  const visited = new Set();
  for (let stop = 0; stop < 60 && !visited.has("Destinations"); stop++) {
    await press("Tab");
    visited.add(await ken.page.evaluate(() => document.activeElement.textContent.trim()));
    const outline = await ken.page.evaluate(() => getComputedStyle(document.activeElement).outlineStyle);
    check(outline !== "none", "where the keyboard is can be seen");
  }
  await press("Enter");
  await ken.page.waitForURL((url) => url.pathname === "/destinations");
});
