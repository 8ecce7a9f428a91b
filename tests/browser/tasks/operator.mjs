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

  // What is undelivered, in all organizations: one search and one choice lead to one of them.
  await olga.opens("/organizations");
  await olga.page.getByRole("searchbox").fill(knows.failing.toLowerCase());
  await olga.clicks("Search");
  same(await olga.page.locator("tbody tr").count(), 1, "organizations whose name begins so");
  await olga.clicks("Deliveries", "link");
  same(olga.path, "/deliveries", "a list of all organizations");
  const all = await olga.page.locator("tbody tr").allInnerTexts();
  check(all.some((row) => row.includes(knows.failing)) && all.some((row) => row.includes(knows.other)), `both: ${all}`);
  check(all.every((row) => !row.includes("succeeded")), "only what is undelivered");
  await olga.page.getByLabel("Organization", { exact: true }).selectOption({ label: knows.failing });
  await olga.clicks("Filter");
  check(olga.page.url().includes(`organization_id=${knows.organization}`), "the filter names the organization");
  same(await olga.page.locator(".whose strong").innerText(), knows.failing, "whose pages they are");
  await olga.opens("/alerts");
  check((await olga.page.locator("tbody tr").allInnerTexts()).some((row) => row.includes(knows.failing)), "alerts of all");
  await olga.opens("/audit?action=destination.created");
  const events = await olga.page.locator("tbody tr").allInnerTexts();
  check(events.some((row) => row.includes(knows.failing)) && events.some((row) => row.includes(knows.healthy)), "audit events of all");

  // A link to one thing opens at once, whole: its id says whose it is.
  olga.presses = 0;
  for (const page of knows.pages) {
    await olga.opens(page);
    same(olga.path, page, "the page of the link");
    check(olga.page.url().includes(`organization_id=${knows.organization}`), `${page} is in its organization`);
  }
  same(await olga.page.locator("pre.payload").first().innerText(), '{\n  "n": 4\n}', "the payload of a delivery that a link led to");
  olga.took(0, "from a link to its page");
  // The same link, opened by an operator who signs in first.
  const omar = await person();
  await omar.opens(knows.pages.at(-1), knows.key);
  same(omar.path, knows.pages.at(-1), "the page of the link, after signing in");
  omar.took(0, "from signing in to the page of the link");
  await olga.opens("/deliveries/dlv_01kavd83802s63efghp3q1cpj4_00");
  check(!(await olga.page.locator("h1").innerText()).includes("dlv"), "an unknown id leads to no delivery");

  await olga.opens(`/organizations/${knows.organization}`);
  await olga.page.getByLabel("Buckets").fill("waybill-grantable-a");
  await olga.clicks("Save grants");
  same((await olga.page.getByLabel("Buckets").inputValue()).trim(), "waybill-grantable-a", "the grant");
  await olga.clicks("Suspend");
  await olga.page.locator("dd .badge", { hasText: "suspended" }).waitFor();
  await olga.clicks("Activate");
  await olga.page.locator("dd .badge", { hasText: "active" }).waitFor();
});
