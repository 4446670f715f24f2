// What stands where, and who may import whom: the plan of the house, kept by a test.

import { readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { expect, it } from "vitest";

const SRC = join(import.meta.dirname, "../src");
const MOST_ENTRIES = 12;

/** From the roof down: a room imports from rooms of lower floors only, and from itself. */
const FLOORS = [
  ["index.ts", "page"],
  ["ui/widget.ts", "ui/comparison"],
  ["ui/toolbar", "ui/panes", "ui/tour"],
  ["ui/graph", "ui/matrix", "ui/footer"],
  ["ui/status"],
  ["ui/kit"],
  ["ui/view.ts"],
  ["state", "export"],
  ["logic", "paint"],
  ["geometry"],
  ["wire"],
];
/** Rooms that can be run without a page; `paint/gpu` is handed a canvas, requests have signals. */
const PURE = /^(wire|geometry|logic|paint)\/(?!gpu\/)/;
const OF_A_PAGE = /\b(document|window|HTML\w*Element)\b/;

const everything = readdirSync(SRC, { recursive: true, encoding: "utf8" });
const files = everything.filter((name) => name.endsWith(".ts")).sort();
const textOf = (file: string) => readFileSync(join(SRC, file), "utf8");
/** The code without its comments, which may speak of anything. */
const codeOf = (file: string) => textOf(file).replace(/\/\*[\s\S]*?\*\/|^\s*\/\/.*$/gm, "");
const importsOf = (file: string) =>
  [...textOf(file).matchAll(/(?:from|import\()\s*"(\.[^"]+)"/g)].map(([, path]) =>
    join(dirname(file), path).replace(/\.js$/, ".ts"),
  );
const graph = new Map(files.map((file) => [file, importsOf(file)]));
const floorOf = (file: string) =>
  FLOORS.findIndex((rooms) => rooms.some((room) => file === room || file.startsWith(`${room}/`)));
const roomOf = (file: string) =>
  FLOORS.flat().find((room) => file === room || file.startsWith(`${room}/`));

it("has a floor for every file", () => {
  expect(files.filter((file) => floorOf(file) < 0)).toEqual([]);
});

it("imports downwards only", () => {
  const wrong = [...graph].flatMap(([file, targets]) =>
    targets
      .filter((to) => roomOf(to) !== roomOf(file) && floorOf(to) <= floorOf(file))
      .map((to) => `${file} -> ${to}`),
  );
  expect(wrong).toEqual([]);
});

it("has no circle of files, types included", () => {
  const done = new Set<string>();
  const circles: string[] = [];
  const visit = (file: string, way: readonly string[]) => {
    if (way.includes(file)) circles.push([...way.slice(way.indexOf(file)), file].join(" -> "));
    if (done.has(file) || way.includes(file)) return;
    for (const next of graph.get(file) ?? []) visit(next, [...way, file]);
    done.add(file);
  };
  for (const file of files) visit(file, []);
  expect(circles).toEqual([]);
});

it("knows no page and no signal in the pure rooms", () => {
  const pure = files.filter((file) => PURE.test(file));
  expect(pure.filter((file) => OF_A_PAGE.test(codeOf(file)))).toEqual([]);
  const signals = pure.filter((file) => codeOf(file).includes("@preact/signals-core"));
  expect(signals).toEqual(["wire/requests.ts"]);
});

it(`has at most ${MOST_ENTRIES} entries in a folder`, () => {
  const entries = new Map<string, number>();
  for (const path of everything) {
    entries.set(dirname(path), (entries.get(dirname(path)) ?? 0) + 1);
  }
  expect([...entries].filter(([, many]) => many > MOST_ENTRIES)).toEqual([]);
});
