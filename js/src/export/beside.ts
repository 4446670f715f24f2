// Networks beside each other as one SVG, each with its name above. Pure: text out.

import { css } from "../paint/palette.js";
import { element, type Picture, sizeOf, svgOf, text } from "./svg.js";

const HEAD = 28;

export interface Named {
  readonly name: string;
  readonly picture: Picture;
}

export function besideSvg(networks: readonly Named[]): string {
  const sizes = networks.map(({ picture }) => sizeOf(picture));
  const lefts = sizes.map((_, at) => sizes.slice(0, at).reduce((sum, { width }) => sum + width, 0));
  const width = sizes.reduce((sum, size) => sum + size.width, 0);
  const height = HEAD + Math.max(...sizes.map((size) => size.height));
  const [{ palette, rule, font }] = networks.map(({ picture }) => picture);
  return [
    element("svg", {
      xmlns: "http://www.w3.org/2000/svg",
      width,
      height,
      viewBox: `0 0 ${width} ${height}`,
    }),
    element("rect", { width, height, fill: css(palette.paper) }, true),
    ...networks.flatMap(({ name, picture }, at) => [
      text(name, {
        x: lefts[at] + 8,
        y: 20,
        fill: css(palette.ink),
        "font-family": font,
        "font-size": 13,
        "font-weight": "bold",
      }),
      svgOf(picture, { x: lefts[at], y: HEAD }),
    ]),
    ...lefts.slice(1).map((x) => element("path", { d: `M${x} 0V${height}`, stroke: rule }, true)),
    "</svg>",
  ].join("\n");
}
