// Which rows of a very long list are seen. Browsers end an element at some 17 million pixels: a
// list that would be longer scrolls faster than the pointer, so that its end can be reached.

export const ROW_HEIGHT = 24;
export const TALLEST = 8_000_000;

export interface Rows {
  readonly first: number;
  /** One more than the last. */
  readonly end: number;
  /** Where the first stands, in pixels from the top of the scrolled content. */
  readonly top: number;
}

/** The height of the scrolled content. */
export const heightOf = (rows: number) => Math.min(TALLEST, rows * ROW_HEIGHT);

/** How many pixels of the list one pixel of scrolling moves. */
function pace(rows: number, viewport: number): number {
  const scrollable = heightOf(rows) - viewport;
  return scrollable > 0 ? (rows * ROW_HEIGHT - viewport) / scrollable : 1;
}

/** The rows seen, whole or in part. */
export function rowsSeen(rows: number, scrollTop: number, viewport: number): Rows {
  const from = Math.max(0, scrollTop) * pace(rows, viewport);
  const first = Math.max(0, Math.min(rows - 1, Math.floor(from / ROW_HEIGHT)));
  const end = Math.min(rows, Math.ceil((from + viewport) / ROW_HEIGHT));
  return { first, end: Math.max(first, end), top: scrollTop - (from - first * ROW_HEIGHT) };
}

/** How far to scroll, as little as it takes, to see a row whole. */
export function revealRow(rows: number, scrollTop: number, viewport: number, row: number): number {
  const at = pace(rows, viewport);
  const from = scrollTop * at;
  const wanted = Math.max(Math.min(from, row * ROW_HEIGHT), (row + 1) * ROW_HEIGHT - viewport);
  return wanted === from ? scrollTop : wanted / at;
}
