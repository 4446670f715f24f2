// Links as people and Python call them, and those to choose from. Pure.

import { entered, type Scene } from "./scene.js";

/** What is said in the place of a link where there is none; nothing where no scene is there yet. */
export const withoutLinks = (scene: Pick<Scene, "unlinked"> | null): string =>
  !scene
    ? ""
    : scene.unlinked
      ? "Which map feeds which is not known."
      : "This network has no links.";

/** Places among the scene's links: of a million of them in one array. */
export type Links = readonly number[] | Int32Array;

/** What is walked at each fold of all links, a million of them, in columns. */
export interface Ends {
  readonly producer: Uint32Array;
  readonly consumer: Uint32Array;
  readonly backward: Uint8Array;
  /** All but those by construction, in the order of the scene. */
  readonly tested: Int32Array;
}

const ends = new WeakMap<Scene["links"], Ends>();

export function endsOfAll(links: Scene["links"]): Ends {
  const known = ends.get(links);
  if (known) return known;
  const many = links.length;
  const [producer, consumer] = [new Uint32Array(many), new Uint32Array(many)];
  const backward = new Uint8Array(many);
  const tested = new Int32Array(many);
  let count = 0;
  for (let link = 0; link < many; link++) {
    const at = links[link];
    producer[link] = at.producer;
    consumer[link] = at.consumer;
    backward[link] = at.backward ? 1 : 0;
    if (!at.by_construction) tested[count++] = link;
  }
  const found = { producer, consumer, backward, tested: tested.subarray(0, count) };
  ends.set(links, found);
  return found;
}

/** Some links by a key below `many` of each; those with the same keep their order. */
export function sortedBy(some: Int32Array, keys: Uint32Array, many: number): Int32Array {
  const next = new Uint32Array(many + 1);
  for (let at = 0; at < some.length; at++) next[keys[some[at]] + 1] += 1;
  for (let key = 1; key < many; key++) next[key] += next[key - 1];
  const sorted = new Int32Array(some.length);
  for (let at = 0; at < some.length; at++) sorted[next[keys[some[at]]]++] = some[at];
  return sorted;
}

const sending = new WeakMap<Scene["links"], readonly number[]>();

/** The links of which edges were sent: of a transformer's those are few. */
export function linksWithEdges(links: Scene["links"]): readonly number[] {
  const known = sending.get(links);
  if (known) return known;
  const found: number[] = [];
  links.forEach(({ sent }, link) => {
    if (sent > 0) found.push(link);
  });
  sending.set(links, found);
  return found;
}

/** As in `svr.links`; the second, third... link between the same two maps adds 1, 2... */
export type LinkKey = readonly [string, string] | readonly [string, string, number];

/** A link to choose, which is several of the scene's where its entries follow several laws. */
export interface Choice {
  readonly map: number;
  readonly name: string;
  /** The links that it stands for. */
  readonly links: readonly number[];
}

export function linkKeyOf({ maps, links }: Scene, index: number): LinkKey {
  const at = links[index];
  const [producer, consumer] = [maps[at.producer].map, entered(maps[at.consumer].map, at)];
  return at.number === 0 ? [producer, consumer] : [producer, consumer, at.number];
}

/** The first of the scene's links that a key means; null where there is none. */
export function findLink({ maps, links }: Scene, key: LinkKey): number | null {
  const [producer, consumer, number = 0] = key;
  const found = links.findIndex(
    (at) =>
      at.number === number &&
      maps[at.producer].map === producer &&
      entered(maps[at.consumer].map, at) === consumer,
  );
  return found < 0 ? null : found;
}

/** Whether any two maps are joined by several links. */
export const hasParallels = ({ links }: Scene) => links.some(({ number }) => number > 0);

/** What a link ends in: the consumer, the side of it, and which of parallel links it is. */
export function endOf(scene: Scene, index: number): string {
  const at = scene.links[index];
  const name = entered(scene.maps[at.consumer].label, at);
  const which = whichOf(scene, index);
  return which === "" ? name : `${name}, ${which}`;
}

/** "link 1" among parallel ones, else nothing. */
export function whichOf(scene: Scene, index: number): string {
  const parallel = sameEnds(scene, index, true).some((other) => scene.links[other].number > 0);
  return parallel ? `link ${scene.links[index].number}` : "";
}

/** The links with the same ends: those of other laws, and with `any` those parallel to it. */
export function sameEnds({ links }: Scene, index: number, any = false): number[] {
  const { side, number } = links[index];
  const { producer, consumer } = endsOfAll(links);
  const found: number[] = [];
  for (let other = 0; other < links.length; other++) {
    if (producer[other] !== producer[index] || consumer[other] !== consumer[index]) continue;
    if (links[other].side !== side) continue;
    if (any || links[other].number === number) found.push(other);
  }
  return found;
}

/** How many entries of a link's matrix were tested, under whichever law. */
export const testsOf = (scene: Scene, index: number) =>
  sameEnds(scene, index).reduce((sum, at) => sum + scene.links[at].tests, 0);

/** The maps that links leave, in the order of the maps. */
export function producersOf({ maps, links }: Scene): Choice[] {
  const leaving = new Map<number, number[]>();
  links.forEach(({ producer }, index) => {
    const others = leaving.get(producer);
    if (others) others.push(index);
    else leaving.set(producer, [index]);
  });
  return [...leaving]
    .sort(([a], [b]) => a - b)
    .map(([map, links]) => ({ map, name: maps[map].label, links }));
}

/** What the links that leave a map end in, in the order of the maps; parallel ones apart. */
export function endsFrom(scene: Scene, producer: number): Choice[] {
  const found = new Map<string, { map: number; number: number; links: number[] }>();
  scene.links.forEach((link, index) => {
    if (link.producer !== producer) return;
    const key = `${link.consumer} ${link.side} ${link.number}`;
    const known = found.get(key);
    if (known) known.links.push(index);
    else found.set(key, { map: link.consumer, number: link.number, links: [index] });
  });
  return [...found.values()]
    .sort((a, b) => a.map - b.map || a.links[0] - b.links[0])
    .map(({ map, links }) => ({ map, name: endOf(scene, links[0]), links }));
}

/** The link out of another producer that stays nearest to this one: into the same map, if any is. */
export function linkFrom(scene: Scene, producer: number, now: number | null): number {
  const consumer = now === null ? null : scene.links[now].consumer;
  const ends = endsFrom(scene, producer);
  return (ends.find(({ map }) => map === consumer) ?? ends[0]).links[0];
}
