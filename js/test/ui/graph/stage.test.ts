import { describe, expect, it } from "vitest";
import { layOut } from "../../../src/geometry/layout.js";
import { between } from "../../../src/ui/graph/stage.js";
import { checkpointScene } from "../../support/checkpoints.js";

describe("neurons from one checkpoint to the next", () => {
  const before = checkpointScene([3, 2, 1, 0.5], [0, 1, 2, -1]);
  const after = checkpointScene([4, 2.5, 1, 0.5], [2, 0, 3, -1]);

  it("move from where they were to where they will be", () => {
    const size = { width: 400, height: 300 };
    const margins = { top: 10, right: 10, bottom: 10, left: 10 };
    const [from, to] = [before, after].map((scene) =>
      layOut(scene, "linear", size, margins, undefined, undefined, [0.5, 4]),
    );
    const begin = between({ scene: before, layout: from }, { scene: after, layout: to }, 0);
    expect(begin.y[0]).toBe(from.y[2]);
    expect(begin.y[1]).toBe(from.y[0]);
    expect([...(begin.passage?.presence ?? [])]).toEqual([1, 1, 0, 0]);
    expect(begin.passage?.leaving.map(({ y, presence }) => [y, presence])).toEqual([
      [from.y[1], 1],
      [from.y[3], 1],
    ]);
    const half = between({ scene: before, layout: from }, { scene: after, layout: to }, 0.5);
    expect(half.y[0]).toBeCloseTo((from.y[2] + to.y[0]) / 2);
    expect(half.passage?.presence[2]).toBeCloseTo(0.5);
    const end = between({ scene: before, layout: from }, { scene: after, layout: to }, 1);
    to.y.forEach((y, at) => void expect(end.y[at]).toBeCloseTo(y, 9));
    expect(end.passage?.leaving.every(({ presence }) => presence === 0)).toBe(true);
    // A move that is cut short goes on from where it stands.
    const back = between({ scene: after, layout: half }, { scene: before, layout: from }, 0);
    expect(back.y[2]).toBeCloseTo(half.y[0]);
  });
});
