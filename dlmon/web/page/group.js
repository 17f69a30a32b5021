// A group of rejects, and one of them with what is wrong marked.

import { go } from "./address.js";
import { el, emptyNote, rowButton, rowList, showCommand, table } from "./dom.js";
import { clock, counted, DASH } from "./format.js";
import { ask, ServerError } from "./server.js";

/** @import {Place} from "./address.js" */
/** @import {GroupDetail, Message} from "./types" */

export const root = el("section", { class: "panel", id: "group", "aria-label": "Group" });

/** @type {GroupDetail | null} */
let detail = null;
/** @type {{key: string, message: Message} | null} */
let open = null;

/** The group that is shown, if any. */
export const shown = () => detail?.group ?? null;

/** What was shown came from an older look. */
export function forget() {
  detail = null;
  open = null;
}

/** @param {Place} at */
export async function show(at) {
  if (!at.group) {
    forget();
    root.replaceChildren(emptyNote("Choose a group to see its rejects and to mend them."));
    return;
  }
  try {
    if (detail?.group.id !== at.group) {
      detail = await ask(`/api/rejects/groups/${encodeURIComponent(at.group)}`);
      open = null;
    }
    const key = at.reject || detail?.rejections[0]?.key;
    if (key && open?.key !== key) {
      open = { key, message: await ask(`/api/rejects/messages/${encodeURIComponent(key)}`) };
    }
  } catch (error) {
    forget();
    const words =
      error instanceof ServerError && error.status === 404
        ? "This group was not in the last look. Look again."
        : String(error instanceof Error ? error.message : error);
    root.replaceChildren(emptyNote(words));
    return;
  }
  if (detail) draw(detail);
}

/** @param {GroupDetail} detail */
function draw({ group, rejections, command }) {
  const scrolled = root.querySelector(".keys")?.scrollTop ?? 0;
  const focused =
    document.activeElement instanceof HTMLElement ? document.activeElement.dataset.key : undefined;
  const keys = rowList(
    rejections.map((one) =>
      rowButton(
        {
          "data-key": one.key,
          "aria-pressed": String(one.key === open?.key),
          onclick: () => go({ reject: one.key }),
        },
        el("span", { class: "what" }, one.event_id ?? one.key),
        el("span", { class: "muted" }, clock(one.rejected_at)),
      ),
    ),
    { class: "keys", "aria-label": "Rejects of the group" },
  );
  root.replaceChildren(
    el(
      "div",
      { class: "head" },
      el("h2", {}, group.code, el("code", { class: "pointer" }, group.path || "the whole event")),
      el(
        "div",
        { class: "tools" },
        el(
          "button",
          { type: "button", onclick: () => showCommand("The rejects of this group", command) },
          "Command",
        ),
      ),
    ),
    el(
      "p",
      { class: "sentence" },
      `${counted(group.count, "reject")}, first ${clock(group.first)}, last ${clock(group.last)} UTC.`,
    ),
    el(
      "div",
      { class: "split" },
      keys,
      open ? message(open.message) : emptyNote("No reject is left here."),
    ),
  );
  keys.scrollTop = scrolled;
  const again = focused && root.querySelector(`[data-key="${CSS.escape(focused)}"]`);
  if (again instanceof HTMLElement) again.focus();
}

/** @param {Message} shown */
function message({ body, spans, violations, origin, headers }) {
  const known = Object.entries(headers).map(([name, value]) => [
    name,
    typeof value === "string" ? value : JSON.stringify(value),
  ]);
  return el(
    "div",
    { class: "message" },
    el(
      "pre",
      { class: "body", tabindex: "0", "aria-label": "The event, with what is wrong marked" },
      ...marked(body, spans),
    ),
    el(
      "ul",
      { class: "violations" },
      ...violations.map((one) =>
        el(
          "li",
          {},
          el("b", { class: "bad" }, one.code),
          " ",
          el("code", {}, one.path || "the whole event"),
          el("br"),
          one.reason,
        ),
      ),
    ),
    el("p", { class: "muted" }, `From ${origin ?? DASH}`),
    known.length
      ? el(
          "details",
          {},
          el("summary", {}, counted(known.length, "header")),
          table(["header", "value"], known),
        )
      : null,
  );
}

/**
 * The text with its spans marked. Their offsets count characters, where a string here has two units
 * for some.
 * @param {string} body @param {Message["spans"]} spans
 */
function marked(body, spans) {
  const characters = [...body];
  /** @type {(string | Node)[]} */
  const parts = [];
  let at = 0;
  for (const span of [...spans].sort((a, b) => a.start - b.start)) {
    if (span.start < at) continue; // within the one before
    parts.push(characters.slice(at, span.start).join(""));
    const wrong = characters.slice(span.start, span.end).join("") || "␣";
    parts.push(
      el(
        "mark",
        { title: span.reason },
        wrong,
        el("span", { class: "unseen" }, ` (${span.reason})`),
      ),
    );
    at = Math.max(span.end, at);
  }
  return [...parts, characters.slice(at).join("")];
}
