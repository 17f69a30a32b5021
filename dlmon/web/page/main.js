// The frame of the page: views, time range, filters, and what is up or down.

import { addressOf, go, onPlace, place } from "./address.js";
import { byId, el, showDialog } from "./dom.js";
import { countryName } from "./findings.js";
import { age, clock, count, DASH } from "./format.js";
import * as overview from "./overview.js";
import * as rejects from "./rejects.js";
import { follow } from "./server.js";

/** @import {Place} from "./address.js" */
/** @import {News} from "./server.js" */
/** @import {Health, State} from "./types" */

const RANGES = {
  live: "Live",
  "1h": "1 h",
  "24h": "24 h",
  "7d": "7 d",
  "30d": "30 d",
  own: "Own…",
};

/** @type {News} */
let news = { state: null, lostAt: null };

overview.build(byId("overview"));
rejects.build(byId("rejects"));
onPlace(show);
follow((arrived) => {
  news = arrived;
  showHealth();
  showViews(place());
  overview.onNews(news);
  if (news.state) rejects.onState(news.state);
});
// Ages grow also while nothing arrives.
setInterval(showHealth, 1000);

/** @param {Place} at */
function show(at) {
  byId("overview").hidden = at.view !== "overview";
  byId("rejects").hidden = at.view !== "rejects";
  document.title = at.view === "rejects" ? "Rejects · dlmon" : "Downloads · dlmon";
  document.body.dataset.view = at.view;
  showViews(at);
  showRanges(at);
  showFilters(at);
  if (at.view === "overview") return overview.show(at);
  return rejects.show(at);
}

/** A link within the page. @param {Partial<Place>} change @param {Record<string, any>} props @param {...any} children */
function link(change, props, ...children) {
  const follow = (/** @type {MouseEvent} */ event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    go(change);
  };
  return el("a", { href: addressOf(change), onclick: follow, ...props }, ...children);
}

/** @param {Place} at */
function showViews(at) {
  const depth = news.state?.depth?.rejects;
  const views = byId("views");
  const shown = `${addressOf({})} ${depth}`;
  if (views.dataset.shown === shown) return;
  const focused = [...views.children].indexOf(/** @type {Element} */ (document.activeElement));
  views.dataset.shown = shown;
  /** @param {string} view */
  const current = (view) => ({ "aria-current": at.view === view ? "page" : null });
  views.replaceChildren(
    link({ view: "overview" }, current("overview"), "Downloads"),
    link(
      { view: "rejects" },
      current("rejects"),
      "Rejects",
      el(
        "span",
        { class: "badge number" },
        depth === null || depth === undefined ? DASH : depth.toLocaleString("en-US"),
      ),
    ),
  );
  if (focused >= 0) /** @type {HTMLElement} */ (views.children[focused]).focus();
}

/** @param {Place} at */
function showRanges(at) {
  const ranges = byId("ranges");
  if (!ranges.children.length) {
    for (const [range, name] of Object.entries(RANGES))
      ranges.append(
        el(
          "button",
          {
            type: "button",
            value: range,
            onclick: () => (range === "own" ? askForRange() : go({ range })),
          },
          name,
        ),
      );
  }
  for (const button of /** @type {Iterable<HTMLButtonElement>} */ (ranges.children))
    button.setAttribute("aria-pressed", String(button.value === at.range));
}

function askForRange() {
  const at = place();
  const since = el("input", {
    id: "since",
    value: at.since || "2d",
    required: true,
    autocomplete: "off",
  });
  const until = el("input", { id: "until", value: at.until, autocomplete: "off" });
  const use = el("button", { type: "button", class: "primary" }, "Show");
  use.addEventListener("click", () =>
    go({ range: "own", since: since.value.trim(), until: until.value.trim() }),
  );
  showDialog(
    "Time range",
    [
      el(
        "p",
        {},
        "How long ago (36h, 14d), a date (2026-03-01), or a time (2026-03-01T12:00:00Z). In UTC, in whole hours.",
      ),
      el("label", { for: "since" }, "From"),
      since,
      el("label", { for: "until" }, "To (empty is now)"),
      until,
    ],
    [use],
  );
}

/** @param {Place} at */
function showFilters(at) {
  /** @param {string} name @param {string} value @param {Partial<Place>} without */
  const chip = (name, value, without) =>
    el(
      "button",
      {
        type: "button",
        class: "chip",
        onclick: () => go(without),
        "aria-label": `Remove the filter ${name} ${value}`,
      },
      `${name} ${value}`,
      el("span", { "aria-hidden": "true" }, "×"),
    );
  byId("filters").replaceChildren(
    ...(at.country ? [chip("Country", countryName(at.country), { country: "" })] : []),
    ...(at.cell ? [chip("Cell", at.cell, { cell: "" })] : []),
  );
}

function showHealth() {
  const state = news.state;
  const broker = state?.broker ?? null;
  const store = state?.store ?? null;
  const shown = [light("Broker", broker), light("Store", store)];
  const health = byId("health");
  const text = shown.map((item) => item.textContent).join();
  if (health.dataset.shown !== text) {
    health.dataset.shown = text;
    health.replaceChildren(...shown);
  }
  const sentence = trouble(broker, store, state);
  const notice = byId("notice");
  if (notice.textContent !== sentence) notice.textContent = sentence;
  document.body.classList.toggle("lost", Boolean(news.lostAt));
  document.body.classList.toggle("broker-down", broker?.ok === false);
  document.body.classList.toggle("store-down", store?.ok === false);
}

/** @param {string} name @param {Health | null} health */
function light(name, health) {
  const word = news.lostAt || !health || health.ok === null ? "unknown" : health.ok ? "up" : "down";
  return el("li", { class: word, title: health?.url }, `${name} ${word}`);
}

/**
 * What is wrong, in one sentence; empty where nothing is.
 * @param {Health | null} broker @param {Health | null} store @param {State | null} state
 */
function trouble(broker, store, state) {
  if (news.refusal) return news.refusal;
  if (news.lostAt) {
    const last = state ? ` The numbers are ${age(state.at)} old.` : "";
    return `dlmon serve has not answered since ${clock(news.lostAt)} UTC.${last} Trying again…`;
  }
  const down = [];
  for (const [name, health] of /** @type {[string, Health | null][]} */ ([
    ["broker", broker],
    ["store", store],
  ])) {
    if (health?.ok !== false) continue;
    const since = health.since ? ` since ${clock(health.since)} UTC (${age(health.since)})` : "";
    down.push(`The ${name} has been down${since}: ${(health.reason ?? "no answer").replace(/\.$/, "")}.`);
  }
  if (down.length) return `${down.join(" ")} Its last numbers are grey.`;
  const work = state?.summarising;
  if (!work) return "";
  return `Reading every event once: ${count(work.done)} of ${count(work.total)}. The numbers grow until it is done.`;
}
