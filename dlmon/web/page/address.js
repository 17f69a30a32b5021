// What is shown is in the address: a link shows the same to a colleague.

/**
 * @typedef {object} Place
 * @property {string} view overview or rejects.
 * @property {string} range live, 1h, 24h, 7d, 30d or own.
 * @property {string} since Of the range `own`: what `dlmon report --since` takes.
 * @property {string} until
 * @property {string} country ISO 3166-1 alpha-2, or empty.
 * @property {string} cell A geohash or its beginning, or empty.
 * @property {string} shape cells or countries.
 * @property {string} colour p50, p10, below, count or bytes.
 * @property {string} threshold Mbit/s.
 * @property {string} group The group of rejects that is open, by its id.
 * @property {string} reject The reject that is open, by its key.
 * @property {string} code Filters of rejects.
 * @property {string} path
 * @property {string} contains
 */

/** @type {Place} */
const FIRST = {
  view: "overview",
  range: "24h",
  since: "",
  until: "",
  country: "",
  cell: "",
  shape: "cells",
  colour: "p50",
  threshold: "25",
  group: "",
  reject: "",
  code: "",
  path: "",
  contains: "",
};

const ALLOWED = {
  view: ["overview", "rejects"],
  range: ["live", "1h", "24h", "7d", "30d", "own"],
  shape: ["cells", "countries"],
  colour: ["p50", "p10", "below", "count", "bytes"],
};

/** @type {((place: Place) => void)[]} */
const listeners = [];

/** @returns {Place} */
export function place() {
  const given = new URLSearchParams(location.search);
  const found = { ...FIRST };
  for (const name of /** @type {(keyof Place)[]} */ (Object.keys(FIRST))) {
    const value = given.get(name);
    const allowed = ALLOWED[/** @type {keyof typeof ALLOWED} */ (name)];
    if (value !== null && (!allowed || allowed.includes(value))) found[name] = value;
  }
  if (!(Number(found.threshold) > 0)) found.threshold = FIRST.threshold;
  return found;
}

/** The address of a place like this one. @param {Partial<Place>} change */
export function addressOf(change) {
  const next = { ...place(), ...change };
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(next))
    if (value !== FIRST[/** @type {keyof Place} */ (name)]) query.set(name, value);
  return query.size ? `/?${query}` : "/";
}

/** @param {Partial<Place>} change */
export function go(change) {
  const address = addressOf(change);
  if (address !== location.pathname + location.search) history.pushState(null, "", address);
  tell();
}

/** @param {(place: Place) => void} listener Called now, and at each change. */
export function onPlace(listener) {
  listeners.push(listener);
  listener(place());
}

function tell() {
  for (const listener of listeners) listener(place());
}

addEventListener("popstate", tell);

const LONG = 4 * 24 * 3600e3; // ms, from which on a chart over time has days

/** What a chart over time is by: hour or day. @param {Place} at */
export function steps({ range, since, until }) {
  if (range !== "own") return range === "30d" ? "day" : "hour";
  const start = moment(since || "24h");
  return (until ? moment(until) : Date.now()) - start > LONG ? "day" : "hour";
}

/** A time as `dlmon report --since` takes it, in ms since the epoch. @param {string} text */
function moment(text) {
  const ago = /^(\d+)([mhdw])$/.exec(text);
  if (!ago) return Date.parse(text);
  const [, amount, unit] = ago;
  return Date.now() - Number(amount) * { m: 60e3, h: 3600e3, d: 86400e3, w: 7 * 86400e3 }[/** @type {"m" | "h" | "d" | "w"} */ (unit)];
}

/** What `/api/report` is asked at a place. @param {Place} at @returns {[string, string][]} */
export function question(at) {
  /** @type {[string, string][]} */
  const asked = [];
  if (at.range === "own") {
    asked.push(["since", at.since || "24h"]);
    if (at.until) asked.push(["until", at.until]);
  } else asked.push(["since", at.range === "live" ? "1h" : at.range]);
  if (at.country) asked.push(["where", `country=${at.country}`]);
  if (at.cell) asked.push(["where", `cell=${at.cell}`]);
  asked.push(["threshold", at.threshold]);
  return asked;
}
