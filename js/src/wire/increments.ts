// Tables of counts that rise from row to row, as Python packs them
// (svr_widget/widget/wire/increments.py): what each number gains on the one above it, a gain g as
// 2 g, a run of z zeros as 2 z + 1, in groups of seven bits with the lowest first.

/** Reads a table of `rows * columns` counts; an `Error` where the bytes hold another one. */
export function unpackIncrements(
  bytes: Uint8Array,
  rows: number,
  columns: number,
): Uint32Array<ArrayBuffer> {
  const counts = new Uint32Array(rows * columns);
  let at = 0;
  let next = 0;
  while (next < bytes.length) {
    let number = 0;
    let place = 1;
    let byte: number;
    do {
      byte = bytes[next++];
      number += (byte & 127) * place;
      place *= 128;
    } while (byte > 127);
    if (number % 2 === 1) at += (number - 1) / 2;
    else if (at < counts.length) counts[at++] = number / 2;
    else at++;
  }
  if (at !== counts.length) throw new Error(`the counts are ${at} numbers, not ${counts.length}`);
  for (let place = columns; place < counts.length; place++) {
    counts[place] += counts[place - columns];
  }
  return counts;
}
