import { check, same, task } from "../browser.mjs";

// A local process keeps mail instead of sending it; its operator reads it there and follows its links.
await task(async ({ knows, person }) => {
  const olga = await person();
  await olga.opens("/organizations", knows.operator);
  await olga.clicks("Mail", "link");
  const row = olga.page.locator("tbody tr", { hasText: knows.address }).first();
  await row.waitFor();
  await row.getByRole("link").click();
  await olga.reads(knows.address);
  const link = olga.page.locator(".mail-text a").first();
  check((await link.getAttribute("href")).startsWith(olga.url), "the link leads here");
  same(await olga.objections(), [], "objections");
  await link.click();
  await olga.page.getByRole("button", { name: /confirm/i }).first().click();
  await olga.page.waitForLoadState();

  const ann = await person();
  await ann.opens("/", knows.key);
  same(await ann.page.getByRole("link", { name: "Mail", exact: true }).count(), 0, "nobody else is offered it");
  same((await ann.opens("/inbox")).status(), 403, "nor may open it");
});
