// Adds live updates and conveniences to pages, which also work without scripts.
"use strict";

// Shows times relative to now, and exact times in the reader's time zone.
const span = (s) => s <= 90 ? `${s} s` : s < 5400 ? `${Math.round(s / 60)} min` : s < 129600 ? `${Math.round(s / 3600)} h` : `${Math.round(s / 86400)} d`;
function words(at) {
  const s = Math.round((Date.now() - at) / 1000);
  if (s < 0) return `in ${span(-s)}`;
  return s < 5 ? "just now" : `${span(s)} ago`;
}
const styles = {
  clock: new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit", timeZoneName: "short" }),
  hour: new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit" }),
  day: new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short" }),
  exact: new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "long" }),
};
function tick() {
  for (const time of document.querySelectorAll("time[data-at]")) {
    const at = Number(time.dataset.at);
    const style = styles[time.dataset.as];
    const text = style ? style.format(at) : words(at);
    if (time.textContent !== text) time.textContent = text;
    if (!time.dataset.local && time.title) {
      time.dataset.local = "true";
      time.title = `${styles.exact.format(at)} (${time.title})`;
    }
  }
}
setInterval(tick, 1000);

// Hides and disables fields and choices whose condition on another field is not met, so that they are not sent.
const counts = (element) => {
  const on = document.getElementById(element.dataset.when);
  return !on || (!on.disabled && element.dataset.is.split(" ").includes(on.value));
};
function choose(root) {
  for (const option of root.querySelectorAll("option[data-when]")) option.hidden = option.disabled = !counts(option);
  for (const select of root.querySelectorAll("select")) {
    const chosen = select.selectedOptions[0];
    if (chosen && chosen.disabled) {
      const first = [...select.options].find((option) => !option.disabled);
      if (first) select.value = first.value;
    }
  }
  for (const field of root.querySelectorAll(".field[data-when]")) {
    field.hidden = !counts(field);
    for (const control of field.querySelectorAll("input, select, textarea")) control.disabled = field.hidden;
  }
  for (const part of root.querySelectorAll("[data-part][data-when]")) part.hidden = !counts(part);
}
document.addEventListener("change", (event) => {
  const form = event.target.closest("form");
  if (form && event.target.matches("select")) {
    choose(form);
    choose(form);
  }
});

// Shows and hides the text of a secret field.
document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-reveal]");
  if (!button) return;
  const field = document.getElementById(button.dataset.reveal);
  const seen = button.getAttribute("aria-pressed") !== "true";
  button.setAttribute("aria-pressed", String(seen));
  button.textContent = seen ? "Hide" : "Show";
  if (field.tagName === "TEXTAREA") field.classList.toggle("seen", seen);
  else field.type = seen ? "text" : "password";
});

// Loads a key or certificate from a file into its field.
document.addEventListener("change", async (event) => {
  const target = event.target.dataset.into;
  if (!target || !event.target.files[0]) return;
  document.getElementById(target).value = await event.target.files[0].text();
  event.target.value = "";
});

// Shows the values of a chart's bucket next to the pointer.
document.addEventListener("pointerover", (event) => {
  for (const tip of document.querySelectorAll(".tip")) tip.remove();
  const mark = event.target.closest?.("[data-tip]");
  if (!mark) return;
  const plot = mark.closest(".plot");
  const tip = document.createElement("div");
  tip.className = "tip";
  const at = Number(mark.dataset.at);
  tip.textContent = `${styles.day.format(at)}, ${styles.hour.format(at)}\n${mark.dataset.tip}`;
  plot.append(tip);
  const [box, of] = [mark.getBoundingClientRect(), plot.getBoundingClientRect()];
  const half = tip.offsetWidth / 2;
  const x = Math.min(Math.max(box.left + box.width / 2 - of.left, half), of.width - half);
  tip.style.left = `${x}px`;
  tip.style.top = `${box.top - of.top + 12}px`;
  const title = mark.querySelector("title");
  if (title) title.remove();
});

// The forms that were sent from this page, which are not sent again if a button is clicked twice.
let sent = new WeakSet();
// Asks for confirmation before a form with `data-confirm` is sent.
document.addEventListener("submit", (event) => {
  const form = event.target;
  const question = form.dataset.confirm;
  if (sent.has(form) || (question && !window.confirm(question))) event.preventDefault();
}, true);
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (event.defaultPrevented || form.getAttribute("method") !== "post") return;
  sent.add(form);
  // The buttons are not disabled: the one that was clicked must be sent with the form.
  for (const control of form.elements) if (control.type === "submit") control.setAttribute("aria-disabled", "true");
});
// Back may show the page as it was left.
addEventListener("pageshow", () => {
  sent = new WeakSet();
  for (const button of document.querySelectorAll("button[aria-disabled]")) button.removeAttribute("aria-disabled");
});

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  const from = document.getElementById(button.dataset.copy);
  try {
    await navigator.clipboard.writeText(from.textContent);
    const before = [...button.childNodes];
    button.replaceChildren("Copied");
    setTimeout(() => { button.replaceChildren(...before); }, 1500);
  } catch {
    getSelection().selectAllChildren(from);
  }
});

function settle() {
  choose(document);
  choose(document);
  for (const hidden of document.querySelectorAll("[data-script]")) hidden.hidden = false;
  tick();
  // Marks fields that have a mistake as invalid.
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

// Keeps `details` elements open when htmx replaces a part of the page.
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
// Scrolls the navigation to the current page, because on phones it does not fit the screen.
document.querySelector(".side nav [aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });
