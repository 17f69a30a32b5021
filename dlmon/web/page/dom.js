// Elements, panels and the dialog. Text from outside is only ever set as text.

/** @typedef {Node | string | null | undefined | false} Child */

/**
 * An element. Of `props`, functions named `on...` become listeners, booleans become attributes
 * without a value, the others attributes.
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Record<string, any>} [props]
 * @param {...Child} children
 * @returns {HTMLElementTagNameMap[Tag]}
 */
export function el(tag, props = {}, ...children) {
  const element = document.createElement(tag);
  setProps(element, props);
  element.append(...present(children));
  return element;
}

/**
 * The same in SVG.
 * @param {string} tag
 * @param {Record<string, any>} [props]
 * @param {...Child} children
 * @returns {SVGElement}
 */
export function svg(tag, props = {}, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  setProps(element, props);
  element.append(...present(children));
  return element;
}

/** @param {Child[]} children @returns {(Node | string)[]} */
const present = (children) =>
  /** @type {(Node | string)[]} */ (children.filter((child) => child || child === ""));

/** @param {Element} element @param {Record<string, any>} props */
function setProps(element, props) {
  for (const [name, value] of Object.entries(props)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined)
      element.setAttribute(name, String(value));
  }
}

/** @param {string} id @returns {HTMLElement} */
export function byId(id) {
  const element = document.getElementById(id);
  if (!element) throw new Error(`the page has no #${id}`);
  return element;
}

/**
 * A row of a list: a button over its whole width.
 * @param {Record<string, any>} props @param {...Child} children
 */
export const rowButton = (props, ...children) =>
  el("button", { type: "button", ...props, class: `row ${props.class ?? ""}`.trim() }, ...children);

/** @param {Node[]} rows @param {Record<string, any>} [props] */
export const rowList = (rows, props = {}) =>
  el("ul", { ...props, class: `rows ${props.class ?? ""}`.trim() }, ...rows.map((row) => el("li", {}, row)));

/** What an empty place says. @param {...Child} children */
export const emptyNote = (...children) => el("p", { class: "empty" }, ...children);

/**
 * Show the content of a list that changes by itself, but never under the pointer or the focus:
 * then a button announces it.
 * @param {HTMLElement} list
 * @param {() => Node[]} draw
 * @param {string} signature What is shown: the same is not drawn again.
 */
export function drawCalmly(list, draw, signature) {
  if (list.dataset.shown === signature) return;
  const show = () => {
    list.dataset.shown = signature;
    list.replaceChildren(...draw());
  };
  const used = list.matches(":hover, :focus-within") && list.dataset.shown !== undefined;
  if (!used) return show();
  list.querySelector(".news")?.remove();
  list.append(el("button", { type: "button", class: "news", onclick: show }, "Show what is new"));
}

/**
 * A dialog with a title. Escape closes it, and so does its last button.
 * @param {string} title
 * @param {Child[]} content
 * @param {HTMLButtonElement[]} [buttons] Each closes the dialog too.
 */
export function showDialog(title, content, buttons = []) {
  const dialog = /** @type {HTMLDialogElement} */ (byId("dialog"));
  const close = () => dialog.close();
  for (const button of buttons) button.addEventListener("click", close);
  dialog.replaceChildren(
    el("h2", { id: "dialog-title" }, title),
    ...present(content),
    el(
      "div",
      { class: "buttons" },
      ...buttons,
      el("button", { type: "button", onclick: close }, buttons.length ? "Cancel" : "Close"),
    ),
  );
  dialog.showModal();
}

/**
 * The dialog that says which command prints a number.
 * @param {string} title
 * @param {string | undefined} command
 * @param {string} [csv] Address of the same as CSV.
 */
export function showCommand(title, command, csv) {
  const copy = el("button", { type: "button" }, "Copy");
  copy.addEventListener("click", async () => {
    await navigator.clipboard.writeText(command ?? "");
    copy.textContent = "Copied";
  });
  showDialog(title, [
    el("p", {}, "The same on a terminal:"),
    el("div", { class: "command" }, el("code", { tabindex: "0" }, command ?? "dlmon report"), copy),
    csv && el("p", {}, el("a", { href: csv, download: true }, "Download as CSV")),
  ]);
}

/**
 * A part of the page that shows one answer: as a picture, a sentence and a table.
 */
export class Panel {
  /**
   * @param {string} id
   * @param {string} title
   * @param {{table?: boolean}} [options]
   */
  constructor(id, title, { table = true } = {}) {
    this.title = title;
    this.sentence = el("p", { class: "sentence" });
    this.plot = el("div", { class: "plot skeleton" });
    this.table = el("div", { class: "table", hidden: true, tabindex: "0", role: "region" });
    this.table.setAttribute("aria-label", `${title}, as a table`);
    this.extra = el("div", { class: "extra" });
    this.command = /** @type {string | undefined} */ (undefined);
    this.csv = /** @type {string | undefined} */ (undefined);
    this.toggle = el(
      "button",
      {
        type: "button",
        "aria-pressed": "false",
        onclick: () => this.showTable(this.table.hasAttribute("hidden")),
      },
      "Table",
    );
    const command = el(
      "button",
      { type: "button", onclick: () => showCommand(this.title, this.command, this.csv) },
      "Command",
    );
    for (const button of [this.toggle, command])
      button.setAttribute("aria-label", `${button.textContent}: ${title}`);
    this.root = el(
      "section",
      { class: "panel", id, "aria-labelledby": `${id}-title` },
      el(
        "div",
        { class: "head" },
        el("h2", { id: `${id}-title` }, title),
        this.extra,
        el("div", { class: "tools" }, table && this.toggle, command),
      ),
      this.sentence,
      this.plot,
      this.table,
    );
  }

  /** @param {boolean} shown */
  showTable(shown) {
    this.table.hidden = !shown;
    this.plot.hidden = shown;
    this.toggle.setAttribute("aria-pressed", String(shown));
  }

  /** The answer is here. */
  loaded() {
    this.plot.classList.remove("skeleton");
  }

  /**
   * @param {string[]} heads
   * @param {Child[][]} rows The first cell of each is its name.
   */
  fill(heads, rows) {
    this.table.replaceChildren(table(heads, rows));
  }
}

/**
 * @param {string[]} heads
 * @param {Child[][]} rows
 */
export function table(heads, rows) {
  return el(
    "table",
    {},
    el("thead", {}, el("tr", {}, ...heads.map((head) => el("th", { scope: "col" }, head)))),
    el(
      "tbody",
      {},
      ...rows.map(([name, ...cells]) =>
        el("tr", {}, el("th", { scope: "row" }, name), ...cells.map((cell) => el("td", {}, cell))),
      ),
    ),
  );
}
