import { afterEach, describe, expect, it, vi } from "vitest";
import { devHost } from "../../../dev/host.js";
import { mlp } from "../../../dev/networks.js";
import { layOut } from "../../../src/geometry/layout.js";
import { createState } from "../../../src/state/state.js";
import { graphActions } from "../../../src/ui/graph/keyboard.js";
import type { Stage } from "../../../src/ui/graph/stage.js";
import { type Action, followKeys, keyOf } from "../../../src/ui/kit/keys.js";
import { widgetActions } from "../../../src/ui/toolbar/widgetKeys.js";
import type { View } from "../../../src/ui/view.js";
import type { Scene } from "../../../src/wire/scene.js";

const MARGINS = { top: 10, right: 20, bottom: 40, left: 90 };
const event = (key: string, more: object = {}) =>
  ({ key, target: null, defaultPrevented: false, preventDefault: vi.fn(), ...more }) as never;

class FakeElement {
  closest = () => null;
}

afterEach(() => void vi.unstubAllGlobals());

function started() {
  vi.stubGlobal("Element", FakeElement);
  for (const name of ["HTMLTextAreaElement", "HTMLSelectElement", "HTMLInputElement"]) {
    vi.stubGlobal(name, class extends FakeElement {});
  }
  const state = createState(devHost({ _scene: mlp(true) }), new AbortController().signal);
  let heard: (event: never) => void = () => {};
  const view = {
    state,
    listen: (_: unknown, __: string, listener: (event: never) => void) => {
      heard = listener;
    },
  } as unknown as View;
  const layout = layOut(state.scene.value as Scene, "linear", { width: 800, height: 400 }, MARGINS);
  const shown = { peek: () => layout };
  const stage = { layout: shown, settled: shown } as unknown as Stage;
  const viewHistory = { go: vi.fn() };
  const [search, help] = [vi.fn(), vi.fn()];
  const onGraph = graphActions(view, stage);
  const anywhere = widgetActions(view, viewHistory as never, search, help);
  const press = (actions: readonly Action[], key: string, more: object = {}) => {
    followKeys(view, {} as HTMLElement, actions);
    const pressed = event(key, more) as { preventDefault: ReturnType<typeof vi.fn> };
    heard(pressed as never);
    return pressed.preventDefault.mock.calls.length > 0;
  };
  return { state, onGraph, anywhere, press, viewHistory, search, help };
}

describe("keys", () => {
  it.each([
    ["a", {}, "a"],
    ["A", { shiftKey: true }, "A"],
    ["?", { shiftKey: true }, "?"],
    ["Enter", { shiftKey: true }, "Shift+Enter"],
    ["a", { metaKey: true }, "Mod+a"],
    ["ArrowLeft", { altKey: true }, "Alt+ArrowLeft"],
  ])("%s %o is named %s", (key, modifiers, name) => {
    expect(keyOf(event(key, modifiers))).toBe(name);
  });

  it("walk, select and add", () => {
    const { state, onGraph, press } = started();
    const at = () => (state.hover.value?.kind === "neuron" ? state.hover.value.neuron : null);
    press(onGraph, "ArrowRight");
    expect(at()).toEqual({ map: 0, k: 0 });
    press(onGraph, "ArrowDown");
    press(onGraph, "ArrowDown", { shiftKey: true });
    expect(at()).toEqual({ map: 0, k: 11 });
    press(onGraph, "Enter");
    press(onGraph, "ArrowUp");
    press(onGraph, "Enter", { shiftKey: true });
    expect(state.selectedNeurons.value).toEqual([
      { map: 0, k: 11 },
      { map: 0, k: 10 },
    ]);
    press(onGraph, "a", { ctrlKey: true });
    expect(state.selectedNeurons.value.length).toBe(40);
    press(onGraph, "ArrowRight");
    expect(at()?.map).toBe(1);
  });

  it("move the threshold, search, help and go through views from anywhere", () => {
    const { state, anywhere, press, viewHistory, search, help } = started();
    const before = state.cut.value?.significant ?? 0;
    press(anywhere, "]");
    expect(state.cut.value?.significant).toBeGreaterThan(before);
    press(anywhere, "[");
    press(anywhere, "[");
    expect(state.cut.value?.significant).toBeLessThanOrEqual(before);
    press(anywhere, "/");
    press(anywhere, "?", { shiftKey: true });
    press(anywhere, "ArrowLeft", { altKey: true });
    expect([search, help].map((called) => called.mock.calls.length)).toEqual([1, 1]);
    expect(viewHistory.go.mock.calls).toEqual([[-1]]);
  });

  it("Esc puts the lasso away first, then clears", () => {
    const { state, anywhere, press } = started();
    state.select([{ map: 1, k: 2 }]);
    state.filter.value = { words: "fc", exactly: false, kept: true };
    state.lasso.value = true;
    press(anywhere, "Escape");
    expect([state.lasso.value, state.selectedNeurons.value.length]).toEqual([false, 1]);
    press(anywhere, "Escape");
    expect([state.filter.value, state.selectedNeurons.value.length]).toEqual([null, 0]);
  });

  it("leave alone what is typed, what was used already and what means nothing here", () => {
    const { state, anywhere, press } = started();
    const before = state.threshold.value;
    const input = Object.assign(new HTMLInputElement(), { type: "text" });
    expect(press(anywhere, "]", { target: input })).toBe(false);
    expect(press(anywhere, "]", { target: new HTMLSelectElement() })).toBe(false);
    expect(press(anywhere, "]", { defaultPrevented: true })).toBe(false);
    const inDialog = Object.assign(new FakeElement(), { closest: () => ({}) });
    expect(press(anywhere, "Escape", { target: inDialog })).toBe(false);
    expect(press(anywhere, "q")).toBe(false);
    expect(press(anywhere, "]", { ctrlKey: true })).toBe(false);
    expect(state.threshold.value).toBe(before);
    expect(press(anywhere, "]", { target: Object.assign(input, { type: "range" }) })).toBe(true);
  });

  it("each do one thing", () => {
    const { onGraph, anywhere } = started();
    const keys = [...onGraph, ...anywhere].flatMap((action) => action.keys);
    expect(new Set(keys).size).toBe(keys.length);
  });
});
