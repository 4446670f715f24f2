// Paints edges and neurons into pixels. Pure: typed arrays in, typed arrays out.

import { shapeOf } from "../geometry/columns.js";
import type { Layout } from "../geometry/layout.js";
import { createPath, forStrokes, isDashed, tracePath } from "../geometry/paths.js";
import type { Drawable, Scene } from "../wire/scene.js";
import { type EdgeChoice, edgeDepths } from "./density.js";
import { createFaintLines, type FaintLines, THICKEST } from "./faintLines.js";
import { kindColour, mix, type Palette, type Rgb } from "./palette.js";
import { type Accumulator, addDisc, addLine } from "./raster.js";

/** An edge of this weight and more is drawn half as wide again, or twice on a coarse screen. */
export const HEAVY = 0.4;
export const NEURON_RADIUS = 3;
const NULL_RADIUS = 2;
/** How thick the rim of a neuron is that feeds no map, in CSS pixels. */
export const RIM = 1.25;

/** How wide an edge is drawn where lines can have any width, in CSS pixels. */
export const edgeWidth = (weight: number) => (weight >= HEAVY ? 1.5 : 1);

/** Edges of a link that are painted before the next link has its turn. */
const TURN = 256;

/** Edges less deep than this are five levels of 255 at most: where they crowd they are summed. */
const FAINT = 0.02;
/** Where fewer edges cross the gap between two columns, each is painted by itself. */
const MANY = 50_000;

/** Every `of`-th edge of each link, from the one at place `part` on: what one of several paints. */
export interface Share {
  readonly part: number;
  readonly of: number;
}

export const WHOLE_SHARE: Share = { part: 0, of: 1 };

/** Edges of one scene in one layout, on one accumulator; it knows which of them are there. */
export interface EdgePainter {
  /**
   * Adds and takes away edges until the first `drawn[link]` of each link are there, strong ones
   * first. The links take turns, and after each turn the generator yields: whoever runs it may
   * pause there and show what there is, or leave it and go on towards other numbers.
   */
  towards(drawn: ArrayLike<number>): Generator<void, void, void>;
}

interface LinkInk {
  readonly index: number;
  readonly start: number;
  /** Its first `there` edges are on the accumulator. */
  there: number;
}

/** Begins with an empty accumulator. */
export function createEdgePainter(
  scene: Drawable,
  layout: Layout,
  ratio: number,
  target: Accumulator,
  choice: EdgeChoice = {},
  share: Share = WHOLE_SHARE,
): EdgePainter {
  target.depth.fill(0);
  const thickness = Math.max(1, Math.round(ratio));
  const path = createPath();
  const depthOf = edgeDepths(scene, layout, choice);
  const links: LinkInk[] = scene.links.map(({ start }, index) => ({ index, start, there: 0 }));
  let depth = 0;
  let width = thickness;
  const isCrowded = crowded(scene, layout).map((is) => is && thickness <= THICKEST);
  const faintLines = createFaintLines(
    target,
    thickness,
    layout.x.map((x) => x * ratio),
  );
  let faint: FaintLines | undefined;
  const add = (x0: number, y0: number, x1: number, y1: number) =>
    addLine(target, x0 * ratio, y0 * ratio, x1 * ratio, y1 * ratio, depth, width, faint);
  const paint = ({ index }: LinkInk, edge: number, sign: 1 | -1) => {
    if (edge % share.of !== share.part) return;
    depth = sign * depthOf(index, edge);
    if (depth === 0) return;
    width = thickness + (scene.edgeWeight[edge] >= HEAVY ? 1 : 0);
    const isFaint = isCrowded[index] && width === thickness && Math.abs(depth) < FAINT;
    faint = isFaint ? faintLines : undefined;
    tracePath(scene, layout, index, scene.edgeM[edge], scene.edgeN[edge], path);
    forStrokes(path, isDashed(scene, index), add);
  };
  // Whoever leaves a generator leaves lines half drawn; the next one goes on with them.
  let drawing: Generator<void, void, void> | null = null;
  function* drawFaint() {
    drawing ??= faintLines.draw();
    while (!drawing.next().done) yield;
    drawing = null;
  }
  return {
    *towards(drawn) {
      if (drawing) yield* drawFaint();
      // Edges within a folded module are left out, unless they are those of chosen neurons.
      const isSeen = ({ index }: LinkInk) =>
        shapeOf(layout.folding, scene.links[index]) !== "inner" || Boolean(choice.only);
      let waiting = links.filter((link) => link.there !== drawn[link.index] && isSeen(link));
      while (waiting.length > 0) {
        for (const link of waiting) {
          const wanted = drawn[link.index];
          const more = Math.min(wanted, link.there + TURN);
          const fewer = Math.max(wanted, link.there - TURN);
          while (link.there < more) paint(link, link.start + link.there++, 1);
          while (link.there > fewer) paint(link, link.start + --link.there, -1);
          if (faintLines.isFull) yield* drawFaint();
          yield;
        }
        waiting = waiting.filter((link) => link.there !== drawn[link.index]);
      }
      yield* drawFaint();
    },
  };
}

/** Of each link whether many edges, of whatever link, cross a gap between columns that it crosses. */
function crowded({ links }: Drawable, layout: Layout): boolean[] {
  const columns = [...new Set(layout.x)].sort((a, b) => a - b);
  const places = new Map(columns.map((x, index) => [x, index]));
  const spans = links.map(({ producer, consumer }) =>
    [producer, consumer].map((map) => places.get(layout.x[map]) as number).sort((a, b) => a - b),
  );
  const crossing = new Float64Array(columns.length);
  spans.forEach(([from, to], link) => {
    if (shapeOf(layout.folding, links[link]) === "inner") return;
    crossing[from] += links[link].sent;
    crossing[to] -= links[link].sent;
  });
  for (let gap = 1; gap < crossing.length; gap++) crossing[gap] += crossing[gap - 1];
  return spans.map(([from, to]) => crossing.subarray(from, to).some((edges) => edges >= MANY));
}

/** The colours of a neuron's rim and within it; one where it is no hollow one. */
export function neuronInk(
  scene: Pick<Scene, "maps" | "feeds">,
  palette: Palette,
  map: number,
  hue: number,
): { rim: Rgb; inside: Rgb } {
  const full = kindColour(palette, scene.maps[map].kind);
  if (!scene.feeds[map]) return { rim: full, inside: palette.paper };
  const filled = mix(palette.neutral, full, hue);
  return { rim: filled, inside: filled };
}

/** Stamps every neuron, weak ones first, so that large singular values lie on top. */
export function paintNeurons(
  scene: Scene,
  layout: Layout,
  palette: Palette,
  ratio: number,
  pixels: Uint32Array,
  width: number,
  height: number,
): void {
  const stamp = neuronStamp(scene, palette, ratio, pixels, width, height);
  const isSeen = (map: number) => {
    const x = layout.x[map] * ratio;
    return x >= -10 * ratio && x <= width + 10 * ratio;
  };
  for (const { maps } of layout.folding.columns) {
    if (maps.length > 1) paintFolded(scene, layout, ratio, maps.filter(isSeen), stamp);
  }
  for (const index of scene.maps.keys()) {
    if (!isSeen(index)) continue;
    const x = layout.x[index] * ratio;
    if (layout.folding.columns[layout.folding.columnOf[index]].maps.length > 1) continue;
    for (const { map, y, hue, presence } of layout.passage?.leaving ?? []) {
      if (map === index) stamp(index, x, y * ratio, NEURON_RADIUS, hue, presence);
    }
    for (const { neuron, hue } of visibleNeurons(scene, layout, index, 0.5 / ratio)) {
      const radius = scene.isNull[neuron] ? NULL_RADIUS : NEURON_RADIUS;
      const presence = layout.passage?.presence[neuron] ?? 1;
      stamp(index, x, layout.y[neuron] * ratio, radius, hue, presence);
    }
  }
}

/** A neuron of a map at a pixel, as large and as dark as it is there. */
type Stamp = (
  map: number,
  x: number,
  y: number,
  radius: number,
  hue: number,
  presence: number,
) => void;

function neuronStamp(
  scene: Scene,
  palette: Palette,
  ratio: number,
  pixels: Uint32Array,
  width: number,
  height: number,
): Stamp {
  return (map, x, y, radius, hue, presence) => {
    if (presence <= 0) return;
    const { rim, inside } = neuronInk(scene, palette, map, hue);
    const size = radius * Math.sqrt(presence);
    const disc = (radius: number, colour: Rgb) =>
      addDisc(pixels, width, height, x, y, radius * ratio, colour);
    disc(size, mix(palette.paper, rim, presence));
    if (inside !== rim && size > RIM) disc(size - RIM, inside);
  };
}

/**
 * The neurons of all maps of a folded module, those of the last map on top: of thousands those that
 * others cover are left out.
 */
function paintFolded(
  scene: Scene,
  layout: Layout,
  ratio: number,
  maps: readonly number[],
  stamp: Stamp,
): void {
  const seen: { readonly map: number; readonly neuron: number }[] = [];
  // Maps that are coming together stand apart from each other.
  const taken = new Map<number, Set<number>>();
  for (const map of [...maps].reverse()) {
    const { start, neurons } = scene.maps[map];
    const rows = taken.get(layout.x[map]) ?? new Set<number>();
    taken.set(layout.x[map], rows);
    for (let neuron = start; neuron < start + neurons; neuron++) {
      const row = Math.round(layout.y[neuron] * ratio * 2);
      if (rows.has(row)) continue;
      rows.add(row);
      seen.push({ map, neuron });
    }
  }
  for (const { map, neuron } of seen.reverse()) {
    const radius = scene.isNull[neuron] ? NULL_RADIUS : NEURON_RADIUS;
    const presence = layout.passage?.presence[neuron] ?? 1;
    const [x, y] = [layout.x[map] * ratio, layout.y[neuron] * ratio];
    stamp(map, x, y, radius, scene.hue[neuron], presence);
  }
}

/** Rings around neurons, to lie beneath all of them: where they crowd, one line goes around. */
export function paintRings(
  scene: Scene,
  layout: Layout,
  palette: Palette,
  ratio: number,
  pixels: Uint32Array,
  width: number,
  height: number,
  neurons: readonly (readonly [name: string, k: number])[],
): void {
  const places = new Map(scene.maps.map(({ name }, at) => [name, at]));
  for (const [radius, colour] of [
    [NEURON_RADIUS + 3, palette.ink],
    [NEURON_RADIUS + 1.75, palette.paper],
  ] as const) {
    for (const [name, k] of neurons) {
      const at = places.get(name);
      if (at === undefined || k >= scene.maps[at].neurons) continue;
      const y = layout.y[scene.maps[at].start + k] * ratio;
      addDisc(pixels, width, height, layout.x[at] * ratio, y, radius * ratio, colour);
    }
  }
}

/** The neurons of a map that others do not cover, weakest first; each as vivid as those it covers. */
function visibleNeurons(scene: Scene, layout: Layout, index: number, apart: number) {
  const { start, neurons } = scene.maps[index];
  const visible: { neuron: number; hue: number }[] = [];
  for (let neuron = start; neuron < start + neurons; neuron++) {
    const hue = scene.hue[neuron];
    const last = visible.at(-1);
    if (last && Math.abs(layout.y[neuron] - layout.y[last.neuron]) < apart) {
      last.hue = Math.max(last.hue, hue);
    } else visible.push({ neuron, hue });
  }
  return visible.reverse();
}
