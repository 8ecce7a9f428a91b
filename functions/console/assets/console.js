// What makes pages live. Everything works without it, more slowly.
"use strict";

// Times: relative, as of now.
const span = (s) => s <= 90 ? `${s} s` : s < 5400 ? `${Math.round(s / 60)} min` : s < 129600 ? `${Math.round(s / 3600)} h` : `${Math.round(s / 86400)} d`;
function words(at) {
  const s = Math.round((Date.now() - at) / 1000);
  if (s < 0) return `in ${span(-s)}`;
  return s < 5 ? "just now" : `${span(s)} ago`;
}
function tick() {
  for (const time of document.querySelectorAll("time[data-at]")) {
    const text = words(Number(time.dataset.at));
    if (time.textContent !== text) time.textContent = text;
  }
}
setInterval(tick, 1000);

// Fields that count only while a choice has a value. What does not count is not sent.
function choose(root) {
  for (const field of root.querySelectorAll("[data-when]")) {
    const choice = document.getElementById(field.dataset.when);
    const counts = !choice || choice.value === field.dataset.is;
    field.hidden = !counts;
    for (const control of field.querySelectorAll("input, select, textarea")) control.disabled = !counts;
  }
}
document.addEventListener("change", (event) => {
  const form = event.target.closest("form");
  if (form && event.target.matches("select")) choose(form);
});

// What cannot be undone is asked for twice.
document.addEventListener("submit", (event) => {
  const question = event.target.dataset.confirm;
  if (question && !window.confirm(question)) event.preventDefault();
}, true);

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  const from = document.getElementById(button.dataset.copy);
  try {
    await navigator.clipboard.writeText(from.textContent);
    const before = button.textContent;
    button.textContent = "Copied";
    setTimeout(() => { button.textContent = before; }, 1500);
  } catch {
    getSelection().selectAllChildren(from);
  }
});

function settle() {
  choose(document);
  tick();
  // Where there is a mistake, its field says so.
  for (const text of document.querySelectorAll(".mistake")) {
    const field = document.getElementById(text.id.replace(/-mistake$/, ""));
    if (!field) continue;
    if (text.textContent.trim()) {
      field.setAttribute("aria-invalid", "true");
      const fold = field.closest("details");
      if (fold) fold.open = true;
    } else field.removeAttribute("aria-invalid");
  }
}

// What is open stays open when a part of the page is made anew.
let open = new Map();
document.addEventListener("htmx:beforeSwap", (event) => {
  open = new Map([...event.detail.target.querySelectorAll("details[id]")].map((fold) => [fold.id, fold.open]));
});
document.addEventListener("htmx:afterSwap", () => {
  for (const [id, was] of open) {
    const fold = document.getElementById(id);
    if (fold) fold.open = was;
  }
  open = new Map();
});
document.addEventListener("htmx:afterSettle", (event) => {
  settle();
  const outcome = document.getElementById("outcome");
  if (event.detail.target.id === "outcome" && outcome) {
    const first = document.querySelector("[aria-invalid=true]");
    if (first) first.focus();
    else outcome.scrollIntoView({ block: "nearest" });
  }
});
settle();
