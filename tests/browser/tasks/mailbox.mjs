import { check, same, task } from "../browser.mjs";

// A mailbox is connected: an application is named, a person consents at the provider, and the form of a destination has what they gave.
await task(async ({ knows, person }) => {
  const ann = await person();
  await ann.opens("/destinations/new/email", knows.key);
  await ann.page.locator('[id="settings.transport"]').selectOption("smtp");
  same(await ann.page.locator('[id="credentials.kind"] option:not([hidden])').evaluateAll((all) => all.some((one) => one.value === "iam")), false, "AWS roles are not offered for a mail server");
  await ann.page.locator('[id="credentials.kind"]').selectOption("oauth2_authorization");
  await ann.clicks("Connect a Google or Microsoft mailbox", "link");
  await ann.page.getByLabel("Provider").selectOption("custom");
  await ann.page.getByLabel("Client ID").fill("app");
  await ann.page.getByLabel("Client secret", { exact: true }).fill("s3cret");
  await ann.page.getByLabel("Authorization URL").fill(knows.authorize_url);
  await ann.clicks("Continue");
  await ann.reads("Correct the marked fields and try again.");
  same(await ann.page.getByLabel("Client ID").inputValue(), "app", "what was typed stays");
  ann.took(2, "to the form, and a first try");
  await ann.page.getByLabel("Client secret", { exact: true }).fill("s3cret");
  await ann.page.getByLabel("Token URL").fill(knows.token_url);
  await ann.clicks("Continue");
  const link = ann.page.getByRole("link", { name: "Continue to the provider" });
  const consent = new URL(await link.getAttribute("href"));
  same(consent.origin + consent.pathname, knows.authorize_url, "where the person consents");
  await ann.reads(/Waiting for consent/);
  const back = await fetch(`${knows.api}/v1/oauth2/callback?${new URLSearchParams({ state: consent.searchParams.get("state"), code: "the-code" })}`);
  same(back.status, 200, "the provider sends the browser back");
  await ann.clicks("Use it in a new destination", "link");
  check((await ann.page.locator('[id="credentials.oauth2_authorization.authorization_id"]').inputValue()).startsWith("oau_"), "the form has the mailbox");
  same(await ann.page.locator('[id="settings.transport"]').inputValue(), "smtp", "and its transport");
  ann.took(2, "from the application to a destination with the mailbox, besides those at the provider");
});
