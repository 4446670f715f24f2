// The difference of two networks painted: rings, edges by what became of them, neurons on top.

import type { Angle, Label } from "../../geometry/labels.js";
import type { Change, ChangedEdge, Differences } from "../../logic/differences.js";
import { css, kindColour, mix, type Palette, type Rgb } from "../../paint/palette.js";
import type { Scene } from "../../wire/scene.js";

export const RADIUS = 3.5;
/** More of a kind would be a haze; the legend says how many there are. */
export const MOST_DRAWN = 4000;

export interface Placed {
  readonly width: number;
  readonly height: number;
  /** Where each change stands. */
  readonly x: Float64Array;
  readonly y: Float64Array;
  readonly columns: readonly {
    readonly name: string;
    readonly label: string;
    /** The module that is folded here. */
    readonly module: number | null;
    /** How many columns are in it. */
    readonly columns: number;
    readonly x: number;
  }[];
  /** Modules that are open. */
  readonly brackets: readonly {
    readonly module: number;
    readonly name: string;
    readonly label: string;
    readonly columns: number;
    readonly left: number;
    readonly right: number;
    readonly row: number;
  }[];
  /** The height beneath the plot, of the strip of words in it, and of the part that names have. */
  readonly bottom: number;
  readonly strip: number;
  readonly namesHeight: number;
  readonly angle: Angle;
  /** The names beneath the columns, as far as there is room. */
  readonly labels: readonly Label[];
  readonly ticks: readonly { readonly y: number; readonly label: string }[];
}

export type EdgeFate = "kept" | "came" | "went";

export interface Painted {
  readonly at: Placed;
  readonly palette: Palette;
  readonly differences: Differences;
  readonly scene: Scene;
  readonly hidden: ReadonlySet<EdgeFate>;
  readonly pointed: number | null;
}

/** Whatever is drawn later lies on top. */
export const inks = ({ ink, accent, kinds }: Palette) => ({
  kept: { colour: ink, alpha: 0.12, dash: [] as number[], width: 1 },
  went: { colour: kinds.convolution ?? ink, alpha: 0.8, dash: [4, 3], width: 1.25 },
  came: { colour: accent, alpha: 0.8, dash: [] as number[], width: 1.25 },
});

/** A ring is a large disc beneath a smaller one. */
export const RINGS = [
  [RADIUS + 3, "ink"],
  [RADIUS + 1.75, "paper"],
] as const;

export function paintDifference(canvas: HTMLCanvasElement, painted: Painted): void {
  const { at, palette, differences, hidden, pointed } = painted;
  const ratio = window.devicePixelRatio || 1;
  canvas.width = Math.round(at.width * ratio);
  canvas.height = Math.round(at.height * ratio);
  const context = canvas.getContext("2d");
  if (!context) throw new Error("this browser gives no 2D canvas");
  context.scale(ratio, ratio);
  for (const [fate, { colour, alpha, dash, width }] of Object.entries(inks(palette))) {
    if (hidden.has(fate as EdgeFate)) continue;
    context.strokeStyle = css(colour, alpha);
    context.lineWidth = width;
    context.setLineDash(dash);
    strokeEdges(context, at, differences[fate as EdgeFate].slice(0, MOST_DRAWN));
  }
  context.setLineDash([]);
  if (pointed !== null) {
    context.strokeStyle = css(palette.ink);
    context.lineWidth = 1.5;
    const touching = ({ from, to }: ChangedEdge) => from === pointed || to === pointed;
    for (const fate of ["kept", "went", "came"] as const) {
      if (!hidden.has(fate)) strokeEdges(context, at, differences[fate].filter(touching));
    }
  }
  rings(context, painted);
  // The small changes first, so that the large ones lie on top.
  for (let index = differences.changes.length - 1; index >= 0; index--)
    dot(context, painted, index);
  if (pointed !== null) dot(context, painted, pointed);
}

function strokeEdges(
  context: CanvasRenderingContext2D,
  at: Placed,
  edges: readonly ChangedEdge[],
): void {
  context.beginPath();
  for (const { from, to } of edges) {
    if (at.x[from] === at.x[to]) continue; // within a folded module
    context.moveTo(at.x[from], at.y[from]);
    context.lineTo(at.x[to], at.y[to]);
  }
  context.stroke();
}

/** Beneath all neurons, so that where they crowd one line goes around. */
function rings(context: CanvasRenderingContext2D, { at, palette, differences }: Painted): void {
  for (const [radius, ink] of RINGS) {
    context.fillStyle = css(palette[ink]);
    differences.changes.forEach(({ ringed }, index) => {
      if (!ringed) return;
      context.beginPath();
      context.arc(at.x[index], at.y[index], radius, 0, 2 * Math.PI);
      context.fill();
    });
  }
}

function dot(context: CanvasRenderingContext2D, painted: Painted, index: number): void {
  const { at, palette, differences, pointed } = painted;
  const { rim, inside } = dotInk(painted, differences.changes[index]);
  const [x, y] = [at.x[index], at.y[index]];
  const circle = (radius: number) => {
    context.beginPath();
    context.arc(x, y, radius, 0, 2 * Math.PI);
  };
  if (index === pointed) {
    circle(RADIUS + 2.5);
    context.fillStyle = css(palette.paper);
    context.fill();
    context.strokeStyle = css(palette.accent);
    context.lineWidth = 1.5;
    context.stroke();
  }
  circle(RADIUS);
  context.fillStyle = css(inside);
  context.fill();
  if (rim === inside) return;
  context.strokeStyle = css(rim);
  context.lineWidth = RIM;
  context.stroke();
}

export const RIM = 1.25;

/** Faint where a neuron is in both, full where it is new, hollow where it is gone. */
export function dotInk(
  { palette, scene }: Pick<Painted, "palette" | "scene">,
  { fate, column }: Change,
): { readonly rim: Rgb; readonly inside: Rgb } {
  const hue = kindColour(palette, scene.maps[column].kind);
  if (fate === "gone") return { rim: hue, inside: palette.paper };
  const full = fate === "same" ? mix(palette.neutral, hue, 0.35) : hue;
  return { rim: full, inside: full };
}
