// The map of the world: cells as dots, or countries, coloured by what is asked.

import { go } from "./address.js";
import { byId, el, svg } from "./dom.js";
import { bytes, count, number, share } from "./format.js";
import { centre, project } from "./projection.js";

/** @import {Place} from "./address.js" */
/** @import {Panel} from "./dom.js" */
/** @import {Row} from "./types" */

/** Where the next colour begins. */
const SPEEDS = [5, 15, 40, 100]; // Mbit/s, as on the terminal's map
const SHARES = [0.05, 0.15, 0.3, 0.6];
const LARGEST_DOT = 11; // units of the map, of which the world is 1,000 wide
const SMALLEST_VIEW = 60;

/** @type {Record<string, {name: string, of: (row: Row) => number | null, text: (value: number | null) => string, unit: string}>} */
const COLOURS = {
  p50: { name: "Median speed", of: (row) => row.p50_mbit, text: number, unit: "Mbit/s" },
  p10: { name: "p10 of speed", of: (row) => row.p10_mbit, text: number, unit: "Mbit/s" },
  below: { name: "Share below", of: (row) => row.share_below, text: share, unit: "" },
  count: { name: "Downloads", of: (row) => row.count, text: count, unit: "" },
  bytes: { name: "Bytes", of: (row) => row.bytes, text: bytes, unit: "" },
};

/** @type {Promise<SVGSVGElement> | null} */
let loading = null;
const dots = svg("g", { class: "dots" });
const tip = el("div", { class: "tip", hidden: true });
const legend = el("p", { class: "legend" });

/**
 * The world. XMLHttpRequest reads it as a document, which a parser of text may not do here (Trusted
 * Types).
 * @returns {Promise<SVGSVGElement>}
 */
function world() {
  loading ??= new Promise((done, failed) => {
    const request = new XMLHttpRequest();
    request.open("GET", /** @type {HTMLLinkElement} */ (byId("world")).href);
    request.responseType = "document";
    request.overrideMimeType("image/svg+xml");
    request.onload = () => {
      const root = request.responseXML?.documentElement;
      if (!root) return failed(new Error("The map cannot be read"));
      done(/** @type {SVGSVGElement} */ (/** @type {unknown} */ (document.importNode(root, true))));
    };
    request.onerror = () => failed(new Error("The map cannot be loaded"));
    request.send();
  });
  loading.catch(() => (loading = null));
  return loading;
}

/**
 * @param {Panel} panel @param {Place} at @param {Row[]} rows
 * @param {string} by country or cell.
 * @param {Map<string, string>} names Names of countries by code; those of the map are added.
 */
export async function draw(panel, at, rows, by, names) {
  const picture = await world();
  if (!picture.isConnected) set(panel, picture, names);
  showChoices(panel, at);
  const colour = COLOURS[at.colour];
  const bounds = boundsOf(at.colour, rows);
  /** @type {Map<string, Row>} */
  const known = new Map(rows.map((row) => [row.key, row]));
  const sequence = at.colour === "count" || at.colour === "bytes" ? "amount" : "speed";
  /** @param {Row} row */
  const tone = (row) => {
    const value = colour.of(row);
    if (value === null) return "few";
    const step = bounds.filter((bound) => value >= bound).length;
    return `${sequence}-${at.colour === "below" ? 4 - step : step}`;
  };
  for (const path of picture.querySelectorAll("path")) {
    const row = by === "country" ? known.get(path.id) : undefined;
    path.setAttribute(
      "class",
      `${row ? tone(row) : "land"}${path.id === at.country ? " chosen" : ""}`,
    );
  }
  const zoom = look(picture, at, rows, by);
  const most = Math.max(...rows.map((row) => row.count), 1);
  dots.replaceChildren(
    ...(by === "cell" ? rows : []).flatMap((row) => {
      if (!row.key) return [];
      const [x, y] = project(...centre(row.key));
      const r = Math.max(1.2, LARGEST_DOT * Math.sqrt(row.count / most)) * zoom;
      const dot = svg("circle", {
        cx: x.toFixed(2),
        cy: y.toFixed(2),
        r: r.toFixed(2),
        class: tone(row),
      });
      dot.dataset.cell = row.key;
      return [dot];
    }),
  );
  rowsShown = known;
  showLegend(at, bounds, sequence, by);
}

/** @type {Map<string, Row>} */
let rowsShown = new Map();

/** @param {Panel} panel @param {SVGSVGElement} picture @param {Map<string, string>} names */
function set(panel, picture, names) {
  picture.setAttribute("role", "img");
  picture.setAttribute("aria-label", "Map of the world; its table says the same");
  for (const path of picture.querySelectorAll("path")) {
    const title = path.querySelector("title");
    names.set(path.id, title?.textContent ?? path.id);
    title?.remove(); // the tip is quicker, and says more
  }
  picture.append(dots);
  picture.addEventListener("click", ({ target }) => {
    const { cell, country } = named(target);
    if (cell) go({ cell });
    else if (country) go({ country, cell: "" });
  });
  picture.addEventListener("pointermove", (event) => {
    const { cell, country } = named(event.target);
    const key = cell ?? country;
    tip.hidden = !key;
    if (!key) return;
    tip.replaceChildren(...describe(cell ?? names.get(key) ?? key, rowsShown.get(key)));
    const box = panel.plot.getBoundingClientRect();
    const [x, y] = [event.clientX - box.left, event.clientY - box.top];
    tip.style.left = `${Math.min(x + 14, box.width - tip.offsetWidth - 4)}px`;
    tip.style.top = `${Math.min(y + 14, box.height - tip.offsetHeight - 4)}px`;
  });
  picture.addEventListener("pointerleave", () => (tip.hidden = true));
  panel.plot.replaceChildren(picture, legend, tip);
}

/** The cell or the country of what is under the pointer. @param {EventTarget | null} target */
function named(target) {
  if (!(target instanceof SVGElement)) return {};
  if (target.dataset.cell) return { cell: target.dataset.cell };
  return target.tagName === "path" ? { country: target.id } : {};
}

/** @param {string} name @param {Row | undefined} row */
function describe(name, row) {
  if (!row) return [el("b", {}, name)];
  /** @param {number | null} value */
  const speed = (value) => number(value);
  return [
    el("b", {}, name),
    el("span", {}, `${count(row.count)} downloads, ${bytes(row.bytes)}`),
    el(
      "span",
      {},
      `p50 ${speed(row.p50_mbit)}, p10 ${speed(row.p10_mbit)}, p90 ${speed(row.p90_mbit)} Mbit/s`,
    ),
    el("span", {}, `${share(row.share_below)} below the threshold`),
  ];
}

/** Zoom to what is filtered. How much larger a unit is then: 1 for the world. @param {SVGSVGElement} picture @param {Place} at @param {Row[]} rows @param {string} by */
function look(picture, at, rows, by) {
  const whole = (picture.dataset.whole ??= picture.getAttribute("viewBox") ?? "");
  const [left, top, width, height] = whole.split(" ").map(Number);
  /** @type {[number, number][]} */
  let places = [];
  if (at.cell) places = [project(...centre(at.cell))];
  else if (at.country) {
    const path = /** @type {SVGPathElement | null} */ (
      picture.querySelector(`path[id="${CSS.escape(at.country)}"]`)
    );
    const box = path?.getBBox();
    const inCells =
      by === "cell" ? rows.filter((row) => row.key).map((row) => project(...centre(row.key))) : [];
    // Where the downloads are; a country can have islands on the other side of the world.
    if (inCells.length > 2) places = inCells;
    else if (box)
      places = [
        [box.x, box.y],
        [box.x + box.width, box.y + box.height],
      ];
  }
  if (!places.length) {
    picture.setAttribute("viewBox", whole);
    return 1;
  }
  const xs = places.map(([x]) => x);
  const ys = places.map(([, y]) => y);
  const ratio = width / height;
  const wide =
    Math.max(Math.max(...xs) - Math.min(...xs), (Math.max(...ys) - Math.min(...ys)) * ratio) * 1.3;
  const size = Math.min(width, Math.max(SMALLEST_VIEW, wide));
  const x = Math.min(
    Math.max(left, (Math.max(...xs) + Math.min(...xs) - size) / 2),
    left + width - size,
  );
  const y = (Math.max(...ys) + Math.min(...ys) - size / ratio) / 2;
  const low = Math.min(Math.max(top, y), top + height - size / ratio);
  picture.setAttribute(
    "viewBox",
    [x, low, size, size / ratio].map((value) => value.toFixed(1)).join(" "),
  );
  return size / width;
}

/** @param {string} colour @param {Row[]} rows @returns {number[]} */
function boundsOf(colour, rows) {
  if (colour === "p50" || colour === "p10") return SPEEDS;
  if (colour === "below") return SHARES;
  const most = Math.max(...rows.map((row) => COLOURS[colour].of(row) ?? 0), 10);
  return [0.01, 0.03, 0.1, 0.3].map((part) => Number((most * part).toPrecision(1)));
}

/** @param {Place} at @param {number[]} bounds @param {string} sequence @param {string} by */
function showLegend(at, bounds, sequence, by) {
  const { text, unit } = COLOURS[at.colour];
  const steps = [0, 1, 2, 3, 4].map((step) => {
    const words =
      step === 0
        ? `below ${text(bounds[0])}`
        : step === 4
          ? `${text(bounds[3])} and more`
          : `to ${text(bounds[step])}`;
    return el(
      "span",
      {},
      el("i", { class: `${sequence}-${at.colour === "below" ? 4 - step : step}` }),
      words,
    );
  });
  const few = sequence === "speed" ? el("span", {}, el("i", { class: "few" }), "too few") : null;
  legend.replaceChildren(
    ...(unit ? [el("span", { class: "unit" }, unit)] : []),
    ...steps,
    ...(few ? [few] : []),
    ...(by === "cell" ? [el("span", { class: "unit" }, "size: downloads")] : []),
  );
}

/** @param {Panel} panel @param {Place} at */
function showChoices(panel, at) {
  if (!panel.extra.children.length) {
    const shape = el(
      "select",
      { "aria-label": "Shown on the map", onchange: () => go({ shape: shape.value }) },
      el("option", { value: "cells" }, "Cells"),
      el("option", { value: "countries" }, "Countries"),
    );
    const colour = el(
      "select",
      { "aria-label": "Colour", onchange: () => go({ colour: colour.value }) },
      ...Object.entries(COLOURS).map(([value, { name }]) => el("option", { value }, name)),
    );
    const threshold = el("input", {
      type: "number",
      min: 0.1,
      step: "any",
      "aria-label": "Threshold in Mbit/s",
      onchange: () => Number(threshold.value) > 0 && go({ threshold: threshold.value }),
    });
    panel.extra.append(shape, colour, el("span", { class: "threshold" }, threshold, " Mbit/s"));
  }
  const [shape, colour] = panel.extra.querySelectorAll("select");
  const threshold = /** @type {HTMLInputElement} */ (panel.extra.querySelector("input"));
  [shape.value, colour.value, threshold.value] = [at.shape, at.colour, at.threshold];
  /** @type {HTMLElement} */ (panel.extra.querySelector(".threshold")).hidden =
    at.colour !== "below";
}
