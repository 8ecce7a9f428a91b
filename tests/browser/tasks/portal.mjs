import { check, same, task } from "../browser.mjs";

// A link lets a person in once, behind a button.
await task(async ({ knows, person }) => {
  const ann = await person();
  for (let scans = 0; scans < 3; scans++) same((await ann.context.request.get(knows.link)).status(), 200, "a scan of the link");
  await ann.opens(knows.link);
  await ann.reads("For Ann");
  await ann.clicks("Open");
  same(ann.path, "/deliveries", "the page that the link is for");
  check((await ann.page.locator(".who").innerText()).includes("Ann · viewer"), "who is signed in");
  const late = await person();
  same((await late.opens(knows.link)).status(), 404, "opened again");
  await late.reads("This link no longer works");
});
