// What is going wrong: anomalies of the downloads, and rejects that have just come.

import { go } from "./address.js";
import { drawCalmly, el, emptyNote, Panel, rowButton, rowList } from "./dom.js";
import { age, count, counted, hour, number } from "./format.js";

/** @import {Anomalies, Anomaly, State} from "./types" */

export const anomalies = new Panel("anomalies", "Anomalies", { table: false });
export const rejections = new Panel("rejections", "Top rejections", { table: false });
rejections.command = "dlmon inspect-rejects";

/** Names of countries by code. @type {Map<string, string>} */
export const names = new Map();

/** The name of a country, or its code where no report has named it yet. @param {string} code */
export const countryName = (code) => names.get(code) ?? code;

/** @param {Anomalies} found @param {[string, string][]} when */
export function showAnomalies(found, when) {
  anomalies.command = found.command;
  anomalies.csv = `/api/anomalies.csv?${new URLSearchParams(when)}`;
  const usual = found.weeks ? "the last weeks" : "the day before";
  anomalies.sentence.textContent =
    found.weeks === null
      ? "Nothing to compare with yet."
      : `Of the last ${when[0][1].replace("h", " h")}: ${counted(found.tests, "comparison")} with ${usual}.`;
  const none =
    found.weeks === null
      ? "Known once there are downloads of another day at the same hours."
      : "No anomalies. Nothing is slower than usual, and nothing is missing.";
  drawCalmly(
    anomalies.plot,
    () =>
      found.anomalies.length
        ? [rowList(found.anomalies.slice(0, 20).map(anomaly))]
        : [emptyNote(none)],
    JSON.stringify([found.anomalies, found.weeks]),
  );
}

/** @param {Anomaly} one */
function anomaly(one) {
  const where = one.cell || (one.country ? countryName(one.country) : "The world");
  const slow = one.kind.startsWith("slow");
  const change = `${one.ratio < 1 ? "−" : "+"}${Math.abs(100 * (one.ratio - 1)).toFixed(0)}%`;
  const unit = slow ? " Mbit/s" : "/h";
  return rowButton(
    { onclick: () => go({ country: one.country, cell: one.cell }) },
    el(
      "span",
      { class: "what" },
      el("b", {}, where),
      ` ${one.kind}${one.only_mix ? ", by the mix of sizes alone" : ""}`,
    ),
    el("span", { class: "number bad" }, change),
    el("span", { class: "muted" }, `since ${hour(one.since)} (${age(one.since)})`),
    el("span", { class: "number muted" }, `${number(one.now)} of ${number(one.usual)}${unit}`),
  );
}

/** @param {State} state */
export function showRejections(state) {
  rejections.loaded();
  const told = state.news;
  const waiting = state.depth?.rejects ?? null;
  rejections.sentence.textContent =
    !told || told.reason
      ? (told?.reason ?? "No news of rejects here: only how many.")
      : `${counted(told.rejects, "new reject")} since dlmon serve has been up.`;
  const groups = told?.groups ?? [];
  drawCalmly(
    rejections.plot,
    () => (groups.length ? [rowList(groups.slice(0, 8).map(rejectedGroup))] : [noneNew(waiting)]),
    JSON.stringify([groups, groups.length ? 0 : waiting]),
  );
}

/** @param {{code: string, path: string, count: number}} group */
function rejectedGroup({ code, path, count: heard }) {
  return rowButton(
    { onclick: () => go({ view: "rejects", code, path }) },
    el("span", { class: "what" }, el("b", {}, code), ` ${path || "the whole event"}`),
    el("span", { class: "number" }, `+${count(heard)}`),
  );
}

/** @param {number | null} waiting How many rejects there are, if that is known. */
function noneNew(waiting) {
  if (waiting === null) return emptyNote("Known once the broker answers.");
  if (waiting === 0) return emptyNote("No rejects.");
  const see = () => go({ view: "rejects" });
  return emptyNote(
    `None new. ${counted(waiting, "reject")} ${waiting === 1 ? "waits" : "wait"}: `,
    el("button", { type: "button", class: "plain", onclick: see }, "see them"),
  );
}
