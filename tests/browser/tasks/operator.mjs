import { check, same, task } from "../browser.mjs";

// An operator sees every organization, chooses one, and its pages go on being about it.
await task(async ({ knows, person }) => {
  const olga = await person();
  await olga.opens(knows.link, knows.key);
  same(olga.path, "/organizations", "whose?");
  const names = await olga.page.locator("tbody th").allInnerTexts();
  const place = (name) => names.findIndex((own) => own.startsWith(name));
  check(place(knows.failing) >= 0 && place(knows.failing) < place(knows.healthy), `worst first: ${names}`);
  await olga.clicks(knows.failing, "link");
  same(olga.path, knows.link, "the page that was asked for");
  check(olga.page.url().includes(`organization_id=${knows.organization}`), "the address names the organization");
  await olga.clicks("Destinations", "link");
  await olga.page.locator("tbody th a").first().click();
  check(olga.page.url().includes(`organization_id=${knows.organization}`), "and goes on doing so");
  await olga.opens(`/organizations/${knows.organization}`);
  await olga.page.getByLabel("Buckets").fill("waybill-grantable-a");
  await olga.clicks("Save the grants");
  same((await olga.page.getByLabel("Buckets").inputValue()).trim(), "waybill-grantable-a", "the grant");
  await olga.clicks("Suspend");
  await olga.page.locator("dd .badge", { hasText: "suspended" }).waitFor();
  await olga.clicks("Activate");
  await olga.page.locator("dd .badge", { hasText: "active" }).waitFor();
});
