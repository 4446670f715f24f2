// The export menu: the picture as a file, the widget as a page, the view as Python.

import { VIEW_TRAITS, viewAsPython } from "../../export/python.js";
import { download, fileName, pngOf } from "../../export/save.js";
import { MOST_VECTOR_EDGES, type Picture, svgOf } from "../../export/svg.js";
import {
  count,
  expectation,
  LAW_WORDS,
  level as levelText,
  MODE_WORDS,
} from "../../logic/format.js";
import type { Drawn } from "../graph/graph.js";
import { h } from "../kit/dom.js";
import type { View } from "../view.js";

/** Seconds for which it stands there that something is done, or why it is not. */
const SAID = 4;
const SAID_WRONG = 12;

interface Item {
  readonly words: string;
  /** Why it cannot be had now, or null. */
  readonly obstacle?: () => string | null;
  /** What to say when it is done. */
  run(): Promise<string>;
}

export function exportMenu(view: View, drawn: Drawn): HTMLElement {
  const { state } = view;
  const said = h("span", { class: "svr-menu-said", role: "status" });
  const button = h(
    "button",
    { type: "button", class: "svr-tool", "aria-haspopup": "menu", "aria-expanded": false },
    "Export",
  );
  const menu = h("div", { class: "svr-menu", role: "menu", "aria-label": "export", hidden: true });
  const element = h("div", { class: "svr-menu-holder" }, button, menu, said);

  const picture = (raster: boolean): Picture => {
    const parts = drawn.picture();
    const root = element.closest(".svr");
    if (!parts || !root) throw new Error("there is no picture yet");
    const style = getComputedStyle(root);
    return {
      ...parts,
      soft: style.getPropertyValue("--svr-soft"),
      rule: style.getPropertyValue("--svr-rule"),
      font: style.fontFamily,
      caption: captionOf(view),
      ...(raster ? { raster: drawn.raster() } : {}),
    };
  };
  const name = () => fileName(state.scene.peek()?.model ?? "");
  const items: Item[] = [
    {
      words: "Picture, PNG",
      async run() {
        const ratio = Math.max(2, window.devicePixelRatio || 1);
        download(await pngOf(svgOf(picture(true)), ratio), `${name()}.png`);
        return "PNG saved";
      },
    },
    {
      words: "Picture, SVG",
      obstacle() {
        const edges = state.cut.peek()?.drawn ?? 0;
        return edges > MOST_VECTOR_EDGES
          ? `${count(edges)} edges; up to ${count(MOST_VECTOR_EDGES)}`
          : null;
      },
      async run() {
        const blob = new Blob([svgOf(picture(false))], { type: "image/svg+xml" });
        download(blob, `${name()}.svg`);
        return "SVG saved";
      },
    },
    {
      words: "Page without Python, HTML",
      async run() {
        const { buffers } = await view.ask({ kind: "page", view: viewNow(view) });
        download(new Blob([buffers[0] as BlobPart], { type: "text/html" }), `${name()}.html`);
        return "page saved";
      },
    },
    {
      words: "Copy this view as Python",
      async run() {
        await navigator.clipboard.writeText(viewAsPython(view.trait));
        return "copied";
      },
    },
  ];

  let passing: ReturnType<typeof setTimeout> | undefined;
  const say = (words: string, seconds: number) => {
    said.textContent = words;
    clearTimeout(passing);
    passing = setTimeout(() => (said.textContent = ""), 1000 * seconds);
  };
  view.signal.addEventListener("abort", () => clearTimeout(passing), { once: true });
  const close = (focus: boolean) => {
    menu.hidden = true;
    button.setAttribute("aria-expanded", "false");
    if (focus) button.focus();
  };
  const open = () => {
    for (const { entry, obstacle } of entries) {
      const why = obstacle?.() ?? null;
      entry.setAttribute("aria-disabled", String(why !== null));
      entry.lastElementChild?.replaceChildren(why ?? "");
    }
    menu.hidden = false;
    button.setAttribute("aria-expanded", "true");
    entries[0].entry.focus();
  };
  const entries = items.map((item) => {
    const why = h("small", {});
    const entry = h("button", { type: "button", role: "menuitem", tabindex: -1 }, item.words, why);
    view.listen(entry, "click", () => {
      if (entry.getAttribute("aria-disabled") === "true") return;
      close(true);
      said.textContent = "…";
      item.run().then(
        (words) => say(words, SAID),
        (error: Error) => say(error.message, SAID_WRONG),
      );
    });
    return { ...item, entry };
  });
  menu.append(...entries.map(({ entry }) => entry));
  view.watch(() => {
    button.disabled = state.scene.value === null;
  });
  view.listen(button, "click", () => (menu.hidden ? open() : close(false)));
  view.listen(element, "focusout", (event) => {
    if (!element.contains(event.relatedTarget as Node | null)) close(false);
  });
  view.listen(element, "keydown", (event) => {
    if (menu.hidden) return;
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (event.key === "Escape") close(true);
    else if (step !== undefined) {
      const at = entries.findIndex(({ entry }) => entry === document.activeElement);
      entries[(at + step + entries.length) % entries.length].entry.focus();
    } else return;
    event.preventDefault();
    event.stopPropagation();
  });
  return element;
}

/** The traits of the view as they are here, which may be ahead of Python by a moment. */
const viewNow = ({ trait }: View) =>
  Object.fromEntries(
    ["threshold_mode" as const, "threshold" as const, ...VIEW_TRAITS].map((name) => [
      name,
      trait.get(name),
    ]),
  );

function captionOf({ state }: View): string {
  const cut = state.cut.peek();
  if (!cut) return "";
  const drawn = cut.drawn < cut.significant ? `${count(cut.drawn)} strongest of ` : "";
  return (
    `${MODE_WORDS[cut.mode]} ${levelText(cut.level)}, ${LAW_WORDS[cut.law]} · ` +
    `${drawn}${count(cut.significant)} significant edges, ${expectation(cut.expected)} expected by chance`
  );
}
