// The picture as SVG, from the same layout and colours as on the screen. Pure: text out.

import { bandInk, bandsInSight, curveOf, type ManyEnds, reachOf } from "../geometry/bands.js";
import { type Column, shapeOf } from "../geometry/columns.js";
import { columnLabels, type Measure } from "../geometry/labels.js";
import type { Layout } from "../geometry/layout.js";
import { createPath, DASH, isDashed, tracePath } from "../geometry/paths.js";
import type { Point } from "../geometry/placement.js";
import { pathOf, ribbonsOf } from "../geometry/ribbons.js";
import { TIED } from "../logic/format.js";
import { edgeAlpha, fullWeight } from "../paint/density.js";
import { edgeWidth, NEURON_RADIUS, neuronInk, RIM } from "../paint/paint.js";
import { css, kindColour, type Palette } from "../paint/palette.js";
import { linksWithEdges } from "../wire/links/columns.js";
import type { Scene } from "../wire/scene.js";

export interface Picture {
  readonly scene: Scene;
  readonly layout: Layout;
  /** How many of each link's edges are drawn, strongest first. */
  readonly drawnPerLink: ArrayLike<number>;
  readonly palette: Palette;
  /** Colours and type of the words. */
  readonly soft: string;
  readonly rule: string;
  readonly font: string;
  readonly measure: Measure;
  /** All links, a band each or all between two columns one, and how wide they are. */
  readonly bands: { readonly bundles: ManyEnds; readonly widths: ArrayLike<number> };
  /** Where the words on the left end and the plot begins, in CSS pixels. */
  readonly axisWidth: number;
  /** One line under the picture: threshold and counts. */
  readonly caption: string;
  /** Neurons with a ring, by the name of their map and their place in it. */
  readonly rings: readonly (readonly [name: string, k: number])[];
  /** Edges and neurons as a PNG that is as large as the plot, instead of as shapes. */
  readonly raster?: string;
}

/** More edges than this make a file that few programs open. */
export const MOST_VECTOR_EDGES = 10_000;

const CAPTION_HEIGHT = 28;

/** As in graph.css. */
const BAND_OPACITY = 0.16;

/** `place`: where it stands in another SVG. */
export function svgOf(picture: Picture, place: Attributes = {}): string {
  const { layout, palette, font, soft } = picture;
  const { width, height } = sizeOf(picture);
  const caption = text(picture.caption, { x: 8, y: height - 10, fill: soft });
  return [
    element("svg", {
      xmlns: "http://www.w3.org/2000/svg",
      ...place,
      width,
      height,
      viewBox: `0 0 ${width} ${height}`,
      "font-family": font,
      "font-size": 12,
    }),
    `<title>${escapeXml(`Singular value representation of ${picture.scene.model}`)}</title>`,
    element("rect", { width, height, fill: css(palette.paper) }, true),
    grid(picture),
    element("svg", { width, height: layout.size.height, overflow: "hidden" }),
    ...bands(picture),
    ...(picture.raster === undefined ? shapes(picture) : [image(picture.raster, layout)]),
    ...tiedWords(picture),
    "</svg>",
    words(picture),
    caption,
    ...kinds(picture, height - 10),
    "</svg>",
  ].join("\n");
}

/** Pixels that the whole picture takes. */
export const sizeOf = ({ layout: { size } }: Pick<Picture, "layout">) => ({
  width: size.width,
  height: size.height + CAPTION_HEIGHT,
});

function image(href: string, { size }: Layout): string {
  return element("image", { href, width: size.width, height: size.height }, true);
}

function grid({ layout, rule, axisWidth }: Picture): string {
  const lines = ticksSeen(layout).map(({ y }) => `M${axisWidth} ${round(y)}H${layout.size.width}`);
  return element("path", { d: lines.join(""), stroke: rule, fill: "none" }, true);
}

/** Who feeds whom, behind all edges. */
function bands(picture: Picture): string[] {
  const { scene, layout, palette, bands } = picture;
  const reach = reachOf(scene, layout);
  const { bundles, widths } = bands;
  const seen = Array.from(bandsInSight(layout, bundles), (at) => ({
    curve: curveOf(layout, reach, { from: bundles.from[at], to: bundles.to[at] }),
    width: widths[at],
  }));
  const stroke = css(palette.neutral);
  const { opacity, together } = bandInk(seen.length);
  const style = `stroke-opacity:${opacity.toPrecision(2)}`;
  const at = ({ x, y }: Point) => `${round(x)} ${round(y)}`;
  return [
    element("g", {
      fill: "none",
      stroke,
      style,
      ...(together < 1 && { opacity: round(together) }),
    }),
    ...seen.map(({ curve: [a, b, c, d], width }) =>
      element(
        "path",
        { d: `M${at(a)}C${at(b)} ${at(c)} ${at(d)}`, "stroke-width": round(width) },
        true,
      ),
    ),
    "</g>",
    ...tiedBands(picture),
  ];
}

function tiedBands({ scene, layout, palette }: Picture): string[] {
  const fill = css(palette.neutral);
  return ribbonsOf(scene, layout).map(({ outline }) =>
    element("path", { d: pathOf(outline), fill, "fill-opacity": BAND_OPACITY }, true),
  );
}

function tiedWords({ scene, layout, palette, soft }: Picture): string[] {
  const [stroke, width] = [css(palette.paper), 4];
  const halo = { "paint-order": "stroke", stroke, "stroke-width": width };
  return ribbonsOf(scene, layout).map(({ words: { x, y } }) =>
    text(TIED, { x: round(x), y: round(y), fill: soft, "text-anchor": "middle", ...halo }),
  );
}

function shapes(picture: Picture): string[] {
  const { scene, layout, palette } = picture;
  const ink = css(palette.ink);
  const parts = [element("g", { fill: "none", stroke: ink, "stroke-linecap": "round" })];
  const path = createPath();
  for (const { link, edge } of byWeight(picture)) {
    if (shapeOf(layout.folding, scene.links[link]) === "inner") continue;
    const weight = scene.edgeWeight[edge];
    const { points, length } = tracePath(
      scene,
      layout,
      link,
      scene.edgeM[edge],
      scene.edgeN[edge],
      path,
    );
    const course: string[] = [];
    for (let at = 0; at < length; at += 2) {
      course.push(`${at === 0 ? "M" : "L"}${round(points[at])} ${round(points[at + 1])}`);
    }
    parts.push(
      element(
        "path",
        {
          d: course.join(""),
          "stroke-opacity": round(edgeAlpha(weight, fullWeight(scene, link))),
          "stroke-width": edgeWidth(weight),
          "stroke-dasharray": isDashed(scene, link) ? DASH.join(" ") : undefined,
        },
        true,
      ),
    );
  }
  parts.push("</g>", "<g>", ...rings(picture));
  for (const [index, { start, neurons }] of scene.maps.entries()) {
    for (let neuron = start + neurons - 1; neuron >= start; neuron--) {
      const { rim, inside } = neuronInk(scene, palette, index, scene.hue[neuron]);
      const [cx, cy] = [round(layout.x[index]), round(layout.y[neuron])];
      const r = scene.isNull[neuron] ? NEURON_RADIUS - 1 : NEURON_RADIUS;
      const line = { r: r - RIM / 2, stroke: css(rim), "stroke-width": RIM };
      const shape = inside === rim ? { r } : line;
      parts.push(element("circle", { cx, cy, ...shape, fill: css(inside) }, true));
    }
  }
  return [...parts, "</g>"];
}

/** Beneath all neurons, so that where they crowd one line goes around; as in paint.ts. */
function rings({ scene, layout, palette, rings }: Picture): string[] {
  const places = new Map(scene.maps.map(({ name }, at) => [name, at]));
  const found = rings.flatMap(([name, k]) => {
    const at = places.get(name);
    if (at === undefined || k >= scene.maps[at].neurons) return [];
    return [{ cx: round(layout.x[at]), cy: round(layout.y[scene.maps[at].start + k]) }];
  });
  return RINGS.flatMap(([radius, ink]) =>
    found.map((at) => element("circle", { ...at, r: radius, fill: css(palette[ink]) }, true)),
  );
}

const RINGS = [
  [NEURON_RADIUS + 3, "ink"],
  [NEURON_RADIUS + 1.75, "paper"],
] as const;

/** All drawn edges, weak ones first, so that the strongest lie on top. */
function byWeight({ scene, drawnPerLink }: Picture): { link: number; edge: number }[] {
  const drawn = Array.from(linksWithEdges(scene.links), (link) =>
    Array.from({ length: drawnPerLink[link] }, (_, at) => ({
      link,
      edge: scene.links[link].start + at,
    })),
  ).flat();
  return drawn.sort((a, b) => scene.edgeWeight[a.edge] - scene.edgeWeight[b.edge]);
}

function words({ scene, layout, soft, palette, axisWidth, measure }: Picture): string {
  const { size, margins } = layout;
  const bottom = size.height - margins.bottom;
  const middle = (margins.top + bottom) / 2;
  const { columns, rows } = layout.folding;
  const names = columns.map(({ label }) => label);
  const strip = margins.bottom - rows * BRACKET;
  const frame = [axisWidth - 4, size.width - 2] as const;
  const { angle } = layout;
  const labels = columnLabels(names, layout.columnX, frame, angle, strip, measure);
  const ink = css(palette.ink);
  const top = size.height - margins.bottom + (strip > 60 && angle === 0 ? 16 : 0);
  const nameAt = (at: number): Attributes =>
    angle === 0
      ? { x: round(at), y: top + 18, fill: ink, "text-anchor": "middle" }
      : {
          transform: `translate(${round(at + 4)} ${top + 12}) rotate(-${angle})`,
          fill: ink,
          "text-anchor": "end",
        };
  return [
    ...ticksSeen(layout).map(({ y, label }) =>
      text(label, { x: axisWidth - 8, y: round(y) + 4, fill: soft, "text-anchor": "end" }),
    ),
    text(layout.title, {
      transform: `translate(16 ${round(middle)}) rotate(-90)`,
      fill: soft,
      "text-anchor": "middle",
    }),
    ...labels.map(({ text: name, at }) => text(name, nameAt(at))),
    ...(angle === 0 ? labels : []).map(({ index, at }) =>
      text(contentOf(scene, columns[index]), {
        x: round(at),
        y: top + 34,
        fill: soft,
        "text-anchor": "middle",
      }),
    ),
    ...bracketsOf(layout, soft),
  ].join("\n");
}

/** How many neurons a column has, or of a folded module how many columns. */
const contentOf = ({ maps }: Scene, { module, maps: inside }: Column) =>
  module === null
    ? maps[inside[0]].neurons.toLocaleString("en")
    : `${inside.length.toLocaleString("en")} columns`;

/** A row of brackets, as on the screen. */
const BRACKET = 20;

/** The modules that are open, beneath the names of their columns. */
function bracketsOf(layout: Layout, soft: string): string[] {
  const { size, columnX, folding } = layout;
  return folding.brackets.flatMap(({ label, first, last, row }) => {
    const [left, right] = [round(columnX[first] - 8), round(columnX[last] + 8)];
    const y = size.height - (folding.rows - row) * BRACKET;
    const d = `M${left} ${y - 3}v3H${right}v-3`;
    const at = { x: round((left + right) / 2), y: y + 14, fill: soft, "text-anchor": "middle" };
    return [
      element("path", { d, fill: "none", stroke: soft, "stroke-opacity": 0.6 }, true),
      text(label, at),
    ];
  });
}

/** What the colours mean, from the right edge inwards. */
function kinds({ scene, layout, palette, soft, measure }: Picture, y: number): string[] {
  const parts: string[] = [];
  let right = layout.size.width - 8;
  for (const kind of [...new Set(scene.maps.map((map) => map.kind))].reverse()) {
    parts.push(text(kind, { x: right, y, fill: soft, "text-anchor": "end" }));
    right -= measure(kind) + 10;
    const fill = css(kindColour(palette, kind));
    parts.push(element("circle", { cx: right, cy: y - 4, r: NEURON_RADIUS + 1, fill }, true));
    right -= 20;
  }
  return parts;
}

const ticksSeen = ({ ticks, margins, size }: Layout) =>
  ticks.filter(({ y }) => y >= margins.top - 8 && y <= size.height - margins.bottom + 1);

export type Attributes = Readonly<Record<string, string | number | undefined>>;

export function text(words: string, attributes: Attributes): string {
  return `${element("text", attributes)}${escapeXml(words)}</text>`;
}

export function element(tag: string, attributes: Attributes, empty = false): string {
  const written = Object.entries(attributes)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => ` ${name}="${escapeXml(String(value))}"`);
  return `<${tag}${written.join("")}${empty ? "/" : ""}>`;
}

const NAMED: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
};

/** Names come from models: no markup, and no sign that XML forbids. */
export function escapeXml(words: string): string {
  return (
    words
      .replace(/\p{Surrogate}/gu, "\ufffd")
      // biome-ignore lint/suspicious/noControlCharactersInRegex: XML 1.0 forbids exactly these
      .replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/g, "\ufffd")
      .replace(/[&<>"]/g, (sign) => NAMED[sign])
  );
}

export const round = (value: number) => Math.round(value * 100) / 100;
