import { check, same, task } from "../browser.mjs";

// Who may only look sees no button that changes anything, and cannot by other means.
await task(async ({ knows, person }) => {
  const bob = await person();
  await bob.opens("/", knows.viewer);
  const pages = ["/", "/destinations", `/destinations/${knows.destination}`, "/deliveries", `/deliveries/${knows.delivery}`, `/messages/${knows.message}`, "/alerts", "/jobs", "/audit", "/organization"];
  for (const path of pages) {
    same((await bob.opens(path)).status(), 200, path);
    const buttons = await bob.page.locator('main form[method="post"] button:enabled').allInnerTexts();
    same(buttons, [], `buttons on ${path}`);
    same(await bob.page.getByRole("link", { name: "Access" }).count(), 0, "a link to the keys");
  }
  same((await bob.opens("/api-keys")).status(), 403, "the keys");
  // A form that would refuse them is not shown either.
  for (const form of ["/destinations/new", "/destinations/new/webhook", `/destinations/${knows.destination}/edit`, `/destinations/${knows.destination}/test`, "/mailboxes/new", "/api-keys/new"]) {
    same((await bob.opens(form)).status(), 403, form);
  }
  const token = await bob.page.locator('input[name="_form"]').first().getAttribute("value");
  const posts = [`/destinations/${knows.destination}/disable`, `/destinations/${knows.destination}/delete`, `/deliveries/${knows.delivery}/retry`, "/destinations/new/webhook", "/organization"];
  for (const path of posts) {
    const answer = await bob.context.request.post(bob.url + path, { form: { _form: token, force: "true", name: "x" }, maxRedirects: 0 });
    same(answer.status(), 403, `POST ${path}`);
  }
  const without = await bob.context.request.post(`${bob.url}/deliveries/${knows.delivery}/retry`, { form: {}, maxRedirects: 0 });
  same(without.status(), 403, "a form of another site");
});
