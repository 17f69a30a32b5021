// Replays and discards that were started here or in another tab: how far they are, and receipts.

import { el } from "./dom.js";
import { count, counted } from "./format.js";
import { ask, tell, wordsOf } from "./server.js";

/** @import {Job, State} from "./types" */

export const root = el("div", { id: "jobs" });

/** @type {Map<string, Job>} */
const known = new Map();
/** Those of the newest state, by their ids. @type {Set<string>} */
let told = new Set();

/** @param {Job} job */
const isActive = ({ state }) => state === "running" || state === "waiting";

/** Show a job that has just been started. @param {string} id */
export async function follow(id) {
  known.set(id, await ask(`/api/jobs/${encodeURIComponent(id)}`));
  showJobs();
}

/** @param {State} state */
export function onState(state) {
  const before = told;
  told = new Set(state.jobs.map((job) => job.id));
  for (const job of state.jobs) known.set(job.id, job);
  // A server that was started again does not know them.
  for (const job of known.values())
    if (isActive(job) && before.has(job.id) && !told.has(job.id))
      known.set(job.id, { ...job, state: "interrupted" });
  showJobs();
}

function showJobs() {
  const all = [...known.values()];
  const signature = JSON.stringify(all);
  if (root.dataset.shown === signature) return;
  root.dataset.shown = signature;
  // One element for each job stays, so that its buttons keep the focus and do not move.
  for (const job of all) {
    const id = `job-${job.id}`;
    const kept = document.getElementById(id);
    if (kept) update(kept, job);
    else root.prepend(create(id, job));
  }
}

/** @param {string} id @param {Job} job */
function create(id, job) {
  const complaint = el("p", { class: "failure", role: "alert" });
  /** @param {string} name @param {string} verb */
  const button = (name, verb) => {
    const made = el(
      "button",
      { type: "button", class: verb === "continue" ? "primary" : "", "data-verb": verb },
      name,
    );
    made.addEventListener("click", async () => {
      made.disabled = true;
      try {
        await tell(`/api/jobs/${encodeURIComponent(job.id)}/${verb}`);
        await follow(job.id);
      } catch (error) {
        complaint.textContent = wordsOf(error);
      }
      made.disabled = false;
    });
    return made;
  };
  const shown = el(
    "section",
    { class: "panel job", id, "aria-label": `${job.kind} ${job.id}` },
    el("p", { class: "what", role: "status" }),
    el("progress", { "aria-label": "Progress" }),
    el("div", { class: "buttons start" }, button("Go on", "continue"), button("Cancel", "cancel")),
    complaint,
    el("div", { class: "receipt" }),
  );
  update(shown, job);
  return shown;
}

/** @param {HTMLElement} shown @param {Job} job */
function update(shown, job) {
  const words = {
    running: "running",
    waiting: "waits for you",
    done: "done",
    cancelled: "cancelled; the others stay in rejects",
    failed: "failed; nothing is lost, and the others stay in rejects",
    interrupted: "at least, when dlmon serve ended; the others stay in rejects: look again",
  };
  const what = shown.querySelector(".what");
  const name = job.kind[0].toUpperCase() + job.kind.slice(1);
  if (what)
    what.textContent = `${name}: ${count(job.done)} of ${counted(job.total, "reject")}, ${words[job.state]}.`;
  const bar = shown.querySelector("progress");
  if (bar) [bar.max, bar.value] = [Math.max(1, job.total), job.done];
  const active = isActive(job);
  for (const button of shown.querySelectorAll("button"))
    button.hidden = !active || (button.dataset.verb === "continue" && job.state !== "waiting");
  const receipt = shown.querySelector(".receipt");
  if (receipt && job.receipt && !receipt.children.length) receipt.append(receiptOf(job.receipt));
}

/** @param {Record<string, unknown>} receipt */
function receiptOf(receipt) {
  return el(
    "dl",
    {},
    ...Object.entries(receipt).flatMap(([name, value]) => {
      const text = typeof value === "string" ? value : JSON.stringify(value);
      const file = name === "export" && text.startsWith("/api/exports/");
      return [
        el("dt", {}, name),
        el("dd", {}, file ? el("a", { href: text, download: true }, text) : text),
      ];
    }),
  );
}
