import { check, same, task } from "../browser.mjs";

// Why does it fail? Wrong credentials: the check of a first guess says so, the second is taken.
await task(async ({ knows, person }) => {
  const ann = await person();
  await ann.opens("/", knows.key);
  await ann.reads("Needs attention");
  const row = ann.page.getByRole("row", { name: /CRM/ }).first();
  check((await row.innerText()).includes("failing"), "the overview says that it fails");
  check((await row.innerText()).includes("Authentication"), "the overview says why");
  await ann.clicks("CRM", "link");
  await ann.reads(/5 consecutive failures/);
  await ann.reads(/the receiver answered 401/);
  await ann.clicks("Fix settings", "link");
  const token = ann.page.getByLabel("Token", { exact: true });
  same(await token.inputValue(), "", "a secret does not come back");
  await token.fill("a-guess-that-is-wrong");
  await ann.clicks("Check and save");
  await ann.reads("nothing was saved");
  const steps = ann.page.locator(".steps li");
  const failed = await steps.filter({ hasText: "failed" }).first().innerText();
  check(failed.includes("Authenticate") && failed.includes("401"), `the check names the step: ${failed}`);
  check(await steps.filter({ hasText: "connect" }).first().isVisible(), "and those that passed");
  same(await token.inputValue(), "a-guess-that-is-wrong", "what was typed stays");
  await token.fill("the-right-token");
  await ann.clicks("Check and save");
  await ann.reads("Saved. The change applies from the next delivery on.");
  ann.took(4, "from the overview to new credentials, at the second guess");
});
