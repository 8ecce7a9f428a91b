import { same, task } from "../browser.mjs";

// Another organization's links lead nowhere, in the same words as those that never led anywhere.
await task(async ({ knows, person }) => {
  const eve = await person();
  await eve.opens("/", knows.key);
  const seen = new Set();
  for (const path of knows.paths) {
    same((await eve.opens(path)).status(), 404, path);
    seen.add((await eve.page.locator("main").innerText()).replace(/req_[0-9a-f]+/, ""));
  }
  same(seen.size, 1, "different words for what is another's and what never was");
});
