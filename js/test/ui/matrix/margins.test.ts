import { describe, expect, it } from "vitest";
import { barScale, barsAlong } from "../../../src/ui/matrix/margins.js";

describe("bars along a margin", () => {
  it("are logarithmic where the middle one could not be seen", () => {
    expect(barScale([4, 3, 2]).log).toBe(false);
    expect(barScale([4, 3, 2]).share(2)).toBe(0.5);
    const log = barScale([100, 1, 0.1, 0]);
    expect(log.log).toBe(true);
    expect(log.share(100)).toBe(1);
    expect(log.share(0)).toBe(0);
    expect(log.share(0.1)).toBeGreaterThan(0);
    expect(log.share(10) - log.share(1)).toBeCloseTo(log.share(1) - log.share(0.1), 12);
    expect(barScale([0, 0]).share(0)).toBe(0);
  });

  it("fill the pixels without a gap, each the first of the entries that share it", () => {
    for (const [entries, offset, size, room] of [
      [4096, 0, 280 / 4096, 280],
      [4096, -400.3, 0.7, 280],
      [10, 0, 28, 280],
      [10, -31.5, 44, 280],
      [3, 0, 5, 280],
    ]) {
      const bars = barsAlong(entries, offset, size, room);
      const end = Math.min(room, Math.round(offset + entries * size));
      expect(bars[0].start).toBe(Math.max(0, Math.round(offset)));
      expect(bars.at(-1)?.end).toBe(end);
      bars.forEach((bar, index) => {
        if (index > 0) expect(bar.start).toBe(bars[index - 1].end);
        expect(bar.end).toBeGreaterThan(bar.start);
        if (index > 0) expect(Math.round(offset + bar.entry * size)).toBe(bar.start);
      });
    }
  });
});
