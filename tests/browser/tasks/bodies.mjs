import { readFileSync } from "node:fs";
import { check, same, task } from "../browser.mjs";

// What arrived, in the form of its type: a file with its name, rows as a table, a mail's text. Each is one click from the list, and another
// to view it whole or to download it.
await task(async ({ knows, person }) => {
  const ann = await person();
  await ann.opens("/deliveries", knows.key);
  ann.presses = 0;
  const opens = async (name) => {
    await ann.opens(`/deliveries?destination_id=${knows[name].destination}`);
    await ann.page.locator("tbody th a").first().click();
    await ann.page.locator("h1 .badge", { hasText: "succeeded" }).waitFor();
    same(await ann.objections(), [], `accessibility of a delivery: ${name}`);
  };
  const downloads = async (link) => {
    const [download] = await Promise.all([ann.page.waitForEvent("download"), ann.clicks(link, "link")]);
    return readFileSync(await download.path(), "utf8");
  };
  const shown = () => ann.page.locator(".timeline .payload").innerText();

  await opens("file");
  await ann.reads("File as sent");
  await ann.reads(knows.file.name);
  same(await shown(), knows.file.content, "the file's content");
  ann.took(1, "to a file's name and content");
  same(await downloads("Download the body"), knows.file.content, "the file, byte for byte");
  await ann.clicks("View as text", "link");
  check((await ann.page.locator("body").innerText()).includes(knows.file.content.trimEnd()), "the file on a page of its own");
  ann.took(2, "to download and to view it");

  await opens("large");
  await ann.reads(/too large or not text, so it is not shown here/);
  same((await downloads("Download the body")).length, knows.large.bytes, "the bytes of a large file");
  await ann.clicks("View as text", "link");
  check((await ann.page.locator("body").innerText()).endsWith("the end"), "all of a large file on a page of its own");
  ann.took(3, "to view and download a large file");

  await opens("rows");
  await ann.reads("Rows as written");
  const table = ann.page.getByRole("region", { name: "Rows as written" });
  same(await table.locator("thead th").allInnerTexts(), knows.rows.columns, "columns");
  same(await table.locator("tbody tr").count(), knows.rows.count, "rows");
  same(await table.locator("tbody tr").first().locator("td").allInnerTexts(), knows.rows.first, "the first row");
  same(await downloads("Download the body"), knows.rows.content, "the rows as they were submitted");
  ann.took(2, "to the rows, and to download them");

  await opens("mail");
  await ann.reads("Mail as sent");
  check((await ann.page.locator(".mail dl").innerText()).includes(knows.mail.subject), "the subject");
  check((await ann.page.locator(".mail .payload").innerText()).includes(knows.mail.text), "the text");
  check((await downloads("Download the body")).includes("MIME-Version: 1.0"), "the message");
  await ann.clicks("View the MIME message", "link");
  check((await ann.page.locator("body").innerText()).includes("Subject:"), "the message on a page of its own");
  ann.took(3, "to a mail's text, to download and to view the message");
});
