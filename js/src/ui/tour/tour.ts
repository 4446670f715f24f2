// A tour of five steps, offered once in a browser, by one widget; the help has it at any time.

import { fill, h } from "../kit/dom.js";
import type { View } from "../view.js";

export interface Tour {
  /** A line of its own, so that it covers nothing. */
  readonly offer: HTMLElement;
  /** The steps, over the widget. */
  readonly element: HTMLElement;
  start(): void;
}

interface Step {
  readonly title: string;
  readonly words: string;
  /** What it speaks of. */
  readonly of: string;
}

const STEPS: readonly Step[] = [
  {
    title: "Spectral neurons",
    words:
      "Each column is a linear map of the network, in the order of the data. Each dot is one of its " +
      "spectral neurons: a singular vector, as high as its singular value.",
    of: ".svr-plot",
  },
  {
    title: "Edges beyond chance",
    words:
      "Lines join neurons that fit each other better than chance explains. Drag the curve, or type a " +
      "level, for more of them or fewer; beside it stands how many chance alone would give.",
    of: ".svr-footer",
  },
  {
    title: "Point and click",
    words:
      "Point at a dot or a line to read its numbers. A click keeps it, with the strongest path through " +
      "the whole network; Esc lets go. The wheel zooms after a click, a drag moves the picture.",
    of: ".svr-plot",
  },
  {
    title: "Who feeds whom",
    words:
      "Faint bands are the links between maps, as wide as what was found on them. Modules of a deep " +
      "network are one column each: a click on a name in grey unfolds it, on a bracket folds it.",
    of: ".svr-columns",
  },
  {
    title: "Closer looks",
    words:
      "Panes show the matrix of a link, all links at once, images, filters and a table; all are linked " +
      "with the graph. The question mark has every key, and this tour.",
    of: ".svr-toolbar",
  },
];

/** Of the view that offers it: a page with several widgets asks nobody twice. */
let offering: AbortSignal | null = null;

/** Remembered by the browser once somebody took the tour, or did not want it. */
const SEEN = "svr-widget-tour";
const GAP = 12;

/** `root` is the widget, in which everything is that the tour speaks of. */
export function tour(view: View, root: HTMLElement): Tour {
  const { state } = view;
  const around = h("div", { class: "svr-tour-around", hidden: true });
  const card = h("div", {
    class: "svr-tour-card",
    role: "dialog",
    "aria-label": "tour",
    tabindex: -1,
    hidden: true,
    "data-svr": "tour",
  });
  const offer = h("div", { class: "svr-tour-offer", hidden: true, "data-svr": "tour-offer" });
  const button = (words: string, run: () => void) => {
    const made = h("button", { type: "button", class: "svr-tool" }, words);
    view.listen(made, "click", run);
    return made;
  };
  let before: HTMLElement | null = null;
  const end = () => {
    around.hidden = card.hidden = offer.hidden = true;
    remember();
    before?.focus({ preventScroll: true });
    before = null;
  };
  const show = (at: number) => {
    const step = STEPS[at];
    if (!step) return end();
    offer.hidden = true;
    around.hidden = card.hidden = false;
    fill(
      card,
      h("div", { class: "svr-tour-head" }, h("h3", {}, step.title), button("×", end)),
      h("p", {}, step.words),
      h(
        "div",
        { class: "svr-tour-steps" },
        h("span", { class: "svr-soft" }, `${at + 1} of ${STEPS.length}`),
        at > 0 && button("back", () => show(at - 1)),
        button(at + 1 < STEPS.length ? "next" : "done", () => show(at + 1)),
      ),
    );
    place(root, step, around, card);
    card.focus({ preventScroll: true });
  };
  view.listen(card, "keydown", (event) => {
    if (event.key !== "Escape") return;
    event.stopPropagation();
    end();
  });
  fill(
    offer,
    h("span", { class: "svr-soft" }, "New here?"),
    button("a tour of five steps", () => start()),
    button("no, thanks", end),
  );
  const start = () => {
    const focused = (root.getRootNode() as Document | ShadowRoot).activeElement;
    before = focused instanceof HTMLElement ? focused : null;
    show(0);
  };
  let offered = false;
  view.watch(() => {
    if (!state.scene.value || offered) return;
    offered = true;
    if (!isToBeOffered(view)) return;
    offering = view.signal;
    offer.hidden = false;
  });
  return { element: h("div", { class: "svr-tour" }, around, card), offer, start };
}

/** Puts the frame around what a step speaks of, and its words beside that, inside of the widget. */
function place(root: HTMLElement, { of }: Step, around: HTMLElement, card: HTMLElement): void {
  const all = root.getBoundingClientRect();
  const box = root.querySelector(of)?.getBoundingClientRect() ?? all;
  const [left, top] = [box.left - all.left, box.top - all.top];
  Object.assign(around.style, {
    left: `${left}px`,
    top: `${top}px`,
    width: `${box.width}px`,
    height: `${box.height}px`,
  });
  const { offsetWidth: width, offsetHeight: height } = card;
  const rooms = [
    { y: top + box.height + GAP, fits: top + box.height + GAP + height <= all.height },
    { y: top - GAP - height, fits: top - GAP - height >= 0 },
  ];
  // What fills the widget has its words over its lower end.
  const y = rooms.find(({ fits }) => fits)?.y ?? top + box.height - height - GAP;
  const x = Math.max(GAP, Math.min(all.width - width - GAP, left + (box.width - width) / 2));
  Object.assign(card.style, { left: `${x}px`, top: `${y}px` });
}

/** Not where Python says no, where it was seen before, or where a program drives the browser. */
function isToBeOffered({ state }: View): boolean {
  if (state.tour.peek() === false || navigator.webdriver) return false;
  if (offering && !offering.aborted) return false;
  try {
    return window.localStorage.getItem(SEEN) === null;
  } catch {
    return false; // a page without storage would offer it every time
  }
}

function remember(): void {
  try {
    window.localStorage.setItem(SEEN, "yes");
  } catch {
    // A page without storage never offers it.
  }
}
