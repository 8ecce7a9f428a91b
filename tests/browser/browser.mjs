// What tasks are written with: a browser, somebody who signs in, and a look for what automated rules of accessibility object to.
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";

const require = createRequire(`${process.env.TEST_TOOLS}/`);
let chromium;
let axe;
try {
  ({ chromium } = require("playwright-core"));
  axe = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");
} catch (error) {
  console.error(`playwright-core and axe-core are not installed: run ./test, which installs them (${error.message})`);
  process.exit(1);
}
const CHROMIUM = process.env.CHROMIUM ?? "/usr/bin/chromium";
const PATIENCE_MS = 15_000;

export function check(condition, what) {
  if (!condition) throw new Error(what);
}

export function same(found, expected, what) {
  const [one, other] = [JSON.stringify(found), JSON.stringify(expected)];
  if (one !== other) throw new Error(`${what}: found ${one} instead of ${other}`);
}

/** Does a task: `steps` gets a person; what it returns is what the task says. */
export async function task(steps) {
  const knows = JSON.parse(readFileSync(0, "utf8"));
  const browser = await chromium.launch({ executablePath: CHROMIUM, args: ["--no-sandbox"] }).catch((error) => {
    console.error(`chromium does not start: run ./test, which installs it (${error.message.split("\n")[0]})`);
    process.exit(1);
  });
  const people = [];
  const person = async (options = {}) => {
    const someone = await Person.at(browser, knows.url, options);
    people.push(someone);
    return someone;
  };
  try {
    const said = await steps({ knows, person });
    for (const someone of people) same(someone.complaints, [], "the browser complained");
    console.log(JSON.stringify(said ?? null));
  } catch (error) {
    for (const someone of people) console.error(await someone.sees());
    console.error(error.stack);
    process.exitCode = 1;
  } finally {
    await browser.close();
  }
}

/** Somebody at a window of their own. */
class Person {
  static async at(browser, url, { width = 1280, dark = false, script = true } = {}) {
    const context = await browser.newContext({ viewport: { width, height: 800 }, colorScheme: dark ? "dark" : "light", javaScriptEnabled: script });
    context.setDefaultTimeout(PATIENCE_MS);
    const someone = new Person();
    Object.assign(someone, { url, context, complaints: [], requests: [], presses: 0 });
    if (script) {
      // What a person counts: each press of a button of the mouse.
      await context.exposeBinding("countPress", () => { someone.presses += 1; });
      await context.addInitScript(() => addEventListener("pointerdown", (event) => event.isTrusted && window.countPress(), true));
    }
    someone.page = await context.newPage();
    // Errors of scripts, and what the pages' policy refuses. That an answer is 4xx is for the task to judge.
    someone.page.on("console", (message) => {
      if (message.type() === "error" && !/Failed to load resource/.test(message.text())) someone.complaints.push(message.text());
    });
    someone.page.on("pageerror", (error) => someone.complaints.push(error.message));
    someone.page.on("request", (request) => someone.requests.push(request.url()));
    someone.page.on("dialog", (dialog) => dialog.accept());
    return someone;
  }

  /** Opens a page; signs in on the way when asked to. */
  async opens(path, key) {
    const response = await this.page.goto(path.startsWith("http") ? path : this.url + path);
    if (key && new URL(this.page.url()).pathname === "/sign-in") await this.signsIn(key);
    return response;
  }

  async signsIn(key) {
    await this.page.getByLabel("API key").fill(key);
    await this.page.getByRole("button", { name: "Sign in" }).click();
    await this.page.waitForURL((url) => url.pathname !== "/sign-in");
    this.presses = 0;
  }

  /** Checks how many clicks the task took since signing in, or since the last look. */
  took(clicks, what) {
    same(this.presses, clicks, `clicks: ${what}`);
    this.presses = 0;
  }

  clicks(name, role = "button") {
    return this.page.getByRole(role, { name, exact: typeof name === "string" }).first().click();
  }

  reads(text) {
    return this.page.getByText(text).first().waitFor();
  }

  async title() {
    return this.page.locator("h1").first().innerText();
  }

  get path() {
    return new URL(this.page.url()).pathname;
  }

  /** What axe-core finds. */
  async objections() {
    await this.page.evaluate(axe);
    const found = await this.page.evaluate(() => window.axe.run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"] }));
    return found.violations.map((violation) => `${violation.id}: ${violation.nodes.slice(0, 3).map((node) => node.html).join(" ")}`);
  }

  /** How far the page is wider than the window. */
  overflow() {
    return this.page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  }

  async sees() {
    const text = await this.page.locator("body").innerText().catch(() => "");
    return `${this.page.url()}\n${text.slice(0, 3000)}\n`;
  }
}
