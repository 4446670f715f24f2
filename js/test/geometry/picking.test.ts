import { describe, expect, it } from "vitest";
import { recurrent, resnet } from "../../dev/architectures.js";
import { mlp, residual } from "../../dev/networks.js";
import { randomFrom } from "../../dev/random.js";
import { type Layout, layOut } from "../../src/geometry/layout.js";
import { createPath, mayPass, tracePath } from "../../src/geometry/paths.js";
import { pickEdge, pickLink, pickNeuron } from "../../src/geometry/picking.js";
import { readScene, type Scene, Y_SCALES } from "../../src/wire/scene.js";

const SIZE = { width: 700, height: 380 };
const MARGINS = { top: 10, right: 20, bottom: 40, left: 60 };
const scenes = [readScene(mlp(true)) as Scene, readScene(residual()) as Scene];

function nearestNeuron(scene: Scene, layout: Layout, x: number, y: number): number {
  let nearest = Number.POSITIVE_INFINITY;
  scene.maps.forEach((map, index) => {
    for (let k = 0; k < map.neurons; k++) {
      nearest = Math.min(nearest, Math.hypot(layout.x[index] - x, layout.y[map.start + k] - y));
    }
  });
  return nearest;
}

/** The distance to an edge, by many points along it. */
function distance(scene: Scene, layout: Layout, link: number, edge: number, x: number, y: number) {
  const { points, length } = tracePath(
    scene,
    layout,
    link,
    scene.edgeM[edge],
    scene.edgeN[edge],
    createPath(),
  );
  let nearest = Number.POSITIVE_INFINITY;
  for (let at = 2; at < length; at += 2) {
    for (let share = 0; share <= 1; share += length / 4 / 200) {
      const px = points[at - 2] + (points[at] - points[at - 2]) * share;
      const py = points[at - 1] + (points[at + 1] - points[at - 1]) * share;
      nearest = Math.min(nearest, Math.hypot(px - x, py - y));
    }
  }
  return nearest;
}

describe("picking", () => {
  it.each(Y_SCALES)("finds the nearest neuron, y scale %s", (scale) => {
    const random = randomFrom(11);
    for (const scene of scenes) {
      const layout = layOut(scene, scale, SIZE, MARGINS);
      for (let trial = 0; trial < 400; trial++) {
        const column = layout.x[Math.floor(random() * layout.x.length)];
        const [x, y] = [column + (random() - 0.5) * 30, random() * SIZE.height];
        const picked = pickNeuron(scene, layout, x, y, 12);
        const nearest = nearestNeuron(scene, layout, x, y);
        if (nearest > 12) expect(picked).toBeNull();
        else if (nearest < 12 && picked) {
          const at = layout.y[scene.maps[picked.map].start + picked.k];
          expect(Math.hypot(layout.x[picked.map] - x, at - y)).toBeCloseTo(nearest, 9);
        } else expect(nearest).toBeCloseTo(12, 9);
      }
    }
  });

  it("takes the strongest of the drawn edges that are about as near as the nearest", () => {
    const random = randomFrom(12);
    for (const scene of scenes) {
      const layout = layOut(scene, "linear", SIZE, MARGINS);
      const drawn = scene.links.map(({ sent }) => Math.min(sent, 40));
      let found = 0;
      for (let trial = 0; trial < 40; trial++) {
        const [x, y] = [random() * SIZE.width, random() * SIZE.height];
        const all: { edge: number; away: number }[] = [];
        scene.links.forEach(({ start }, link) => {
          for (let edge = start; edge < start + drawn[link]; edge++) {
            all.push({ edge, away: distance(scene, layout, link, edge, x, y) });
          }
        });
        const nearest = Math.min(...all.map(({ away }) => away));
        const picked = pickEdge(scene, layout, drawn, x, y, 6);
        if (nearest > 6.05) expect(picked).toBeNull();
        if (!picked) continue;
        found++;
        expect(all.find(({ edge }) => edge === picked.edge)?.away).toBeLessThan(nearest + 1.6);
        for (const { edge, away } of all) {
          if (away < Math.min(nearest + 1.4, 5.95)) {
            expect(scene.edgeWeight[picked.edge]).toBeGreaterThanOrEqual(scene.edgeWeight[edge]);
          }
        }
      }
      expect(found).toBeGreaterThan(6);
    }
  });

  it("passes over no edge that is near, however its course bends", () => {
    const random = randomFrom(21);
    for (const bytes of [resnet(), recurrent()]) {
      const scene = readScene(bytes) as Scene;
      for (const camera of [undefined, { zoom: 6, x: -1500, y: -700 }]) {
        const layout = layOut(scene, "linear", SIZE, MARGINS, camera);
        for (let trial = 0; trial < 400; trial++) {
          const link = Math.floor(random() * scene.links.length);
          const edge = scene.links[link].start + Math.floor(random() * scene.links[link].sent);
          const [m, n] = [scene.edgeM[edge], scene.edgeN[edge]];
          const { points, length } = tracePath(scene, layout, link, m, n, createPath());
          const at = 2 * Math.floor((random() * length) / 2);
          const angle = 2 * Math.PI * random();
          const x = points[at] + 3.9 * Math.cos(angle);
          const y = points[at + 1] + 3.9 * Math.sin(angle);
          expect(mayPass(scene, layout, link, m, n, x, y, 4)).toBe(true);
        }
      }
    }
  });

  it("looks closely at few edges of many", () => {
    const scene = readScene(resnet()) as Scene;
    const layout = layOut(scene, "linear", SIZE, MARGINS);
    let [near, all] = [0, 0];
    scene.links.forEach(({ start, sent }, link) => {
      for (let edge = start; edge < start + sent; edge++, all++) {
        near += Number(
          mayPass(scene, layout, link, scene.edgeM[edge], scene.edgeN[edge], 350, 150, 4),
        );
      }
    });
    expect(near).toBeLessThan(all / 10);
  });

  it("between two columns finds their link, and nothing outside all of them", () => {
    const layout = layOut(scenes[0], "linear", SIZE, MARGINS);
    expect(pickLink(scenes[0], layout, (layout.x[1] + layout.x[2]) / 2)).toBe(1);
    expect(pickLink(scenes[0], layout, layout.x[0] - 5)).toBeNull();
  });
});
