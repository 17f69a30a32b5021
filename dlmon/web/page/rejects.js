// The view of rejects: looking at them, in groups. The page never looks by itself, because looking
// hides rejects from others for a moment.

import { go, place } from "./address.js";
import { el, emptyNote, rowButton, rowList, showCommand } from "./dom.js";
import { age, clock, count, counted } from "./format.js";
import * as group from "./group.js";
import * as jobs from "./jobs.js";
import * as mending from "./mending.js";
import { ask, tell, wordsOf } from "./server.js";

/** @import {Place} from "./address.js" */
/** @import {Group, Look, State} from "./types" */

/** @type {Look | null} */
let look = null;
/** What somebody had looked at before the page was opened. @type {Promise<Look | null> | null} */
let known = null;
/** @type {State | null} */
let state = null;
/** The news when the page was opened, by code and path. @type {Map<string, number> | null} */
let before = null;
let newSinceLook = 0;
let newsAtLook = 0;

const list = el("div", { class: "groups" });
const when = el("p", { class: "sentence", id: "looked" });
const news = el("p", { class: "fresh", role: "status" });
const failure = el("p", { class: "failure", role: "alert" });
const code = el("input", { id: "filter-code", placeholder: "maximum", autocomplete: "off" });
const path = el("input", {
  id: "filter-path",
  placeholder: "/coordinates/latitude",
  autocomplete: "off",
});
const contains = el("input", {
  id: "filter-contains",
  placeholder: "text in the event",
  autocomplete: "off",
});
const lookButton = el("button", { type: "submit", class: "primary" }, "Look");

/** @param {HTMLElement} root */
export function build(root) {
  const form = el(
    "form",
    { class: "filters", onsubmit: lookNow, "aria-label": "Filters of rejects" },
    el("label", { for: "filter-code" }, "Code"),
    code,
    el("label", { for: "filter-path" }, "Path"),
    path,
    el("label", { for: "filter-contains" }, "Contains"),
    contains,
    lookButton,
  );
  root.append(
    el(
      "section",
      { class: "panel", id: "groups", "aria-labelledby": "groups-title" },
      el(
        "div",
        { class: "head" },
        el("h2", { id: "groups-title" }, "Groups"),
        el(
          "div",
          { class: "tools" },
          el(
            "button",
            {
              type: "button",
              onclick: () =>
                showCommand("Groups of rejects", look?.command ?? "dlmon inspect-rejects"),
            },
            "Command",
          ),
        ),
      ),
      when,
      form,
      failure,
      news,
      list,
    ),
    el("div", { class: "one" }, jobs.root, group.root, mending.root),
  );
  setInterval(showAge, 1000);
}

/** @param {Place} at */
export async function show(at) {
  [code.value, path.value, contains.value] = [at.code, at.path, at.contains];
  known ??= ask("/api/rejects");
  try {
    const found = /** @type {Look | null} */ (await known);
    if (!look && found) take(found);
  } catch (error) {
    known = null;
    failure.textContent = wordsOf(error);
  }
  for (const button of list.querySelectorAll("button"))
    button.setAttribute("aria-pressed", String(button.dataset.group === at.group));
  await group.show(at);
  mending.show(at.group ? group.shown() : null);
}

/** @param {State} arrived */
export function onState(arrived) {
  state = arrived;
  jobs.onState(arrived);
  mending.allow(arrived.allow_actions);
  const told = arrived.news;
  if (told) {
    before ??= new Map(told.groups.map((one) => [`${one.code} ${one.path}`, one.count]));
    newSinceLook = Math.max(0, told.rejects - newsAtLook);
  }
  news.textContent =
    look && newSinceLook
      ? `${counted(newSinceLook, "new reject")} since this look: Look again to see.`
      : "";
  showTrends();
  if (!look) showNothing();
}

/** @param {Event} event */
async function lookNow(event) {
  event.preventDefault();
  const filters = {
    ...(code.value.trim() && { code: [code.value.trim()] }),
    ...(path.value.trim() && { path: [path.value.trim()] }),
    ...(contains.value && { contains: contains.value }),
  };
  lookButton.disabled = true;
  lookButton.textContent = "Looking…";
  failure.textContent = "";
  try {
    take(await tell("/api/rejects/look", { filters }));
    go({ code: code.value.trim(), path: path.value.trim(), contains: contains.value });
  } catch (error) {
    failure.textContent = wordsOf(error);
  } finally {
    lookButton.disabled = false;
    lookButton.textContent = look ? "Look again" : "Look";
  }
}

/** @param {Look | null} found */
function take(found) {
  look = found;
  newsAtLook = state?.news?.rejects ?? 0;
  newSinceLook = 0;
  news.textContent = "";
  group.forget();
  showAge();
  if (!found) return showNothing();
  lookButton.textContent = "Look again";
  if (!found.groups.length) {
    const filtered = code.value || path.value || contains.value;
    list.replaceChildren(emptyNote(filtered ? "No rejects match." : "No rejects."));
    return;
  }
  const at = place();
  list.replaceChildren(rowList(found.groups.map((one) => row(one, at.group))));
  showTrends();
}

/** @param {Group} one @param {string} open The group that is open. */
function row(one, open) {
  return rowButton(
    {
      class: "group",
      "data-group": one.id,
      "data-name": `${one.code} ${one.path}`,
      "aria-pressed": String(one.id === open),
      onclick: () => go({ group: one.id, reject: "" }),
    },
    el("span", { class: "what" }, el("b", {}, one.code), ` ${one.path || "the whole event"}`),
    el("span", { class: "number" }, count(one.count)),
    el("span", { class: "muted reason" }, one.reason),
    el("span", { class: "number muted trend" }, ""),
    el("span", { class: "muted times" }, `${clock(one.first)} to ${clock(one.last)}`),
  );
}

function showTrends() {
  for (const button of list.querySelectorAll("button")) {
    const name = button.dataset.name ?? "";
    const now = state?.news?.groups.find((one) => `${one.code} ${one.path}` === name)?.count ?? 0;
    const grown = now - (before?.get(name) ?? 0);
    const trend = button.querySelector(".trend");
    if (trend) trend.textContent = grown > 0 ? `+${count(grown)}` : "";
  }
}

function showAge() {
  if (!look) {
    when.textContent = "Not looked at yet.";
    return;
  }
  const some = look.more ? "at least " : "";
  when.textContent = `${some}${counted(look.total, "reject")} in ${counted(look.groups.length, "group")}, looked at ${age(look.looked_at)} ago.`;
}

function showNothing() {
  const waiting = state?.depth?.rejects;
  const shown = waiting === 0 ? "none" : "some";
  if (list.dataset.empty === shown && list.querySelector(".empty")) return;
  list.dataset.empty = shown;
  list.replaceChildren(
    waiting === 0
      ? emptyNote("No rejects. To see some: ", el("code", {}, "dlmon produce --invalid 5%"))
      : emptyNote(
          "Looking takes no reject away. While it lasts, others do not see them: so it happens when you press Look.",
        ),
  );
}
