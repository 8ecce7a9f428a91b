import { check, same, task } from "../browser.mjs";

// A delivery is refused twice and then taken; who watches sees it without loading the page again.
await task(async ({ knows, person }) => {
  const ann = await person();
  await ann.opens(`/deliveries?destination_id=${knows.destination}`, knows.key);
  await ann.clicks("Follow live", "link");
  await ann.page.evaluate(() => { window.stayed = true; });
  await fetch(knows.api + "/v1/messages", {
    method: "POST",
    headers: { authorization: `Bearer ${knows.key}`, "content-type": "application/json" },
    body: JSON.stringify({ event_type: "report.ready", payload: { n: 1 }, destination_ids: [knows.destination] }),
  });
  await ann.page.locator("tbody tr").first().waitFor();
  check(await ann.page.evaluate(() => window.stayed), "the list followed by itself");
  await ann.page.locator("tbody th a").first().click();
  await ann.page.evaluate(() => { window.stayed = true; });
  await ann.page.locator("h1 .badge", { hasText: "succeeded" }).waitFor();
  same(await ann.page.locator(".timeline > li").count(), 3, "attempts");
  check(await ann.page.evaluate(() => window.stayed), "the page followed by itself");
  const last = ann.page.locator("#attempt-3");
  check((await last.innerText()).includes("Changed since the previous attempt"), "what differs is shown");
  check((await last.innerText()).includes("webhook-signature"), "the request as sent is shown");
  check((await ann.page.locator(".payload").innerText()).includes('"n": 1'), "the payload is shown");
  await last.getByText("As a curl command").click();
  check((await last.locator("pre").last().innerText()).startsWith("curl -X POST"), "the request as a command");
  await last.getByRole("link", { name: "View trace" }).click();
  check((await ann.page.locator(".spans tbody tr").count()) >= 4, "the spans of its trace");
});
