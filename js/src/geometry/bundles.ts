// The links between two columns, seen as one. A fold asks of a million links only which columns are
// joined: that is read off one bit for each two maps, so it costs what is seen, not what there is.

import { BACKWARD, columnsOf, type Links, sortedBy } from "../wire/links/columns.js";
import type { Scene } from "../wire/scene.js";
import { type Folding, shapeBetween, unfolded } from "./columns.js";

/** The links between two columns, or within one that is folded. */
export interface Bundle {
  readonly from: number;
  readonly to: number;
  /** In the order of the scene. */
  readonly links: Links;
}

/** All bundles, from left to right by where they begin, then by where they end. */
export interface Bundles extends Iterable<Bundle> {
  readonly length: number;
  readonly from: Uint32Array;
  readonly to: Uint32Array;
  at(index: number): Bundle;
  /** The place of the bundle between two columns; -1 where there is none. */
  between(from: number, to: number): number;
}

/** Which maps feed which: row by row, a producer a row, a bit a consumer. */
interface Joined {
  /** Words of a row. */
  readonly width: number;
  /** By links that are tested, which make bundles. */
  readonly tested: Uint32Array;
  /** By links of any kind that run with the flow of data, and against it. */
  readonly forward: Uint32Array;
  readonly backward: Uint32Array;
}

const joined = new WeakMap<Scene["links"], Joined>();

function joinedMaps({ maps, links }: Scene): Joined {
  const known = joined.get(links);
  if (known) return known;
  const { producer, consumer, flags, tested } = columnsOf(links);
  const width = Math.ceil(maps.length / 32);
  const empty = () => new Uint32Array(width * maps.length);
  const found = { width, tested: empty(), forward: empty(), backward: empty() };
  const mark = (bits: Uint32Array, link: number) => {
    bits[producer[link] * width + (consumer[link] >>> 5)] |= 1 << (consumer[link] & 31);
  };
  for (let link = 0; link < producer.length; link++) {
    mark(flags[link] & BACKWARD ? found.backward : found.forward, link);
  }
  for (const link of tested) mark(found.tested, link);
  joined.set(links, found);
  return found;
}

// How two columns are joined, as bits.
const TESTED = 1;
const FORWARD = 2;
const BACK = 4;

/** Gives each two columns that are joined, from left to right, and how. */
function forJoined(
  scene: Scene,
  { columns, columnOf }: Folding,
  use: (from: number, to: number, how: number) => void,
): void {
  const { width, ...joined } = joinedMaps(scene);
  const [tested, forward, back] = [0, 0, 0].map(() => new Uint32Array(width));
  const reached = new Uint8Array(columns.length);
  for (let from = 0; from < columns.length; from++) {
    for (const row of [tested, forward, back]) row.fill(0);
    for (const map of columns[from].maps) {
      for (let word = 0, at = map * width; word < width; word++, at++) {
        tested[word] |= joined.tested[at];
        forward[word] |= joined.forward[at];
        back[word] |= joined.backward[at];
      }
    }
    for (let word = 0; word < width; word++) {
      const [a, b, c] = [tested[word], forward[word], back[word]];
      for (let rest = a | b | c; rest !== 0; rest &= rest - 1) {
        const bit = 31 - Math.clz32(rest & -rest);
        const how = ((a >>> bit) & 1) | (((b >>> bit) & 1) << 1) | (((c >>> bit) & 1) << 2);
        reached[columnOf[32 * word + bit]] |= how;
      }
    }
    for (let to = 0; to < reached.length; to++) {
      if (reached[to] === 0) continue;
      use(from, to, reached[to]);
      reached[to] = 0;
    }
  }
}

/** Whether links bend above the data, those that skip columns, and below it, those that run back. */
export interface Bends {
  readonly above: boolean;
  readonly below: boolean;
}

interface OfFolding {
  readonly links: Scene["links"];
  readonly bends: Bends;
  readonly bundles: Bundles;
}

const known = new WeakMap<Folding, OfFolding>();

/** Checkpoints share foldings, each with its links. */
function ofFolding(scene: Scene, folding: Folding): OfFolding {
  const before = known.get(folding);
  if (before?.links === scene.links) return before;
  const many = folding.columns.length;
  const starts = new Uint32Array(many + 1);
  let ends = new Uint32Array(1024);
  let length = 0;
  let [above, below] = [false, false];
  const isArc = (from: number, to: number) => shapeBetween(folding, from, to) === "arc";
  forJoined(scene, folding, (from, to, how) => {
    if (how & TESTED) {
      if (length === ends.length) {
        const longer = new Uint32Array(2 * length);
        longer.set(ends);
        ends = longer;
      }
      ends[length++] = to;
      starts[from + 1] += 1;
    }
    // What is cheap to see comes first: this is asked of a million pairs.
    if (!below && (how & BACK || to < from)) below = isArc(from, to);
    if (!above && how & FORWARD && to > from) above = isArc(from, to);
  });
  const from = new Uint32Array(length);
  for (let column = 0; column < many; column++) {
    starts[column + 1] += starts[column];
    from.fill(column, starts[column], starts[column + 1]);
  }
  const bundles = new FoldedBundles(scene, folding, starts, from, ends.slice(0, length));
  const found = { links: scene.links, bends: { above, below }, bundles };
  known.set(folding, found);
  return found;
}

export const bends = (scene: Scene, folding: Folding = unfolded(scene)): Bends =>
  ofFolding(scene, folding).bends;

/** All links but those by construction. */
export const bundlesOf = (scene: Scene, folding: Folding): Bundles =>
  ofFolding(scene, folding).bundles;

class FoldedBundles implements Bundles {
  readonly length: number;
  /** The bundle whose links were looked up last: they are asked for several times in a row. */
  private last: { readonly index: number; readonly links: Int32Array } | null = null;

  constructor(
    private readonly scene: Scene,
    private readonly folding: Folding,
    /** Where the bundles out of each column begin. */
    private readonly starts: Uint32Array,
    readonly from: Uint32Array,
    readonly to: Uint32Array,
  ) {
    this.length = from.length;
  }

  at(index: number): Bundle {
    const linksAt = () => this.linksAt(index);
    return {
      from: this.from[index],
      to: this.to[index],
      get links() {
        return linksAt();
      },
    };
  }

  *[Symbol.iterator](): Iterator<Bundle> {
    const { links, starts } = this.sorted();
    for (let index = 0; index < this.length; index++) {
      const [from, to] = [this.from[index], this.to[index]];
      yield { from, to, links: links.subarray(starts[index], starts[index + 1]) };
    }
  }

  between(from: number, to: number): number {
    let [low, high] = [this.starts[from], this.starts[from + 1]];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.to[middle] < to) low = middle + 1;
      else high = middle;
    }
    return low < this.starts[from + 1] && this.to[low] === to ? low : -1;
  }

  private linksAt(index: number): Int32Array {
    if (this.last?.index === index) return this.last.links;
    const { producer, consumer, tested } = columnsOf(this.scene.links);
    const { columnOf } = this.folding;
    const [from, to] = [this.from[index], this.to[index]];
    const links = tested.filter(
      (link) => columnOf[producer[link]] === from && columnOf[consumer[link]] === to,
    );
    this.last = { index, links };
    return links;
  }

  /** All links bundle by bundle, and where those of each begin. */
  private sorted() {
    const { producer, consumer, tested } = columnsOf(this.scene.links);
    const { columnOf } = this.folding;
    const bundle = new Uint32Array(producer.length);
    const starts = new Uint32Array(this.length + 1);
    for (const link of tested) {
      bundle[link] = this.between(columnOf[producer[link]], columnOf[consumer[link]]);
      starts[bundle[link] + 1] += 1;
    }
    for (let at = 0; at < this.length; at++) starts[at + 1] += starts[at];
    return { links: sortedBy(tested, bundle, this.length), starts };
  }
}

/** Where there is no scene. */
export const NO_BUNDLES: Bundles = {
  length: 0,
  from: new Uint32Array(),
  to: new Uint32Array(),
  at: (index) => {
    throw new RangeError(`there is no bundle ${index}`);
  },
  between: () => -1,
  [Symbol.iterator]: () => [].values(),
};

/** The place of the bundle that a link is in; -1 for one by construction. */
export function bundleAt(scene: Scene, { columnOf }: Folding, bundles: Bundles, link: number) {
  const { producer, consumer, by_construction } = scene.links[link];
  return by_construction ? -1 : bundles.between(columnOf[producer], columnOf[consumer]);
}
