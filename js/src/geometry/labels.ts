// Texts that must fit and never overlap. Pure: how wide a text is comes from outside.

export type Measure = (text: string) => number;

export interface Label {
  /** Which of the given columns it belongs to. */
  readonly index: number;
  readonly text: string;
  readonly center: number;
}

const GAP = 12;
/** A name cut shorter than this says nothing; rather leave out every second one. */
const SHORTEST = 84;
const LONGEST = 160;

/** Labels for columns at `x`: all, or every second, third...; each within its room and the frame. */
export function thinLabels(
  names: readonly string[],
  x: ArrayLike<number>,
  frame: readonly [number, number],
  measure: Measure,
): Label[] {
  const order = names
    .map((_, index) => index)
    .filter((index) => x[index] >= frame[0] && x[index] <= frame[1])
    .sort((a, b) => x[a] - x[b]);
  const widths = new Map(order.map((index) => [index, Math.min(LONGEST, measure(names[index]))]));
  for (let stride = 1; stride <= order.length; stride++) {
    const shown = order.filter((_, position) => position % stride === 0);
    // The last column has its name in any case, at the cost of the one before it.
    if (shown.length > 1) shown.splice(-1, 1, order[order.length - 1]);
    const rooms = shown.map((index, position) => {
      const left = position > 0 ? x[index] - x[shown[position - 1]] : LONGEST + GAP;
      const right = position < shown.length - 1 ? x[shown[position + 1]] - x[index] : LONGEST + GAP;
      return Math.min(left, right) - GAP;
    });
    const fits = shown.every((index, position) => {
      return rooms[position] >= Math.min(widths.get(index) as number, SHORTEST);
    });
    if (!fits && stride < order.length) continue;
    const labels: Label[] = [];
    let taken = frame[0];
    for (const [position, index] of shown.entries()) {
      const text = shorten(names[index], Math.min(LONGEST, rooms[position]), measure);
      const half = measure(text) / 2;
      const center = Math.min(frame[1] - half, Math.max(frame[0] + half, x[index]));
      if (text === "" || center - half < taken) continue;
      labels.push({ index, text, center });
      taken = center + half + GAP / 2;
    }
    return labels;
  }
  return [];
}

/** Paths of more parts than this are no module's. */
const MOST_PARTS = 24;
/** An end of fewer signs ("0") says nothing without what stands before it. */
const LEAST_END = 3;

const segmenter = new Intl.Segmenter(undefined, { granularity: "grapheme" });

/**
 * The text, shortened to `room`. Of a module's path the end tells most, then the number of the
 * block that it stands in: "h.3…c_proj", "…downsample.0"; of a part in brackets the brackets tell
 * enough: "h.3…[QK.0]". Where all else is too wide, the middle goes.
 */
export function shorten(text: string, room: number, measure: Measure): string {
  if (measure(text) <= room) return text;
  const fitting = shorterPaths(text).find((path) => measure(path) <= room);
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
