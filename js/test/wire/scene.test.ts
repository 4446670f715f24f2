import { describe, expect, it } from "vitest";
import { nothing } from "../../dev/networks.js";
import { type Container, decode } from "../../src/wire/codec.js";
import { coloured, readScene, SceneError, sceneOf } from "../../src/wire/scene.js";

// biome-ignore lint/suspicious/noExplicitAny: the tests break what the types promise
type Loose = any;

function broken(change: (meta: Loose, arrays: Map<string, Loose>) => void): Container {
  const { meta, arrays } = decode(nothing());
  const copy = new Map(
    [...arrays].map(([name, { shape, data }]) => [name, { shape, data: data.slice() }]),
  );
  const loose = structuredClone(meta);
  change(loose, copy as Map<string, Loose>);
  return { meta: loose, arrays: copy };
}

describe("scene", () => {
  it("is null before anything was sent", () => {
    expect(readScene(null)).toBeNull();
    expect(readScene(new DataView(new ArrayBuffer(0)))).toBeNull();
  });

  it("reads maps, links and stops", () => {
    const scene = readScene(nothing());
    expect(scene?.maps.map(({ name }) => name)).toEqual(["layers.0", "layers.1", "layers.2"]);
    expect(scene?.tests).toBe(1800);
    expect(scene?.stops.exact.fdr.counts?.length).toBe(400 * 2);
    expect(scene?.largestWeight).toBe(Math.max(...(scene?.edgeWeight ?? [])));
  });

  it("calls columns as Python does, and by their names where it does not say", () => {
    const named = broken((meta) => {
      meta.shared = "layers.";
      meta.maps[1].label = "Linear 2";
    });
    const { maps, shared } = sceneOf(named);
    expect(shared).toBe("layers.");
    expect(maps.map(({ label }) => label)).toEqual(["layers.0", "Linear 2", "layers.2"]);
    expect(maps[1].name).toBe("layers.1");
  });

  it("is vivid by how sure it is that chance does not do it, or by the paper's intensity", () => {
    const log10p = new Float32Array(90).fill(Number.NaN);
    log10p.set([0, -1.5, -3, -20]);
    const scene = sceneOf(
      broken((_, arrays) => arrays.set("log10_p_adjusted", { shape: [90], data: log10p })),
    );
    expect([...scene.hue.subarray(0, 5)]).toEqual([0, 0.5, 1, 1, 0]);
    expect(coloured(scene, "chance")).toBe(scene);
    expect(coloured(scene, "paper").hue).toBe(scene.intensity);
  });

  it("of a version that knew the intensity only is coloured by it", () => {
    const scene = sceneOf(broken((_, arrays) => arrays.delete("log10_p_adjusted")));
    expect(scene.log10pAdjusted).toBeNull();
    expect(scene.hue).toBe(scene.intensity);
  });

  it.each<[string, (meta: Loose, arrays: Map<string, Loose>) => void]>([
    ["no maps", (meta) => delete meta.maps],
    ["a missing array", (_, arrays) => arrays.delete("intensity")],
    ["an array of another type", (_, arrays) => (arrays.get("null").data = new Float32Array(90))],
    ["an array of another length", (_, arrays) => (arrays.get("edge_m").data = new Uint32Array(1))],
    ["maps that overlap", (meta) => (meta.maps[1].start = 3)],
    ["neurons of no map", (meta) => (meta.maps[2].neurons = 29)],
    ["a link to no map", (meta) => (meta.links[0].consumer = 9)],
    ["edges beyond the end", (meta) => (meta.links[1].sent += 1)],
    ["an edge to no neuron", (_, arrays) => (arrays.get("edge_n").data[4] = 30)],
    ["edges out of order", (_, arrays) => (arrays.get("edge_weight").data[7] = 2)],
    ["no known law", (meta) => (meta.laws = ["guess"])],
    [
      "stops of another length",
      (_, arrays) => (arrays.get("stops_chi2_p_log10_p").data = new Float64Array(3)),
    ],
  ])("refuses %s", (_, change) => {
    expect(() => sceneOf(broken(change))).toThrow(SceneError);
  });

  it("refuses counts of another number of links once they are asked for", () => {
    const scene = sceneOf(
      broken((_, arrays) => (arrays.get("stops_chi2_p_counts").data = Uint8Array.of(3))),
    );
    expect(scene.stops.chi2.fdr.counts?.length).toBe(400 * 2);
    expect(() => scene.stops.chi2.p.counts).toThrow(SceneError);
  });
});
