// Links as people and Python call them, and those to choose from. Pure.

import type { Scene } from "../scene.js";
import { columnsOf, type Link } from "./columns.js";

/** What is said in the place of a link where there is none; nothing where no scene is there yet. */
export const withoutLinks = (scene: Pick<Scene, "unlinked"> | null): string =>
  !scene
    ? ""
    : scene.unlinked
      ? "Which map feeds which is not known."
      : "This network has no links.";

/** As in `svr.links`; the second, third... link between the same two maps adds 1, 2... */
export type LinkKey = readonly [string, string] | readonly [string, string, number];

/** A link to choose, which is several of the scene's where its entries follow several laws. */
export interface Choice {
  readonly map: number;
  readonly name: string;
  /** The links that it stands for. */
  readonly links: readonly number[];
}

/** What the end of a link is called whose consumer is called `name`, as `svr.links` calls it. */
export const entered = (name: string, { side }: Pick<Link, "side">): string =>
  side === null ? name : `${name}.${side}`;

export function linkKeyOf({ maps, links }: Scene, index: number): LinkKey {
  const at = links[index];
  const [producer, consumer] = [maps[at.producer].map, entered(maps[at.consumer].map, at)];
  return at.number === 0 ? [producer, consumer] : [producer, consumer, at.number];
}

/** The first of the scene's links that a key means; null where there is none. */
export function findLink({ maps, links }: Scene, key: LinkKey): number | null {
  const [name, end, which = 0] = key;
  const { producer, consumer, number } = columnsOf(links);
  const sends = maps.map(({ map }) => map === name);
  const reads = maps.map(({ map }) => end.startsWith(map));
  for (let at = 0; at < links.length; at++) {
    if (number[at] !== which || !sends[producer[at]] || !reads[consumer[at]]) continue;
    if (entered(maps[consumer[at]].map, links[at]) === end) return at;
  }
  return null;
}

/** Whether any two maps are joined by several links. */
export const hasParallels = ({ links }: Pick<Scene, "links">) =>
  columnsOf(links).number.some((number) => number > 0);

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
  const { producer, consumer } = columnsOf(links);
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
  const leaving: number[][] = maps.map(() => []);
  columnsOf(links).producer.forEach((map, link) => void leaving[map].push(link));
  return leaving.flatMap((links, map) =>
    links.length > 0 ? { map, name: maps[map].label, links } : [],
  );
}

/** What the links that leave a map end in, in the order of the maps; parallel ones apart. */
export function endsFrom(scene: Scene, producer: number): Choice[] {
  const found = new Map<string, { map: number; number: number; links: number[] }>();
  columnsOf(scene.links).producer.forEach((from, index) => {
    if (from !== producer) return;
    const link = scene.links[index];
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
