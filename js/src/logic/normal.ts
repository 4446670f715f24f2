// The upper tail of the normal law in logarithms: p = 1 - Phi(sigma), right far beyond 1e-300.

const LN10 = Math.LN10;

/** log10 of 1 - Phi(sigma), to about 1e-12 relative. */
export function log10NormalTail(sigma: number): number {
  if (sigma < 0) return Math.log1p(-(10 ** log10NormalTail(-sigma))) / LN10;
  const logDensity = -0.5 * sigma * sigma - 0.5 * Math.log(2 * Math.PI);
  if (sigma >= 3) return (logDensity + Math.log(millsRatio(sigma))) / LN10;
  // Phi(x) = 1/2 + phi(x) (x + x^3/3 + x^5/15 + ...): all terms positive, so nothing cancels.
  let term = sigma;
  let sum = sigma;
  for (let odd = 3; term > sum * 1e-17; odd += 2) {
    term *= (sigma * sigma) / odd;
    sum += term;
  }
  return Math.log10(0.5 - Math.exp(logDensity) * sum);
}

/** The sigma whose upper tail is 10^log10p: the inverse of `log10NormalTail`, by Newton's method. */
export function normalQuantile(log10p: number): number {
  if (log10p > Math.log10(0.5)) {
    return log10p >= 0 ? Number.NEGATIVE_INFINITY : -normalQuantile(Math.log10(1 - 10 ** log10p));
  }
  let sigma = Math.sqrt(Math.max(0, -2 * LN10 * log10p - Math.log(2 * Math.PI))) || 0.1;
  for (let step = 0; step < 60; step++) {
    const tail = log10NormalTail(sigma);
    const logDensity = -0.5 * sigma * sigma - 0.5 * Math.log(2 * Math.PI);
    const slope = -Math.exp(logDensity - tail * LN10) / LN10;
    const change = (tail - log10p) / slope;
    sigma = Math.max(0, sigma - change);
    if (Math.abs(change) < 1e-13 * (1 + sigma)) break;
  }
  return sigma;
}

// (1 - Phi(x)) / phi(x) as the continued fraction 1/(x + 1/(x + 2/(x + 3/(x + ...)))).
function millsRatio(x: number): number {
  let fraction = x;
  for (let depth = 120; depth >= 1; depth--) fraction = x + depth / fraction;
  return 1 / fraction;
}
