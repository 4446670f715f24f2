import { afterEach, beforeEach, describe, expect, expectTypeOf, it, vi } from "vitest";
import { devHost } from "../../dev/host.js";
import { mlp } from "../../dev/networks.js";
import { type Answer, createRequests, type Question } from "../../src/wire/requests.js";

const bytes = mlp(true);

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

describe("requests", () => {
  it("match answers to questions, also when errors", async () => {
    const host = devHost({ _scene: bytes });
    const { ask } = createRequests(host, new AbortController().signal);
    const question = { kind: "matrix", link: 1, matrix: "adjacency" } as const;
    const answers = Promise.allSettled([
      ask(question),
      ask({ ...question, kind: "tea" } as never),
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
    const answer = ask({ kind: "matrix", link: 1, matrix: "adjacency" });
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

  it("are refused at once when Python is gone, also those that were open", async () => {
    const host = devHost({ _scene: bytes }, false);
    const { ask, silent } = createRequests(host, new AbortController().signal);
    const open = ask({ kind: "ping" });
    host.losePython();
    await expect(open).rejects.toThrow("gone");
    await expect(ask({ kind: "ping" })).rejects.toThrow("gone");
    vi.advanceTimersByTime(10_000);
    expect(silent.value).toBe(false);
    expect(host.sent).toHaveLength(1);
  });
});

describe("questions", () => {
  it("say what their kind takes, and nothing else compiles", () => {
    expectTypeOf<{ kind: "ping" }>().toExtend<Question>();
    expectTypeOf<{ kind: "matrix"; link: number; matrix: "cross" }>().toExtend<Question>();
    expectTypeOf<{ kind: "tea" }>().not.toExtend<Question>();
    expectTypeOf<{ kind: "matrix"; link: number }>().not.toExtend<Question>();
    expectTypeOf<{ kind: "matrix"; link: number; matrix: "weights" }>().not.toExtend<Question>();
    expectTypeOf<Answer<"ping">["buffers"]>().toEqualTypeOf<readonly []>();
  });
});
