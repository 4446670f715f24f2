// Edges on a graphics card: the geometry of paths.ts and the strokes of raster.ts, in its language.
// A piece of an edge is a rectangle along its major axis; every pixel gets the depth of the stroke
// times the share of it that the stroke covers.

import { DASH, LEAST_LIFT } from "../../geometry/paths.js";

/** Numbers in a row of the tables, which are textures. */
export const TABLE_WIDTH = 4096;

const float = (value: number) => value.toFixed(9);

export const STROKES = `#version 300 es
precision highp float;
precision highp int;
precision highp usampler2D;
precision highp sampler2D;

uniform usampler2D edges; // m, n, level, heavy
uniform sampler2D heights; // of neurons
uniform sampler2D depths; // by level and link
uniform int links;
uniform vec2 size; // of the picture
uniform float ratio;
uniform float thickness;
uniform float zoom;
uniform float reach;
uniform float rise; // of an arc over many columns
uniform float halfSpan; // of an arc that rises half as far
uniform float top; // where no arc above goes beyond
uniform float bottom;

uniform int link;
uniform int first; // its first edge
uniform int pieces;
uniform int shape; // 0 a line, 1 an arc above, 2 an arc below, 3 a loop
uniform bool dashed;
uniform vec2 columns;

flat out vec4 stroke; // from and to along the major axis, the minor one there, the slope
flat out float depth;
flat out float halfWidth;
flat out int steep;
flat out vec3 dash; // phase at its start, start, length of a pixel along it; 0 for none

float at(sampler2D table, int index) {
  return texelFetch(table, ivec2(index % ${TABLE_WIDTH}, index / ${TABLE_WIDTH}), 0).r;
}

vec2 bezier(vec2 a, vec2 b, vec2 c, vec2 d, float t) {
  float s = 1.0 - t;
  return s * s * s * a + 3.0 * s * s * t * b + 3.0 * s * t * t * c + t * t * t * d;
}

float liftOf(vec2 a, vec2 b) {
  float span = abs(b.x - a.x);
  float wanted = zoom * (${float(LEAST_LIFT)} + rise * span / (span + halfSpan));
  float room = shape == 2 ? bottom - max(a.y, b.y) : min(a.y, b.y) - top;
  float lift = wanted / length(vec2(1.0, wanted / max(10.0, room / 0.75)));
  return shape == 2 ? lift : -lift;
}

vec2 courseOf(vec2 a, vec2 b, float lift, int piece) {
  float t = float(piece) / float(pieces);
  if (shape == 0) return mix(a, b, t);
  if (shape == 3) {
    float bulge = min(36.0 * zoom, reach * 1.2) * 4.0 / 3.0;
    float spread = abs(b.y - a.y) < 12.0 ? 10.0 : 0.0;
    return bezier(a, a + vec2(bulge, -spread), b + vec2(bulge, spread), b, t);
  }
  vec2 third = (b - a) / 3.0;
  return bezier(a, a + third + vec2(0, lift), b - third + vec2(0, lift), b, t);
}

void main() {
  int index = first + gl_InstanceID / pieces;
  int piece = gl_InstanceID % pieces;
  uvec4 edge = texelFetch(edges, ivec2(index % ${TABLE_WIDTH}, index / ${TABLE_WIDTH}), 0);
  vec2 a = vec2(columns.x, at(heights, int(edge.x)));
  vec2 b = vec2(columns.y, at(heights, int(edge.y)));
  float lift = shape == 1 || shape == 2 ? liftOf(a, b) : 0.0;
  vec2 p = courseOf(a, b, lift, piece);
  vec2 q = courseOf(a, b, lift, piece + 1);
  float before = 0.0;
  if (dashed) {
    vec2 last = a;
    for (int earlier = 1; earlier <= piece; earlier++) {
      vec2 next = courseOf(a, b, lift, earlier);
      before += distance(last, next);
      last = next;
    }
  }
  vec2 from = p * ratio;
  vec2 to = q * ratio;
  steep = abs(to.y - from.y) > abs(to.x - from.x) ? 1 : 0;
  if (steep == 1) {
    from = from.yx;
    to = to.yx;
  }
  float start = from.x;
  if (from.x > to.x) {
    vec2 swapped = from;
    from = to;
    to = swapped;
  }
  float span = to.x - from.x;
  if (!(span > 0.0)) {
    gl_Position = vec4(2, 2, 0, 1);
    return;
  }
  float slope = (to.y - from.y) / span;
  // Stepping along the major axis thins a diagonal; more depth keeps the ink per length.
  float along = sqrt(1.0 + slope * slope);
  depth = at(depths, int(edge.z) * links + link) * along;
  halfWidth = (thickness + float(edge.w)) / 2.0;
  stroke = vec4(from.x, to.x, from.y, slope);
  dash = dashed ? vec3(before, start, along / ratio) : vec3(0);

  float major = gl_VertexID % 2 == 0 ? from.x - 0.5 : to.x + 0.5;
  float side = gl_VertexID < 2 ? -1.0 : 1.0;
  float minor = from.y + (major - from.x) * slope + side * (halfWidth + 0.5);
  vec2 place = steep == 1 ? vec2(minor, major) : vec2(major, minor);
  gl_Position = vec4(place / size * 2.0 - 1.0, 0, 1);
}`;

export const STROKE_PIXELS = `#version 300 es
precision highp float;
precision highp int;

flat in vec4 stroke;
flat in float depth;
flat in float halfWidth;
flat in int steep;
flat in vec3 dash;
out float added;

void main() {
  vec2 here = steep == 1 ? gl_FragCoord.yx : gl_FragCoord.xy;
  float along = clamp(min(here.x + 0.5, stroke.y) - max(here.x - 0.5, stroke.x), 0.0, 1.0);
  float off = abs(here.y - stroke.z - (here.x - stroke.x) * stroke.w);
  float across = clamp(halfWidth + 0.5 - off, 0.0, 1.0);
  if (dash.z > 0.0) {
    const float on = ${float(DASH[0])};
    const float gap = ${float(DASH[1])};
    float walked = dash.x + abs(here.x - dash.y) * dash.z;
    float beyond = mod(walked + gap / 2.0, on + gap) - gap / 2.0;
    along *= clamp(0.5 + (on / 2.0 - abs(beyond - on / 2.0)) / dash.z, 0.0, 1.0);
  }
  added = depth * along * across;
}`;

export const ALL_PIXELS = `#version 300 es
void main() {
  gl_Position = vec4(gl_VertexID == 1 ? 3 : -1, gl_VertexID == 2 ? 3 : -1, 0, 1);
}`;

/** The tone curve; the picture's first row is its upper one. */
export const TONES = `#version 300 es
precision highp float;
precision highp sampler2D;

uniform sampler2D sum;
uniform vec3 ink;
out vec4 colour;

void main() {
  ivec2 at = ivec2(gl_FragCoord.xy);
  float alpha = 1.0 - exp(-texelFetch(sum, ivec2(at.x, textureSize(sum, 0).y - 1 - at.y), 0).r);
  colour = vec4(ink * alpha, alpha);
}`;
