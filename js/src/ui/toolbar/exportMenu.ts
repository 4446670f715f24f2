// The export menu: the picture as a file, the widget as a page, the view as Python.

import { VIEW_TRAITS, viewAsPython } from "../../export/python.js";
import { download, fileName, pngOf } from "../../export/save.js";
import { MOST_VECTOR_EDGES, type Picture, svgOf } from "../../export/svg.js";
import {
  constructedLinks,
  count,
  LAW_WORDS,
  level as levelText,
  MODE_WORDS,
} from "../../logic/format.js";
import { type Cut, cutInWords } from "../../logic/threshold.js";
import type { Bytes } from "../../wire/codec.js";
import type { Drawn } from "../graph/graph.js";
import { type MenuItem, popUpMenu } from "../kit/menu.js";
import type { View } from "../view.js";

/** What there is to save of what is shown. */
export interface Saved {
  /** How the files are called. */
  name(): string;
  /** The picture; where its edges are drawn as pixels they may be any number. */
  svg(style: Style, edges: "pixels" | "shapes"): string;
  /** How many edges the picture has. */
  edges(): number;
  page(): Promise<Bytes>;
  python(): string;
}

/** Colours and type of the words, as they are in the widget. */
export type Style = Pick<Picture, "soft" | "rule" | "font">;

export function exportMenu(view: View, drawn: Drawn): HTMLElement {
  const { state } = view;
  return menuOf(view, {
    name: () => state.scene.peek()?.model ?? "",
    svg: (style, edges) => svgOf(pictureNow(view, drawn, style, edges)),
    edges: () => state.cut.peek()?.drawn ?? 0,
    async page() {
      const { buffers } = await view.ask({ kind: "page", view: viewNow(view) });
      return buffers[0];
    },
    python: () => viewAsPython(view.trait),
  });
}

export function menuOf(view: View, saved: Saved): HTMLElement {
  const name = () => fileName(saved.name());
  const items: MenuItem[] = [
    {
      words: "Picture, PNG",
      async run() {
        const ratio = Math.max(2, window.devicePixelRatio || 1);
        download(await pngOf(saved.svg(styleOf(menu.element), "pixels"), ratio), `${name()}.png`);
        return "PNG saved";
      },
    },
    {
      words: "Picture, SVG",
      obstacle() {
        const edges = saved.edges();
        return edges > MOST_VECTOR_EDGES
          ? `${count(edges)} edges; up to ${count(MOST_VECTOR_EDGES)}`
          : null;
      },
      async run() {
        const text = saved.svg(styleOf(menu.element), "shapes");
        download(new Blob([text], { type: "image/svg+xml" }), `${name()}.svg`);
        return "SVG saved";
      },
    },
    {
      words: "Page without Python, HTML",
      async run() {
        const html = await saved.page();
        download(new Blob([html as BlobPart], { type: "text/html" }), `${name()}.html`);
        return "page saved";
      },
    },
    {
      words: "Copy this view as Python",
      async run() {
        await navigator.clipboard.writeText(saved.python());
        return "copied";
      },
    },
  ];
  const menu = popUpMenu(view, "Export", items);
  view.watch(() => {
    menu.button.disabled = view.state.scene.value === null;
  });
  return menu.element;
}

/** The colours and the type of the widget that `element` is in. */
function styleOf(element: HTMLElement): Style {
  const root = element.closest(".svr");
  if (!root) throw new Error("there is no picture yet");
  const style = getComputedStyle(root);
  return {
    soft: style.getPropertyValue("--svr-soft"),
    rule: style.getPropertyValue("--svr-rule"),
    font: style.fontFamily,
  };
}

/** The graph as it is drawn. */
export function pictureNow(
  view: View,
  drawn: Drawn,
  style: Style,
  edges: "pixels" | "shapes",
): Picture {
  const parts = drawn.picture();
  if (!parts) throw new Error("there is no picture yet");
  const raster = edges === "pixels" ? { raster: drawn.raster() } : {};
  return { ...parts, ...style, ...raster, caption: captionOf(view) };
}

/** The traits of the view as they are here, which may be ahead of Python by a moment. */
export const viewNow = ({ trait }: View) =>
  Object.fromEntries(
    ["threshold_mode" as const, "threshold" as const, ...VIEW_TRAITS].map((name) => [
      name,
      trait.get(name),
    ]),
  );

function captionOf({ state }: View): string {
  const [scene, cut, marked] = [state.scene.peek(), state.cut.peek(), state.marked.peek()];
  if (!scene || !cut) return "";
  const apart = constructedLinks(scene);
  const drawn = cut.drawn < cut.significant ? `${count(cut.drawn)} strongest of ` : "";
  const rings = marked?.neurons?.length ?? 0;
  return (
    `${thresholdInWords(cut)} · ${drawn}${cutInWords(cut)}` +
    (apart && ` · ${apart}`) +
    (rings > 0 ? ` · ${count(rings)} ${marked?.word ?? ""}` : "")
  );
}

/** "FDR 0.05, exact null". */
export const thresholdInWords = ({ mode, level, law }: Cut) =>
  `${MODE_WORDS[mode]} ${levelText(level)}, ${LAW_WORDS[law]}`;
