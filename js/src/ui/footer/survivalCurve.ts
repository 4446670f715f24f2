// The survival curve, which is the slider of the threshold: entries against chance, from strict to
// loose, the cut a knob on its axis that can be dragged.

import { type ReadonlySignal, signal } from "@preact/signals-core";
import { scaleLinear, scaleLog } from "d3-scale";
import { count, powerOfTen, pTick, significant } from "../../logic/format.js";
import {
  cutAtPlace,
  nearestStopTo,
  placeOfCut,
  type Survival,
  type SurvivalPoint,
  survivalOf,
} from "../../logic/survival.js";
import { significantOn } from "../../logic/threshold.js";
import type { Scene } from "../../wire/scene.js";
import { dropDown, fill, h, nameOf, s } from "../kit/dom.js";
import type { View } from "../view.js";

const HEIGHT = 72;
const MARGINS = { top: 4, right: 12, bottom: 24, left: 48 };
const KNOB = 6;
/** Fewer entries than this are none. */
const LEAST = 0.5;
/** Pixels from tick to tick, and what the words at the ends of the axis take. */
const TICK_EVERY = 96;
const APART = 48;
const END_WORDS = 44;

/** Networks that one threshold is set for. */
export interface Networks {
  readonly names: ReadonlySignal<readonly string[]>;
  /** The first is that of the threshold's own view. */
  readonly views: readonly View[];
}

/** The curve of another network, and where its own cut stands. */
interface Other {
  readonly curve: Survival;
  readonly place: number | null;
  readonly colour: string;
}

/** Of the second network and those after it; the first is drawn in ink. */
const COLOURS = ["convolution", "attention", "embedding", "other", "linear"];
const colourOf = (at: number) => `var(--svr-${COLOURS[(at - 1) % COLOURS.length]})`;

interface Frame {
  readonly curve: Survival;
  readonly width: number;
  /** From the curve's own axis to pixels, and back. */
  readonly x: ReturnType<typeof scaleLinear<number>>;
  readonly y: ReturnType<typeof scaleLog<number>>;
}

/** The curve, and beside it the words that say what it shows. */
export function survivalCurve(
  view: View,
  networks?: Networks,
): { curve: HTMLElement; words: HTMLElement } {
  const { state } = view;
  const image = s("svg", { height: HEIGHT, role: "img" });
  const curve = h("div", { class: "svr-curve", "data-svr": "survival" });
  const scope = dropDown("entries of the curve", [
    ["graph", "all edges"],
    ["link", "the chosen link"],
  ]);
  const chosen = h("span", { class: "svr-curve-link" });
  const cutWords = h("span", { "data-svr": "cut-weight" });
  const words = h(
    "div",
    { class: "svr-curve-words" },
    scope,
    chosen,
    keys(view, networks),
    h("span", { class: "svr-key" }, h("i", { class: "svr-line svr-chance" }), "by chance"),
    cutWords,
  );
  curve.append(image);
  const width = signal(0);
  const resizes = new ResizeObserver(view.guard(() => (width.value = curve.clientWidth)));
  resizes.observe(curve);
  view.signal.addEventListener("abort", () => resizes.disconnect(), { once: true });

  let frame: Frame | null = null;
  // Until someone chooses a link, the graph's own threshold is what there is to see.
  let ofLink = false;
  const redraw = () => {
    const scene = state.scene.value;
    const cut = state.cut.value;
    const link = ofLink ? state.link.value : null;
    const found = scene && cut ? survivalOf(scene, cut.law, link) : null;
    curve.hidden = words.hidden = !scene || scene.tests === 0;
    const others = scene && networks ? othersOf(networks, scene, link) : [];
    frame = found && width.value > 0 ? frameOf(found, others, width.value) : null;
    image.setAttribute("width", String(width.value));
    scope.value = ofLink ? "link" : "graph";
    if (!scene || !cut || scene.tests === 0) return;
    const ends = link === null ? null : scene.links[link];
    const nameAt = (map: number) => nameOf(scene.maps[map].label);
    fill(chosen, ...(ends ? [nameAt(ends.producer), " → ", nameAt(ends.consumer)] : []));
    if (!found) {
      image.setAttribute("aria-label", "no entry was tested");
      cutWords.textContent = "no entry was tested";
      return fill(image);
    }
    if (!frame) return fill(image);
    const place = placeOfCut(frame.curve, cut.log10p);
    const least = place === null || frame.curve.over === "p" ? null : 10 ** place;
    cutWords.textContent = least === null ? "" : `weight ≥ ${significant(least, 2)}`;
    const here = link === null ? null : significantOn(scene, cut, [link]);
    const chance = frame.curve.tests * 10 ** cut.log10p;
    image.setAttribute(
      "aria-label",
      `survival curve of ${networks ? `${networks.names.value[0]}, ` : ""}${count(frame.curve.tests)} entries: ${here?.atLeast ? "at least " : ""}` +
        `${count(here?.edges ?? cut.significant)} reach the ` +
        `threshold, ${significant(chance, 2)} would by chance`,
    );
    fill(image, ...drawing(frame, others, place, here?.edges ?? cut.significant));
  };
  view.watch(redraw);
  view.watch(() => {
    if (state.selected_link.value === null || ofLink) return;
    ofLink = true;
    redraw();
  });
  view.listen(scope, "change", () => {
    ofLink = scope.value === "link";
    redraw();
  });

  const follow = (event: PointerEvent) => {
    const scene = state.scene.peek();
    const cut = state.cut.peek();
    if (!scene || !cut || !frame) return;
    const pixel = event.clientX - image.getBoundingClientRect().left;
    const stop = nearestStopTo(scene, cut, cutAtPlace(frame.curve, frame.x.invert(pixel)));
    state.setLevel(scene.stops[cut.law][cut.mode].level[stop]);
  };
  view.listen(curve, "pointerdown", (event) => {
    if (event.button !== 0) return;
    curve.setPointerCapture(event.pointerId);
    follow(event);
  });
  view.listen(curve, "pointermove", (event) => {
    if (curve.hasPointerCapture(event.pointerId)) follow(event);
  });
  return { curve, words };
}

/** What the lines are: of one network what was found, of several which network it is. */
function keys(view: View, networks: Networks | undefined): HTMLElement {
  const element = h("span", { class: "svr-keys" });
  const key = (words: string, colour?: string) => {
    const line = h("i", { class: "svr-line", style: colour ? `border-color:${colour}` : null });
    return h("span", { class: "svr-key" }, line, networks ? nameOf(words) : words);
  };
  view.watch(() => {
    const names = networks?.names.value ?? ["found"];
    fill(element, ...names.map((name, at) => key(name, at > 0 ? colourOf(at) : undefined)));
  });
  return element;
}

/** The curves of the other networks; for a link of the first network those of the same maps. */
function othersOf({ views }: Networks, first: Scene, link: number | null): Other[] {
  return views.flatMap(({ state }, at) => {
    const [scene, cut] = [state.scene.value, state.cut.value];
    if (at === 0 || !scene || !cut) return [];
    const same = link === null ? null : sameLink(first, link, scene);
    const curve = same === -1 ? null : survivalOf(scene, cut.law, same);
    if (!curve) return [];
    return [{ curve, place: placeOfCut(curve, cut.log10p), colour: colourOf(at) }];
  });
}

/** The link of another network between the maps of the same names; -1 for none. */
function sameLink(first: Scene, link: number, other: Scene): number {
  const ends = (scene: Scene, { producer, consumer }: Scene["links"][number]) =>
    JSON.stringify([scene.maps[producer].name, scene.maps[consumer].name]);
  const wanted = ends(first, first.links[link]);
  return other.links.findIndex((each) => ends(other, each) === wanted);
}

function frameOf(curve: Survival, others: readonly Other[], width: number): Frame {
  const all = [curve, ...others.map((other) => other.curve)];
  const lasts = all.map(({ points }) => {
    const there = points.filter((point) => point.found >= 1 || point.expected >= LEAST);
    return (there.at(-1) ?? points[points.length - 1]).x;
  });
  const loosest = Math.min(...all.map(({ points }) => points[0].x));
  const most = Math.max(1, ...all.map(({ tests }) => tests));
  // Strict on the left, loose on the right.
  const ends = [width - MARGINS.right, MARGINS.left];
  const x = scaleLinear([loosest, Math.max(...lasts)], ends).clamp(true);
  const y = scaleLog([LEAST, most], [HEIGHT - MARGINS.bottom, MARGINS.top]);
  return { curve, width, x, y: y.clamp(true) };
}

function drawing(
  { curve, width, x, y }: Frame,
  others: readonly Other[],
  place: number | null,
  reaching: number,
): SVGElement[] {
  const base = HEIGHT - MARGINS.bottom;
  const along = (value: (point: SurvivalPoint) => number, points = curve.points): string[] => {
    const end = points.findIndex((point) => value(point) < LEAST);
    const shown = points.slice(0, end < 0 ? points.length : end + 1);
    return shown.map(
      (point) => `${x(point.x).toFixed(1)},${y(Math.max(value(point), LEAST)).toFixed(1)}`,
    );
  };
  const found = along((point) => point.found);
  const chance = along((point) => point.expected);
  const at = place === null ? MARGINS.left : x(place);
  const passing = curve.points.filter((point) => place !== null && point.x >= place);
  const area = along((point) => point.found, passing);
  const ticks = [1, 10 ** Math.floor(Math.log10(Math.max(curve.tests, 1)))];
  return [
    ...(area.length > 0
      ? [
          s("polygon", {
            class: "svr-passing",
            points: [
              `${at},${y(Math.max(reaching, LEAST))}`,
              ...area,
              `${area.at(-1)?.split(",")[0]},${base}`,
              `${at},${base}`,
            ].join(" "),
          }),
        ]
      : []),
    s("path", { class: "svr-base", d: `M${MARGINS.left} ${base}H${width - MARGINS.right}` }),
    s("polyline", { class: "svr-line svr-chance", points: chance.join(" ") }),
    ...others.flatMap((other) => {
      const line = along((point) => point.found, other.curve.points).join(" ");
      const style = `stroke:${other.colour}`;
      const cut = other.place === null ? null : x(other.place);
      return [
        s("polyline", { class: "svr-line", points: line, style }),
        ...(cut === null || Math.abs(cut - at) < 1
          ? []
          : [s("path", { class: "svr-other-cut", d: `M${cut} ${MARGINS.top}V${base}`, style })]),
      ];
    }),
    s("polyline", { class: "svr-line", points: found.join(" ") }),
    ...[...new Set(ticks)].map((value) =>
      s(
        "text",
        { x: MARGINS.left - 8, y: y(value), "text-anchor": "end", "dominant-baseline": "middle" },
        value < 1e4 ? count(value) : powerOfTen(Math.log10(value)),
      ),
    ),
    ...axisTicks(curve, x, width),
    s("path", { class: "svr-cut", d: `M${at} ${MARGINS.top}V${base}` }),
    s("circle", { class: "svr-cut", cx: at, cy: base, r: KNOB }),
  ];
}

/** Round weights or p-values beneath the axis; at its ends, which of them is strict. */
function axisTicks(curve: Survival, x: Frame["x"], width: number): SVGElement[] {
  const [from, to] = x.domain();
  const ofP = curve.over === "p";
  const ticks = Math.max(2, Math.floor((width - MARGINS.left - MARGINS.right) / TICK_EVERY));
  const values: number[] = [];
  if (to - from >= 2) {
    const step = Math.ceil((to - from) / ticks);
    for (let at = Math.ceil(from); at <= to; at += step) values.push(at);
  } else
    values.push(
      ...scaleLog([10 ** from, 10 ** to], [0, 1])
        .ticks(ticks)
        .map(Math.log10),
    );
  const [begin, end] = [MARGINS.left, width - MARGINS.right];
  const y = HEIGHT - 4;
  const words: { at: number; text: string }[] = [];
  for (const value of values.sort((a, b) => b - a)) {
    const at = x(value);
    const last = words.at(-1)?.at ?? Number.NEGATIVE_INFINITY;
    const before = END_WORDS + (words.length === 0 ? (ofP ? 16 : 36) : 0); // the first has the title
    if (at < begin + before || at > end - END_WORDS || at - last < APART) continue;
    words.push({ at, text: ofP ? pTick(-value) : significant(10 ** value, 1) });
  }
  const [first, ...others] = words;
  const title = ofP ? "p " : "weight ";
  return [
    s("text", { class: "svr-end", x: begin, y }, "strict"),
    s("text", { class: "svr-end", x: end, y, "text-anchor": "end" }, "loose"),
    ...(first ? [s("text", { x: first.at, y, "text-anchor": "middle" }, title + first.text)] : []),
    ...others.map(({ at, text }) => s("text", { x: at, y, "text-anchor": "middle" }, text)),
  ];
}
