// Numbers as people read them, and what is said of links by construction.

import type { Law, Mode, Scene } from "../wire/scene.js";

const MINUS = "−";
const SUPERSCRIPTS = "⁰¹²³⁴⁵⁶⁷⁸⁹";

export const MODE_WORDS: Readonly<Record<Mode, string>> = {
  fdr: "FDR",
  p: "p-value",
  sigma: "sigma",
  bonferroni: "Bonferroni",
};

export const LAW_WORDS: Readonly<Record<Law, string>> = { exact: "exact null", chi2: "χ² null" };

/** One for all: making one takes longer than a hundred numbers do. */
const GROUPED = new Intl.NumberFormat("en-US");

/** 13379 -> "13,379". */
export function count(value: number): string {
  return GROUPED.format(Math.round(value)).replace("-", MINUS);
}

/** A value to some significant digits, without an exponent where that stays short. */
export function significant(value: number, digits = 3): string {
  if (value === 0) return "0";
  if (!Number.isFinite(value)) return Number.isNaN(value) ? "–" : value < 0 ? `${MINUS}∞` : "∞";
  // Of the rounded value: 0.999 to two digits is 1.0, not 1.00.
  const magnitude = Number(value.toExponential(digits - 1).split("e")[1]);
  if (magnitude < -4 || magnitude > 6) return power(Math.log10(Math.abs(value)), digits - 1, value);
  const text = value.toFixed(Math.max(0, Math.min(20, digits - 1 - magnitude)));
  return text.replace("-", MINUS);
}

/** A difference with its sign: "+0.31", "−2.4", "0". */
export function signed(value: number, digits = 3): string {
  return value > 0 ? `+${significant(value, digits)}` : significant(value, digits);
}

/** How many entries chance would give: whole ones where they are many. */
export const expectation = (value: number) =>
  value >= 10 || value === 0 ? count(value) : significant(value, 2);

/** How many edges there are, and whether they are more than chance gives. */
export function foundInWords(found: number, expected: number, beyondChance: boolean): string {
  const edges = found === 1 ? "edge" : "edges";
  return beyondChance || found === 0
    ? `${count(found)} significant ${edges}, ${expectation(expected)} expected by chance`
    : `${count(found)} ${edges}, no more than chance gives (${expectation(expected)})`;
}

/** -5 -> "10⁻⁵". */
export function powerOfTen(exponent: number): string {
  const digits = [...String(Math.abs(exponent))].map((digit) => SUPERSCRIPTS[Number(digit)]);
  return `10${exponent < 0 ? "⁻" : ""}${digits.join("")}`;
}

/** A tick of an axis of p-values: "10⁻⁵", and "0.2" between powers of ten. */
export function pTick(log10: number): string {
  return Number.isInteger(log10) ? powerOfTen(log10) : pValue(log10);
}

/** A p-value from its log10, so that 1e-500 has a form: "0.15", "4 × 10⁻¹⁰". */
export function pValue(log10: number): string {
  if (log10 === Number.NEGATIVE_INFINITY) return "0";
  if (log10 >= -3.0000001) return trimmed(10 ** log10, 2);
  return power(log10, 0, 1);
}

/** A p-value as it stands in a column of others, all written alike: "4.2 × 10⁻³". */
export function pInColumn(log10: number): string {
  if (log10 === Number.NEGATIVE_INFINITY) return "0";
  return log10 >= 0 ? "1" : power(log10, 1, 1);
}

/** How many decimals three digits of the largest of some numbers leave, as in a column of them. */
export function decimalsOf(largest: number): number {
  if (!(largest > 0) || !Number.isFinite(largest)) return 3;
  return Math.max(0, Math.min(8, 2 - Math.floor(Math.log10(largest))));
}

/** A number with so many decimals, as in a column of them: "−0.30"; what rounds to zero has no sign. */
export function fixed(value: number, decimals: number): string {
  const text = value.toFixed(decimals);
  return text.replace("-", Number(text) === 0 ? "" : MINUS);
}

/** A level of significance as it is typed and shown in the field: "0.05", "1e-12". */
export function level(value: number): string {
  return String(Number(value.toPrecision(3)));
}

/** A share of a whole: "6 %", "0.4 %", "< 0.1 %". */
export function percent(share: number): string {
  const value = share * 100;
  if (value > 0 && value < 0.1) return "< 0.1 %";
  return `${value < 10 && value % 1 !== 0 ? trimmed(value, value < 1 ? 1 : 2) : Math.round(value)} %`;
}

/** Seconds left: "3 s", "2 min", "1 h 5 min". */
export function duration(seconds: number): string {
  if (seconds < 60) return `${Math.max(1, Math.round(seconds))} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 60) return `${minutes} min`;
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

/** What a person typed, or NaN: accepts "0,05", "4 × 10⁻¹⁰", "5 %" as well as "1e-4". */
export function parseLevel(text: string): number {
  let source = text.trim().replaceAll(MINUS, "-").replace(",", ".").replaceAll(/\s/g, "");
  const share = source.endsWith("%");
  if (share) source = source.slice(0, -1);
  source = source.replace(/[×x*·]10\^?([-⁻]?[\d⁰¹²³⁴⁵⁶⁷⁸⁹]+)$/, (_, exponent: string) => {
    const digits = [...exponent].map((sign) => {
      const digit = SUPERSCRIPTS.indexOf(sign);
      return sign === "⁻" ? "-" : digit < 0 ? sign : String(digit);
    });
    return `e${digits.join("")}`;
  });
  if (!/^[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?$/i.test(source)) return Number.NaN;
  return Number(source) / (share ? 100 : 1);
}

function trimmed(value: number, digits: number): string {
  return String(Number(value.toPrecision(digits)));
}

function power(log10: number, decimals: number, sign: number): string {
  let exponent = Math.floor(log10);
  let mantissa = (10 ** (log10 - exponent)).toFixed(decimals);
  if (mantissa.startsWith("10")) {
    exponent += 1;
    mantissa = (1).toFixed(decimals);
  }
  return `${sign < 0 ? MINUS : ""}${mantissa} × ${powerOfTen(exponent)}`;
}

// Links by construction: one tensor at both ends, so that nothing there is a finding.

/** What stands on their bands. */
export const TIED = "tied weights";

export const TIED_MEANING =
  "one tensor at both ends of a link, plain at one and transposed at the other: its edges are there by construction, outside the tests";

/** Why a link is no test. */
export function byConstruction({ maps, links }: Scene, index: number): string {
  const { producer, through } = links[index];
  const isIdentity =
    maps[producer].kernel.length === 0 && !through.some((step) => step.endsWith(", folded"));
  const what = isIdentity ? "the identity by construction" : "alike by construction";
  return `one tensor at both ends: ${what}; outside the tests`;
}

/** "1 link by construction", counted apart from what is tested; empty where there is none. */
export function constructedLinks({ links }: Scene): string {
  const many = links.filter((link) => link.by_construction).length;
  return many === 0 ? "" : `${count(many)} ${many === 1 ? "link" : "links"} by construction`;
}

/** What is seen before there is a picture: "preview, 3 of 16 exact". */
export const previewInWords = (exact: number, columns: number) =>
  `preview, ${count(exact)} of ${count(columns)} exact`;
