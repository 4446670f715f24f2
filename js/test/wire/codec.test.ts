import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { CodecError, decode, encode, type Tensor } from "../../src/wire/codec.js";

const ARRAYS = new Map<string, Tensor>([
  ["bytes", { shape: [3], data: Uint8Array.of(1, 2, 255) }],
  ["shorts", { shape: [1, 2], data: Uint16Array.of(7, 65535) }],
  ["counts", { shape: [2, 2], data: Uint32Array.of(0, 1, 2, 4294967295) }],
  ["signed", { shape: [1], data: Int32Array.of(-5) }],
  ["floats", { shape: [2], data: Float32Array.of(0.5, Number.NaN) }],
  ["doubles", { shape: [0], data: new Float64Array(0) }],
]);
const META = { name: "tête-à-tête ⟨𝕊⟩", list: [1, 2.5, null], nested: { yes: true } };

/** A container written by hand, so that refusals do not rest on `encode`. */
function written(header: unknown, { magic = "SVRC", version = 1, payload = 8, claim = 0 } = {}) {
  const json = new TextEncoder().encode(JSON.stringify(header));
  const start = Math.ceil((16 + json.length) / 8) * 8;
  const bytes = new Uint8Array(start + payload);
  bytes.set(new TextEncoder().encode(magic));
  const view = new DataView(bytes.buffer);
  view.setUint32(4, version, true);
  view.setUint32(8, claim || json.length, true);
  bytes.set(json, 16);
  return bytes;
}

const entry = { name: "a", dtype: "u1", shape: [8], offset: 0 };

describe("codec", () => {
  it("gives back what it was given", () => {
    const { meta, arrays } = decode(encode(META, ARRAYS));
    expect(meta).toEqual(META);
    expect([...arrays.keys()]).toEqual([...ARRAYS.keys()]);
    for (const [name, { shape, data }] of ARRAYS) {
      expect(arrays.get(name)?.shape).toEqual(shape);
      expect(arrays.get(name)?.data).toEqual(data);
    }
  });

  it.each([0, 1, 3, 8])("reads a view that begins %i bytes into a buffer", (offset) => {
    const bytes = encode(META, ARRAYS);
    const room = new Uint8Array(bytes.length + offset + 5);
    room.set(bytes, offset);
    const { arrays } = decode(new DataView(room.buffer, offset, bytes.length));
    expect(arrays.get("counts")?.data).toEqual(ARRAYS.get("counts")?.data);
  });

  it("reads an ArrayBuffer and lays the arrays over it without copying", () => {
    const { buffer } = encode(META, ARRAYS);
    expect(decode(buffer as ArrayBuffer).arrays.get("counts")?.data.buffer).toBe(buffer);
  });

  it.each([
    ["too few bytes", new Uint8Array(7)],
    ["another magic", written({ meta: null, arrays: [] }, { magic: "NOPE" })],
    ["another version", written({ meta: null, arrays: [] }, { version: 2 })],
    ["a header beyond the end", written({ meta: null, arrays: [] }, { claim: 4000 })],
    ["a header that is no object", written(7)],
    ["a name twice", written({ meta: null, arrays: [entry, entry] })],
    ["an unknown dtype", written({ meta: null, arrays: [{ ...entry, dtype: "f2" }] })],
    [
      "a dtype of the prototype",
      written({ meta: null, arrays: [{ ...entry, dtype: "toString" }] }),
    ],
    ["an array beyond the end", written({ meta: null, arrays: [{ ...entry, shape: [9] }] })],
    ["an unaligned array", written({ meta: null, arrays: [{ ...entry, shape: [1], offset: 4 }] })],
    ["a negative shape", written({ meta: null, arrays: [{ ...entry, shape: [-1] }] })],
    ["a negative offset", written({ meta: null, arrays: [{ ...entry, offset: -8 }] })],
  ])("refuses %s", (_, bytes) => {
    expect(() => decode(bytes)).toThrow(CodecError);
  });

  it("refuses to write what JSON or the shape cannot hold", () => {
    expect(() => encode({ deep: [Number.NaN] }, new Map())).toThrow(CodecError);
    const short = new Map([["a", { shape: [3], data: new Uint8Array(2) }]]);
    expect(() => encode(null, short)).toThrow(CodecError);
  });

  const golden = new URL("../../../tests/widget/golden-container.bin", import.meta.url);
  it("reads the container that Python wrote", () => {
    const { arrays } = decode(new Uint8Array(readFileSync(golden)));
    expect(arrays.size).toBeGreaterThan(0);
  });
});
