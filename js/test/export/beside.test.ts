import { describe, expect, it } from "vitest";
import { residual } from "../../dev/networks.js";
import { besideSvg } from "../../src/export/beside.js";
import { type Picture, sizeOf } from "../../src/export/svg.js";
import { NO_BUNDLES } from "../../src/geometry/bundles.js";
import { layOut } from "../../src/geometry/layout.js";
import { readScene, type Scene } from "../../src/wire/scene.js";

const rgb = [10, 20, 30] as const;

function picture(width: number, height: number): Picture {
  const scene = readScene(residual()) as Scene;
  const margins = { top: 16, right: 20, bottom: 48, left: 90 };
  return {
    scene,
    layout: layOut(scene, "linear", { width, height }, margins),
    drawnPerLink: scene.links.map(() => 0),
    palette: { paper: rgb, ink: rgb, accent: rgb, neutral: rgb, kinds: { other: rgb } },
    soft: "#555",
    rule: "#ddd",
    font: "sans-serif",
    measure: (text) => 6 * text.length,
    bands: { bundles: NO_BUNDLES, widths: [] },
    rings: [[scene.maps[0].name, 0]],
    axisWidth: 68,
    caption: "",
  };
}

describe("besideSvg", () => {
  it("puts networks beside each other, none over another, each with its name and its rings", () => {
    const networks = [picture(500, 300), picture(640, 420), picture(300, 200)];
    const names = ["base", "<b>tuned</b>", "third"];
    const svg = besideSvg(networks.map((each, at) => ({ name: names[at], picture: each })));
    const inner = [...svg.matchAll(/<svg [^>]*?x="(\d+)" y="(\d+)" width="(\d+)" height="(\d+)"/g)];
    const boxes = inner.map(([, ...numbers]) => numbers.map(Number));
    expect(boxes.map(([x]) => x)).toEqual([0, 500, 1140]);
    expect(boxes.map(([, , width]) => width)).toEqual([500, 640, 300]);
    const [, width, height] = svg.match(/<svg [^>]*?width="(\d+)" height="(\d+)"/) ?? [];
    expect(Number(width)).toBe(1440);
    expect(Number(height)).toBeGreaterThanOrEqual(boxes[1][1] + sizeOf(networks[1]).height);
    expect(svg).not.toContain("<b>");
    expect(svg).toContain("&lt;b&gt;tuned&lt;/b&gt;");
    const neurons = networks[0].scene.singularValue.length;
    const kinds = new Set(networks[0].scene.maps.map(({ kind }) => kind)).size;
    expect(svg.split("<circle").length - 1).toBe(3 * (neurons + kinds + 2));
  });
});
