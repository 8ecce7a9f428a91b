import { check, same, task } from "../browser.mjs";

// A disabled destination says when it is checked next; the forms of a destination and of the organization set the failure rate and the recovery.
await task(async ({ knows, person }) => {
  const ann = await person();
  await ann.opens(`/destinations/${knows.disabled}`, knows.key);
  await ann.reads(/Next check .*: if it passes, the destination is enabled and receives what it missed/);
  same(await ann.objections(), [], "the page of a recovering destination");

  await ann.opens(`/destinations/${knows.other}/edit`);
  await ann.page.locator("summary", { hasText: "Retries and alerts" }).click();
  await ann.page.locator("#thresholds").selectOption("own");
  const field = (name) => ann.page.locator(`[id="failure_policy.${name}"]`);
  await field("failure_rate.percent").fill("101");
  await field("failure_rate.window_seconds").fill("900");
  await field("failure_rate.min_attempts").fill("20");
  await field("auto_recover").check();
  await ann.clicks("Save without a check");
  await ann.reads(/integer from 1 to 100/);
  await field("failure_rate.percent").fill("40");
  await ann.clicks("Save without a check");
  await ann.page.waitForURL((url) => url.pathname === `/destinations/${knows.other}`);
  await ann.opens(`/destinations/${knows.other}?tab=settings`);
  await ann.reads(/It also alerts when 40% of at least 20 attempts within 900 s fail/);
  await ann.reads(/checks it for a week and enables it when a check passes/);

  await ann.opens(`/destinations/${knows.other}/edit`);
  await ann.page.locator("summary", { hasText: "Retries and alerts" }).click();
  check(await field("auto_recover").isChecked(), "what is stored is ticked");
  for (const name of ["percent", "window_seconds", "min_attempts"]) await field(`failure_rate.${name}`).fill("");
  await ann.clicks("Save without a check");
  await ann.page.waitForURL((url) => url.pathname === `/destinations/${knows.other}`);

  await ann.opens("/organization");
  const setting = (name) => ann.page.locator(`[id="settings.failure_policy.${name}"]`);
  await setting("failure_rate.percent").fill("30");
  await setting("failure_rate.window_seconds").fill("300");
  await setting("failure_rate.min_attempts").fill("10");
  await setting("auto_recover").check();
  await ann.clicks("Save");
  await ann.reads("Saved.");
  same(await setting("failure_rate.percent").inputValue(), "30", "the organization's rate");
  check(await setting("auto_recover").isChecked(), "the organization's recovery");
});
