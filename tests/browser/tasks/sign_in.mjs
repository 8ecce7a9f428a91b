import { check, same, task } from "../browser.mjs";

// A deep link, opened signed out, leads to signing in and then to its page.
await task(async ({ knows, person }) => {
  const ann = await person();
  await ann.opens(knows.link);
  same(ann.path, "/sign-in", "where a link leads who is signed out");
  await ann.page.getByLabel("API key").fill("wbk_nothing");
  await ann.clicks("Sign in");
  await ann.reads("This key is not valid");
  await ann.signsIn(knows.key);
  same(ann.page.url(), ann.url + knows.link, "the page that was asked for");
  const [cookie] = await ann.context.cookies();
  check(cookie.httpOnly && cookie.sameSite === "Lax", "the cookie is out of reach of scripts and other sites");
  await ann.clicks("Sign out");
  await ann.opens(knows.link);
  same(ann.path, "/sign-in", "signed out again");
});
