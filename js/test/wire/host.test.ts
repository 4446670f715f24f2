import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { anywidgetHost } from "../../src/wire/host.js";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

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
});
