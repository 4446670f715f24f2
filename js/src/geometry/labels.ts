// Texts that must fit and never overlap. Pure: how wide a text is comes from outside.

export type Measure = (text: string) => number;

/** How far names are turned: level, slanting upwards, or upright. */
export type Angle = 0 | 45 | 90;

export interface Label {
  /** Which of the given columns it belongs to. */
  readonly index: number;
  readonly text: string;
  /** Of a level one the middle; of a turned one where its end stands, beneath its column. */
  readonly at: number;
}

const GAP = 12;
/** A level name is never wider; a turned one is never longer, and never takes more of the height. */
const WIDEST = 160;
const LONGEST = 136;
const MOST_HEIGHT = 0.3;
/** Between the axis and the names, and what is kept beneath them. */
const ABOVE = 6;
const BELOW = 8;
const LINE = 16;
/** A turned name may reach so far into what is kept beneath before anything of it is left out. */
const LEEWAY = 6;
/** Slanting lines of text are this much closer than their columns. */
const SLANT = Math.SQRT1_2;

/** Of names far longer than most so much as most have: what is shortened needs no more room. */
export function usualParts(names: readonly string[]): string[] {
  const lengths = names.map(({ length }) => length).sort((a, b) => a - b);
  const most = Math.max(LEAST_USUAL, 1.5 * (lengths[Math.floor(0.75 * lengths.length)] ?? 0));
  return names.map((name) => name.slice(0, most));
}

const LEAST_USUAL = 10;

/** The names, those far longer than most shortened. */
const shortened = (names: readonly string[], measure: Measure) =>
  usualParts(names).map((part, at) => shorten(names[at], measure(part), measure));

/**
 * Level where all names fit side by side, a few long ones of them shortened if need be, else
 * slanting, else, where columns are close, upright.
 */
export function angleFor(
  names: readonly string[],
  x: ArrayLike<number>,
  frame: readonly [number, number],
  measure: Measure,
): Angle {
  if (areApart(names, x, frame, measure)) return 0;
  if (areApart(shortened(names, measure), x, frame, measure)) return 0;
  const places = [...names.keys()].map((index) => x[index]).sort((a, b) => a - b);
  const gaps = places.slice(1).map((place, at) => place - places[at]);
  return Math.min(...gaps) * SLANT >= LINE - 2 ? 45 : 90;
}

/** Whether texts under columns, moved into the frame, stand side by side with room between them. */
export function areApart(
  texts: readonly string[],
  x: ArrayLike<number>,
  frame: readonly [number, number],
  measure: Measure,
): boolean {
  let taken = frame[0] - GAP;
  return byPlace(texts, x).every((index) => {
    const width = measure(texts[index]);
    const center = within(x[index], width / 2, frame);
    const free = center - width / 2 >= taken + GAP;
    taken = center + width / 2;
    return free && width <= WIDEST;
  });
}

const byPlace = (texts: readonly string[], x: ArrayLike<number>) =>
  [...texts.keys()].sort((a, b) => x[a] - x[b]);

const within = (at: number, half: number, [low, high]: readonly [number, number]) =>
  Math.max(low + half, Math.min(high - half, at));

/** Pixels that a letter takes in wide fonts, a monospaced one among them; "m" and its like more. */
const LETTER = 7.3;
const CAPITAL = 9;
const WIDE = 12;

/** How wide a text may be, as if there were no fonts: another one changes no picture. */
function widthInAnyFont(text: string): number {
  const wide = text.match(/[mwMW@%]/g)?.length ?? 0;
  const capitals = text.match(/[A-LN-VX-Z]/g)?.length ?? 0;
  return LETTER * (text.length - wide - capitals) + WIDE * wide + CAPITAL * capitals;
}

/** The height that names need beneath the axis. */
export function heightOfNames(names: readonly string[], angle: Angle, height: number): number {
  if (angle === 0) return 2 * LINE + BELOW;
  const longest = Math.max(0, ...names.map(widthInAnyFont));
  const sine = angle === 45 ? SLANT : 1;
  const room = Math.min(longest, LONGEST) * sine + (angle === 45 ? LINE * SLANT : 0);
  return Math.ceil(Math.min(room, MOST_HEIGHT * height)) + ABOVE + BELOW;
}

/** The length that a turned name has in a strip of some height. */
export const lengthIn = (strip: number, angle: Angle) =>
  angle === 45 ? (strip - ABOVE - BELOW) / SLANT - LINE : strip - ABOVE - BELOW;

/**
 * The name of every column at `x` that is within the frame; `strip` is the height they have. Of it
 * `corner` at its bottom is taken left of the frame.
 */
export function columnLabels(
  names: readonly string[],
  x: ArrayLike<number>,
  frame: readonly [number, number],
  angle: Angle,
  strip: number,
  measure: Measure,
  corner = 0,
): Label[] {
  const order = byPlace(names, x).filter((index) => x[index] >= frame[0] && x[index] <= frame[1]);
  if (angle !== 0) {
    const length = lengthIn(strip, angle) + LEEWAY;
    // A slanting one ends above what is taken left of the frame, or right of it.
    const above = corner > 0 ? lengthIn(strip - corner, angle) : length;
    return order.map((index) => {
      const beside = angle === 45 ? (x[index] - frame[0]) / SLANT : length;
      const room = Math.min(length, Math.max(above, beside));
      return { index, text: shorten(names[index], room, measure), at: x[index] };
    });
  }
  const seen = (all: readonly string[]) => order.map((index) => all[index]);
  const places = order.map((index) => x[index]);
  const texts = areApart(seen(names), places, frame, measure) ? names : shortened(names, measure);
  let taken = frame[0] - GAP;
  return order.map((index) => {
    const text = texts[index];
    const half = measure(text) / 2;
    // One at the frame's edge moves in as far as the one before it leaves room.
    const inside = within(x[index], half, frame);
    const at = inside - half >= taken + GAP / 2 ? inside : x[index];
    taken = at + half;
    return { index, text, at };
  });
}

/** The columns beside the frame, nearest to it on either side, whose names are pinned to its edges. */
export function beside(
  x: ArrayLike<number>,
  [low, high]: readonly [number, number],
): readonly [left: number | null, right: number | null] {
  let [left, right]: [number | null, number | null] = [null, null];
  for (let index = 0; index < x.length; index++) {
    if (x[index] < low && (left === null || x[index] > x[left])) left = index;
    if (x[index] > high && (right === null || x[index] < x[right])) right = index;
  }
  return [left, right];
}

/** Paths of more parts than this are no module's. */
const MOST_PARTS = 24;
/** An end of fewer signs ("0") says nothing without what stands before it. */
const LEAST_END = 3;
/** Signs at the end of a text among which words are looked for. */
const MOST_WORDS = 200;

const segmenter = new Intl.Segmenter(undefined, { granularity: "grapheme" });

/**
 * The text, shortened to `room`. Of a module's path the end tells most, then the number of the
 * block that it stands in: "h.3…c_proj", "…downsample.0"; of a part in brackets the brackets tell
 * enough: "h.3…[QK.0]"; of words joined by "_" the last ones: "…head". Where all else is too wide,
 * the middle goes.
 */
export function shorten(text: string, room: number, measure: Measure): string {
  if (measure(text) <= room) return text;
  const shorter = [...shorterPaths(text), ...lastWords(text)];
  const fitting = shorter.find((path) => measure(path) <= room);
  if (fitting) return fitting;
  const signs = [...segmenter.segment(text)].map(({ segment }) => segment);
  const cut = (kept: number) => {
    const head = Math.floor(kept / 3);
    return `${signs.slice(0, head).join("")}…${signs.slice(signs.length - (kept - head)).join("")}`;
  };
  let low = 0;
  let high = Math.min(signs.length, 200);
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (measure(cut(middle)) <= room) low = middle;
    else high = middle;
  }
  return low === 0 ? "" : cut(low);
}

/** The text, shortened to `room`: what parts it from another one stays, and of the rest the end. */
export function shortenApart(text: string, other: string, room: number, measure: Measure): string {
  const plain = shorten(text, room, measure);
  if (text === other || plain !== shorten(other, room, measure)) return plain;
  let same = 0;
  while (text[same] === other[same]) same += 1;
  const head = `${text.slice(0, same + 1)}…`;
  for (let from = same + 2; from < text.length; from++) {
    const short = head + text.slice(from);
    if (measure(short) <= room) return short;
  }
  return plain;
}

/** The ends of a text of several words, from the longest on. */
function lastWords(text: string): string[] {
  const words = text.slice(-MOST_WORDS).split("_");
  const ends = words.slice(1).map((_, at) => words.slice(at + 1).join("_"));
  return ends.filter(({ length }) => length >= LEAST_END).map((end) => `…${end}`);
}

/** A path with parts left out, from the longest that keeps a number to the shortest end. */
function shorterPaths(text: string): string[] {
  const bracket = text.match(/.\[[^\][]*\]$/)?.[0].slice(1) ?? "";
  const parts = text.slice(0, text.length - bracket.length).split(".");
  if (parts.length < 2 || parts.length > MOST_PARTS) return [];
  let end = parts.length - 1;
  while (end > 0 && parts.slice(end).join(".").length + bracket.length < LEAST_END) end--;
  const tail = (from: number) => `${from > 0 ? "…" : ""}${parts.slice(from).join(".")}${bracket}`;
  const number = parts.slice(0, end).findLastIndex((part) => /^\d+$/.test(part));
  const heads = Array.from(
    { length: number + 1 },
    (_, from) => `${from > 0 ? "…" : ""}${parts.slice(from, number + 1).join(".")}`,
  );
  const numbered = heads.map(
    (head) => `${head}${number + 1 < end ? "…" : "."}${parts.slice(end).join(".")}${bracket}`,
  );
  const bracketed = bracket === "" ? [] : heads.map((head) => `${head}…${bracket}`);
  const ends = Array.from({ length: end }, (_, from) => tail(from + 1));
  return [...numbered, ...bracketed, ...ends];
}
