// What lines on a picture should be, in float64: each by itself, nothing rounded, nothing summed
// before it is drawn.

export interface Stroke {
  readonly line: readonly [x0: number, y0: number, x1: number, y1: number];
  readonly depth: number;
}

/**
 * Row by row the depth of each pixel under lines antialiased across their major axis; and how deep
 * the lines are, in all, that come within a pixel of it.
 */
export function exactDepths(
  strokes: readonly Stroke[],
  width: number,
  height: number,
  thickness: number,
): { depths: Float64Array; near: Float64Array } {
  const depths = new Float64Array(width * height);
  const near = new Float64Array(width * height);
  for (const { line, depth } of strokes) {
    const [x0, y0, x1, y1] = line;
    const steep = Math.abs(y1 - y0) > Math.abs(x1 - x0);
    const [a, b] = steep
      ? [
          [y0, x0],
          [y1, x1],
        ]
      : [
          [x0, y0],
          [x1, y1],
        ];
    const [from, to] = a[0] < b[0] ? [a, b] : [b, a];
    const slope = (to[1] - from[1]) / (to[0] - from[0]);
    const [along, across] = steep ? [height, width] : [width, height];
    const begin = Math.max(0, Math.floor(from[0]));
    for (let cell = begin; cell < Math.min(along, to[0]); cell++) {
      const share = Math.min(cell + 1, to[0]) - Math.max(cell, from[0]);
      const low = from[1] + (cell + 0.5 - from[0]) * slope - thickness / 2;
      const ink = depth * Math.hypot(1, slope) * share;
      const first = Math.max(0, Math.floor(low) - 1);
      for (let pixel = first; pixel < Math.min(across, low + thickness + 1); pixel++) {
        const covered = Math.min(pixel + 1, low + thickness) - Math.max(pixel, low);
        const at = steep ? cell * width + pixel : pixel * width + cell;
        depths[at] += ink * Math.max(0, covered);
        near[at] += ink;
      }
    }
  }
  return { depths, near };
}

/** The alpha of each pixel, from 0 to 255. */
export const levelsOf = (depths: Float64Array): Float64Array =>
  depths.map((depth) => Math.round(255 * -Math.expm1(-depth)));
