import { task } from "../browser.mjs";

// A picture of every page, light, dark and as wide as a phone.
await task(async ({ knows, person }) => {
  let taken = 0;
  for (const [scheme, options] of Object.entries({ light: {}, dark: { dark: true }, phone: { width: 390 } })) {
    const shoot = async (someone, name) => {
      await someone.page.waitForTimeout(300);
      // What sticks to the window's edges stands at the page's.
      const width = someone.page.viewportSize().width;
      const height = await someone.page.evaluate(() => document.documentElement.scrollHeight);
      await someone.page.setViewportSize({ width, height: Math.max(800, height) });
      await someone.page.screenshot({ path: `${knows.folder}/${name}-${scheme}.png` });
      await someone.page.setViewportSize({ width, height: 800 });
      taken += 1;
    };
    const ann = await person(options);
    await ann.opens("/sign-in");
    await shoot(ann, "sign-in");
    await ann.signsIn(knows.key);
    for (const [name, path] of Object.entries(knows.pages)) {
      await ann.opens(path);
      if (name === "overview") await ann.page.locator("figure").first().waitFor();
      await shoot(ann, name);
    }
    const olga = await person(options);
    await olga.opens("/organizations", knows.operator);
    await shoot(olga, "organizations");
    await olga.opens(`/organizations/${knows.organization}`);
    await shoot(olga, "organization-admin");
  }
  return taken;
});
