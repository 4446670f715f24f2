import { describe, expect, it } from "vitest";
import { mlp, tied } from "../../dev/networks.js";
import { byConstruction, constructedLinks } from "../../src/logic/format.js";
import { readScene, type Scene } from "../../src/wire/scene.js";

const sceneOf = (bytes: Uint8Array) => readScene(bytes) as Scene;

describe("links by construction in words", () => {
  it("are the identity, but not where a norm is folded into one end", () => {
    const words = byConstruction(sceneOf(tied()), 0);
    expect(words).toBe("one tensor at both ends: the identity by construction; outside the tests");
    const folded = byConstruction(sceneOf(tied(["layer_norm (norm), folded"])), 0);
    expect(folded).toContain("alike by construction");
    const ignored = byConstruction(sceneOf(tied(["layer_norm (norm), ignored"])), 0);
    expect(ignored).toBe(words);
  });

  it("are counted apart", () => {
    const scene = sceneOf(tied());
    expect(constructedLinks(scene)).toBe("1 link by construction");
    const twice = { ...scene, links: [...scene.links, scene.links[0]] };
    expect(constructedLinks(twice)).toBe("2 links by construction");
    expect(constructedLinks(sceneOf(mlp(true)))).toBe("");
    expect(scene.tests).toBe(scene.links[1].tests + scene.links[2].tests);
  });
});
