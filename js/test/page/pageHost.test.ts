import { describe, expect, it } from "vitest";
import { isAnsweredBy, NEEDS_A_KERNEL, pageHost } from "../../src/page/pageHost.js";
import type { Bytes, Container } from "../../src/wire/codec.js";

const bytes = (...values: number[]) => ({ shape: [values.length], data: Uint8Array.from(values) });

const container = (): Container => ({
  meta: {
    traits: { threshold: 0.05, theme: "dark" },
    binary: ["_scene"],
    answers: [
      {
        question: { kind: "adjacency", link: 1 },
        message: { kind: "adjacency", whole: true },
        buffers: ["answer 0 0"],
      },
    ],
  },
  arrays: new Map([
    ["_scene", bytes(1, 2, 3)],
    ["answer 0 0", bytes(7)],
  ]),
});

function asked(question: object) {
  const host = pageHost(container());
  return new Promise<{ message: unknown; buffers: readonly Bytes[] }>((resolve) => {
    host.onMessage(
      (message, buffers) => resolve({ message, buffers }),
      new AbortController().signal,
    );
    host.send(question);
  });
}

describe("pageHost", () => {
  it("gives traits, bytes as a view of just those bytes", () => {
    const host = pageHost(container());
    expect(host.get("threshold")).toBe(0.05);
    const scene = host.get("_scene") as DataView;
    expect([scene.byteLength, scene.getUint8(2)]).toEqual([3, 3]);
  });

  it("tells listeners of a change until their signal is aborted", () => {
    const host = pageHost(container());
    const abort = new AbortController();
    let heard = 0;
    host.on("threshold", () => heard++, abort.signal);
    host.set("threshold", 0.1);
    abort.abort();
    host.set("threshold", 0.2);
    expect([heard, host.get("threshold")]).toEqual([1, 0.2]);
  });

  it("answers what was answered in advance, under the question's id", async () => {
    const { message, buffers } = await asked({ kind: "adjacency", link: 1, max: [9, 9], id: 5 });
    expect(message).toEqual({ kind: "adjacency", whole: true, id: 5 });
    expect((buffers[0] as DataView).getUint8(0)).toBe(7);
  });

  it("says of everything else that it needs a kernel", async () => {
    const { message } = await asked({ kind: "adjacency", link: 0, id: 6 });
    expect(message).toEqual({ kind: "error", message: NEEDS_A_KERNEL, id: 6 });
  });
});

describe("isAnsweredBy", () => {
  it("compares by value, and only what the stored question says", () => {
    expect(isAnsweredBy({ kind: "a", at: [1, 2], more: 3 }, { kind: "a", at: [1, 2] })).toBe(true);
    expect(isAnsweredBy({ kind: "a", at: [1, 3] }, { kind: "a", at: [1, 2] })).toBe(false);
    expect(isAnsweredBy({ kind: "a" }, { kind: "a", at: null })).toBe(false);
  });
});
