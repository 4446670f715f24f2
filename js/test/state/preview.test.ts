import { describe, expect, it } from "vitest";
import { devHost } from "../../dev/host.js";
import { mlp } from "../../dev/networks.js";
import { createState } from "../../src/state/state.js";
import type { Bytes } from "../../src/wire/codec.js";
import { previewBytes } from "../support/previews.js";

function started(preview: Bytes | null, scene: Bytes | null = null) {
  const host = devHost({ _preview: preview, _scene: scene });
  return { host, state: createState(host, new AbortController().signal) };
}

describe("the preview", () => {
  it("is there until there is a scene", () => {
    const { host, state } = started(previewBytes());
    expect(state.scene.value).toBeNull();
    expect(state.preview.value?.exact).toBe(1);
    host.push("_scene", mlp(true));
    expect(state.preview.value).toBeNull();
    expect(state.early.scene.value).toBeNull();
  });

  it("is none beside a scene, and none where nothing was sent", () => {
    expect(started(previewBytes(), mlp(true)).state.preview.value).toBeNull();
    expect(started(null).state.preview.value).toBeNull();
  });

  it("gives a view columns and bands, and nothing that rests on tests", () => {
    const { host, state } = started(previewBytes());
    const { early } = state;
    expect(early.folding.value?.columns.map(({ name }) => name)).toEqual(["fc1", "fc2", "fc3"]);
    expect(early.bundles.value).toHaveLength(2);
    expect([...early.bundleWidths.value]).toEqual([2, 2]);
    expect(early.scale.value).toBe("linear");
    expect([early.cut.value, early.link.value, early.found.value]).toEqual([null, null, null]);
    early.chooseLink();
    early.select();
    expect(host.traits.selected_link).toBeNull();
    expect(host.traits.selected).toEqual([]);
  });

  it("keeps columns and camera as the next one comes", () => {
    const { host, state } = started(previewBytes());
    const before = state.early.folding.value;
    state.moveCamera([2, 0.5, 0.5]);
    host.push("_preview", previewBytes({ state: Uint8Array.of(2, 1, 2) }));
    expect(state.preview.value?.exact).toBe(2);
    expect(state.early.folding.value).toBe(before);
    expect(state.camera.value).toEqual([2, 0.5, 0.5]);
  });

  it("that cannot be read is a fault", async () => {
    const { state } = started(Uint8Array.of(1, 2, 3));
    expect(state.preview.value).toBeNull();
    await Promise.resolve();
    expect(state.fault.value?.message).toMatch(/container/);
  });
});
