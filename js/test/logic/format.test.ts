import { describe, expect, it } from "vitest";
import {
  count,
  duration,
  fixed,
  level,
  parseLevel,
  percent,
  pTick,
  pValue,
  significant,
} from "../../src/logic/format.js";

describe("numbers", () => {
  it.each([
    [13379, "13,379"],
    [0, "0"],
    [999.6, "1,000"],
  ])("count %d", (value, text) => expect(count(value)).toBe(text));

  it.each([
    [-0.304, "−0.30"],
    [-0.004, "0.00"],
    [0.005, "0.01"],
    [-1, "−1.00"],
  ])("fixed %d", (value, text) => expect(fixed(value, 2)).toBe(text));

  it.each([
    [0.5684, "0.568"],
    [7, "7.00"],
    [0.99999, "1.00"],
    [-1.5, "−1.50"],
    [0, "0"],
    [0.00001234, "1.23 × 10⁻⁵"],
    [123456, "123456"],
    [12345678, "1.23 × 10⁷"],
    [Number.NaN, "–"],
  ])("significant %d", (value, text) => expect(significant(value)).toBe(text));

  it.each([
    [Math.log10(4e-10), "4 × 10⁻¹⁰"],
    [Math.log10(0.15), "0.15"],
    [-3, "0.001"],
    [-1234.5, "3 × 10⁻¹²³⁵"],
    [Math.log10(9.96e-7), "1 × 10⁻⁶"],
    [0, "1"],
    [Number.NEGATIVE_INFINITY, "0"],
  ])("p-value 10^%d", (log10, text) => expect(pValue(log10)).toBe(text));

  it.each([
    [0.06, "6 %"],
    [0.9951, "100 %"],
    [0.0042, "0.4 %"],
    [0.0001, "< 0.1 %"],
    [0, "0 %"],
    [0.0234, "2.3 %"],
  ])("percent %d", (value, text) => expect(percent(value)).toBe(text));

  it.each([
    [0.3, "1 s"],
    [59, "59 s"],
    [150, "3 min"],
    [3900, "1 h 5 min"],
  ])("duration %d", (value, text) => expect(duration(value)).toBe(text));
});

describe("typed levels", () => {
  it.each([
    ["0.05", 0.05],
    [" 0,05 ", 0.05],
    ["5 %", 0.05],
    ["1e-12", 1e-12],
    ["4 × 10⁻¹⁰", 4e-10],
    ["4*10^-10", 4e-10],
    [".2", 0.2],
    ["−1", -1],
  ])("%s", (text, value) => expect(parseLevel(text)).toBeCloseTo(value, 15));

  it.each(["", "abc", "1.2.3", "0x10", "Infinity", "1e", "5 apples"])("not %s", (text) => {
    expect(parseLevel(text)).toBeNaN();
  });

  it("come back from what is shown", () => {
    for (const value of [0.05, 1e-12, 0.000123, 4.56, 0.999]) {
      expect(parseLevel(level(value))).toBe(value);
    }
  });

  it.each([
    [-5, "10⁻⁵"],
    [-12, "10⁻¹²"],
    [Math.log10(0.5), "0.5"],
    [Math.log10(0.02), "0.02"],
  ])("a tick at p = 10^%d", (log10, text) => expect(pTick(log10)).toBe(text));
});
