// "Try it" at each operation: sends a request from this page with a key that stays in the page's memory. Without scripts the page is whole.
"use strict";
let key = "";
let organization = "";

function element(name, members = {}, ...children) {
  const made = Object.assign(document.createElement(name), members);
  made.append(...children);
  return made;
}

function field(label, id, members = {}, tag = "input") {
  const input = element(tag, { id, autocomplete: "off", spellcheck: false, ...members });
  return [element("label", { htmlFor: id, textContent: label }), input];
}

// JSON with line breaks, unless that would change a number or the order of its members.
function laidOut(text) {
  try {
    const value = JSON.parse(text);
    return JSON.stringify(value) === text ? JSON.stringify(value, null, 2) : text;
  } catch {
    return text;
  }
}

// The parameters of an operation that a request can carry, from its table.
function parameters(article) {
  return [...article.querySelectorAll("tr[data-in]")].map((row) => ({ name: row.dataset.name, location: row.dataset.in }));
}

function form(article) {
  const { path, method } = article.dataset;
  const id = (name) => `try-${article.id}-${name}`;
  const made = element("form", { className: "try" });
  if (article.dataset.key !== undefined) made.append(...field("API key", id("key"), { type: "password", value: key }));
  for (const { name, location } of parameters(article)) {
    const value = name === "organization_id" ? organization : "";
    made.append(...field(`${name} (${location})`, id(name), { required: location === "path", value }));
  }
  const sample = article.querySelector(".body");
  if (sample) made.append(...field("Body (application/json)", id("body"), { rows: 12, value: sample.textContent }, "textarea"));
  const result = element("output", { className: "result" });
  made.append(element("button", { textContent: `Send ${method} request` }), result);
  made.addEventListener("submit", (event) => {
    event.preventDefault();
    send(article, made, result, id, path, method);
  });
  return made;
}

async function send(article, made, result, id, path, method) {
  const value = (name) => made.querySelector(`[id="${id(name)}"]`)?.value ?? "";
  const headers = new Headers();
  const query = new URLSearchParams();
  let target = path;
  for (const { name, location } of parameters(article)) {
    const given = value(name);
    if (location === "path") target = target.replace(`{${name}}`, encodeURIComponent(given));
    else if (given && location === "query") query.append(name, given);
    else if (given && location === "header") headers.set(name, given);
  }
  [key, organization] = [value("key") || key, value("organization_id") || organization];
  if (article.dataset.key !== undefined && value("key")) headers.set("authorization", `Bearer ${value("key")}`);
  const body = value("body");
  if (body) headers.set("content-type", "application/json");
  result.replaceChildren("Sending …");
  const begun = performance.now();
  try {
    const response = await fetch(target + (query.size ? `?${query}` : ""), { method, headers, body: body || undefined, credentials: "omit" });
    const text = await response.text();
    const took = Math.round(performance.now() - begun);
    const facts = [...response.headers].map(([name, value]) => `${name}: ${value}`).join("\n");
    const shown = laidOut(text);
    const pre = element("pre", { tabIndex: 0, textContent: shown ? `${facts}\n\n${shown}` : facts });
    pre.setAttribute("role", "region");
    pre.setAttribute("aria-label", "Response");
    result.replaceChildren(element("b", { textContent: `${response.status} ${response.statusText}` }), ` in ${took} ms`, pre);
  } catch (error) {
    result.replaceChildren(`The request failed: ${error.message}`);
  }
}

for (const article of document.querySelectorAll("article[data-path]")) {
  const button = element("button", { type: "button", textContent: "Try it" });
  button.setAttribute("aria-expanded", "false");
  button.addEventListener("click", () => {
    const open = article.querySelector(".try");
    if (open) open.remove();
    else button.after(form(article));
    button.setAttribute("aria-expanded", String(!open));
    if (!open) article.querySelector(".try input, .try textarea, .try button").focus();
  });
  article.querySelector(".samples").prepend(button);
}
