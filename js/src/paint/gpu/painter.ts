// Paints the edges of a job on a graphics card: their depths add up in a texture of floats, which
// the tone curve then turns into ink, as raster.ts does it in integers.

import { type Shape, shapeOf } from "../../geometry/columns.js";
import type { Layout } from "../../geometry/layout.js";
import {
  ARC_PIECES,
  arcEnds,
  halfSpan,
  isDashed,
  LOOP_PIECES,
  MOST_LIFT,
} from "../../geometry/paths.js";
import type { Drawable } from "../../wire/scene.js";
import { type DepthTable, depthTable, levels } from "../density.js";
import { HEAVY } from "../paint.js";
import { type Job, sizeOf } from "../paintJob.js";
import type { Rgb } from "../palette.js";
import { ALL_PIXELS, STROKE_PIXELS, STROKES, TABLE_WIDTH, TONES } from "./shaders.js";

type Gl = WebGL2RenderingContext;

/** Each link is a call of its own, and a column of the table of depths. */
const MOST_LINKS = 1024;

/** Names that software goes by that draws without a graphics card, slower than `raster.ts`. */
const SOFTWARE = /swiftshader|llvmpipe|softpipe|software|basic render/i;

/** A context of a graphics card that can add up floats; null where there is none. */
export function graphicsCard(canvas: HTMLCanvasElement): Gl | null {
  const gl = canvas.getContext("webgl2", {
    antialias: false,
    depth: false,
    powerPreference: "high-performance",
  });
  if (!gl) return null;
  const floats = gl.getExtension("EXT_color_buffer_float") && gl.getExtension("EXT_float_blend");
  const info = gl.getExtension("WEBGL_debug_renderer_info");
  const name = gl.getParameter(info ? info.UNMASKED_RENDERER_WEBGL : gl.RENDERER);
  if (floats && !SOFTWARE.test(String(name))) return gl;
  release(gl);
  return null;
}

/** A page has room for 16 contexts. */
export const release = (gl: Gl) => gl.getExtension("WEBGL_lose_context")?.loseContext();

export interface GpuPainter {
  /** Whether the card has room for the picture and its tables. */
  canPaint(job: Job): boolean;
  /** Adds up all of the job's edges, some time from now: see `WebGLSync`. */
  paint(job: Job): void;
  /** Draws what was added up last on the canvas. */
  develop(ink: Rgb): void;
}

export function createGpuPainter(gl: Gl): GpuPainter {
  const strokes = program(gl, STROKES, STROKE_PIXELS);
  const tones = program(gl, ALL_PIXELS, TONES);
  const [edges, heights, depths] = [table(gl, 0), table(gl, 1), table(gl, 2)];
  const sum = gl.createTexture();
  const target = gl.createFramebuffer();
  let last: Pick<Job, "scene" | "layout" | "faintest"> | null = null;
  let depth: DepthTable | null = null;
  const { canvas } = gl;

  const upload = (job: Job) => {
    const { scene, layout, faintest } = job;
    if (last?.scene !== scene) edges.fill(edgeTable(scene), "RGBA32UI");
    if (last?.layout !== layout) heights.fill(Float32Array.from(layout.y), "R32F");
    if (last?.scene !== scene || last.layout !== layout || last.faintest !== faintest) {
      depth = depthTable(scene, layout, { faintest });
      depths.fill(depth.depths, "R32F");
    }
    last = { scene, layout, faintest };
  };
  const resize = (width: number, height: number) => {
    if (canvas.width === width && canvas.height === height && last) return;
    canvas.width = width;
    canvas.height = height;
    gl.activeTexture(gl.TEXTURE3);
    gl.bindTexture(gl.TEXTURE_2D, sum);
    gl.texImage2D(gl.TEXTURE_2D, 0, gl.R32F, width, height, 0, gl.RED, gl.FLOAT, null);
    sharp(gl);
    gl.bindFramebuffer(gl.FRAMEBUFFER, target);
    const at = gl.COLOR_ATTACHMENT0;
    gl.framebufferTexture2D(gl.FRAMEBUFFER, at, gl.TEXTURE_2D, sum, 0);
  };
  return {
    canPaint(job) {
      const { width, height } = sizeOf(job);
      const most: number = gl.getParameter(gl.MAX_TEXTURE_SIZE);
      const { links, edgeM } = job.scene;
      const room = most * TABLE_WIDTH;
      const rows = links.filter(({ sent }) => sent > 0).length;
      const fits = edgeM.length <= room && job.layout.y.length <= room && rows <= MOST_LINKS;
      return fits && Math.max(width, height) <= most && width * height > 0;
    },
    paint(job) {
      const { width, height } = sizeOf(job);
      resize(width, height);
      upload(job);
      gl.bindFramebuffer(gl.FRAMEBUFFER, target);
      gl.viewport(0, 0, width, height);
      gl.clearColor(0, 0, 0, 0);
      gl.clear(gl.COLOR_BUFFER_BIT);
      gl.useProgram(strokes.program);
      gl.enable(gl.BLEND);
      gl.blendFunc(gl.ONE, gl.ONE);
      if (depth) drawStrokes(gl, strokes.at, job, depth);
    },
    develop([red, green, blue]) {
      gl.bindFramebuffer(gl.FRAMEBUFFER, null);
      gl.viewport(0, 0, canvas.width, canvas.height);
      gl.disable(gl.BLEND);
      gl.useProgram(tones.program);
      gl.uniform1i(tones.at("sum"), 3);
      gl.uniform3f(tones.at("ink"), red / 255, green / 255, blue / 255);
      gl.drawArrays(gl.TRIANGLES, 0, 3);
    },
  };
}

type Locations = (name: string) => WebGLUniformLocation | null;

function drawStrokes(
  gl: Gl,
  at: Locations,
  { scene, layout, ratio, drawn }: Job,
  { place, width: links }: DepthTable,
): void {
  const { camera, size } = layout;
  const { width, height } = sizeOf({ layout, ratio });
  for (const [unit, name] of ["edges", "heights", "depths"].entries()) gl.uniform1i(at(name), unit);
  gl.uniform1i(at("links"), links);
  gl.uniform2f(at("size"), width, height);
  gl.uniform1f(at("ratio"), ratio);
  gl.uniform1f(at("thickness"), Math.max(1, Math.round(ratio)));
  gl.uniform1f(at("zoom"), camera.zoom);
  gl.uniform1f(at("reach"), layout.reach);
  gl.uniform1f(at("rise"), size.height * MOST_LIFT);
  const { top, bottom } = arcEnds(layout);
  gl.uniform1f(at("halfSpan"), halfSpan(layout));
  gl.uniform1f(at("top"), top);
  gl.uniform1f(at("bottom"), bottom);
  for (const [index, link] of scene.links.entries()) {
    const { producer, consumer, start, backward } = link;
    if (drawn[index] === 0 || place[index] < 0) continue;
    if (isBeside(layout, producer, consumer)) continue;
    const back = backward || layout.x[consumer] < layout.x[producer];
    const { shape, pieces } = courseOf(shapeOf(layout.folding, link), back);
    gl.uniform1i(at("link"), place[index]);
    gl.uniform1i(at("first"), start);
    gl.uniform1i(at("pieces"), pieces);
    gl.uniform1i(at("shape"), shape);
    gl.uniform1i(at("dashed"), isDashed(scene, index) ? 1 : 0);
    gl.uniform2f(at("columns"), layout.x[producer], layout.x[consumer]);
    gl.drawArraysInstanced(gl.TRIANGLE_STRIP, 0, 4, drawn[index] * pieces);
  }
}

/** Whether a link lies to the left or to the right of what is seen; loops bulge to the right. */
function isBeside(layout: Layout, producer: number, consumer: number): boolean {
  const ends = [layout.x[producer], layout.x[consumer]];
  return Math.max(...ends) + 2 * layout.reach < 0 || Math.min(...ends) > layout.size.width;
}

function courseOf(shape: Shape, backward: boolean) {
  if (shape === "line") return { shape: 0, pieces: 1 };
  if (shape === "loop") return { shape: 3, pieces: LOOP_PIECES };
  return { shape: backward ? 2 : 1, pieces: ARC_PIECES };
}

/** Four numbers an edge: its neurons among those of all maps, its level, whether it is heavy. */
function edgeTable(scene: Drawable): Uint32Array {
  const { maps, links, edgeM, edgeN, edgeWeight } = scene;
  const levelOf = levels(scene);
  const numbers = new Uint32Array(4 * edgeM.length);
  for (const { producer, consumer, start, sent } of links) {
    for (let edge = start; edge < start + sent; edge++) {
      numbers[4 * edge] = maps[producer].start + edgeM[edge];
      numbers[4 * edge + 1] = maps[consumer].start + edgeN[edge];
      numbers[4 * edge + 2] = levelOf(edgeWeight[edge]);
      numbers[4 * edge + 3] = edgeWeight[edge] >= HEAVY ? 1 : 0;
    }
  }
  return numbers;
}

/** A texture unit with numbers to look up, `ROW` of them a row. */
function table(gl: Gl, unit: number) {
  const texture = gl.createTexture();
  return {
    fill(numbers: Uint32Array | Float32Array, format: "RGBA32UI" | "R32F") {
      const whole = format === "RGBA32UI";
      const row = TABLE_WIDTH * (whole ? 4 : 1);
      const rows = Math.max(1, Math.ceil(numbers.length / row));
      const padded = whole ? new Uint32Array(rows * row) : new Float32Array(rows * row);
      padded.set(numbers);
      gl.activeTexture(gl.TEXTURE0 + unit);
      gl.bindTexture(gl.TEXTURE_2D, texture);
      const [channels, type] = whole ? [gl.RGBA_INTEGER, gl.UNSIGNED_INT] : [gl.RED, gl.FLOAT];
      gl.texImage2D(gl.TEXTURE_2D, 0, gl[format], TABLE_WIDTH, rows, 0, channels, type, padded);
      sharp(gl);
    },
  };
}

/** Texels as they are: integers and floats have nothing between them. */
function sharp(gl: Gl): void {
  gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MIN_FILTER, gl.NEAREST);
  gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MAG_FILTER, gl.NEAREST);
}

function program(gl: Gl, vertices: string, pixels: string) {
  const made = gl.createProgram();
  for (const [kind, source] of [
    [gl.VERTEX_SHADER, vertices],
    [gl.FRAGMENT_SHADER, pixels],
  ] as const) {
    const shader = gl.createShader(kind) as WebGLShader;
    gl.shaderSource(shader, source);
    gl.compileShader(shader);
    gl.attachShader(made, shader);
    if (!gl.getShaderParameter(shader, gl.COMPILE_STATUS) && !gl.isContextLost()) {
      throw new Error(`a shader is not understood here: ${gl.getShaderInfoLog(shader)}`);
    }
  }
  gl.linkProgram(made);
  const known = new Map<string, WebGLUniformLocation | null>();
  const at: Locations = (name) => {
    if (!known.has(name)) known.set(name, gl.getUniformLocation(made, name));
    return known.get(name) ?? null;
  };
  return { program: made, at };
}
