import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { devHost } from "../../dev/host.js";
import { mlp, tied, vgg } from "../../dev/networks.js";
import { sceneBytes } from "../../dev/synthetic.js";
import type { Cut } from "../../src/logic/threshold.js";
import { createState } from "../../src/state/state.js";
import { createRequests } from "../../src/wire/requests.js";
import type { Scene } from "../../src/wire/scene.js";

const bytes = mlp(true);

beforeEach(() => void vi.useFakeTimers());
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

function started() {
  const host = devHost({ _scene: bytes });
  const controller = new AbortController();
  return { host, controller, state: createState(host, controller.signal) };
}

describe("state", () => {
  it("acts at once and is sent once, after a pause", () => {
    const { host, state } = started();
    const before = state.cut.value?.significant ?? 0;
    for (const level of [0.1, 0.2, 0.3]) state.setLevel(level);
    expect(state.cut.value?.significant).toBeGreaterThan(before);
    expect(host.traits.threshold).toBe(0.3);
    expect(host.saves).toBe(0);
    vi.advanceTimersByTime(1000);
    expect(host.saves).toBe(1);
  });

  it("is not undone by Python's late answer to a change of before", () => {
    const { host, state } = started();
    state.apply({ panes_width: 792, camera: [2, 0, 0] });
    vi.advanceTimersByTime(1000);
    state.apply({ panes_width: null, camera: null });
    host.push("panes_width", 792);
    host.push("camera", [2, 0, 0]);
    expect(state.panes_width.value).toBeNull();
    expect(state.camera.value).toBeNull();
    vi.advanceTimersByTime(1000);
    expect(host.saves).toBe(2);
    expect([host.traits.panes_width, host.traits.camera]).toEqual([null, null]);
  });

  it("follows what somebody else sets before it is sent", () => {
    const { host, state } = started();
    state.apply({ panes_width: 400 });
    vi.advanceTimersByTime(1000);
    state.apply({ panes_width: 500 });
    host.push("panes_width", 600);
    expect(state.panes_width.value).toBe(600);
    vi.advanceTimersByTime(1000);
    expect(host.traits.panes_width).toBe(600);
    host.push("panes_width", 400);
    expect(state.panes_width.value).toBe(400);
  });

  it("sends what is still waiting when the view ends, and nothing after", () => {
    const { host, controller, state } = started();
    state.setLevel(0.2);
    controller.abort();
    expect(host.saves).toBe(1);
    state.setLevel(0.4);
    vi.advanceTimersByTime(1000);
    expect(host.saves).toBe(1);
    expect(host.traits.threshold).toBe(0.2);
  });

  it("leaves no listener behind", () => {
    const { host, controller } = started();
    createRequests(host, controller.signal);
    expect(host.listening).toBeGreaterThan(10);
    controller.abort();
    expect(host.listening).toBe(0);
  });

  it("shows first the link with most beyond chance, and one by construction where it is chosen", () => {
    const state = createState(devHost({ _scene: tied() }), new AbortController().signal);
    expect(state.scene.value?.links[0].by_construction).toBe(true);
    const { links } = state.scene.value as Scene;
    const strongest = links.map((link) => link.strongest?.log10_p.exact ?? 0);
    const many = state.opening.value?.significantPerLink ?? new Uint32Array();
    expect(many[1] === many[2] ? strongest[2] < strongest[1] : many[2] > many[1]).toBe(true);
    expect(state.link.value).toBe(2);
    state.setLevel(1e-9);
    expect(state.link.value).toBe(2);
    state.chooseLink(0);
    expect(state.link.value).toBe(0);
    expect(state.selected_link.value).toEqual(["embed", "head"]);
  });

  it("follows another view of the same model", () => {
    const { host, state } = started();
    const other = createState(host, new AbortController().signal);
    other.setYScale("log");
    expect(state.y_scale.value).toBe("log");
  });

  it("gives back the level that a mode had, when one comes back to it", () => {
    const { state } = started();
    state.setMode("sigma");
    expect(state.threshold.value).toBeGreaterThan(2);
    state.setMode("fdr");
    expect(state.threshold.value).toBe(0.05);
  });

  it("knows neurons and links by name, and passes over those that are not there", () => {
    const { host, state } = started();
    host.push("selected", [
      ["fc2", 3],
      ["fc9", 0],
      ["fc1", 400],
    ]);
    expect(state.selectedNeurons.value).toEqual([{ map: 1, k: 3 }]);
    host.push("selected_link", ["fc2", "fc3"]);
    expect(state.link.value).toBe(1);
    host.push("selected_link", ["fc3", "fc2"]);
    expect(state.link.value).toBe(0);
    state.chooseLink(2);
    expect(host.traits.selected_link).toEqual(["fc3", "fc4"]);
  });

  it("takes the cut that Python told only for the level that is chosen", () => {
    const host = devHost({ _scene: vgg(6000), threshold_mode: "p", threshold: 0.4321 });
    const state = createState(host, new AbortController().signal);
    expect(state.cut.value?.exact).toBe(false);
    const told = { ...(state.cut.value as Cut), level: 0.4321, significant: 7, exact: true };
    state.toldCut.value = told;
    expect(state.cut.value?.significant).toBe(7);
    state.setLevel(0.4322);
    expect(state.cut.value).toMatchObject({ exact: false });
    state.setLevel(0.4321);
    state.setLaw("chi2");
    expect(state.cut.value).toMatchObject({ exact: false });
  });

  it("tells the query side of an attention head from its key side", () => {
    const { host, state } = started();
    const plan = { neurons: 3, value: (k: number) => 3 - k, intensity: () => 1 };
    const maps = [
      { ...plan, name: "wte", kind: "embedding", depth: 0 },
      { ...plan, name: "attn[QK.0]", kind: "attention", depth: 1 },
    ];
    const edges = [{ m: 0, n: 0, weight: 0.5 }];
    const links = (["q", "k"] as const).map((side) => ({
      producer: 0,
      consumer: 1,
      side,
      channels: 9,
      edges,
    }));
    host.push("_scene", sceneBytes("gpt", maps, links));
    host.push("selected_link", ["wte", "attn[QK.0].k"]);
    expect(state.link.value).toBe(1);
    state.chooseLink(0);
    expect(host.traits.selected_link).toEqual(["wte", "attn[QK.0].q"]);
  });

  it("shows a scene that cannot be read as a fault, and recovers", async () => {
    const { host, state } = started();
    host.push("_scene", Uint8Array.of(1, 2, 3));
    expect(state.scene.value).toBeNull();
    await Promise.resolve();
    expect(state.fault.value?.message).toMatch(/too few/);
    host.push("_scene", bytes);
    expect(state.scene.value?.model).toBe("mnist-mlp");
    await Promise.resolve();
    expect(state.fault.value).toBeNull();
  });

  it("has whether Python is there", () => {
    const { host, state } = started();
    expect(state.python.value).toBe("here");
    host.losePython();
    expect(state.python.value).toBe("gone");
  });
});
