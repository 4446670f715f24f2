import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { devHost } from "../../dev/host.js";
import { mlp, vgg } from "../../dev/networks.js";
import { sceneBytes } from "../../dev/synthetic.js";
import type { Cut } from "../../src/logic/threshold.js";
import { createState } from "../../src/state/state.js";
import { hostIsDark, onHostTheme, type ThemeHost } from "../../src/ui/kit/theme.js";
import { anywidgetHost } from "../../src/wire/host.js";
import { createRequests } from "../../src/wire/requests.js";

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

describe("questions", () => {
  it("are refused at once when Python is gone, also those that were open", async () => {
    const host = devHost({ _scene: bytes }, false);
    const { ask, silent } = createRequests(host, new AbortController().signal);
    const open = ask({ kind: "tile" });
    host.losePython();
    await expect(open).rejects.toThrow("gone");
    await expect(ask({ kind: "tile" })).rejects.toThrow("gone");
    vi.advanceTimersByTime(10_000);
    expect(silent.value).toBe(false);
    expect(host.sent).toHaveLength(1);
  });
});

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
});

describe("requests", () => {
  it("match answers to questions, also when errors", async () => {
    const host = devHost({ _scene: bytes });
    const { ask } = createRequests(host, new AbortController().signal);
    const question = { kind: "matrix", link: 1, matrix: "adjacency" };
    const answers = Promise.allSettled([
      ask(question),
      ask({ ...question, kind: "tea" }),
      ask({ ...question, link: 2 }),
    ]);
    await vi.advanceTimersByTimeAsync(100);
    const [one, tea, two] = await answers;
    const ids = [one, two].map((a) => a.status === "fulfilled" && a.value.message.id);
    const asked = host.sent.map((sent) => (sent as { id: number }).id);
    expect(ids).toEqual([asked[0], asked[2]]);
    expect(new Set(asked).size).toBe(3);
    expect(tea.status === "rejected" && tea.reason.message).toContain("no answer to tea");
  });

  it("notice that nobody answers, and that somebody does again", async () => {
    const host = devHost({ _scene: bytes }, false);
    const { ask, silent } = createRequests(host, new AbortController().signal);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(silent.value).toBe(false);
    const answer = ask({ kind: "matrix" });
    await vi.advanceTimersByTimeAsync(3000);
    expect(silent.value).toBe(false);
    await vi.advanceTimersByTimeAsync(3000);
    expect(silent.value).toBe(true);
    host.receive({ kind: "matrix", id: (host.sent[0] as { id: number }).id });
    await answer;
    expect(silent.value).toBe(false);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(silent.value).toBe(false);
  });
});

describe("anywidget's model", () => {
  it("is listened to one event a call, and left clean", () => {
    const calls: string[] = [];
    const model = {
      get: (name: string) => name,
      on: (event: string) => void calls.push(`on ${event}`),
      off: (event: string) => void calls.push(`off ${event}`),
    };
    const controller = new AbortController();
    const host = anywidgetHost(model as never);
    host.on("threshold", () => {}, controller.signal);
    host.onMessage(() => {}, controller.signal);
    expect(calls).toEqual(["on change:threshold", "on msg:custom"]);
    controller.abort();
    expect(calls.slice(2)).toEqual(["off change:threshold", "off msg:custom"]);
    host.on("null", () => {}, controller.signal);
    expect(calls.length).toBe(4);
  });
});

describe("Python", () => {
  it("is gone once the channel of the widget's layout is dead, and the page learns it", () => {
    const heard = new Set<() => void>();
    const layout = {
      comm_live: true,
      on: (_: string, listener: () => void) => heard.add(listener),
      off: (_: string, listener: () => void) => heard.delete(listener),
    };
    const host = anywidgetHost({ get: () => layout } as never);
    const controller = new AbortController();
    const learnt = vi.fn();
    host.onPython(learnt, controller.signal);
    expect(host.python()).toBe("here");
    layout.comm_live = false;
    for (const listener of heard) listener();
    expect(learnt).toHaveBeenCalledTimes(1);
    expect(host.python()).toBe("gone");
    controller.abort();
    expect(heard.size).toBe(0);
  });

  it.each([undefined, null, "IPY_MODEL_x", {}])("is there where a host tells nothing: %s", (at) => {
    const host = anywidgetHost({ get: () => at } as never);
    host.onPython(() => {}, new AbortController().signal);
    expect(host.python()).toBe("here");
  });

  it("is part of the state", () => {
    const { host, state } = started();
    expect(state.python.value).toBe("here");
    host.losePython();
    expect(state.python.value).toBe("gone");
  });
});

describe("theme", () => {
  const element = (dataset = {}, classes: string[] = [], theme: string | null = null) => ({
    dataset,
    classList: { contains: (name: string) => classes.includes(name) },
    getAttribute: () => theme,
  });
  const hostOf = (body: unknown, root: unknown = element(), dark = false, query = {}) =>
    ({
      document: { body, documentElement: root },
      matchMedia: () => ({ matches: dark, ...query }),
    }) as unknown as ThemeHost;

  it.each([
    ["JupyterLab, dark", hostOf(element({ jpThemeLight: "false" }), element(), false), true],
    [
      "JupyterLab, light on a dark system",
      hostOf(element({ jpThemeLight: "true" }), element(), true),
      false,
    ],
    ["VS Code", hostOf(element({ vscodeThemeKind: "vscode-dark" })), true],
    [
      "VS Code, high contrast light",
      hostOf(element({ vscodeThemeKind: "vscode-high-contrast-light" }), element(), true),
      false,
    ],
    ["marimo", hostOf(element({}, ["dark"])), true],
    ["Colab", hostOf(element(), element({}, [], "dark")), true],
    ["a dark system", hostOf(element(), element(), true), true],
    ["nothing known", hostOf(element()), false],
  ])("follows %s", (_, host, dark) => expect(hostIsDark(host)).toBe(dark));

  it("stops following when the view ends", () => {
    let observers = 0;
    vi.stubGlobal(
      "MutationObserver",
      class {
        observe() {
          observers += 1;
        }
        disconnect() {
          observers = 0;
        }
      },
    );
    const query = new EventTarget();
    const heard = vi.fn();
    const controller = new AbortController();
    const host = hostOf(element());
    host.matchMedia = () => query as MediaQueryList;
    onHostTheme(host, heard, controller.signal);
    query.dispatchEvent(new Event("change"));
    expect(observers).toBe(2);
    controller.abort();
    query.dispatchEvent(new Event("change"));
    expect(observers).toBe(0);
    expect(heard).toHaveBeenCalledTimes(1);
  });
});
