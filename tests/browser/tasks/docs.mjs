import { check, same, task } from "../browser.mjs";

// The reference of the API is for everybody, on any screen and by keyboard, and asks nobody else for anything.
await task(async ({ knows, person }) => {
  const broken = [];
  for (const options of knows.variants) {
    const ann = await person(options);
    await ann.opens(`${knows.api}/docs`);
    broken.push(...(await ann.objections()).map((text) => `/docs ${JSON.stringify(options)}: ${text}`));
    const over = await ann.overflow();
    if (over > 0) broken.push(`/docs ${JSON.stringify(options)}: ${over} px wider than the window`);
    same(ann.requests.filter((url) => !url.startsWith(knows.api)), [], "requests to others");
  }
  same(broken, [], "objections");

  const ken = await person();
  await ken.opens(`${knows.api}/docs`);
  await ken.page.keyboard.press("Tab");
  same(await ken.page.evaluate(() => document.activeElement.textContent), "Skip to the content", "the first stop");
  for (let stop = 0; stop < 40; stop++) {
    await ken.page.keyboard.press("Tab");
    const outline = await ken.page.evaluate(() => getComputedStyle(document.activeElement).outlineStyle);
    check(outline !== "none", "where the keyboard is can be seen");
  }

  // A request is sent from the page with a key: two clicks, and the response with its status.
  const ann = await person();
  await ann.opens(`${knows.api}/docs`);
  const operation = (id) => ann.page.locator(`#${id}`);
  const sends = async (id) => {
    await operation(id).getByRole("button", { name: /^Send/ }).click();
    await operation(id).locator(".result b").waitFor();
    return operation(id).locator(".result").innerText();
  };
  await operation("read_meta").getByRole("button", { name: "Try it" }).click();
  check((await sends("read_meta")).startsWith("401"), "without a key");
  await operation("read_meta").getByLabel("API key").fill(knows.key);
  const meta = await sends("read_meta");
  check(meta.startsWith("200") && meta.includes('"version"') && meta.includes("request-id:"), meta);
  ann.took(3, "to a response, and to another with a key");

  await operation("submit_message").getByRole("button", { name: "Try it" }).click();
  same(await operation("submit_message").getByLabel("API key").inputValue(), knows.key, "the key stays for the next operation");
  const body = operation("submit_message").getByLabel("Body (application/json)");
  check(JSON.parse(await body.inputValue()).event_type, "the body is the example");
  await body.fill(JSON.stringify({ event_type: "docs.tried", payload: { n: 1 }, destination_ids: [knows.destination] }));
  check((await sends("submit_message")).startsWith("202"), "a message is accepted");
  await operation("list_messages").getByRole("button", { name: "Try it" }).click();
  await operation("list_messages").getByLabel("event_type (query)").fill("docs.tried");
  check((await sends("list_messages")).includes('"docs.tried"'), "the message is listed");
  await operation("get_destination").getByRole("button", { name: "Try it" }).click();
  await operation("get_destination").getByLabel("id (path)").fill(knows.destination);
  check((await sends("get_destination")).startsWith("200"), "an operation with its identifier in the path");
  same(await ann.objections(), [], "accessibility of the forms");
  same(ann.requests.filter((url) => !url.startsWith(knows.api)), [], "requests to others");

  const sam = await person({ script: false });
  await sam.opens(`${knows.api}/docs`);
  same(await sam.page.locator("article button").count(), 0, "no button that needs a script");
});
