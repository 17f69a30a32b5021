// Charts over time, drawn by uPlot.

import uPlot from "uplot";

import { bytes, hour, number } from "./format.js";

/** @import {Report} from "./types" */

/** @type {Map<HTMLElement, {chart: uPlot, kind: string}>} */
const drawn = new Map();

const resized = new ResizeObserver((entries) => {
  for (const { target } of entries) {
    const place = /** @type {HTMLElement} */ (target);
    if (place.clientWidth) drawn.get(place)?.chart.setSize(sizeOf(place));
  }
});
// A canvas does not know of colour schemes.
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  for (const { chart } of drawn.values()) chart.redraw(false, true);
});

/** @param {HTMLElement} place */
const sizeOf = (place) => ({
  width: Math.max(160, place.clientWidth),
  height: Math.max(80, place.clientHeight - 24), // the legend
});

/** @param {string} name */
const colour = (name) =>
  getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

/** @param {uPlot.Axis} more @returns {uPlot.Axis} */
const axis = (more) => ({
  stroke: () => colour("muted"),
  grid: { stroke: () => colour("line"), width: 1 },
  ticks: { show: false },
  font: "11px system-ui, sans-serif",
  ...more,
});

/** Ticks of time in UTC, with 24 hours. @type {uPlot.Axis.DynamicValues} */
const times = (_, splits, __, ___, step) =>
  splits.map((time) => {
    const text = new Date(time * 1000).toISOString();
    if (step >= 86400 || (step >= 3600 && text.slice(11, 16) === "00:00")) return text.slice(5, 10);
    return step < 60 ? text.slice(11, 19) : text.slice(11, 16);
  });

/** Ticks of a logarithmic scale: 1, 2, 5, 10. @type {(chart: uPlot, axis: number, low: number, high: number) => number[]} */
const powers = (_, __, low, high) => {
  const ticks = [];
  for (let power = 10 ** Math.floor(Math.log10(low)); power <= high; power *= 10)
    for (const tick of [power, 2 * power, 5 * power])
      if (tick >= low && tick <= high) ticks.push(tick);
  return ticks;
};

/**
 * @param {HTMLElement} place @param {string} kind What tells one chart from another.
 * @param {uPlot.AlignedData} data @param {() => Omit<uPlot.Options, "width" | "height">} options
 */
function draw(place, kind, data, options) {
  const known = drawn.get(place);
  if (known?.kind === kind) return known.chart.setData(data);
  known?.chart.destroy();
  place.replaceChildren();
  const chart = new uPlot({ ...sizeOf(place), ...options() }, data, place);
  chart.root.setAttribute("aria-hidden", "true"); // its sentence and its table say the same
  drawn.set(place, { chart, kind });
  resized.observe(place);
}

/** Show something else in place of a chart. @param {HTMLElement} place @param {Node} content */
export function clear(place, content) {
  drawn.get(place)?.chart.destroy();
  drawn.delete(place);
  resized.unobserve(place);
  place.replaceChildren(content);
}

/** p10, p50 and p90 on a logarithmic scale. @param {HTMLElement} place @param {Report} report */
export function percentiles(place, { rows, by, since, until }) {
  whole = [Date.parse(since) / 1000, Date.parse(until) / 1000];
  const starts = rows.map((row) => Date.parse(row.key) / 1000);
  /** @param {"p10_mbit" | "p50_mbit" | "p90_mbit"} name @returns {(number | null)[]} */
  const values = (name) => rows.map((row) => row[name] || null);
  /** @type {uPlot.AlignedData} */
  const data = [starts, values("p90_mbit"), values("p50_mbit"), values("p10_mbit")];
  const points = { show: rows.length < 40, size: 4 };
  /** @param {string} label @param {string} name @param {number} width @returns {uPlot.Series} */
  const line = (label, name, width) => ({
    label,
    stroke: () => colour(name),
    width,
    points,
    value: (_, value) => (value === null ? "–" : number(value)),
  });
  draw(place, `${by} ${points.show}`, data, () => ({
    tzDate: (time) => uPlot.tzDate(new Date(time * 1000), "Etc/UTC"),
    scales: { x: { range: () => whole }, y: { distr: 3, range: logRange } },
    axes: [
      axis({ size: 28, values: times }),
      axis({
        size: 44,
        splits: powers,
        filter: (_, splits) => splits,
        values: (_, splits) => splits.map(number),
      }),
    ],
    series: [
      {
        label: "UTC",
        value: (_, time) => (time ? hour(new Date(time * 1000).toISOString()) : "–"),
      },
      line("p90", "muted", 1),
      line("p50", "accent", 2),
      line("p10", "muted", 1),
    ],
    bands: [{ series: [1, 3], fill: () => colour("band") }],
    cursor: { drag: { x: false, y: false }, y: false },
  }));
}

/** The time that the report is of. @type {uPlot.Range.MinMax} */
let whole = [0, 1];

/** @type {uPlot.Range.Function} */
const logRange = (_, low, high) => [Math.max(0.01, (low ?? 1) / 1.3), (high ?? 100) * 1.3];

/** All that is known, and a minute at least. @type {uPlot.Range.Function} */
const lastMinutes = ({ data: [at] }) => {
  const end = at.at(-1) ?? Date.now() / 1000;
  return [Math.min(at[0] ?? end, end - 60), end];
};

/** Events and bytes a second. @param {HTMLElement} place @param {{at: number[], events: number[], bytes: number[]}} live */
export function rates(place, live) {
  draw(place, "rates", [live.at, live.events, live.bytes], () => ({
    tzDate: (time) => uPlot.tzDate(new Date(time * 1000), "Etc/UTC"),
    scales: {
      x: { range: lastMinutes },
      y: { range: (_, __, high) => [0, Math.max(1, (high ?? 0) * 1.2)] },
      bytes: { range: (_, __, high) => [0, Math.max(1000, (high ?? 0) * 1.6)] },
    },
    axes: [
      axis({ size: 28, space: 66, values: times }),
      axis({ size: 44, values: (_, splits) => splits.map(number) }),
      axis({
        scale: "bytes",
        side: 1,
        size: 58,
        grid: { show: false },
        values: (_, splits) => splits.map(bytes),
      }),
    ],
    series: [
      {
        label: "UTC",
        value: (_, time) => (time ? new Date(time * 1000).toISOString().slice(11, 19) : "–"),
      },
      {
        label: "events/s",
        stroke: () => colour("accent"),
        width: 2,
        points: { show: false },
        value: (_, value) => number(value),
      },
      {
        label: "bytes/s",
        scale: "bytes",
        stroke: () => colour("muted"),
        width: 1,
        dash: [4, 3],
        points: { show: false },
        value: (_, value) => bytes(value),
      },
    ],
    cursor: { drag: { x: false, y: false }, y: false },
  }));
}
