import { afterEach, describe, expect, it, vi } from "vitest";
import { hostIsDark, onHostTheme, type ThemeHost } from "../../../src/ui/kit/theme.js";

afterEach(() => void vi.unstubAllGlobals());

describe("theme", () => {
  const element = (dataset = {}, classes: string[] = [], theme: string | null = null) => ({
    dataset,
    classList: { contains: (name: string) => classes.includes(name) },
    getAttribute: () => theme,
  });
  const hostOf = (body: unknown, root: unknown = element(), dark = false, query = {}) =>
    ({
      document: { body, documentElement: root },
      matchMedia: () => ({ matches: dark, ...query }),
    }) as unknown as ThemeHost;

  it.each([
    ["JupyterLab, dark", hostOf(element({ jpThemeLight: "false" }), element(), false), true],
    [
      "JupyterLab, light on a dark system",
      hostOf(element({ jpThemeLight: "true" }), element(), true),
      false,
    ],
    ["VS Code", hostOf(element({ vscodeThemeKind: "vscode-dark" })), true],
    [
      "VS Code, high contrast light",
      hostOf(element({ vscodeThemeKind: "vscode-high-contrast-light" }), element(), true),
      false,
    ],
    ["marimo", hostOf(element({}, ["dark"])), true],
    ["Colab", hostOf(element(), element({}, [], "dark")), true],
    ["a dark system", hostOf(element(), element(), true), true],
    ["nothing known", hostOf(element()), false],
  ])("follows %s", (_, host, dark) => expect(hostIsDark(host)).toBe(dark));

  it("stops following when the view ends", () => {
    let observers = 0;
    vi.stubGlobal(
      "MutationObserver",
      class {
        observe() {
          observers += 1;
        }
        disconnect() {
          observers = 0;
        }
      },
    );
    const query = new EventTarget();
    const heard = vi.fn();
    const controller = new AbortController();
    const host = hostOf(element());
    host.matchMedia = () => query as MediaQueryList;
    onHostTheme(host, heard, controller.signal);
    query.dispatchEvent(new Event("change"));
    expect(observers).toBe(2);
    controller.abort();
    query.dispatchEvent(new Event("change"));
    expect(observers).toBe(0);
    expect(heard).toHaveBeenCalledTimes(1);
  });
});
