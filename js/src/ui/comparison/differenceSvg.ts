// The difference of two networks as SVG, as it is painted. Pure: text out.

import { type Attributes, element, round, text } from "../../export/svg.js";
import { type Measure, shorten } from "../../geometry/labels.js";
import { count } from "../../logic/format.js";
import { css, type Palette } from "../../paint/palette.js";
import { BRACKET } from "../graph/stage.js";
import type { Style } from "../toolbar/exportMenu.js";
import {
  dotInk,
  type EdgeFate,
  inks,
  MOST_DRAWN,
  type Painted,
  RADIUS,
  RIM,
  RINGS,
} from "./differencePaint.js";

/** What became of an edge, in words. */
export const FATE_WORDS: Readonly<Record<EdgeFate, string>> = {
  came: "that came",
  went: "that went",
  kept: "in both",
};

export const fateInWords = (fate: EdgeFate, edges: number) =>
  `${count(edges)} edge${edges === 1 ? "" : "s"} ${FATE_WORDS[fate]}`;

export interface Words extends Style {
  readonly measure: Measure;
  /** Of the upright axis. */
  readonly axis: string;
  /** Where the axis begins. */
  readonly left: number;
  readonly caption: string;
}

const ROW = 22;

export function differenceSvg(painted: Painted, words: Words): string {
  const { at, palette, differences, hidden } = painted;
  const { soft, rule, font } = words;
  const { width } = at;
  const height = at.height + 2 * ROW;
  const grid = at.ticks.map(({ y }) => `M${words.left - 4} ${round(y)}H${width}`);
  const lines = Object.entries(inks(palette)).flatMap(([fate, ink]) => {
    if (hidden.has(fate as EdgeFate)) return [];
    const d = differences[fate as EdgeFate].slice(0, MOST_DRAWN).map(({ from, to }) => {
      const [x, y] = [round(at.x[to]), round(at.y[to])];
      return `M${round(at.x[from])} ${round(at.y[from])}L${x} ${y}`;
    });
    return d.map((line) => element("path", { d: line, ...strokeOf(ink) }, true));
  });
  return [
    element("svg", {
      xmlns: "http://www.w3.org/2000/svg",
      width,
      height,
      viewBox: `0 0 ${width} ${height}`,
      "font-family": font,
      "font-size": 12,
    }),
    element("rect", { width, height, fill: css(palette.paper) }, true),
    element("path", { d: grid.join(""), stroke: rule, fill: "none" }, true),
    ...lines,
    ...neurons(painted),
    ...axes(painted, words),
    ...legend(painted, words, at.height + 14),
    text(words.caption, { x: 8, y: height - 8, fill: soft }),
    "</svg>",
  ].join("\n");
}

type Ink = ReturnType<typeof inks>[EdgeFate];

const strokeOf = ({ colour, alpha, dash, width }: Ink): Attributes => ({
  stroke: css(colour),
  "stroke-opacity": alpha,
  "stroke-width": width,
  "stroke-dasharray": dash.length > 0 ? dash.join(" ") : undefined,
});

/** The small changes first, so that the large ones lie on top; rings beneath all. */
function neurons(painted: Painted): string[] {
  const { at, palette, differences } = painted;
  const { changes } = differences;
  const centre = (index: number) => ({ cx: round(at.x[index]), cy: round(at.y[index]) });
  const rings = RINGS.flatMap(([r, ink]) =>
    changes.flatMap(({ ringed }, index) =>
      ringed ? [element("circle", { ...centre(index), r, fill: css(palette[ink]) }, true)] : [],
    ),
  );
  const dots = changes.map((change, index) => {
    const { rim, inside } = dotInk(painted, change);
    const line = rim === inside ? {} : { stroke: css(rim), "stroke-width": RIM };
    return element("circle", { ...centre(index), r: RADIUS, fill: css(inside), ...line }, true);
  });
  return [...rings, ...dots.reverse()];
}

function axes({ at, palette }: Painted, { soft, axis, left, measure }: Words): string[] {
  const [top, bottom] = [at.ticks[at.ticks.length - 1]?.y ?? 0, at.ticks[0]?.y ?? at.height];
  const turned = `translate(16 ${round((top + bottom) / 2)}) rotate(-90)`;
  return [
    ...at.ticks.map(({ y, label }) =>
      text(label, { x: left - 8, y: round(y) + 4, fill: soft, "text-anchor": "end" }),
    ),
    text(axis, { transform: turned, fill: soft, "text-anchor": "middle" }),
    ...at.labels.map(({ text: name, at: x }) =>
      text(name, { ...nameAt(at, x), fill: css(palette.ink) }),
    ),
    ...brackets(at, palette, soft, measure),
  ];
}

function brackets(at: Painted["at"], { ink }: Palette, soft: string, measure: Measure): string[] {
  return at.brackets.flatMap(({ label, left, right, row }) => {
    const y = round(at.height - at.strip + at.namesHeight + row * BRACKET);
    const name = shorten(label, right - left, measure);
    const middle = { x: round((left + right) / 2), y: y + 14, "text-anchor": "middle" };
    return [
      element("path", { d: `M${round(left)} ${y}H${round(right)}`, stroke: soft }, true),
      text(name, { ...middle, fill: css(ink) }),
    ];
  });
}

function nameAt({ height, strip, angle }: Painted["at"], x: number): Attributes {
  const y = height - strip + 14;
  if (angle === 0) return { x: round(x), y: y + 4, "text-anchor": "middle" };
  return { transform: `translate(${round(x + 4)} ${y}) rotate(-${angle})`, "text-anchor": "end" };
}

/** What the lines and the dots mean, and how many of each there are. */
function legend({ palette, differences, hidden }: Painted, { soft, measure }: Words, y: number) {
  const parts: string[] = [];
  let x = 8;
  const say = (words: string) => {
    parts.push(text(words, { x, y: y + 4, fill: soft }));
    x += measure(words) + 20;
  };
  for (const [fate, ink] of Object.entries(inks(palette)).reverse()) {
    if (hidden.has(fate as EdgeFate)) continue;
    const d = `M${x} ${y}h20`;
    parts.push(
      element("path", { d, ...strokeOf({ ...ink, alpha: Math.max(0.4, ink.alpha) }) }, true),
    );
    x += 26;
    say(fateInWords(fate as EdgeFate, differences[fate as EdgeFate].length));
  }
  for (const [word, inside] of [
    ["new", palette.ink],
    ["gone", palette.paper],
    ["in both", palette.neutral],
  ] as const) {
    const stroke = css(word === "in both" ? palette.neutral : palette.ink);
    const at = { cx: x + RADIUS, cy: y, r: RADIUS };
    parts.push(element("circle", { ...at, fill: css(inside), stroke, "stroke-width": RIM }, true));
    x += 2 * RADIUS + 6;
    say(word);
  }
  return parts;
}
