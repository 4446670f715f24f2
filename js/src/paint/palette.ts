// Colours as what is painted takes them: the palette of a theme, mixed and written.

export type Rgb = readonly [number, number, number];

export interface Palette {
  readonly paper: Rgb;
  readonly ink: Rgb;
  readonly accent: Rgb;
  /** A neuron whose column looks random. */
  readonly neutral: Rgb;
  readonly kinds: Readonly<Record<string, Rgb>>;
}

export function kindColour(palette: Palette, kind: string): Rgb {
  return palette.kinds[kind] ?? palette.kinds.other ?? palette.ink;
}

export function mix(from: Rgb, to: Rgb, share: number): Rgb {
  const t = Math.min(1, Math.max(0, share));
  return [0, 1, 2].map((i) => Math.round(from[i] + (to[i] - from[i]) * t)) as unknown as Rgb;
}

export const css = ([red, green, blue]: Rgb, alpha = 1) =>
  alpha === 1 ? `rgb(${red} ${green} ${blue})` : `rgb(${red} ${green} ${blue} / ${alpha})`;
