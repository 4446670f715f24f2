import { describe, expect, it } from "vitest";
import { deep, mlp, residual, vgg } from "../../dev/networks.js";
import { columnPositions, shapeOf } from "../../src/geometry/columns.js";
import {
  angleFor,
  beside,
  columnLabels,
  heightOfNames,
  shorten,
  shortenApart,
} from "../../src/geometry/labels.js";
import { cameraOf, layOut, moved, scaleOf, traitOf, WHOLE } from "../../src/geometry/layout.js";
import { createPath, tracePath } from "../../src/geometry/paths.js";
import { placeTip } from "../../src/geometry/placement.js";
import { readScene, type Scene, Y_SCALES } from "../../src/wire/scene.js";

const SIZE = { width: 800, height: 400 };
const MARGINS = { top: 10, right: 20, bottom: 40, left: 60 };
const branches = readScene(residual()) as Scene;
const chain = readScene(mlp(true)) as Scene;
const wide = readScene(vgg(3000)) as Scene;

describe("columns", () => {
  it("of a chain stand evenly from margin to margin", () => {
    expect([...layOut(chain, "linear", SIZE, MARGINS).x]).toEqual([60, 300, 540, 780]);
  });

  it("of parallel branches stand side by side, before the next depth", () => {
    const places = columnPositions(branches);
    expect(places[5] - places[3]).toBe(0.5);
    expect(places[4] - places[5]).toBe(1);
  });

  it("keep links apart: lines, arcs and loops", () => {
    const { folding } = layOut(branches, "linear", SIZE, MARGINS);
    const shape = (producer: number, consumer: number) => shapeOf(folding, { producer, consumer });
    expect(shape(0, 1)).toBe("line");
    expect(shape(2, 5)).toBe("line");
    expect(shape(0, 3)).toBe("arc");
    expect(shape(8, 6)).toBe("arc");
    expect(shape(8, 8)).toBe("loop");
  });
});

describe("moving a picture", () => {
  it("takes every column and neuron to where the other layout has it", () => {
    const before = layOut(branches, "log", SIZE, MARGINS, { zoom: 1.7, x: -130, y: -40 });
    const size = { width: 620, height: 500 };
    const after = layOut(branches, "log", size, MARGINS, { zoom: 5, x: -900, y: -1100 });
    const by = moved(before, after);
    if (!by) throw new Error("it can be moved");
    before.x.forEach((x, map) => {
      expect(by.x + by.across * x).toBeCloseTo(after.x[map], 6);
    });
    before.y.forEach((y, neuron) => {
      expect(by.y + by.down * y).toBeCloseTo(after.y[neuron], 6);
    });
  });

  it("is not possible to another scale", () => {
    const [log, rank] = (["log", "rank"] as const).map((scale) =>
      layOut(branches, scale, SIZE, MARGINS),
    );
    expect(moved(log, rank)).toBeNull();
  });
});

describe("the scale that is chosen", () => {
  /** Each map's name, kind and singular values. */
  const scene = (...columns: readonly (readonly [string, string, ...number[]])[]) => {
    const values = columns.map(([, , ...rest]) => rest);
    const maps = columns.map(([name, kind], at) => {
      const start = values.slice(0, at).flat().length;
      return { name, kind, start, neurons: values[at].length };
    });
    const singularValue = Float64Array.from(values.flat());
    return {
      maps,
      singularValue,
      isNull: new Uint8Array(singularValue.length),
    } as unknown as Scene;
  };

  it("is linear unless a kind would be squashed", () => {
    expect(scaleOf(scene(["a", "linear", 1, 2, 3], ["b", "convolution", 5, 9, 12]))).toBe("linear");
    expect(scaleOf(scene(["a", "linear", 1, 2, 3], ["b", "linear", 50, 90]))).toBe("linear");
    expect(scaleOf(scene(["a", "linear", 1, 2, 3], ["b", "convolution", 5, 11, 12]))).toBe("log");
    expect(scaleOf(scene(["a", "linear"], ["b", "convolution", 5]))).toBe("linear");
  });

  it("tells gates and heads from others of their kind, but not from each other", () => {
    const gates = scene(["hh[i]", "linear", 1, 1], ["hh[g]", "linear", 9, 9]);
    expect(scaleOf(gates)).toBe("log");
    const heads = scene(["a[QK.0]", "attention", 1], ["a[QK.1]", "attention", 9]);
    expect(scaleOf(heads)).toBe("linear");
  });

  it("is relative where logarithms would tell nothing apart", () => {
    expect(scaleOf(scene(["a", "linear", 1e-8, 2], ["b", "convolution", 50]))).toBe("relative");
  });
});

describe.each(Y_SCALES)("y scale %s", (scale) => {
  it("goes down as singular values fall, and stays in the plot", () => {
    for (const scene of [chain, branches, wide]) {
      const layout = layOut(scene, scale, SIZE, MARGINS);
      const { y } = layout;
      expect(Math.min(...y)).toBeGreaterThanOrEqual(MARGINS.top - 1e-9);
      expect(Math.max(...y)).toBeLessThanOrEqual(SIZE.height - MARGINS.bottom + 1e-9);
      for (const { start, neurons } of scene.maps) {
        const values = scene.singularValue.subarray(start, start + neurons);
        const rises = values.findIndex(
          (value, k) => k > 0 && value < values[k - 1] && !(y[start + k] > y[start + k - 1]),
        );
        expect(rises).toBe(-1);
      }
    }
  });

  it("has ticks that are in order, apart and true, zoomed or not", () => {
    for (const camera of [WHOLE, { zoom: 3, x: -400, y: -500 }, { zoom: 40, x: -9000, y: -9000 }]) {
      const layout = layOut(wide, scale, SIZE, MARGINS, camera);
      expect(layout.ticks.length).toBeLessThan(14);
      const heights = layout.ticks.map(({ y }) => y).sort((a, b) => a - b);
      for (let at = 1; at < heights.length; at++) {
        expect(heights[at] - heights[at - 1]).toBeGreaterThan(14);
      }
      if (scale !== "linear") continue;
      for (const { y, label } of layout.ticks) {
        const plain = (y - camera.y) / camera.zoom;
        const bottom = SIZE.height - MARGINS.bottom;
        const top = Math.max(...wide.singularValue) * 1.03;
        const value = ((bottom - plain) / (bottom - MARGINS.top)) * top;
        expect(value).toBeCloseTo(Number(label), 1);
      }
    }
  });
});

describe("paths", () => {
  it("begin and end in their neurons, arcs above or, backward, below the straight line", () => {
    const layout = layOut(branches, "linear", SIZE, MARGINS);
    const path = createPath();
    branches.links.forEach((link, index) => {
      const edge = link.start;
      const [m, n] = [branches.edgeM[edge], branches.edgeN[edge]];
      const { points, length } = tracePath(branches, layout, index, m, n, path);
      const from = [layout.x[link.producer], layout.y[branches.maps[link.producer].start + m]];
      const to = [layout.x[link.consumer], layout.y[branches.maps[link.consumer].start + n]];
      expect([points[0], points[1]]).toEqual(from);
      expect(points[length - 2]).toBeCloseTo(to[0], 9);
      expect(points[length - 1]).toBeCloseTo(to[1], 9);
      const half = 2 * Math.floor(length / 4);
      const shape = shapeOf(layout.folding, link);
      if (shape === "arc") {
        const away = points[half + 1] - (from[1] + to[1]) / 2;
        expect(Math.sign(away)).toBe(link.backward ? 1 : -1);
      } else if (shape === "loop") expect(points[half]).toBeGreaterThan(from[0] + 5);
    });
  });
});

describe("labels", () => {
  const measure = (text: string) => 6 * [...text].length;

  it("name every column, apart from each other, with their ends whole", () => {
    for (const many of [1, 3, 16, 60]) {
      for (const length of [2, 11, 40, 300]) {
        for (const width of [300, 800, 2000]) {
          const names = Array.from({ length: many }, (_, at) => `${"x".repeat(length)}${at}`);
          const gap = Math.max(16, (width - 80) / Math.max(1, many - 1));
          const x = names.map((_, at) => 40 + gap * at);
          const frame = [0, Math.max(width, 80 + gap * (many - 1))] as const;
          const angle = angleFor(names, x, frame, measure);
          const strip = heightOfNames(names, angle, 400);
          const labels = columnLabels(names, x, frame, angle, strip, measure);
          expect(labels.map(({ index }) => index)).toEqual([...names.keys()]);
          let taken = Number.NEGATIVE_INFINITY;
          for (const { index, text, at } of labels) {
            expect(text.endsWith(String(index))).toBe(true);
            const wide = measure(text);
            // Across its own lines a turned text is a line high; the lines lie this far apart.
            const across = angle === 0 ? wide / 2 : 7;
            const place = angle === 45 ? at * Math.SQRT1_2 : at;
            expect(place - across).toBeGreaterThanOrEqual(taken - 1);
            taken = place + across;
            const tall = angle === 0 ? 0 : angle === 45 ? (wide + 14) * Math.SQRT1_2 : wide;
            expect(tall).toBeLessThanOrEqual(strip);
          }
          if (angle === 0) expect(taken).toBeLessThanOrEqual(frame[1]);
        }
      }
    }
  });

  it("stand whole beneath columns that are close, however wide their letters are", () => {
    const wide = (text: string) =>
      [...text].reduce((sum, sign) => sum + (sign === "m" ? 11 : 7), 0);
    for (const names of [
      ["c_attn", "c_proj", "c_fc", "c_proj", "lm_head"],
      ["Linear 1", "Linear 2", "Linear 10"],
      ["conv1", "conv2", "downsample", "mmmmmmmm"],
    ]) {
      const x = names.map((_, at) => 100 + 30 * at);
      const angle = angleFor(names, x, [60, 300], wide);
      expect(angle).toBe(45);
      const strip = heightOfNames(names, angle, 300);
      const labels = columnLabels(names, x, [60, 300], angle, strip, wide);
      expect(labels.map(({ text }) => text)).toEqual(names);
    }
  });

  it("end above what is taken left of the frame, or right of it", () => {
    const names = ["embed_tokens", "layers.0", "lm_head"];
    const strip = heightOfNames(names, 45, 400);
    const labels = (first: number, corner: number) =>
      columnLabels(names, [first, 150, 196], [64, 700], 45, strip, measure, corner);
    const short = labels(104, 28);
    expect(short.map(({ text }) => text)).toEqual(["…tokens", "layers.0", "lm_head"]);
    for (const { text, at } of short) {
      const down = (measure(text) + 14) * Math.SQRT1_2;
      expect(at - measure(text) * Math.SQRT1_2 >= 64 || down <= strip - 28).toBe(true);
    }
    expect(labels(104, 0).map(({ text }) => text)).toEqual(names);
    expect(labels(130, 28).map(({ text }) => text)).toEqual(names);
  });

  it("stay level where a few far longer than the others are shortened", () => {
    const long = "embeddings.projection";
    const names = [long, "attention", "mlp", "attention", "mlp", "classifier"];
    const x = names.map((_, at) => 100 + 100 * at);
    const frame = [60, 660] as const;
    expect(angleFor(names, x, frame, measure)).toBe(0);
    const labels = columnLabels(names, x, frame, 0, 40, measure);
    expect(labels.map(({ text }) => text)).toEqual(["…projection", ...names.slice(1)]);
    const apart = x.map((place) => 3 * place);
    const whole = columnLabels(names, apart, [60, 2000], 0, 40, measure);
    expect(whole.map(({ text }) => text)).toEqual(names);
    expect(angleFor(Array(6).fill(long), x, frame, measure)).toBe(45);
  });

  it("of two keep what parts them", () => {
    const [from, to] = ["layer2.0.downsample.0", "layer3.0.downsample.0"];
    const both = (signs: number) => [
      shortenApart(from, to, 6 * signs, measure),
      shortenApart(to, from, 6 * signs, measure),
    ];
    expect(both(21)).toEqual([from, to]);
    expect(both(16)).toEqual(["layer2…nsample.0", "layer3…nsample.0"]);
    expect(both(6)).toEqual([shorten(from, 36, measure), shorten(to, 36, measure)]);
    expect(shortenApart("conv1", "conv1", 18, measure)).toBe(shorten("conv1", 18, measure));
  });

  it("pin the columns that stand just beside the frame", () => {
    expect(beside([10, 50, 200, 400], [60, 150])).toEqual([1, 2]);
    expect(beside([100, 120], [60, 150])).toEqual([null, null]);
  });

  it("lose parts of a path, those last that tell most", () => {
    const to = (text: string, signs: number) => shorten(text, 6 * signs, measure);
    expect(to("transformer.h.3.attn.c_proj", 22)).toBe("transformer.h.3…c_proj");
    expect(to("transformer.h.3.attn.c_proj", 21)).toBe("…h.3…c_proj");
    expect(to("transformer.h.3.attn.c_proj", 8)).toBe("…c_proj");
    expect(to("layer1.0.downsample.0", 15)).toBe("…0.downsample.0");
    expect(to("layer1.0.downsample.0", 13)).toBe("…downsample.0");
    expect(to("layer1.0.downsample.0", 11)).toBe("lay…ample.0");
    expect(to("features.28", 8)).toBe("fe…es.28");
    expect(to("layers.0.attention[QK.0]", 18)).toBe("…0.attention[QK.0]");
    expect(to("layers.0.attention[QK.0]", 17)).toBe("layers.0…[QK.0]");
    expect(to("layers.0.attention[QK.0]", 9)).toBe("…0…[QK.0]");
    expect(to("h.1.attn.c_attn[q]", 10)).toBe("h.1…[q]");
    expect(to("lm_head", 6)).toBe("…head");
    expect(to("h.3.pre_attention_norm", 16)).toBe("…attention_norm");
    expect(to("h.3.pre_attention_norm", 6)).toBe("…norm");
  });

  it("are cut in the middle, between graphemes", () => {
    expect(shorten("short", 100, measure)).toBe("short");
    expect(shorten("averyverylongname", 66, measure)).toBe("ave…ongname");
    expect(shorten("👩‍👩‍👧‍👦".repeat(9), 200, measure).replaceAll("👩‍👩‍👧‍👦", "")).toBe("…");
  });
});

describe("tooltips", () => {
  it("stay in the frame and off what they are about", () => {
    const frame = { width: 600, height: 300 };
    const box = { width: 220, height: 120 };
    for (let x = 0; x <= 600; x += 20) {
      for (let y = 0; y <= 300; y += 20) {
        const anchors = [
          { x, y },
          { x: Math.min(600, x + 60), y: Math.max(0, y - 40) },
        ];
        const tip = placeTip(box, frame, anchors, []);
        expect(tip.x).toBeGreaterThanOrEqual(0);
        expect(tip.y).toBeGreaterThanOrEqual(0);
        expect(tip.x + box.width).toBeLessThanOrEqual(frame.width);
        expect(tip.y + box.height).toBeLessThanOrEqual(frame.height);
        for (const point of anchors) {
          const over = point.x > tip.x && point.x < tip.x + box.width && point.y > tip.y;
          expect(over && point.y < tip.y + box.height).toBe(false);
        }
      }
    }
  });

  it("leave the side free where the highlighted edges are", () => {
    const obstacles = Array.from({ length: 50 }, (_, at) => ({ x: 300 + 4 * at, y: 150 - 2 * at }));
    const anchor = { x: 300, y: 150 };
    const tip = placeTip(
      { width: 150, height: 80 },
      { width: 700, height: 300 },
      [anchor],
      obstacles,
    );
    expect(tip.x + 150 <= 300 || tip.y >= 150).toBe(true);
  });
});

describe("deep networks", () => {
  const many = readScene(deep(60)) as Scene;

  it("keep their columns apart, and wider than the plot", () => {
    const layout = layOut(many, "linear", SIZE, MARGINS);
    const x = [...layout.x].sort((a, b) => a - b);
    const gaps = x.slice(1).map((at, index) => at - x[index]);
    expect(Math.min(...gaps)).toBeGreaterThanOrEqual(16 - 1e-9);
    expect(layout.plotWidth).toBeGreaterThan(SIZE.width);
    expect(x[0]).toBe(MARGINS.left);
    expect(x.at(-1)).toBeCloseTo(MARGINS.left + layout.plotWidth);
  });

  it("fit into a small picture that need not keep them apart", () => {
    const { x } = layOut(many, "linear", { width: 300, height: 44 }, MARGINS, WHOLE, 0);
    expect(Math.max(...x)).toBeCloseTo(300 - MARGINS.right);
  });
});

describe("a range that two graphs share", () => {
  it.each(["linear", "log"] as const)("puts equal values at equal heights: %s", (scale) => {
    const range = [0.001, 50] as const;
    const at = (scene: Scene) => layOut(scene, scale, SIZE, MARGINS, WHOLE, 24, range).ticks;
    const others = new Map(at(branches).map(({ label, y }) => [label, y]));
    expect(others.size).toBeGreaterThan(2);
    for (const { label, y } of at(chain)) expect(y).toBeCloseTo(others.get(label) as number);
  });

  it("never cuts off what a graph has of its own", () => {
    const layout = layOut(chain, "linear", SIZE, MARGINS, WHOLE, 24, [1, 1.5]);
    expect(Math.min(...layout.y)).toBeGreaterThanOrEqual(MARGINS.top);
  });
});

describe("the camera as a trait", () => {
  it("says which shares of the picture lie in the middle", () => {
    const layout = layOut(chain, "linear", SIZE, MARGINS);
    expect(traitOf(layout)).toEqual([1, 0.5, 0.5]);
    const camera = cameraOf(layout, [4, 1, 0]);
    const zoomed = layOut(chain, "linear", SIZE, MARGINS, camera);
    expect(zoomed.x.at(-1)).toBeCloseTo((MARGINS.left + SIZE.width - MARGINS.right) / 2);
  });

  it.each([[[1, 0.3, 0.5]], [[7.5, 0.01, 0.9]]] as [number, number, number][][])(
    "comes back from pixels as it was: %s",
    (trait) => {
      const layout = layOut(chain, "linear", SIZE, MARGINS);
      const back = traitOf({ ...layout, camera: cameraOf(layout, trait) });
      for (const [index, value] of back.entries()) expect(value).toBeCloseTo(trait[index], 12);
    },
  );
});
