// Mending a group: a patch with its result beside it, a dry run, and then a replay in steps.

import { el, showCommand, showDialog } from "./dom.js";
import { count, counted } from "./format.js";
import { follow } from "./jobs.js";
import { givenUp, tell, wordsOf } from "./server.js";

/** @import {DryRun, Group, Trial} from "./types" */

const TYPING = 300; // ms without a key before a patch is tried
const STEPS = [1, 10, null]; // of a careful replay: the rest is null

export const root = el("section", {
  class: "panel",
  id: "mend",
  "aria-labelledby": "mend-title",
  hidden: true,
});

/** @type {Group | null} */
let group = null;
/** Whether the server acts; null where it is not known yet. @type {boolean | null} */
let allowed = null;
/** @type {(DryRun & {patch: string}) | null} */
let dryRun = null;
/** @type {AbortController | null} */
let trying = null;
let typed = 0;

const patch = el("textarea", {
  id: "patch",
  rows: 3,
  spellcheck: "false",
  autocapitalize: "off",
  placeholder: ".download_speed |= tonumber",
  oninput: onType,
});
const verdict = el("p", { class: "verdict", role: "status" });
const sample = el("div", { class: "sides" });
const outcome = el("div", { class: "outcome" });
const actions = el("div", { class: "actions" });
const failure = el("p", { class: "failure", role: "alert" });
const dryButton = el("button", { type: "button", onclick: runDry }, "Dry run");

root.append(
  el("div", { class: "head" }, el("h2", { id: "mend-title" }, "Mend")),
  el("label", { for: "patch" }, "Patch, in jq. Empty: replay as it is, after the cause is mended."),
  patch,
  verdict,
  sample,
  el("div", { class: "buttons start" }, dryButton),
  failure,
  outcome,
  actions,
);

/** @param {boolean} actions Whether the server acts. */
export function allow(actions) {
  if (allowed === actions) return;
  allowed = actions;
  showActions();
}

/** @param {Group | null} shown */
export function show(shown) {
  root.hidden = !shown;
  if (shown?.id === group?.id) {
    group = shown;
    return;
  }
  group = shown;
  trying?.abort();
  dryRun = null;
  patch.value = "";
  for (const part of [verdict, sample, outcome, failure]) part.replaceChildren();
  dryButton.textContent = group ? `Dry run of ${counted(group.count, "reject")}` : "Dry run";
  showActions();
}

function onType() {
  clearTimeout(typed);
  dryRun = null; // what was seen was another patch
  outcome.replaceChildren();
  showActions();
  typed = setTimeout(tryPatch, TYPING);
}

async function tryPatch() {
  trying?.abort();
  if (!group || !patch.value.trim()) {
    verdict.replaceChildren();
    sample.replaceChildren();
    return;
  }
  trying = new AbortController();
  try {
    /** @type {Trial & {error?: string, hint?: string}} */
    const trial = await tell(
      "/api/patch/try",
      { group: group.id, patch: patch.value },
      trying.signal,
    );
    if (trial.error) throw new Error(trial.error);
    verdict.className = `verdict ${trial.valid ? "good" : "bad"}`;
    verdict.textContent = trial.valid
      ? "Valid after the patch."
      : `Still invalid: ${trial.violations.map((one) => one.reason).join("; ")}`;
    sample.replaceChildren(...sides(trial));
  } catch (error) {
    if (givenUp(error)) return;
    verdict.className = "verdict bad";
    verdict.textContent = wordsOf(error);
  }
}

/** Before and after, with the lines that differ marked. @param {Trial} trial */
function sides({ before, after }) {
  const [left, right] = [lines(before), lines(after)];
  /** @param {string} name @param {string[]} shown @param {string[]} other @param {string} tag */
  const side = (name, shown, other, tag) =>
    el(
      "figure",
      {},
      el("figcaption", {}, name),
      el(
        "pre",
        { tabindex: "0", "aria-label": name },
        ...shown.flatMap((line) => [
          other.includes(line) ? line : el(tag === "del" ? "del" : "ins", {}, line),
          "\n",
        ]),
      ),
    );
  return [side("Before", left, right, "del"), side("After", right, left, "ins")];
}

/** One member a line, so that lines can be compared. @param {string} text */
function lines(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2)
      .split("\n")
      .map((line) => line.replace(/,$/, ""));
  } catch {
    return String(text ?? "").split("\n");
  }
}

async function runDry() {
  if (!group) return;
  const asked = { group: group.id, patch: patch.value };
  dryButton.disabled = true;
  failure.textContent = "";
  outcome.replaceChildren(el("p", { class: "muted" }, "Trying each…"));
  try {
    /** @type {DryRun} */
    const found = await tell("/api/patch/dry-run", asked);
    if (group?.id !== asked.group || patch.value !== asked.patch) return;
    dryRun = { ...found, patch: asked.patch };
    showDryRun(dryRun);
  } catch (error) {
    outcome.replaceChildren();
    failure.textContent = wordsOf(error);
  } finally {
    dryButton.disabled = false;
    showActions();
  }
}

/** @param {DryRun} found */
function showDryRun(found) {
  outcome.replaceChildren(
    el(
      "p",
      {},
      el("b", {}, `Of ${counted(found.total, "reject")}, `),
      el("span", { class: "good" }, `${count(found.valid)} would be valid`),
      ", ",
      el("span", { class: found.invalid ? "bad" : "muted" }, `${count(found.invalid)} would not`),
      `; ${count(found.unchanged)} unchanged. `,
      el(
        "button",
        {
          type: "button",
          class: "plain",
          onclick: () => showCommand("The same replay", found.command),
        },
        "Command",
      ),
    ),
    ...found.diffs.map((diff, index) =>
      el(
        "details",
        { open: index === 0 },
        el(
          "summary",
          {},
          el("span", { class: diff.valid ? "good" : "bad" }, diff.valid ? "valid" : "invalid"),
          ` ${diff.key}`,
        ),
        el("div", { class: "sides" }, ...sides(diff)),
      ),
    ),
  );
}

function showActions() {
  if (allowed === false) {
    actions.replaceChildren(
      el(
        "p",
        { class: "muted" },
        "This page only looks. To replay and discard from here: ",
        el("code", {}, "dlmon serve --allow-actions"),
      ),
    );
    return;
  }
  const ready = Boolean(dryRun && dryRun.valid);
  const pace = el(
    "select",
    { id: "pace", "aria-label": "How fast" },
    el("option", { value: "steps" }, "first 1, then 10, then the rest"),
    ...[10, 100, 1000].map((rate) => el("option", { value: rate }, `${count(rate)} a second`)),
  );
  const replay = el(
    "button",
    { type: "button", class: "primary", disabled: !ready },
    dryRun ? `Replay ${count(dryRun.valid)}…` : "Replay…",
  );
  replay.addEventListener("click", () => confirmReplay(pace.value));
  const discard = el(
    "button",
    { type: "button", class: "danger", disabled: !dryRun, onclick: confirmDiscard },
    "Discard…",
  );
  actions.replaceChildren(
    el("div", { class: "buttons start" }, pace, replay, discard),
    dryRun
      ? ""
      : el("p", { class: "muted" }, "A dry run comes first: what you saw is what is done."),
  );
}

/** @param {string} pace */
function confirmReplay(pace) {
  if (!dryRun || !group) return;
  const body = {
    digest: dryRun.digest,
    group: group.id,
    patch: dryRun.patch,
    ...(pace === "steps" ? { steps: STEPS } : { rate: Number(pace) }),
  };
  const start = el("button", { type: "button", class: "primary" }, "Replay");
  start.addEventListener("click", () => act("/api/actions/replay", body));
  const how =
    pace === "steps"
      ? "One goes first, then it waits for you."
      : `At most ${count(Number(pace))} a second.`;
  showDialog(
    "Replay",
    [
      el(
        "p",
        {},
        `${counted(dryRun.valid, "event")} of ${group.code} ${group.path} go back to arrivals. ${how} What stays invalid stays in rejects.`,
      ),
    ],
    [start],
  );
}

function confirmDiscard() {
  if (!dryRun || !group) return;
  const body = { digest: dryRun.digest, group: group.id };
  const start = el("button", { type: "button", class: "danger" }, "Export and discard");
  start.addEventListener("click", () => act("/api/actions/discard", body));
  showDialog(
    "Discard",
    [
      el(
        "p",
        {},
        `${counted(dryRun.total, "reject")} of ${group.code} ${group.path} are written to a file first, and then removed. You can download the file from the receipt.`,
      ),
    ],
    [start],
  );
}

/** @param {string} address @param {unknown} body */
async function act(address, body) {
  failure.textContent = "";
  try {
    /** @type {{job: string}} */
    const { job } = await tell(address, body);
    dryRun = null;
    outcome.replaceChildren();
    showActions();
    await follow(job);
  } catch (error) {
    failure.textContent = wordsOf(error);
  }
}
