import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { devHost } from "../../dev/host.js";
import { BEAT, createPlayback } from "../../src/state/playback.js";
import { createState } from "../../src/state/state.js";
import { type Bytes, type Data, encode, type Tensor } from "../../src/wire/codec.js";
import { checkpointBytes } from "../support/checkpoints.js";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

function history(steps: number[]): Uint8Array {
  const one = (data: Data, ...shape: number[]): Tensor => ({ data, shape });
  const many = steps.length;
  return encode(
    { steps, labels: steps.map(() => ""), columns: ["fc"], metrics: ["loss"], notes: [] },
    new Map<string, Tensor>([
      ["leading", one(Float32Array.from(steps), many, 1, 1)],
      ["born", one(new Uint32Array(many), many)],
      ["died", one(new Uint32Array(many), many)],
      ["metric_0", one(new Float64Array(many), many)],
    ]),
  );
}

function started(steps: number[], ask: Parameters<typeof createState>[2] = null) {
  const scenes = new Map(
    steps.map((step, at) => [step, checkpointBytes([at + 2, 1], at % 2 ? [1, 0] : [0, 1])]),
  );
  const host = devHost({
    _scene: scenes.get(steps[steps.length - 1]) as Bytes,
    _timeline: history(steps),
    _frames: null,
    step: steps[steps.length - 1],
    following: true,
    panes: [],
  });
  const controller = new AbortController();
  const state = createState(host, controller.signal, ask);
  const { playback } = state;
  if (!playback) throw new Error("no playback");
  const push = (step: number) =>
    host.receive({ kind: "frame", step }, [scenes.get(step) as Uint8Array]);
  return { host, controller, state, playback, push, scenes };
}

describe("playback", () => {
  it("is none for a widget of one graph", () => {
    expect(createState(devHost({}), new AbortController().signal).playback).toBeNull();
  });

  it("shows what was pushed, and keeps the last picture until a scene has come", () => {
    const { state, playback, push } = started([0, 10, 20]);
    push(0);
    playback.seek(0);
    expect(playback.shown.value).toBe(0);
    expect(state.scene.value?.singularValue[0]).toBe(2);
    playback.seek(1);
    expect([playback.wanted.value, playback.shown.value]).toEqual([10, 0]);
    push(10);
    expect(playback.shown.value).toBe(10);
  });

  it("asks for what is missing, and for the next ones ahead", async () => {
    const asked: unknown[] = [];
    const { playback } = started([0, 10, 20, 30], async (question) => {
      asked.push(question.step);
      return { message: {}, buffers: [checkpointBytes([2, 1], [0, 1])] };
    });
    playback.seek(0);
    await vi.advanceTimersByTimeAsync(10);
    expect(asked).toEqual([30, 0, 10, 20]);
    expect(playback.shown.value).toBe(0);
  });

  it("stays at the newest where Python tells its step before the checkpoints", () => {
    const { host, playback } = started([0, 10, 20]);
    host.push("step", 30);
    expect(playback.place.value).toBe(2);
    playback.moveBy(-1);
    expect([playback.wanted.value, playback.following.value]).toEqual([10, false]);
    host.push("_timeline", history([0, 10, 20, 30]));
    expect([playback.wanted.value, playback.place.value]).toEqual([10, 1]);
  });

  it("says why a scene cannot be had", async () => {
    const { playback } = started([0, 10], () => Promise.reject(new Error("it was dropped")));
    playback.seek(0);
    await vi.advanceTimersByTimeAsync(10);
    expect(playback.trouble.value).toBe("it was dropped");
  });

  it("follows Python to the newest, but not once one has scrubbed back", () => {
    const { host, playback, push } = started([0, 10, 20, 30]);
    const comes = (steps: number[]) => {
      push(steps[steps.length - 1]);
      host.push("_timeline", history(steps));
    };
    comes([0, 10]);
    expect(playback.shown.value).toBe(10);
    push(0);
    playback.seek(0);
    expect(playback.following.value).toBe(false);
    comes([0, 10, 20]);
    expect([playback.wanted.value, playback.shown.value]).toEqual([0, 0]);
    playback.seek(2);
    expect(playback.following.value).toBe(true);
    comes([0, 10, 20, 30]);
    expect(playback.shown.value).toBe(30);
    expect(host.traits.step).toBe(30);
    // What Python asks for is shown, and so is the newest where what was shown was dropped.
    host.push("step", 10);
    host.push("following", false);
    expect(playback.shown.value).toBe(10);
    comes([0, 20, 30]);
    expect(playback.wanted.value).toBe(30);
  });

  it("plays from the beginning where it stands at the end, and stops there", () => {
    const { host, playback, push } = started([0, 10, 20]);
    for (const step of [0, 10, 20]) push(step);
    playback.toggle();
    expect([playback.playing.value, playback.wanted.value]).toEqual([true, 0]);
    expect(playback.resting.value).toBe(false);
    vi.advanceTimersByTime(BEAT);
    expect(playback.wanted.value).toBe(10);
    vi.advanceTimersByTime(BEAT);
    expect(playback.wanted.value).toBe(20);
    expect(host.saves).toBe(0);
    vi.advanceTimersByTime(BEAT);
    expect(playback.playing.value).toBe(false);
    expect(playback.resting.value).toBe(true);
    vi.advanceTimersByTime(1000);
    expect(host.saves).toBe(1);
    expect(host.traits.step).toBe(20);
  });

  it("tells Python where it stopped, also if it was played right after a jump", () => {
    const { host, playback, push } = started([0, 10, 20]);
    for (const step of [0, 10, 20]) push(step);
    playback.seek(0);
    playback.toggle();
    vi.advanceTimersByTime(1000);
    const saves = host.saves;
    playback.toggle();
    vi.advanceTimersByTime(1000);
    expect(host.saves).toBe(saves + 1);
  });

  it("keeps the selection with its neurons, there and back", () => {
    const { host, state, playback, push } = started([0, 10]);
    for (const step of [0, 10]) push(step);
    state.apply({ selected: [["fc", 0]] });
    playback.seek(0);
    expect(host.traits.selected).toEqual([["fc", 1]]);
    expect(state.selectedNeurons.value).toEqual([{ map: 0, k: 1 }]);
    playback.seek(1);
    expect(host.traits.selected).toEqual([["fc", 0]]);
    // Python's own choice is one too.
    host.push("selected", [["fc", 1]]);
    playback.seek(0);
    expect(host.traits.selected).toEqual([["fc", 0]]);
  });

  it("begins with every scene that the state holds", () => {
    const scenes = [0, 10].map((step) => checkpointBytes([step + 1], [0]));
    const arrays = new Map<string, Tensor>(
      scenes.map((bytes, at) => [
        String(at * 10),
        { data: Uint8Array.from(bytes), shape: [bytes.length] },
      ]),
    );
    const host = devHost({
      _timeline: history([0, 10]),
      _frames: encode({}, arrays),
      step: 10,
    });
    const playback = createPlayback(
      host,
      createState(host, new AbortController().signal).selected as never,
      null,
      new AbortController().signal,
    );
    expect(playback?.scene.value?.singularValue[0]).toBe(11);
    playback?.seek(0);
    expect(playback?.scene.value?.singularValue[0]).toBe(1);
  });

  it("begins with the newest where Python has told no step", () => {
    const data = Uint8Array.from(checkpointBytes([7], [0]));
    const frames = encode({}, new Map([["10", { data, shape: [data.length] }]]));
    const host = devHost({ _timeline: history([0, 10]), _frames: frames, step: null });
    const { playback } = createState(host, new AbortController().signal);
    expect(playback?.shown.value).toBe(10);
    expect(playback?.scene.value?.singularValue[0]).toBe(7);
  });

  it("ends with the view", () => {
    const { host, controller, playback, push } = started([0, 10]);
    for (const step of [0, 10]) push(step);
    playback.toggle();
    controller.abort();
    vi.advanceTimersByTime(10 * BEAT);
    expect(playback.wanted.value).toBe(0);
    expect(host.listening).toBe(0);
  });
});
