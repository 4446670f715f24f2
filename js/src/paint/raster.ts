// Draws many thin lines as density. Each line adds its optical depth, -ln(1 - alpha), to an
// accumulator; the tone curve 1 - exp(-depth) then gives the same alpha that stacked ink would,
// without the losses of 8-bit blending. The depth is kept in integers, so the sum is the same to
// the bit in whatever order the lines come, and a line can be taken away again.

/** Cells around the picture, so that a line's own width never leaves the array. */
export const MARGIN = 4;

export interface Accumulator {
  readonly width: number;
  readonly height: number;
  /** Cells in a row of `depth`. */
  readonly stride: number;
  /** Optical depth in units of 2^-19: integers, so that sums are exact in any order. */
  readonly depth: Int32Array<ArrayBuffer>;
}

/** Where lines wait to be summed with others and drawn: see faintLines.ts. */
export interface Waiting {
  /** What is added to the accumulator when they are: a line's ends go here. */
  layer(): Int32Array;
  /** Lines that are longer along x, and those that are longer along y. */
  readonly flat: Strips;
  readonly steep: Strips;
}

/** The lines of one orientation wait in strips across their major axis. */
export interface Strips {
  /** The first strip that begins at a cell or after it. */
  firstFrom(cell: number): number;
  /** How many strips end at a cell or before it. */
  endingBy(cell: number): number;
  /** The cell at which a strip begins. */
  startOf(strip: number): number;
  /**
   * Adds a line to those that wait, in the strips from `first` to before `last`. Its minor edge is at
   * `edge + slope * major` pixels, counted from within the margin; `amount` is what it adds to a
   * quarter of a pixel, in units of the accumulator.
   */
  add(edge: number, slope: number, amount: number, first: number, last: number): void;
}

/** Steps of a pixel across, of lines that wait: where one begins, it covers quarters of a pixel. */
export const QUARTERS = 4;

const UNIT = 2 ** 19;
const FRACTION = 65536;

export function createAccumulator(width: number, height: number): Accumulator {
  const stride = width + 2 * MARGIN;
  return { width, height, stride, depth: new Int32Array(stride * (height + 2 * MARGIN)) };
}

/** The optical depth at a pixel. */
export function depthAt({ stride, depth }: Accumulator, x: number, y: number): number {
  return depth[(y + MARGIN) * stride + x + MARGIN] / UNIT;
}

/** The optical depth of a single stroke of some opacity. */
export function opticalDepth(alpha: number): number {
  return -Math.log1p(-Math.min(alpha, 0.999));
}

/**
 * Adds a line `thickness` whole pixels wide, antialiased across its major axis. The same line with
 * the depth negated takes it away again, to the bit. Where `faint` is given, only the ends are added
 * at once; the rest waits there until it is drawn, at most OFF pixels from its place.
 *
 * Ends are cut off across the major axis, so the pieces of a polyline join without a seam.
 */
export function addLine(
  target: Accumulator,
  x0: number,
  y0: number,
  x1: number,
  y1: number,
  opticalDepth: number,
  thickness: number,
  faint?: Waiting,
): void {
  const { width, height, stride } = target;
  const steep = Math.abs(y1 - y0) > Math.abs(x1 - x0);
  // From here on "major" is the axis that is stepped along, "minor" the one across.
  let major0 = steep ? y0 : x0;
  let minor0 = steep ? x0 : y0;
  let major1 = steep ? y1 : x1;
  let minor1 = steep ? x1 : y1;
  if (major0 > major1) {
    [major0, major1] = [major1, major0];
    [minor0, minor1] = [minor1, minor0];
  }
  const length = major1 - major0;
  if (!(length > 0)) return;
  const slope = (minor1 - minor0) / length;
  const majorEnd = steep ? height : width;
  let from = Math.max(major0, 0);
  let to = Math.min(major1, majorEnd);
  // Keep the minor coordinate within a pixel of the picture.
  const low = -1;
  const high = (steep ? width : height) + 1;
  if (slope !== 0) {
    const near = major0 + (low - minor0) / slope;
    const far = major0 + (high - minor0) / slope;
    from = Math.max(from, Math.min(near, far));
    to = Math.min(to, Math.max(near, far));
  } else if (minor0 < low || minor0 > high) return;
  if (!(to > from)) return;

  const majorStride = steep ? stride : 1;
  const minorStride = steep ? 1 : stride;
  // Stepping along the major axis thins a diagonal; more depth keeps the ink per length.
  const sign = Math.sign(opticalDepth);
  const exact = Math.abs(opticalDepth) * UNIT * Math.sqrt(1 + slope * slope);
  const full = Math.round(exact);
  const first = Math.floor(from);
  const last = Math.min(Math.ceil(to), majorEnd) - 1;

  // The minor edge of the stroke at the first cell's centre, counted from within the margin so
  // that it is positive, in 1/65536 of a pixel. Cells that an end cuts count in part.
  const begin = minor0 + (first + 0.5 - major0) * slope - thickness / 2 + MARGIN;
  const step = Math.round(slope * FRACTION);
  let edge = Math.round(begin * FRACTION);
  let cell = (first + MARGIN) * majorStride;
  // The whole cells between two strips' borders wait to be summed with those of others.
  const strips = steep ? faint?.steep : faint?.flat;
  const firstStrip = strips ? strips.firstFrom(first + 1) : 0;
  const lastStrip = strips ? strips.endingBy(last) : 0;
  const isSummed = firstStrip < lastStrip;
  const depth = isSummed && faint ? faint.layer() : target.depth;
  const share = Math.min(first + 1, to) - from;
  stroke(depth, cell, 0, minorStride, edge, 0, sign * Math.round(full * share), 1, thickness);
  if (last === first) return;
  edge += step;
  cell += majorStride;
  let run = last - first - 1;
  if (strips && isSummed) {
    const start = minor0 - major0 * slope - thickness / 2 + MARGIN;
    const quarter = sign * Math.round(exact / QUARTERS);
    strips.add(start, slope, quarter, firstStrip, lastStrip);
    const before = strips.startOf(firstStrip) - first - 1;
    stroke(depth, cell, majorStride, minorStride, edge, step, sign * full, before, thickness);
    const until = strips.startOf(lastStrip) - first - 1;
    edge += until * step;
    cell += until * majorStride;
    run -= until;
  }
  stroke(depth, cell, majorStride, minorStride, edge, step, sign * full, run, thickness);
  edge += run * step;
  cell += run * majorStride;
  const end = sign * Math.round(full * (to - last));
  stroke(depth, cell, 0, minorStride, edge, 0, end, 1, thickness);
}

/**
 * The inner loop: in each cell along, the stroke's two outer pixels share what one would get.
 * Nearly all the time of a redraw goes here; the common thicknesses have loops of their own.
 */
function stroke(
  depth: Int32Array,
  start: number,
  majorStride: number,
  minorStride: number,
  startEdge: number,
  slope: number,
  full: number,
  cells: number,
  thickness: number,
): void {
  const amount = full | 0;
  // Rounds a negative part up, as the same positive one was rounded down.
  const upwards = amount < 0 ? 255 : 0;
  const across = minorStride | 0;
  let edge = startEdge | 0;
  let cell = start | 0;
  if (thickness === 1) {
    for (let count = cells | 0; count > 0; count--) {
      const part = (Math.imul(amount, (edge >> 8) & 255) + upwards) >> 8;
      const index = (cell + Math.imul(edge >> 16, across)) | 0;
      depth[index] = (depth[index] + amount - part) | 0;
      depth[index + across] = (depth[index + across] + part) | 0;
      edge = (edge + slope) | 0;
      cell = (cell + majorStride) | 0;
    }
    return;
  }
  for (let count = cells | 0; count > 0; count--) {
    const part = (Math.imul(amount, (edge >> 8) & 255) + upwards) >> 8;
    let index = (cell + Math.imul(edge >> 16, across)) | 0;
    depth[index] = (depth[index] + amount - part) | 0;
    for (let inner = thickness; inner > 1; inner--) {
      index = (index + across) | 0;
      depth[index] = (depth[index] + amount) | 0;
    }
    depth[index + across] = (depth[index + across] + part) | 0;
    edge = (edge + slope) | 0;
    cell = (cell + majorStride) | 0;
  }
}

const TONES = 4096;
const DEEPEST = 8;

/** Writes the accumulator as pixels of one ink, its alpha the tone curve 1 - exp(-depth). */
export function develop(
  { width, height, stride, depth }: Accumulator,
  ink: readonly [number, number, number],
  pixels: Uint32Array,
): void {
  const rgb = (ink[2] << 16) | (ink[1] << 8) | ink[0];
  const tones = new Uint32Array(TONES + 1);
  for (let tone = 0; tone <= TONES; tone++) {
    const alpha = Math.round(255 * -Math.expm1((-tone * DEEPEST) / TONES));
    tones[tone] = alpha === 0 ? 0 : ((alpha << 24) | rgb) >>> 0;
  }
  const scale = TONES / DEEPEST / UNIT;
  for (let y = 0; y < height; y++) {
    const row = (y + MARGIN) * stride + MARGIN;
    const out = y * width;
    for (let x = 0; x < width; x++) {
      const value = depth[row + x];
      if (value === 0) {
        pixels[out + x] = 0;
        continue;
      }
      const tone = value * scale + 0.5;
      pixels[out + x] = tones[tone > TONES ? TONES : tone | 0];
    }
  }
}

/** Stamps an antialiased disc of an opaque colour over what is there. */
export function addDisc(
  pixels: Uint32Array,
  width: number,
  height: number,
  x: number,
  y: number,
  radius: number,
  colour: readonly [number, number, number],
): void {
  const [red, green, blue] = colour;
  const opaque = ((255 << 24) | (blue << 16) | (green << 8) | red) >>> 0;
  const top = Math.max(0, Math.floor(y - radius - 0.5));
  const bottom = Math.min(height - 1, Math.ceil(y + radius));
  const left = Math.max(0, Math.floor(x - radius - 0.5));
  const right = Math.min(width - 1, Math.ceil(x + radius));
  const inside = Math.max(0, radius - 0.5) ** 2;
  const outside = (radius + 0.5) ** 2;
  for (let row = top; row <= bottom; row++) {
    const dy = row + 0.5 - y;
    for (let column = left; column <= right; column++) {
      const dx = column + 0.5 - x;
      const square = dx * dx + dy * dy;
      if (square >= outside) continue;
      const index = row * width + column;
      if (square <= inside) {
        pixels[index] = opaque;
        continue;
      }
      pixels[index] = over(pixels[index], red, green, blue, radius + 0.5 - Math.sqrt(square));
    }
  }
}

/** A colour of some coverage over a pixel, both with straight (not premultiplied) alpha. */
function over(under: number, red: number, green: number, blue: number, coverage: number): number {
  const below = ((under >>> 24) / 255) * (1 - coverage);
  const alpha = coverage + below;
  const mix = (ink: number, shift: number) =>
    Math.round((ink * coverage + ((under >>> shift) & 255) * below) / alpha);
  return (
    ((Math.round(alpha * 255) << 24) |
      (mix(blue, 16) << 16) |
      (mix(green, 8) << 8) |
      mix(red, 0)) >>>
    0
  );
}
