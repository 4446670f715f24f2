// Links as Python packs them: columns of numbers, a row a link. Of a million links a whole object
// each would be most of what a page holds, and walking them most of what it does.

import { type Container, type Kind, type Reader, SceneError } from "../codec.js";
import type { CONTRACT } from "../contract.js";

type Law = (typeof CONTRACT.laws)[number];

export interface Link {
  readonly producer: number;
  readonly consumer: number;
  readonly through: readonly string[];
  readonly backward: boolean;
  /** One tensor at both ends: no test, and no edge of it is sent. Scenes of before do not say it. */
  readonly by_construction?: boolean;
  /** Into a head's product of queries and keys: which of the two reads. */
  readonly side: "q" | "k" | null;
  /** Which of the links between its two maps it is, from 0. */
  readonly number: number;
  /** Its edges are `start` to `start + sent`, by descending weight. */
  readonly start: number;
  readonly sent: number;
  readonly tests: number;
  /** Which of the scene's different laws its entries follow under chance. */
  readonly law: number;
  readonly mean: number;
  readonly strongest: StrongestEdge | null;
}

export interface StrongestEdge {
  readonly m: number;
  readonly n: number;
  readonly weight: number;
  readonly log10_p: Readonly<Record<Law, number>>;
}

/** Places among the scene's links: of a million of them in one array. */
export type Links = readonly number[] | Int32Array;

/** Numbers from 0, in as few bytes as the largest of them needs. */
export type Naturals =
  | Uint8Array<ArrayBuffer>
  | Uint16Array<ArrayBuffer>
  | Uint32Array<ArrayBuffer>;

/** Fractions as precise as Python sends them. */
export type Fractions = Float32Array<ArrayBuffer> | Float64Array<ArrayBuffer>;

/** What is walked of all links. */
export interface LinkColumns {
  readonly producer: Naturals;
  readonly consumer: Naturals;
  readonly number: Naturals;
  /** Bits: `BACKWARD`, `BY_CONSTRUCTION`, and the sides. */
  readonly flags: Naturals;
  readonly start: Uint32Array;
  readonly sent: Naturals;
  readonly tests: Naturals;
  readonly law: Naturals;
  /** All but those by construction, in the order of the scene. */
  readonly tested: Int32Array;
  /** Those by construction. */
  readonly tied: Int32Array;
  /** Those of which edges were sent: of a transformer's those are few. */
  readonly withEdges: Int32Array;
}

export const BACKWARD = 1;
export const BY_CONSTRUCTION = 2;
const SIDES = [
  [4, "q"],
  [8, "k"],
] as const;

const known = new WeakMap<readonly Link[], LinkColumns>();
const smallest = new WeakMap<readonly Link[], Partial<Record<Law, Fractions>>>();

/** The p-value of the strongest entry of each link, as log10; NaN of one that has none. */
export function leastP(links: readonly Link[], law: Law): Fractions {
  const perLaw = smallest.get(links) ?? {};
  smallest.set(links, perLaw);
  perLaw[law] ??= Float64Array.from(
    links,
    ({ strongest }) => strongest?.log10_p[law] ?? Number.NaN,
  );
  return perLaw[law];
}

/** Links in columns: as they came, or put together of a list of links. */
export function columnsOf(links: readonly Link[]): LinkColumns {
  const before = known.get(links);
  if (before) return before;
  const column = (value: (link: Link) => number) => Uint32Array.from(links, value);
  const bit = (side: Link["side"]) => SIDES.find(([, name]) => name === side)?.[0] ?? 0;
  const found = withChoices({
    producer: column(({ producer }) => producer),
    consumer: column(({ consumer }) => consumer),
    number: column(({ number }) => number),
    flags: column(
      ({ backward, by_construction, side }) =>
        (backward ? BACKWARD : 0) | (by_construction ? BY_CONSTRUCTION : 0) | bit(side),
    ),
    start: column(({ start }) => start),
    sent: column(({ sent }) => sent),
    tests: column(({ tests }) => tests),
    law: column(({ law }) => law),
  });
  known.set(links, found);
  return found;
}

type Choices = "tested" | "tied" | "withEdges";

function withChoices(columns: Omit<LinkColumns, Choices>): LinkColumns {
  const { flags, sent } = columns;
  const chosen = (choose: (link: number) => boolean) => {
    const found = new Int32Array(flags.length);
    let many = 0;
    for (let link = 0; link < found.length; link++) if (choose(link)) found[many++] = link;
    return found.slice(0, many);
  };
  return {
    ...columns,
    tested: chosen((link) => (flags[link] & BY_CONSTRUCTION) === 0),
    tied: chosen((link) => (flags[link] & BY_CONSTRUCTION) !== 0),
    withEdges: chosen((link) => sent[link] > 0),
  };
}

/** The links of which edges were sent. */
export const linksWithEdges = (links: readonly Link[]): Int32Array => columnsOf(links).withEdges;

/** Some links by a key below `many` of each; those with the same keep their order. */
export function sortedBy(some: Int32Array, keys: Uint32Array, many: number): Int32Array {
  const next = new Uint32Array(many + 1);
  for (let at = 0; at < some.length; at++) next[keys[some[at]] + 1] += 1;
  for (let key = 1; key < many; key++) next[key] += next[key - 1];
  const sorted = new Int32Array(some.length);
  for (let at = 0; at < some.length; at++) sorted[next[keys[some[at]]]++] = some[at];
  return sorted;
}

/** What the scene says of its links in words; scenes of before say all of it. */
interface SaidOfLinks {
  readonly links?: readonly Link[];
  readonly through?: readonly (readonly string[])[];
}

/** Links in columns of `svr_widget/widget/wire/links.py`; those of before are wider. */
const NATURALS: readonly Kind<Naturals>[] = [Uint8Array, Uint16Array, Uint32Array];
const FRACTIONS: readonly Kind<Fractions>[] = [Float32Array, Float64Array];

/** What the strongest edges are, and what else a link says in words. */
interface Details {
  readonly columns: LinkColumns;
  readonly through: Naturals;
  readonly words: readonly (readonly string[])[];
  readonly m: Naturals;
  readonly n: Naturals;
  readonly weight: Fractions;
  readonly log10p: Readonly<Record<Law, Fractions>>;
  readonly mean: Float64Array;
}

/** A row of the columns, read when it is asked for. */
class Row implements Link {
  constructor(
    private readonly of: Details,
    private readonly at: number,
  ) {}

  get producer() {
    return this.of.columns.producer[this.at];
  }
  get consumer() {
    return this.of.columns.consumer[this.at];
  }
  get through() {
    return this.of.words[this.of.through[this.at]] ?? [];
  }
  get backward() {
    return (this.of.columns.flags[this.at] & BACKWARD) !== 0;
  }
  get by_construction() {
    return (this.of.columns.flags[this.at] & BY_CONSTRUCTION) !== 0;
  }
  get side() {
    return SIDES.find(([bit]) => this.of.columns.flags[this.at] & bit)?.[1] ?? null;
  }
  get number() {
    return this.of.columns.number[this.at];
  }
  get start() {
    return this.of.columns.start[this.at];
  }
  get sent() {
    return this.of.columns.sent[this.at];
  }
  get tests() {
    return this.of.columns.tests[this.at];
  }
  get law() {
    return this.of.columns.law[this.at];
  }
  get mean() {
    return this.of.mean[this.law];
  }
  get strongest(): StrongestEdge | null {
    const { at } = this;
    if (this.tests === 0) return null;
    const { m, n, weight, log10p } = this.of;
    const log10_p = {} as Record<Law, number>;
    for (const law in log10p) log10_p[law as Law] = log10p[law as Law][at];
    return { m: m[at], n: n[at], weight: weight[at], log10_p };
  }
}

/** A link as an object of its own, which can be copied and sent to a worker. */
export const plainOf = (link: Link): Link => ({
  producer: link.producer,
  consumer: link.consumer,
  through: link.through,
  backward: link.backward,
  by_construction: link.by_construction ?? false,
  side: link.side,
  number: link.number,
  start: link.start,
  sent: link.sent,
  tests: link.tests,
  law: link.law,
  mean: link.mean,
  strongest: link.strongest,
});

/** The links, from the columns that svr_widget/widget/wire/links.py packs them in. */
export function readLinks(
  { arrays }: Container,
  meta: SaidOfLinks,
  laws: readonly Law[],
  column: Reader,
): readonly Link[] {
  if (!arrays.has("link_producer")) {
    if (!Array.isArray(meta.links)) throw new SceneError("the scene lists no links");
    return meta.links;
  }
  const producer = column("link_producer", NATURALS);
  const many = producer.length;
  const natural = (name: string) => column(`link_${name}`, NATURALS, many);
  const sent = natural("sent");
  const start = new Uint32Array(many);
  for (let link = 1; link < many; link++) start[link] = start[link - 1] + sent[link - 1];
  const columns = withChoices({
    ...{ producer, start, sent },
    consumer: natural("consumer"),
    number: natural("number"),
    flags: natural("flags"),
    tests: natural("tests"),
    law: natural("law"),
  });
  const p = laws.map((law) => [law, column(`link_log10_p_${law}`, FRACTIONS, many)] as const);
  return rowsOf({
    columns,
    through: natural("through"),
    words: meta.through ?? [],
    m: natural("m"),
    n: natural("n"),
    weight: column("link_strongest", FRACTIONS, many),
    log10p: Object.fromEntries(p) as Details["log10p"],
    mean: column("law_mean", Float64Array),
  });
}

/** The links of a preview, of which no more is known than which maps they join. */
export function readEnds(column: Reader): readonly Link[] {
  const producer = column("link_producer", NATURALS);
  const many = producer.length;
  const none = new Uint8Array(many);
  const columns = withChoices({
    producer,
    consumer: column("link_consumer", NATURALS, many),
    flags: column("link_flags", NATURALS, many),
    ...{ number: none, sent: none, tests: none, law: none },
    start: new Uint32Array(many),
  });
  const mean = new Float64Array(1);
  const log10p = {} as Details["log10p"];
  return rowsOf({
    columns,
    through: none,
    words: [],
    m: none,
    n: none,
    weight: mean,
    log10p,
    mean,
  });
}

function rowsOf(details: Details): readonly Link[] {
  const { columns } = details;
  const rows = new Array<Link>(columns.producer.length);
  for (let at = 0; at < rows.length; at++) rows[at] = new Row(details, at);
  known.set(rows, columns);
  smallest.set(rows, ofTested(details));
  return rows;
}

/** Where nothing is tested the column has a number, too, which means nothing. */
function ofTested({ columns: { tests }, log10p }: Details): Partial<Record<Law, Fractions>> {
  const masked = Object.entries(log10p).map(([law, column]) => [
    law,
    tests.includes(0)
      ? column.map((value, link) => (tests[link] > 0 ? value : Number.NaN))
      : column,
  ]);
  return Object.fromEntries(masked);
}
