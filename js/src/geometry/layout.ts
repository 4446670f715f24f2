// Where everything stands, in CSS pixels: columns by depth, neurons by singular value, links as
// lines, arcs or loops. Pure: no canvas, no DOM.

import { scaleLinear, scaleLog } from "d3-scale";
import type { CameraTrait, ValueRange } from "../wire/host.js";
import type { Scene, YScale } from "../wire/scene.js";
import { columnPositions, type Folding, unfolded } from "./columns.js";
import type { Angle } from "./labels.js";

export interface Size {
  readonly width: number;
  readonly height: number;
}

export interface Margins {
  readonly top: number;
  readonly right: number;
  readonly bottom: number;
  readonly left: number;
}

/** Zoom about the plot's own corner: screen = plot * zoom + (x, y). */
export interface Camera {
  readonly zoom: number;
  readonly x: number;
  readonly y: number;
}

export const WHOLE: Camera = { zoom: 1, x: 0, y: 0 };

export const MAX_ZOOM = 200;

export interface Tick {
  readonly y: number;
  readonly label: string;
}

export interface Layout {
  readonly size: Size;
  readonly margins: Margins;
  readonly camera: Camera;
  readonly folding: Folding;
  /** Each column's place, from left to right. */
  readonly columnX: Float64Array;
  /** The place of each map's column. */
  readonly x: Float64Array;
  /** Each neuron's height on the screen. */
  readonly y: Float64Array;
  readonly ticks: readonly Tick[];
  readonly title: string;
  /** Half the room of a column: the least distance between two neighbours, halved. */
  readonly reach: number;
  /** From the first to the last column at zoom 1; wider than the plot where they are many. */
  readonly plotWidth: number;
  /** How far the names beneath the columns are turned. */
  readonly angle: Angle;
  /** While columns come together or part: their edges are drawn when they stand. */
  readonly isMoving?: boolean;
  /** On the way from one checkpoint to the next: what comes and what goes. */
  readonly passage?: Passage;
}

export interface Passage {
  /** How much of each neuron is there, from 0 to 1. */
  readonly presence: Float32Array;
  /** Neurons that are no more. */
  readonly leaving: readonly Leaving[];
}

export interface Leaving {
  readonly map: number;
  readonly y: number;
  readonly hue: number;
  readonly presence: number;
}

/**
 * From depth to depth columns are never closer than this, and parallel ones than two thirds of it;
 * where they do not all fit, a part of them is seen.
 */
export const LEAST_COLUMN = 24;

export function layOut(
  scene: Scene,
  yScale: YScale,
  size: Size,
  margins: Margins,
  camera: Camera = WHOLE,
  leastColumn = LEAST_COLUMN,
  range: ValueRange | null = null,
  angle: Angle = 0,
  folding: Folding = unfolded(scene),
): Layout {
  const height = Math.max(1, size.height - margins.top - margins.bottom);
  const columns = columnPositions(scene, folding);
  const widest = Math.max(...columns, 0);
  const width = plotWidthOf(columns, size, margins, leastColumn);
  const toX = (column: number) => {
    const plain = margins.left + (widest > 0 ? (width * column) / widest : width / 2);
    return plain * camera.zoom + camera.x;
  };
  const vertical = verticalScale(scene, yScale === "auto" ? scaleOf(scene) : yScale, range);
  const toY = (share: number) => (margins.top + height * (1 - share)) * camera.zoom + camera.y;
  const x = Float64Array.from(columns, toX);
  const y = new Float64Array(scene.singularValue.length);
  for (const map of scene.maps) {
    for (let k = 0; k < map.neurons; k++) {
      y[map.start + k] = toY(vertical.share(map.start + k, k, map));
    }
  }
  const columnX = Float64Array.from(folding.columns, ({ maps }) => x[maps[0]]);
  const gaps = columnX.slice(1).map((value, index) => value - columnX[index]);
  const invert = (pixel: number) => 1 - ((pixel - camera.y) / camera.zoom - margins.top) / height;
  const bounds: [number, number] = [invert(size.height - margins.bottom), invert(margins.top)];
  return {
    size,
    margins,
    camera,
    folding,
    columnX,
    x,
    y,
    ticks: vertical.ticks(bounds, height).map(({ share, label }) => ({ y: toY(share), label })),
    title: vertical.title,
    reach: Math.min(width * camera.zoom, ...gaps) / 2,
    plotWidth: width,
    angle,
  };
}

/** From the first to the last of the columns at these places, at zoom 1. */
export function plotWidthOf(
  places: readonly number[],
  size: Size,
  margins: Margins,
  leastColumn = LEAST_COLUMN,
): number {
  const sorted = [...places].sort((a, b) => a - b);
  const gaps = sorted.slice(1).map((place, index) => place - sorted[index]);
  const narrowest = Math.min(1, ...gaps.filter((gap) => gap > 0));
  const room = size.width - margins.left - margins.right;
  const widest = sorted.at(-1) ?? 0;
  return Math.max(1, room, widest * leastColumn * Math.max(1, 2 / 3 / narrowest));
}

/** Which part of the picture a camera shows. */
export function traitOf({ size, margins, camera, plotWidth }: Layout): CameraTrait {
  const height = size.height - margins.top - margins.bottom;
  const [x, y] = middleOf(size, margins);
  return [
    camera.zoom,
    ((x - camera.x) / camera.zoom - margins.left) / plotWidth,
    ((y - camera.y) / camera.zoom - margins.top) / height,
  ];
}

/** The camera that shows a part of the picture; the inverse of `traitOf`. */
export function cameraOf(
  { size, margins, plotWidth }: Pick<Layout, "size" | "margins" | "plotWidth">,
  [zoom, across, down]: CameraTrait,
): Camera {
  const height = size.height - margins.top - margins.bottom;
  const [x, y] = middleOf(size, margins);
  return {
    zoom,
    x: x - (margins.left + across * plotWidth) * zoom,
    y: y - (margins.top + down * height) * zoom,
  };
}

/** Beyond the plot's edges so much is seen at most, for what bends there. */
const SLACK = 40;

/** The camera, moved so that the plot fills the frame: nothing is lost from sight. */
export function heldCamera(
  { zoom, x, y }: Camera,
  { size, margins, plotWidth }: Pick<Layout, "size" | "margins" | "plotWidth">,
): Camera {
  const slack = Math.min(SLACK, 12 * (zoom - 1));
  const hold = (offset: number, before: number, content: number, after: number, length: number) => {
    const highest = before - before * zoom + slack;
    const lowest = length - after - (before + content) * zoom - slack;
    return Math.max(Math.min(lowest, highest), Math.min(highest, offset));
  };
  const height = size.height - margins.top - margins.bottom;
  return {
    zoom,
    x: hold(x, margins.left, plotWidth, margins.right, size.width),
    y: hold(y, margins.top, height, margins.bottom, size.height),
  };
}

/** The middle of the plot on the screen. */
const middleOf = (size: Size, margins: Margins) => [
  (margins.left + size.width - margins.right) / 2,
  (margins.top + size.height - margins.bottom) / 2,
];

/** What takes a point of one layout to the same point of another; null where no such map does. */
export function moved(from: Layout, to: Layout): Move | null {
  if (from.title !== to.title || from.folding !== to.folding) return null;
  const height = ({ size, margins }: Layout) => size.height - margins.top - margins.bottom;
  const across = (to.plotWidth * to.camera.zoom) / (from.plotWidth * from.camera.zoom);
  const down = (height(to) * to.camera.zoom) / (height(from) * from.camera.zoom);
  const left = ({ margins, camera }: Layout) => margins.left * camera.zoom + camera.x;
  const top = ({ margins, camera }: Layout) => margins.top * camera.zoom + camera.y;
  return { across, down, x: left(to) - left(from) * across, y: top(to) - top(from) * down };
}

/** A point (x, y) comes to (x + across * its x, y + down * its y). */
export interface Move {
  readonly x: number;
  readonly y: number;
  readonly across: number;
  readonly down: number;
}

/** Kinds of maps whose medians lie further apart than this do not share a linear axis. */
const SQUASHED = 5;
/** Singular values that span more have no logarithmic axis on which anything is told apart. */
const LONGEST_LOG = 1e6;

/** The scale on which no kind of map is squashed, as Python's `scale_of`; gates and heads are kinds. */
export function scaleOf({ maps, singularValue, isNull }: Scene): "linear" | "log" | "relative" {
  const kinds = new Map<string, number[]>();
  for (const { kind, name, start, neurons } of maps) {
    const part = name.includes("[") ? name.slice(name.indexOf("[")).replaceAll(/\d+/g, "") : "";
    const known = kinds.get(`${kind} ${part}`) ?? [];
    kinds.set(`${kind} ${part}`, known);
    for (let neuron = start; neuron < start + neurons; neuron++) {
      if (!isNull[neuron] && singularValue[neuron] > 0) known.push(singularValue[neuron]);
    }
  }
  const live = [...kinds.values()].filter((values) => values.length > 0);
  const sorted = live.map((values) => Float64Array.from(values).sort());
  const medians = sorted.map((all) => (all[(all.length - 1) >> 1] + all[all.length >> 1]) / 2);
  if (Math.max(...medians) <= SQUASHED * Math.min(...medians) || medians.length < 2)
    return "linear";
  const largest = Math.max(...sorted.map((values) => values[values.length - 1]));
  const smallest = Math.min(...sorted.map((values) => values[0]));
  return largest <= LONGEST_LOG * smallest ? "log" : "relative";
}

interface VerticalScale {
  readonly title: string;
  /** The share of the plot's height below a neuron. */
  share(
    neuron: number,
    k: number,
    map: { readonly start: number; readonly neurons: number },
  ): number;
  ticks(bounds: [number, number], height: number): { share: number; label: string }[];
}

const reaches = new WeakMap<Scene, readonly [smallest: number, largest: number]>();

/** The least singular value that is not zero but for rounding, and the largest one. */
function reachOf(scene: Scene): readonly [smallest: number, largest: number] {
  const before = reaches.get(scene);
  if (before) return before;
  const { singularValue, isNull } = scene;
  let [smallest, largest] = [Number.POSITIVE_INFINITY, 0];
  for (let neuron = 0; neuron < singularValue.length; neuron++) {
    const value = singularValue[neuron];
    largest = Math.max(largest, value);
    if (value > 0 && isNull[neuron] === 0) smallest = Math.min(smallest, value);
  }
  reaches.set(scene, [smallest, largest]);
  return [smallest, largest];
}

function verticalScale(scene: Scene, yScale: YScale, range: ValueRange | null): VerticalScale {
  const { singularValue, isNull } = scene;
  const [least, most] = reachOf(scene);
  const largest = Math.max(range?.[1] ?? 0, most);
  const smallest = Math.min(range && range[0] > 0 ? range[0] : least, least);
  if (yScale === "rank") {
    return {
      title: "rank of the singular value in its map",
      share: (_, k, map) => (map.neurons > 1 ? 1 - k / (map.neurons - 1) : 1),
      ticks: (bounds) =>
        [1, 0.75, 0.5, 0.25, 0]
          .filter((share) => within(share, bounds))
          .map((share) => ({
            share,
            label: share === 1 ? "first" : share === 0 ? "last" : `${(1 - share) * 100} %`,
          })),
    };
  }
  if (yScale === "log" && largest > 0) {
    // What is zero but for rounding lies at the bottom: its logarithm would mean nothing.
    const floor = Math.min(smallest, largest / 2);
    const scale = scaleLog([floor, largest * 1.05], [0.03, 1]);
    return {
      title: "singular value, logarithmic",
      share: (neuron) => {
        const value = singularValue[neuron];
        return isNull[neuron] || !(value > 0) ? 0 : Math.max(0, scale(value));
      },
      ticks: (bounds, height) => logTicks(scale, bounds, height),
    };
  }
  const relative = yScale === "relative";
  const top = relative ? 1 : largest || 1;
  const scale = scaleLinear([0, top * 1.03], [0, 1]);
  return {
    title: relative ? "singular value, relative to its map's largest" : "singular value",
    share: (neuron, _, map) =>
      scale(
        relative ? singularValue[neuron] / (singularValue[map.start] || 1) : singularValue[neuron],
      ),
    ticks: (bounds, height) => {
      const visible = scaleLinear([scale.invert(bounds[0]), scale.invert(bounds[1])], [0, 1]);
      const wanted = Math.max(2, Math.min(9, Math.round(height / 56)));
      const label = visible.tickFormat(wanted);
      return visible
        .ticks(wanted)
        .filter((value) => value >= 0)
        .map((value) => ({ share: scale(value), label: label(value).replace("-", "−") }));
    },
  };
}

function logTicks(
  scale: ReturnType<typeof scaleLog<number>>,
  bounds: [number, number],
  height: number,
): { share: number; label: string }[] {
  const [low, high] = bounds.map((share) => scale.invert(share));
  const wanted = Math.max(2, height / 56);
  const decades = Math.log10(high / low);
  // Steps by 1, 2, 5 in each decade, by decades where those are many, evenly where less than one.
  const values = decades < 1 ? scaleLinear([low, high], [0, 1]).ticks(wanted) : [];
  const leads = decades > wanted ? [1] : decades * 2 > wanted ? [1, 3] : [1, 2, 5];
  for (let power = Math.floor(Math.log10(low)); decades >= 1 && 10 ** power <= high; power++) {
    for (const lead of leads) values.push(lead * 10 ** power);
  }
  const label = (value: number) =>
    value >= 1e-3 && value < 1e5 ? String(Number(value.toPrecision(6))) : powerOfTen(value);
  const [bottom] = scale.range();
  return values
    .filter((value) => value >= low && value <= high && scale(value) >= bottom - 1e-9)
    .map((value) => ({ share: scale(value), label: label(value) }));
}

function powerOfTen(value: number): string {
  const [lead, exponent] = value.toExponential(0).split("e");
  const raised = [...String(Number(exponent))]
    .map((sign) => (sign === "-" ? "⁻" : "⁰¹²³⁴⁵⁶⁷⁸⁹"[Number(sign)]))
    .join("");
  return lead === "1" ? `10${raised}` : `${lead} × 10${raised}`;
}

const within = (value: number, [low, high]: [number, number]) =>
  value >= low - 1e-9 && value <= high + 1e-9;
