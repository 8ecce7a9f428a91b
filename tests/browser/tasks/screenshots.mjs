import { task } from "../browser.mjs";

const HEIGHT = 800;

// A picture of every page, light, dark and as wide as a phone; and those of the README, as tall as a window.
await task(async ({ knows, person }) => {
  let taken = 0;
  const settle = async (someone) => {
    await someone.page.waitForLoadState("networkidle");
    await someone.page.evaluate(() => document.fonts.ready);
    await someone.page.waitForTimeout(200);
  };
  const shoot = async (someone, name) => {
    await settle(someone);
    // What sticks to the window's edges stands at the page's.
    const width = someone.page.viewportSize().width;
    const height = await someone.page.evaluate(() => document.documentElement.scrollHeight);
    await someone.page.setViewportSize({ width, height: Math.max(HEIGHT, height) });
    await someone.page.waitForTimeout(100);
    await someone.page.screenshot({ path: `${knows.folder}/${name}.png` });
    await someone.page.setViewportSize({ width, height: HEIGHT });
    taken += 1;
  };
  for (const [name, path, dark] of knows.readme) {
    const ann = await person({ dark });
    await ann.opens(path, knows.key);
    await settle(ann);
    await ann.page.screenshot({ path: `${knows.folder}/readme/${name}.png` });
    taken += 1;
  }
  for (const [scheme, options] of Object.entries({ light: {}, dark: { dark: true }, phone: { width: 390 } })) {
    const ann = await person(options);
    await ann.opens("/sign-in");
    await shoot(ann, `sign-in-${scheme}`);
    await ann.signsIn(knows.key);
    for (const [name, path] of Object.entries(knows.pages)) {
      await ann.opens(path);
      if (name === "overview") await ann.page.locator("figure").first().waitFor();
      await shoot(ann, `${name}-${scheme}`);
    }
    await ann.opens(`${knows.api}/docs`);
    await settle(ann);
    await ann.page.screenshot({ path: `${knows.folder}/docs-${scheme}.png` });
    const olga = await person(options);
    await olga.opens("/organizations", knows.operator);
    await shoot(olga, `organizations-${scheme}`);
    await olga.opens(`/organizations/${knows.organization}`);
    await shoot(olga, `organization-admin-${scheme}`);
  }
  return taken;
});
