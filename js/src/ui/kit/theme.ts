// Light or dark, as the host is, and the colours that go with it. Every colour stands once, in
// styles/base.css; what is painted into pixels is read from there.

import type { Palette, Rgb } from "../../paint/palette.js";
import { CONTRACT } from "../../wire/contract.js";
import type { Theme } from "../../wire/host.js";
import type { View } from "../view.js";

export interface ThemeHost {
  readonly document: Document;
  matchMedia(query: string): MediaQueryList;
}

const ATTRIBUTES = [
  "class",
  "style",
  "theme",
  "data-theme",
  "data-jp-theme-light",
  "data-vscode-theme-kind",
];

/** Whether the host is dark: JupyterLab, VS Code, marimo and Colab say so, else the system does. */
export function hostIsDark({ document, matchMedia }: ThemeHost): boolean {
  for (const element of [document.body, document.documentElement]) {
    const jupyter = element.dataset.jpThemeLight;
    if (jupyter) return jupyter === "false";
    const code = element.dataset.vscodeThemeKind;
    if (code) return !code.includes("light");
    const named = element.dataset.theme ?? element.getAttribute("theme");
    if (named === "dark" || named === "light") return named === "dark";
    const { classList } = element;
    if (["dark", "dark-theme", "vscode-dark"].some((name) => classList.contains(name))) return true;
    if (["light", "light-theme", "vscode-light"].some((name) => classList.contains(name))) {
      return false;
    }
  }
  return matchMedia("(prefers-color-scheme: dark)").matches;
}

/** Calls `listener` whenever the host's theme may have changed, until the signal is aborted. */
export function onHostTheme(host: ThemeHost, listener: () => void, signal: AbortSignal): void {
  if (signal.aborted) return;
  const observer = new MutationObserver(listener);
  for (const element of [host.document.body, host.document.documentElement]) {
    observer.observe(element, { attributes: true, attributeFilter: ATTRIBUTES });
  }
  signal.addEventListener("abort", () => observer.disconnect(), { once: true });
  host.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", listener, { signal });
}

export function isDark(theme: Theme, host: ThemeHost): boolean {
  return theme === "auto" ? hostIsDark(host) : theme === "dark";
}

/** The colours in force on an element, read from its custom properties. */
export function readPalette(element: HTMLElement): Palette {
  const probe = element.ownerDocument.createElement("i");
  probe.hidden = true;
  element.append(probe);
  const read = (name: string): Rgb => {
    probe.style.color = `var(--svr-${name})`;
    const numbers = getComputedStyle(probe).color.match(/[\d.]+/g) ?? [];
    return numbers.slice(0, 3).map(Number) as unknown as Rgb;
  };
  /** A transposed convolution has the hue of a convolution. */
  const hueOf = (kind: string) => [kind, read(kind.replace("transposed ", ""))] as const;
  const palette: Palette = {
    paper: read("paper"),
    ink: read("ink"),
    accent: read("accent"),
    neutral: read("neutral"),
    kinds: Object.fromEntries([...CONTRACT.kinds, "other"].map(hueOf)),
  };
  probe.remove();
  return palette;
}

/** Keeps the colours of a root those of its theme or its host. */
export function followTheme(root: HTMLElement, view: View, use: (palette: Palette) => void): void {
  const themeHost = { document, matchMedia: (query: string) => window.matchMedia(query) };
  const apply = () => {
    const theme = view.state.theme.peek() ?? "auto";
    root.dataset.theme = isDark(theme, themeHost) ? "dark" : "light";
    // With a theme of its own the widget does not borrow the host's background.
    root.dataset.followsHost = String(theme === "auto");
    use(readPalette(root));
  };
  view.watch(() => {
    view.state.theme.value;
    apply();
  });
  onHostTheme(themeHost, view.guard(apply), view.signal);
  // The style sheet may arrive after the first frame.
  const frame = requestAnimationFrame(view.guard(apply));
  view.signal.addEventListener("abort", () => cancelAnimationFrame(frame), { once: true });
}
