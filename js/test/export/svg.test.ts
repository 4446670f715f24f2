import { describe, expect, it } from "vitest";
import { residual, tied } from "../../dev/networks.js";
import { escapeXml, type Picture, svgOf } from "../../src/export/svg.js";
import { NO_BUNDLES } from "../../src/geometry/bundles.js";
import { layOut } from "../../src/geometry/layout.js";
import { edgeAlpha, fullWeight } from "../../src/paint/density.js";
import { readScene, type Scene } from "../../src/wire/scene.js";

const rgb = [10, 20, 30] as const;

function picture(change: Partial<Picture> = {}): Picture {
  const scene = readScene(residual()) as Scene;
  const size = { width: 640, height: 400 };
  const margins = { top: 16, right: 20, bottom: 48, left: 90 };
  return {
    scene,
    layout: layOut(scene, "linear", size, margins),
    drawnPerLink: scene.links.map(({ sent }) => Math.min(3, sent)),
    palette: { paper: rgb, ink: rgb, accent: rgb, neutral: rgb, kinds: { other: rgb } },
    soft: "#555",
    rule: "#ddd",
    font: "sans-serif",
    measure: (text) => 6 * text.length,
    bands: { bundles: NO_BUNDLES, widths: [] },
    rings: [],
    axisWidth: 68,
    caption: "FDR 0.05 <b>",
    ...change,
  };
}

const times = (text: string, part: string) => text.split(part).length - 1;

describe("svgOf", () => {
  it("draws every edge and every neuron once, the strongest edge last", () => {
    const given = picture();
    const svg = svgOf(given);
    const drawn = Array.from(given.drawnPerLink).reduce((sum, count) => sum + count, 0);
    expect(times(svg, "stroke-opacity=")).toBe(drawn);
    const kinds = new Set(given.scene.maps.map(({ kind }) => kind)).size;
    expect(times(svg, "<circle")).toBe(given.scene.singularValue.length + kinds);
    const opacities = [...svg.matchAll(/stroke-opacity="([\d.]+)"/g)].map(([, value]) => +value);
    const strongest = Math.max(
      ...given.scene.links.map(({ start }) => given.scene.edgeWeight[start]),
    );
    const link = given.scene.links.findIndex(
      ({ start }) => given.scene.edgeWeight[start] === strongest,
    );
    expect(opacities.at(-1)).toBeCloseTo(edgeAlpha(strongest, fullWeight(given.scene, link)), 2);
    expect(opacities.at(-1)).toBeGreaterThan(opacities[0]);
  });

  it("draws the band of a link by construction, of edges and of their raster", () => {
    const scene = readScene(tied()) as Scene;
    const { size, margins } = picture().layout;
    const given = { scene, layout: layOut(scene, "linear", size, margins) };
    const drawnPerLink = scene.links.map(() => 0);
    for (const edges of [{}, { raster: "data:image/png;base64,AA==" }]) {
      const svg = svgOf(picture({ ...given, drawnPerLink, ...edges }));
      expect(times(svg, "fill-opacity=")).toBe(1);
      expect(times(svg, ">tied weights</text>")).toBe(1);
      const behind = "raster" in edges ? "<image" : "<circle";
      expect(svg.indexOf("fill-opacity=")).toBeLessThan(svg.indexOf(behind));
    }
    expect(svgOf(picture())).not.toContain("tied weights");
  });

  it("names the axis, its ticks, the columns and the threshold", () => {
    const given = picture();
    const svg = svgOf(given);
    expect(svg).toContain(">singular value</text>");
    for (const { label } of given.layout.ticks) expect(svg).toContain(`>${label}</text>`);
    expect(svg).toContain("FDR 0.05 &lt;b&gt;</text>");
    expect(svg).not.toContain("<b>");
  });

  it("lets no name from a model out of its text", () => {
    const given = picture();
    const name = '"><script>alert(1)</script>';
    const maps = given.scene.maps.map((map) => ({ ...map, name }));
    const svg = svgOf({ ...given, scene: { ...given.scene, maps, model: name } });
    expect(svg).not.toContain("<script");
    expect(svg).toContain("&lt;script&gt;");
  });

  it("holds a raster instead of shapes where it is given one", () => {
    const svg = svgOf(picture({ raster: "data:image/png;base64,AAAA" }));
    expect(times(svg, "stroke-opacity=")).toBe(0);
    expect(svg).toContain('<image href="data:image/png;base64,AAAA" width="640" height="400"/>');
  });

  it("is one element, closed as it was opened", () => {
    const svg = svgOf(picture());
    for (const tag of ["svg", "g", "text", "title"]) {
      expect(times(svg, `</${tag}>`)).toBe(svg.match(new RegExp(`<${tag}[ >]`, "g"))?.length);
    }
  });
});

describe("escapeXml", () => {
  it("leaves no markup and no sign that XML forbids", () => {
    expect(escapeXml(`<img src="x" onerror='a&b'>`)).toBe(
      "&lt;img src=&quot;x&quot; onerror='a&amp;b'&gt;",
    );
    expect(escapeXml("a\u0000b\ud800c\u001fd\te")).toBe("a\ufffdb\ufffdc\ufffdd\te");
  });
});
