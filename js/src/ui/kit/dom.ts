// Elements in one expression. Texts become text nodes, never markup: names come from models.

export type Child = Node | string | number | null | undefined | false;
type Attributes = Readonly<Record<string, string | number | boolean | null | undefined>>;

export function h<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Attributes = {},
  ...children: Child[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  setAttributes(element, attributes);
  element.append(...nodes(children));
  return element;
}

/** The same for what is drawn in an `svg` element. */
export function s<K extends keyof SVGElementTagNameMap>(
  tag: K,
  attributes: Attributes = {},
  ...children: Child[]
): SVGElementTagNameMap[K] {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  setAttributes(element, attributes);
  element.append(...nodes(children));
  return element;
}

export function setAttributes(element: Element, attributes: Attributes): void {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === false || value === null || value === undefined) element.removeAttribute(name);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
}

export function fill(element: Element, ...children: Child[]): void {
  element.replaceChildren(...nodes(children));
}

const filled = new WeakMap<Element, readonly string[]>();

/** Fills an element again only where its words are others than before: what is pressed in it stays. */
export function fillChanged(
  element: Element,
  words: readonly string[],
  children: () => Child[],
): void {
  const before = filled.get(element);
  if (before?.length === words.length && words.every((word, at) => word === before[at])) return;
  filled.set(element, words);
  fill(element, ...children());
}

/** A name from a model: kept apart from the direction of the text around it. */
export function nameOf(name: string, attributes: Attributes = {}): HTMLElement {
  return h("bdi", { class: "svr-name", ...attributes }, name);
}

/** A name that loses its beginning where there is no room: of a module's path the end tells most. */
export function tailOf(name: string): HTMLElement {
  return h("span", { class: "svr-tail" }, nameOf(name, { title: name }));
}

/** A drop-down of values and their words. */
export function dropDown(label: string, options: readonly (readonly [string, string])[]) {
  return h(
    "select",
    { "aria-label": label },
    ...options.map(([value, words]) => h("option", { value }, words)),
  );
}

/** An id that no other view of the widget has. */
export function uniqueId(prefix: string): string {
  return `${prefix}-${Math.random().toString(36).slice(2)}`;
}

/** A few choices side by side, one of which is in force. */
export function segmented<T extends string>(
  label: string,
  options: readonly (readonly [value: T, words: string, explained: string])[],
  choose: (value: T) => void,
): { readonly element: HTMLElement; show(value: T): void } {
  const buttons = options.map(([value, words, title]) => {
    const button = h("button", { type: "button", title, "data-value": value }, words);
    button.addEventListener("click", () => choose(value));
    return button;
  });
  return {
    element: h("div", { class: "svr-segments", role: "group", "aria-label": label }, ...buttons),
    show(value) {
      for (const button of buttons) {
        button.setAttribute("aria-pressed", String(button.dataset.value === value));
      }
    },
  };
}

/** How wide a text is in an element's own type. */
export function textMeasure(element: HTMLElement): (text: string) => number {
  const context = document.createElement("canvas").getContext("2d");
  const widths = new Map<string, number>();
  let font = "";
  return (text) => {
    if (!context) return text.length * 7;
    if (font === "" && element.isConnected) {
      const style = getComputedStyle(element);
      font = `${style.fontWeight} ${style.fontSize} ${style.fontFamily}`;
      context.font = font;
      widths.clear();
    }
    let width = widths.get(text);
    if (width === undefined) {
      width = Math.ceil(context.measureText(text).width);
      widths.set(text, width);
    }
    return width;
  };
}

function nodes(children: readonly Child[]): (Node | string)[] {
  return children
    .filter((child) => child !== null && child !== undefined && child !== false)
    .map((child) => (typeof child === "number" ? String(child) : (child as Node | string)));
}
