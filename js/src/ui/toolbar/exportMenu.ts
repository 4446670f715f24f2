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
import { cutInWords } from "../../logic/threshold.js";
import type { Drawn } from "../graph/graph.js";
import { type MenuItem, popUpMenu } from "../kit/menu.js";
import type { View } from "../view.js";

export function exportMenu(view: View, drawn: Drawn): HTMLElement {
  const { state } = view;
  const name = () => fileName(state.scene.peek()?.model ?? "");
  const items: MenuItem[] = [
    {
      words: "Picture, PNG",
      async run() {
        const ratio = Math.max(2, window.devicePixelRatio || 1);
        const picture = { ...pictureNow(view, drawn, menu.element), raster: drawn.raster() };
        download(await pngOf(svgOf(picture), ratio), `${name()}.png`);
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
        const text = svgOf(pictureNow(view, drawn, menu.element));
        download(new Blob([text], { type: "image/svg+xml" }), `${name()}.svg`);
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
  const menu = popUpMenu(view, "Export", items);
  view.watch(() => {
    menu.button.disabled = state.scene.value === null;
  });
  return menu.element;
}

/** The graph as it is drawn, with the words and colours of the widget that `element` is in. */
function pictureNow(view: View, drawn: Drawn, element: HTMLElement): Picture {
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
  };
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
  const [scene, cut] = [state.scene.peek(), state.cut.peek()];
  if (!scene || !cut) return "";
  const apart = constructedLinks(scene);
  const drawn = cut.drawn < cut.significant ? `${count(cut.drawn)} strongest of ` : "";
  return (
    `${MODE_WORDS[cut.mode]} ${levelText(cut.level)}, ${LAW_WORDS[cut.law]} · ` +
    `${drawn}${cutInWords(cut)}` +
    (apart && ` · ${apart}`)
  );
}
