import { check, same, task } from "../browser.mjs";

// The reference of the API is for everybody, on any screen and by keyboard, and asks nobody else for anything.
await task(async ({ knows, person }) => {
  const broken = [];
  for (const options of knows.variants) {
    const ann = await person(options);
    await ann.opens(`${knows.api}/docs`);
    broken.push(...(await ann.objections()).map((text) => `/docs ${JSON.stringify(options)}: ${text}`));
    const over = await ann.overflow();
    if (over > 0) broken.push(`/docs ${JSON.stringify(options)}: ${over} px wider than the window`);
    same(ann.requests.filter((url) => !url.startsWith(knows.api)), [], "requests to others");
  }
  same(broken, [], "objections");

  const ken = await person();
  await ken.opens(`${knows.api}/docs`);
  await ken.page.keyboard.press("Tab");
  same(await ken.page.evaluate(() => document.activeElement.textContent), "Skip to the content", "the first stop");
  for (let stop = 0; stop < 40; stop++) {
    await ken.page.keyboard.press("Tab");
    const outline = await ken.page.evaluate(() => getComputedStyle(document.activeElement).outlineStyle);
    check(outline !== "none", "where the keyboard is can be seen");
  }
  await ken.opens(`${knows.api}/docs#createDestination`);
});
