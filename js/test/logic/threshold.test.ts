import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { mlp, nothing, vgg } from "../../dev/networks.js";
import {
  convert,
  cutAtLevel,
  cutAtStop,
  cutInWords,
  exceedsChance,
  isLevel,
  log10NormalTail,
  normalQuantile,
  rangeInWords,
  readCut,
  significantOn,
} from "../../src/logic/threshold.js";
import { encode } from "../../src/wire/codec.js";
import { type Mode, readScene, type Scene } from "../../src/wire/scene.js";

const trained = readScene(mlp(true)) as Scene;
const untrained = readScene(mlp(false)) as Scene;
const empty = readScene(nothing()) as Scene;
const truncated = readScene(vgg(6000)) as Scene;

/** Every p-value of a scene whose edges were all sent. */
const pValues = (scene: Scene) => [...scene.log10p.exact].map((log10p) => 10 ** log10p);

/** Benjamini and Hochberg's step-up procedure, as they state it. */
function stepUp(p: number[], q: number): number {
  const sorted = [...p].sort((a, b) => a - b);
  let rejected = 0;
  sorted.forEach((value, index) => {
    if (value <= (q * (index + 1)) / sorted.length) rejected = index + 1;
  });
  return rejected;
}

describe("normal tail", () => {
  // mpmath, 40 digits: log10(erfc(sigma / sqrt(2)) / 2).
  it.each([
    [0, -0.301029995663981],
    [0.25, -0.396537686094321],
    [1, -0.799545541491971],
    [2.9, -2.72913181539635],
    [3, -2.86969903592937],
    [6, -9.0058643274767],
    [20, -88.5600953430756],
    [37.5, -307.336737074645],
  ])("at sigma %d", (sigma, expected) => {
    expect(log10NormalTail(sigma)).toBeCloseTo(expected, 9);
    expect(normalQuantile(expected)).toBeCloseTo(sigma, 6);
  });
});

describe("threshold", () => {
  it.each([1e-6, 0.003, 0.0137, 0.05, 0.21, 0.4])("FDR %d is the step-up procedure", (q) => {
    for (const scene of [trained, untrained, empty]) {
      const cut = cutAtLevel(scene, "exact", "fdr", q);
      expect(cut.exact).toBe(true);
      expect(cut.significant).toBe(stepUp(pValues(scene), q));
      expect(cut.expected).toBeCloseTo(q * cut.significant, 9);
    }
  });

  it.each([1e-9, 0.0004, 0.15, 0.3])("p %d counts the p-values up to it", (p) => {
    const cut = cutAtLevel(trained, "exact", "p", p);
    expect(cut.significant).toBe(pValues(trained).filter((value) => value <= p).length);
    expect(cut.expected).toBeCloseTo(p * trained.tests, 9);
  });

  it("sigma and Bonferroni are levels of p", () => {
    const sigma = cutAtLevel(trained, "exact", "sigma", 3.14);
    const p = cutAtLevel(trained, "exact", "p", 10 ** log10NormalTail(3.14));
    expect(sigma.significantPerLink).toEqual(p.significantPerLink);
    const bonferroni = cutAtLevel(trained, "exact", "bonferroni", 0.031);
    expect(bonferroni.log10p).toBeCloseTo(Math.log10(0.031 / trained.tests), 9);
    expect(bonferroni.expected).toBe(0.031);
  });

  it("a stop's level gives the stop's own counts, to the digit", () => {
    const stops = truncated.stops.exact.fdr;
    for (const stop of [0, 120, 399]) {
      const cut = cutAtLevel(truncated, "exact", "fdr", stops.level[stop]);
      const counts = stops.counts?.subarray(stop * 15, stop * 15 + 15) ?? [];
      expect([...(cut.significantPerLink ?? [])]).toEqual([...counts]);
      expect(cut.stop).toBe(stop);
      expect(cut.expected).toBe(stops.expected[stop]);
    }
  });

  it("says so where the edges that were sent do not reach, and takes the nearest stop", () => {
    const cut = cutAtLevel(truncated, "exact", "p", 0.2345);
    expect(cut.exact).toBe(false);
    expect(Math.abs(Math.log(cut.level / 0.2345))).toBeLessThan(0.1);
    expect(cut.drawn).toBeLessThan(cut.significant);
    expect(cut.drawn).toBeLessThanOrEqual(truncated.edgeWeight.length);
  });

  it("never draws more than was sent, nor counts less than is drawn", () => {
    for (let stop = 0; stop < 400; stop += 7) {
      const cut = cutAtStop(truncated, "exact", "p", stop);
      cut.drawnPerLink.forEach((drawn, link) => {
        const significant = cut.significantPerLink?.[link] ?? Number.NaN;
        expect(drawn).toBe(Math.min(significant, truncated.links[link].sent));
      });
    }
  });

  it("a change of mode keeps about the same edges", () => {
    const fdr = cutAtLevel(trained, "exact", "fdr", 0.2);
    for (const mode of ["p", "sigma", "bonferroni", "fdr"] as const) {
      const level = convert(trained, fdr, mode);
      expect(isLevel(mode, level)).toBe(true);
      const again = cutAtLevel(trained, "exact", mode, level);
      expect(Math.abs(again.significant - fdr.significant)).toBeLessThanOrEqual(
        mode === "bonferroni" ? fdr.significant : 2,
      );
    }
  });

  it.each([
    ["fdr", "above 0 and below 1", [1e-300, 0.5, 0.999], [0, 1, -1, 2]],
    ["p", "above 0 and at most 1", [1e-300, 1], [0, 1.1]],
    ["bonferroni", "above 0 and at most 1", [0.01, 1], [0, 3]],
    ["sigma", "from −37 to 37", [-37, 0, 37], [-38, 37.5]],
  ] as const)("knows the range of %s", (mode, words, good, bad) => {
    expect(rangeInWords(mode)).toBe(words);
    for (const level of good) expect(isLevel(mode, level)).toBe(true);
    for (const level of [...bad, Number.NaN, Number.POSITIVE_INFINITY]) {
      expect(isLevel(mode, level)).toBe(false);
    }
  });
});

describe("a cut that Python tells", () => {
  const asked = { law: "exact", mode: "p", level: 0.4321 };
  const told = (counts: Uint32Array<ArrayBuffer>) =>
    encode(
      {
        ...asked,
        log10_p: Math.log10(0.4321),
        significant: counts.reduce((sum, more) => sum + more, 0),
        expected: 0.4321 * truncated.tests,
      },
      new Map([["counts", { shape: [counts.length], data: counts }]]),
    );

  it("counts what was not sent, draws what was, and stands between two stops", () => {
    const counts = Uint32Array.from(truncated.links, ({ sent }, link) => sent + 10 * link);
    const cut = readCut(truncated, told(counts));
    expect(cut).toMatchObject({ ...asked, exact: true, expected: 0.4321 * truncated.tests });
    expect([...(cut.significantPerLink ?? [])]).toEqual([...counts]);
    expect([...cut.drawnPerLink]).toEqual(truncated.links.map(({ sent }) => sent));
    const { level } = truncated.stops.exact.p;
    expect(level[Math.floor(cut.stop)]).toBeLessThan(0.4321);
    expect(level[Math.ceil(cut.stop)]).toBeGreaterThan(0.4321);
  });

  it("may leave the links uncounted, as its scene does", () => {
    const uncounted = withoutCounts(truncated);
    const cut = readCut(
      uncounted,
      encode({ ...asked, log10_p: -0.36, significant: 9e9 }, new Map()),
    );
    expect(cut).toMatchObject({ significant: 9e9, significantPerLink: null });
    expect([...cut.drawnPerLink]).toEqual(truncated.links.map(({ sent }) => sent));
  });

  it("is refused where it does not count every link", () => {
    expect(() => readCut(truncated, told(new Uint32Array(2)))).toThrow("every link");
  });
});

/** The same where the links are too many to be counted at every stop. */
function withoutCounts(scene: Scene): Scene {
  const { p } = scene.stops.exact;
  const { significant } = p;
  const exact = { ...scene.stops.exact, p: { ...p, significant, counts: null } };
  return { ...scene, stops: { ...scene.stops, exact } };
}

describe("links that are not counted at every stop", () => {
  const uncounted = withoutCounts(truncated);
  const last = truncated.stops.exact.p.level.length - 1;

  it("have the edges that were sent, and the graph its number", () => {
    for (let stop = 0; stop <= last; stop += 31) {
      const [cut, counted] = [uncounted, truncated].map((s) => cutAtStop(s, "exact", "p", stop));
      expect(cut.significant).toBe(counted.significant);
      expect([...cut.drawnPerLink]).toEqual([...counted.drawnPerLink]);
    }
  });

  it("say how many they have at least", () => {
    const strict = cutAtStop(uncounted, "exact", "p", 0);
    expect(significantOn(uncounted, strict, [0]).atLeast).toBe(false);
    const loose = cutAtStop(uncounted, "exact", "p", last);
    const { sent } = truncated.links[0];
    expect(significantOn(uncounted, loose, [0])).toEqual({ edges: sent, atLeast: true });
    const known = cutAtStop(truncated, "exact", "p", last);
    expect(significantOn(truncated, known, [0]).atLeast).toBe(false);
  });
});

/** Written by tests/widget/wire/test_threshold_golden.py from the engine. */
interface Golden {
  /** How many were tested, and the p-values of those that were sent. */
  links: { tests: number; log10_p: number[] }[];
  stops: Record<
    Mode,
    { level: number[]; log10_p: number[]; counts: number[][]; expected: number[] }
  >;
  cuts: { mode: Mode; level: number; log10_p: number; counts: number[]; expected: number }[];
  conversions: { mode: Mode; level: number; to: Mode; converted: number }[];
}

const golden: Golden[] = JSON.parse(
  readFileSync(new URL("../golden/thresholds.json", import.meta.url), "utf8"),
);

/** Only what thresholds are made of. */
function thresholdScene({ links, stops }: Golden): Scene {
  const starts = links.map((_, at) =>
    links.slice(0, at).reduce((sum, { log10_p }) => sum + log10_p.length, 0),
  );
  const tables = Object.entries(stops).map(([mode, { level, log10_p, counts, expected }]) => [
    mode,
    {
      level: Float64Array.from(level),
      log10p: Float64Array.from(log10_p),
      significant: Float64Array.from(counts, (row) => row.reduce((sum, more) => sum + more, 0)),
      counts: Uint32Array.from(counts.flat()),
      expected: Float64Array.from(expected),
    },
  ]);
  return {
    links: links.map(({ tests, log10_p }, at) => ({
      start: starts[at],
      sent: log10_p.length,
      tests,
    })),
    tests: links.reduce((sum, { tests }) => sum + tests, 0),
    log10p: { exact: Float64Array.from(links.flatMap(({ log10_p }) => log10_p)) },
    stops: { exact: Object.fromEntries(tables) },
  } as unknown as Scene;
}

describe.each(golden.map((one, at) => [at, one] as const))(
  "the engine's cuts, case %d",
  (_, one) => {
    const scene = thresholdScene(one);
    const sentAll = one.links.every(({ tests, log10_p }) => log10_p.length === tests);

    it("are the page's wherever the edges that were sent reach", () => {
      let exact = 0;
      for (const { mode, level, log10_p, counts, expected } of one.cuts) {
        const cut = cutAtLevel(scene, "exact", mode, level);
        const reached = one.links.every(({ tests, log10_p: sent }, link) => {
          return sent.length === tests || counts[link] < sent.length;
        });
        if (mode !== "fdr" || sentAll)
          expect([mode, level, cut.exact]).toEqual([mode, level, reached]);
        if (!cut.exact) continue;
        exact += 1;
        expect([mode, level, ...(cut.significantPerLink ?? [])]).toEqual([mode, level, ...counts]);
        expect(cut.log10p).toBeCloseTo(log10_p, 9);
        expect(cut.expected).toBeCloseTo(expected, 9);
      }
      expect(exact).toBeGreaterThan(one.cuts.length / 3);
    });

    it("have the same level in another mode, to the three digits that a person reads", () => {
      for (const { mode, level, to, converted } of one.conversions) {
        const cut = cutAtLevel(scene, "exact", mode, level);
        if (to === mode || !cut.exact) continue;
        // A rate of false discoveries among none means nothing: the page begins anew.
        if (to === "fdr" && cut.significant === 0) continue;
        const page = convert(scene, cut, to);
        expect([
          mode,
          level,
          to,
          Math.abs(page - converted) <= 0.00501 * Math.abs(converted),
        ]).toEqual([mode, level, to, true]);
      }
    });
  },
);

describe("words about what was found", () => {
  it("say that chance gives no less where it does not", () => {
    expect(cutInWords(cutAtLevel(trained, "exact", "fdr", 0.05))).toMatch(
      /significant edges, .* expected by chance$/,
    );
    const random = cutAtLevel(untrained, "exact", "p", 0.15);
    expect(cutInWords(random)).toMatch(/ edges, no more than chance gives \(/);
    expect(cutInWords(random)).not.toContain("significant");
  });

  it("call more than chance gives what exceeds it by twice its spread", () => {
    expect(exceedsChance("p", 120, 100)).toBe(false);
    expect(exceedsChance("p", 121, 100)).toBe(true);
    expect(exceedsChance("fdr", 1, 0.5)).toBe(true);
    expect(exceedsChance("bonferroni", 0, 0.05)).toBe(false);
  });
});
