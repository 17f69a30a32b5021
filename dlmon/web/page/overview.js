// The first view: where and when downloads are fast or slow, and what is going wrong.

import { go, place, question, steps } from "./address.js";
import * as charts from "./charts.js";
import { el, emptyNote, Panel, showCommand } from "./dom.js";
import { anomalies, names, rejections, showAnomalies, showRejections } from "./findings.js";
import { bytes, clock, count, counted, DASH, hour, number, share } from "./format.js";
import * as worldMap from "./map.js";
import { ask, givenUp, isPassing, wordsOf } from "./server.js";

/** @import {Place} from "./address.js" */
/** @import {News} from "./server.js" */
/** @import {Report, Row, State} from "./types" */

const LIVE_POINTS = 300; // seconds of rates that are kept
/** When the same is asked again. pause: ms, times: of what the last answer took. */
const PACES = {
  live: { pause: 1_000, times: 2 },
  summarising: { pause: 5_000, times: 4 },
  other: { pause: 30_000, times: 10 },
};
const UNITS = " Mbit/s";
const HEADS = ["downloads", "bytes", "speeds", "p50 Mbit/s", "p10", "p90", "below", "size"];

/** @type {Record<string, HTMLElement>} */
const tiles = {};
const map = new Panel("map", "Where");
const speeds = new Panel("speeds", "Speed over time");
const rates = new Panel("rates", "As they come");
const sizes = new Panel("sizes", "Sizes");

/** @type {AbortController | null} */
let asking = null;
/** The last question. at, took: ms; what is not answered yet takes for ever. */
let asked = { address: "", at: 0, took: 0, stored: -1 };
let due = 0;
/** @type {News} */
let news = { state: null, lostAt: null };
/** @type {{at: number[], events: number[], bytes: number[]}} */
const live = { at: [], events: [], bytes: [] };

/** @param {HTMLElement} root */
export function build(root) {
  const row = el("div", { class: "tiles" });
  for (const [id, name, title] of [
    ["events", "Events/s", "events stored a second, over the last seconds"],
    ["rate", "Bytes/s", "bytes downloaded a second"],
    ["p50", "Median speed", "half of the downloads were slower"],
    ["p10", "p10", "a tenth of the downloads was slower"],
    ["p90", "p90", "a tenth of the downloads was faster"],
    ["below", "Below 25 Mbit/s", "share of downloads that were slower"],
    ["count", "Downloads", "in this time"],
    ["bytes", "Bytes", "in this time"],
    ["arrivals", "Arrivals", "messages that wait in the queue of arrivals"],
    ["waiting", "Rejects", "messages in the queue of rejects"],
  ]) {
    const value = el("span", { class: "value number" }, DASH);
    const unit = ["p50", "p10", "p90"].includes(id) && el("span", { class: "unit" }, UNITS);
    tiles[id] = value;
    row.append(
      el(
        "button",
        {
          type: "button",
          class: "tile",
          id: `tile-${id}`,
          title,
          onclick: () => explain(id, name),
        },
        el("span", { class: "name" }, name),
        el("span", {}, value, unit),
      ),
    );
  }
  speeds.extra.append(el("span", { class: "muted" }, "Mbit/s"));
  const side = el("div", { class: "side" }, anomalies.root, rejections.root);
  root.append(
    el("h2", { class: "unseen" }, "Downloads"),
    row,
    el("div", { class: "upper" }, map.root, side),
    el("div", { class: "lower" }, speeds.root, rates.root, sizes.root),
  );
}

/** @param {Place} at */
export function show(at) {
  const name = tiles.below.closest(".tile")?.querySelector(".name");
  if (name) name.textContent = `Below ${at.threshold}${UNITS}`;
  void load(at);
}

/** Ask for everything that depends on the place. @param {Place} at */
async function load(at) {
  asking?.abort();
  asking = new AbortController();
  const { signal } = asking;
  const address = location.search;
  if (asked.address !== address) document.body.classList.add("loading");
  const start = performance.now();
  asked = { address, at: start, took: Infinity, stored: news.state?.stored?.count ?? -1 };
  const query = question(at);
  const by = steps(at);
  /** @param {string} by @returns {Promise<Report>} */
  const report = (by) => ask("/api/report", [["by", by], ...query], signal);
  /** @param {Promise<any>} answer @param {Panel[]} panels @param {(answer: any) => unknown} then */
  const shown = async (answer, panels, then) => {
    try {
      await then(await answer);
      for (const panel of panels) panel.loaded();
    } catch (error) {
      if (givenUp(error)) return;
      if (isPassing(error)) asked.stored = -1; // ask again, once the server is heard of
      for (const panel of panels) complain(panel, error);
    }
  };
  // Longer ones take seconds, and an anomaly that goes on says since when in any case.
  /** @type {[string, string][]} */
  const when = [["since", at.range === "live" || at.range === "1h" ? "1h" : "24h"]];
  // The numbers first: each answer takes the server some time.
  const first = report(by);
  await shown(first, [speeds], (answer) => showSpeeds(answer, by, query));
  showRates();
  void shown(ask("/api/anomalies", when, signal), [anomalies], (answer) =>
    showAnomalies(answer, when),
  );
  await Promise.all([
    shown(report(at.shape === "cells" ? "cell" : "country"), [map], (answer) => {
      for (const one of answer.by === "country" ? answer.rows : []) names.set(one.key, one.label);
      return showMap(at, answer, query);
    }),
    shown(report("size"), [sizes], (answer) => showSizes(answer, query)),
  ]);
  if (signal.aborted) return;
  asked.took = performance.now() - start;
  document.body.classList.remove("loading");
  askWhenDue();
}

/** @param {Panel} panel @param {unknown} error */
function complain(panel, error) {
  panel.sentence.textContent = wordsOf(error);
}

/** @param {News} arrived */
export function onNews(arrived) {
  news = arrived;
  const state = arrived.state;
  if (!state) return;
  remember(state);
  tiles.events.textContent = state.rates ? number(state.rates.events) : DASH;
  tiles.rate.textContent = state.rates ? bytes(state.rates.bytes) : DASH;
  tiles.arrivals.textContent = count(state.depth?.arrivals);
  tiles.waiting.textContent = count(state.depth?.rejects);
  showRejections(state);
  const at = place();
  if (at.view !== "overview") return;
  showRates();
  askWhenDue();
}

/** Ask again where more is stored than the last answers say, now or later: no news may follow. */
function askWhenDue() {
  clearTimeout(due);
  const at = place();
  const { state, lostAt } = news;
  if (!state || lostAt || document.hidden || at.view !== "overview") return;
  if ((state.stored?.count ?? -1) === asked.stored) return;
  const soon = at.range === "live" || asked.stored <= 0; // nothing was shown yet
  const pace = PACES[soon ? "live" : state.summarising ? "summarising" : "other"];
  const wait = asked.at + Math.max(pace.pause, asked.took * pace.times) - performance.now();
  if (wait <= 0) void load(at);
  else if (wait < Infinity) due = setTimeout(askWhenDue, wait);
}

/** @param {State} state */
function remember(state) {
  const at = Date.parse(state.at) / 1000;
  const { events, bytes } = state.rates ?? {};
  if (events == null || bytes == null || at <= (live.at.at(-1) ?? 0)) return;
  live.at.push(at);
  live.events.push(events);
  live.bytes.push(bytes);
  if (live.at.length > LIVE_POINTS) for (const series of Object.values(live)) series.shift();
}

/** @param {string} id @param {string} name */
function explain(id, name) {
  if (id === "arrivals" || id === "waiting") return showCommand(name, "dlmon status");
  if (id === "events" || id === "rate")
    return showCommand(name, "dlmon report --since 1h", "/api/report.csv?since=1h");
  showCommand(name, speeds.command, speeds.csv);
}

/** @param {string} by @param {[string, string][]} query */
const csv = (by, query) => `/api/report.csv?${new URLSearchParams([["by", by], ...query])}`;

/** @param {Report} report @param {[string, string][]} query */
function showNumbers(report, query) {
  const { total } = report;
  for (const name of /** @type {const} */ (["p50", "p10", "p90"])) {
    const value = total[`${name}_mbit`];
    tiles[name].textContent = number(value);
    const unit = tiles[name].nextElementSibling;
    if (unit instanceof HTMLElement) unit.hidden = value === null;
  }
  tiles.below.textContent = share(total.share_below);
  tiles.count.textContent = count(total.count);
  tiles.bytes.textContent = bytes(total.bytes);
  speeds.command = report.command;
  speeds.csv = csv(report.by, query);
}

/** @param {Row} row */
const cells = (row) => [
  count(row.count),
  bytes(row.bytes),
  count(row.speeds),
  number(row.p50_mbit),
  number(row.p10_mbit),
  number(row.p90_mbit),
  share(row.share_below),
  bytes(row.size_p50_bytes),
];

/** @param {Report} report @param {string} by @param {[string, string][]} query */
function showSpeeds(report, by, query) {
  showNumbers(report, query);
  const { total, rows } = report;
  speeds.fill(
    [by, ...HEADS],
    rows.map((row) => [hour(row.label), ...cells(row)]),
  );
  if (!total.count) {
    speeds.sentence.textContent = "No downloads in this time.";
    return charts.clear(speeds.plot, empty());
  }
  const slowest = least(rows);
  speeds.sentence.textContent =
    total.p50_mbit === null
      ? `${counted(total.count, "download")}: too few for percentiles, which need 30.`
      : `The median is ${number(total.p50_mbit)}${UNITS}` +
        (slowest
          ? `, in the slowest ${by} (${hour(slowest.label)}) ${number(slowest.p50_mbit)}.`
          : ".");
  charts.percentiles(speeds.plot, report);
}

/** The row with the lowest median. @param {Row[]} rows */
function least(rows) {
  const known = rows.filter((row) => row.p50_mbit !== null);
  return known.sort((a, b) => Number(a.p50_mbit) - Number(b.p50_mbit))[0];
}

/** @param {Place} at @param {Report} report @param {[string, string][]} query */
async function showMap(at, report, query) {
  map.command = report.command;
  map.csv = csv(report.by, query);
  const { rows, hidden_cells: hidden } = report;
  /** @param {Row} row */
  const filter = (row) => (report.by === "cell" ? { cell: row.key } : { country: row.key });
  map.fill(
    [report.by, ...HEADS],
    rows
      .slice(0, 500)
      .map((row) => [
        el("button", { type: "button", class: "plain", onclick: () => go(filter(row)) }, row.label),
        ...cells(row),
      ]),
  );
  const noun = report.by === "cell" ? "cell" : "country";
  const many =
    rows.length === 1
      ? `one ${noun}`
      : `${count(rows.length)} ${noun === "cell" ? "cells" : "countries"}`;
  map.sentence.textContent = report.total.count
    ? `${counted(report.total.count, "download")} in ${many}` +
      (hidden ? `; ${counted(hidden, "cell")} with too few to show.` : ".")
    : "No downloads in this time.";
  await worldMap.draw(map, at, rows, report.by, names);
}

/** @param {Report} report @param {[string, string][]} query */
function showSizes(report, query) {
  sizes.command = report.command;
  sizes.csv = csv("size", query);
  const { rows, total } = report;
  sizes.sentence.textContent = total.count
    ? `The median is ${bytes(total.size_p50_bytes)}, of ${counted(total.count, "file")}.`
    : "No downloads in this time.";
  sizes.fill(
    ["size", ...HEADS],
    rows.map((row) => [row.label, ...cells(row)]),
  );
  const most = Math.max(...rows.map((row) => row.count), 1);
  sizes.plot.replaceChildren(
    el(
      "ul",
      { class: "bars" },
      ...rows.map((row) => {
        const bar = el("span", { class: "bar" });
        bar.style.width = `${(100 * row.count) / most}%`;
        return el(
          "li",
          {},
          el("span", { class: "label" }, row.label),
          el("span", { class: "track", "aria-hidden": "true" }, bar),
          el("span", { class: "number" }, share(row.count / total.count)),
          el(
            "span",
            { class: "number muted" },
            `${number(row.p50_mbit)}${row.p50_mbit === null ? "" : UNITS}`,
          ),
        );
      }),
    ),
  );
}

function showRates() {
  const events = live.events.at(-1) ?? 0;
  rates.sentence.textContent = live.at.length
    ? `${number(events)} events and ${bytes(live.bytes.at(-1))} a second.`
    : "Waiting for the first second.";
  rates.command = "dlmon report --since 1h";
  rates.csv = "/api/report.csv?since=1h";
  if (!rates.table.hidden)
    rates.fill(
      ["time", "events/s", "bytes/s"],
      live.at
        .map((at, index) => [
          clock(new Date(at * 1000).toISOString()),
          number(live.events[index]),
          bytes(live.bytes[index]),
        ])
        .reverse()
        .slice(0, 60),
    );
  else if (live.at.length) charts.rates(rates.plot, live);
  else charts.clear(rates.plot, empty());
  rates.loaded();
}

/** What to do where there is nothing to see. */
function empty() {
  if (news.state?.store?.ok === false)
    return emptyNote("The store cannot be read: see below why.");
  const none = news.state?.stored?.count === 0;
  return emptyNote(
    none ? "No events yet: " : "None here. Choose a longer time, or send some: ",
    el("code", {}, "dlmon produce --rate 10"),
  );
}
