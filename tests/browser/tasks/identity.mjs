import { check, same, task } from "../browser.mjs";

// Single sign-on: from a deep link, by the provider, back to the deep link, in the role and the organization that the provider claims.
await task(async ({ knows, person }) => {
  const button = "Sign in with your organization’s account";
  // Somebody at the provider's own pages, which ask for a name and then whether Waybill may know it.
  const saysWhoTheyAre = async (who, login, meanwhile = () => {}) => {
    await who.clicks(button, "link");
    check(who.page.url().startsWith(knows.issuer), "at the provider");
    await who.page.locator("input[name=login]").fill(login);
    await who.page.locator("input[name=password]").fill("any");
    await who.page.locator("button[type=submit]").click();
    await meanwhile();
    await who.page.locator("button[type=submit]").click();
  };

  const ann = await person();
  await ann.opens("/deliveries?status=failed");
  await saysWhoTheyAre(ann, `Ann/viewer/${knows.organization}`);
  await ann.page.waitForURL((url) => url.href.startsWith(knows.url));
  same(new URL(ann.page.url()).pathname + new URL(ann.page.url()).search, "/deliveries?status=failed", "the page that was asked for");
  const whom = await ann.page.locator(".side").innerText();
  check(whom.includes("Acme") && whom.includes("Ann · viewer"), `who is signed in: ${whom}`);
  await ann.opens("/destinations");
  same(await ann.page.getByRole("link", { name: "New destination" }).count(), 0, "a viewer cannot add a destination");
  same((await ann.opens(`/organizations/${knows.other}`)).status(), 404, "another organization");

  // An operator sees all organizations.
  const olga = await person();
  await olga.opens("/organizations");
  await saysWhoTheyAre(olga, "Olga/operator/");
  await olga.reads("Other");
  same(olga.path, "/organizations", "the operator's page");

  // Known there, and nobody here.
  for (const login of ["Nora/staff/", `Nora/admin/org_00000000000000000000000000`, "Nora/admin/"]) {
    const nora = await person();
    await nora.opens("/");
    await saysWhoTheyAre(nora, login);
    await nora.reads("has not assigned you a role");
    await nora.opens("/");
    same(nora.path, "/sign-in", `${login} is not signed in`);
  }

  // Whoever turns back at the provider.
  const tim = await person();
  await tim.opens("/");
  await tim.clicks(button, "link");
  await tim.page.getByRole("link", { name: /cancel/i }).click();
  await tim.reads("did not sign you in");

  // A code that another browser was given, and an answer that nobody asked for.
  const eve = await person();
  await eve.opens("/");
  const begun = async (who) => (await who.context.cookies()).find((cookie) => cookie.name.endsWith("-begun"));
  await saysWhoTheyAre(eve, `Eve/admin/${knows.other}`, () => eve.context.clearCookies({ name: /-begun$/ }));
  await eve.reads("was started in another browser");
  const stolen = new URL(eve.page.url());
  const zoe = await person();
  await zoe.opens(stolen.pathname + stolen.search);
  await zoe.reads("was started in another browser");
  await zoe.clicks(button, "link");
  const own = JSON.parse(Buffer.from((await begun(zoe)).value, "base64url"));
  await zoe.opens(`${stolen.pathname}?code=${stolen.searchParams.get("code")}&state=${own.state}`);
  await zoe.reads("did not sign you in");
  await zoe.opens("/");
  same(zoe.path, "/sign-in", "a stolen code signs nobody in");

  // An admin ends a session.
  const api = (method, path) => ann.context.request.fetch(knows.api + path, { method, headers: { authorization: `Bearer ${knows.key}` } });
  const [event] = (await (await api("GET", "/v1/audit-events?action=person.signed_in")).json()).data;
  same((await api("DELETE", `/v1/portal-links/${event.target.id ?? event.target}`)).status(), 204, "the session is ended");
  await ann.opens("/destinations");
  same(ann.path, "/sign-in", "signed in no longer");
});
