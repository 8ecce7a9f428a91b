import { check, same, task } from "../browser.mjs";

// What was made is made once, however often the page is loaded; what is wrong is said where it was typed, and stays typed.
await task(async ({ knows, person }) => {
  const ann = await person();
  await ann.opens("/api-keys", knows.key);
  await ann.clicks("New API key", "link");
  await ann.page.getByLabel("Name").fill("Backend");
  await ann.clicks("Create API key");
  check((await ann.page.locator("#secret").innerText()).startsWith("wbk_"), "the key is shown");
  ann.took(2, "to a new API key");
  await ann.page.reload();
  same(await ann.page.locator("#secret").count(), 0, "once");
  same(await ann.page.locator("tbody th", { hasText: "Backend" }).count(), 1, "one key was made");
  await ann.clicks("New portal link", "link");
  await ann.page.getByLabel("Their name").fill("Bob");
  await ann.clicks("Create link");
  check((await ann.page.locator("#link").innerText()).includes("/portal/"), "the link is shown");
  await ann.reads(/Not opened yet/);
  await ann.page.reload();
  same(await ann.page.locator("#link").count(), 0, "once");

  await ann.opens(`/destinations/${knows.destination}/test`);
  await ann.page.getByLabel("Payload").fill("{broken");
  await ann.clicks("Send test");
  await ann.reads(/Is not JSON/);
  same(await ann.page.getByLabel("Payload").inputValue(), "{broken", "the payload stays typed");
  await ann.opens(`/destinations/${knows.destination}/rotate-secret`);
  await ann.page.getByLabel("New secret").selectOption("own");
  await ann.page.getByLabel("Your signing secret", { exact: true }).fill("too-short");
  await ann.clicks("Rotate secret");
  await ann.page.locator("#secret-mistake").filter({ hasText: /.+/ }).waitFor();
  same(await ann.page.getByLabel("New secret").inputValue(), "own", "the choice stays");
  await ann.opens("/deliveries?event_type=invoice.*");
  await ann.reads(/The filter cannot be used/);
  same(await ann.page.locator("#event_type").inputValue(), "invoice.*", "the filter stays typed");

  await ann.opens(`/deliveries/${knows.delivery}`);
  await ann.reads(/The destination is disabled, so this delivery cannot be retried/);
  await ann.clicks("Enable it and replay", "link");
  await ann.page.locator(".incident").waitFor();
});
