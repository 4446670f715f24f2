// The binary container of everything that crosses between Python and the page; the mirror of
// svr_widget/widget/wire/codec.py:
//
//   "SVRC" | u32 version | u32 header length | u32 zero | header (UTF-8 JSON) | padding | payload
//
// What could not come back the same is refused, not cast.

const MAGIC = "SVRC";
const VERSION = 1;
const PREFIX = 16;
const ALIGNMENT = 8;

const CONSTRUCTORS = {
  u1: Uint8Array,
  u2: Uint16Array,
  u4: Uint32Array,
  i4: Int32Array,
  f4: Float32Array,
  f8: Float64Array,
} as const;

export type Dtype = keyof typeof CONSTRUCTORS;
export type Data = InstanceType<(typeof CONSTRUCTORS)[Dtype]>;
export type Bytes = ArrayBuffer | ArrayBufferView;

export interface Tensor {
  readonly shape: readonly number[];
  readonly data: Data;
}

export interface Container {
  readonly meta: unknown;
  readonly arrays: ReadonlyMap<string, Tensor>;
}

/** Bytes that are no container, or values that a container cannot hold. */
export class CodecError extends Error {
  override name = "CodecError";
}

export type Kind<T> = new (length: number) => T;

/** Takes an array of one of these types, and of a length, out of a container. */
export type Reader = <T extends Data>(
  name: string,
  types: Kind<T> | readonly Kind<T>[],
  length?: number,
) => T;

/** A container that does not hold a scene. */
export class SceneError extends Error {
  override name = "SceneError";
}

/** Reads a container; typed arrays lie over the given bytes, or over a copy where those are unaligned. */
export function decode(source: Bytes): Container {
  const bytes = aligned(source);
  if (bytes.length < PREFIX) {
    throw new CodecError(`${bytes.length} bytes are too few for a container`);
  }
  const prefix = new DataView(bytes.buffer, bytes.byteOffset, PREFIX);
  const magic = String.fromCharCode(...bytes.subarray(0, 4));
  if (magic !== MAGIC) throw new CodecError("not a container: the magic is missing");
  const version = prefix.getUint32(4, true);
  if (version !== VERSION) {
    throw new CodecError(`container version ${version}; this front end reads version ${VERSION}`);
  }
  const end = PREFIX + prefix.getUint32(8, true);
  if (end > bytes.length) throw new CodecError("the header is truncated");
  const header = parseHeader(bytes.subarray(PREFIX, end));
  const payload = bytes.subarray(Math.min(bytes.length, padded(end)));
  const arrays = new Map<string, Tensor>();
  for (const entry of header.arrays) {
    if (arrays.has(entry.name)) throw new CodecError(`array "${entry.name}" stands twice`);
    arrays.set(entry.name, tensor(payload, entry));
  }
  return { meta: header.meta, arrays };
}

/** Packs JSON-like `meta` and named tensors into one container. */
export function encode(meta: unknown, arrays: ReadonlyMap<string, Tensor>): Uint8Array {
  refuseNonFinite(meta);
  const entries: Entry[] = [];
  let size = 0;
  for (const [name, { shape, data }] of arrays) {
    if (count(shape) !== data.length) {
      throw new CodecError(`array "${name}": ${data.length} values do not fill [${shape}]`);
    }
    entries.push({ name, dtype: dtypeOf(name, data), shape: [...shape], offset: size });
    size += padded(data.byteLength);
  }
  const header = new TextEncoder().encode(JSON.stringify({ meta, arrays: entries }));
  const start = padded(PREFIX + header.length);
  const bytes = new Uint8Array(start + size);
  const view = new DataView(bytes.buffer);
  bytes.set([...MAGIC].map((letter) => letter.charCodeAt(0)));
  view.setUint32(4, VERSION, true);
  view.setUint32(8, header.length, true);
  bytes.set(header, PREFIX);
  for (const entry of entries) {
    const { data } = arrays.get(entry.name) as Tensor;
    const raw = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    bytes.set(raw, start + entry.offset);
  }
  return bytes;
}

interface Entry {
  name: string;
  dtype: Dtype;
  shape: number[];
  offset: number;
}

function parseHeader(bytes: Uint8Array): { meta: unknown; arrays: Entry[] } {
  let header: unknown;
  try {
    header = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (error) {
    throw new CodecError(`the header is not JSON: ${(error as Error).message}`);
  }
  const { meta, arrays } = (header ?? {}) as { meta?: unknown; arrays?: unknown };
  if (!Array.isArray(arrays)) throw new CodecError("the header lists no arrays");
  return { meta, arrays: arrays.map(entryOf) };
}

function entryOf(raw: unknown): Entry {
  const { name, dtype, shape, offset } = (raw ?? {}) as Partial<Entry>;
  if (typeof name !== "string") throw new CodecError("an array has no name");
  if (typeof dtype !== "string" || !Object.hasOwn(CONSTRUCTORS, dtype)) {
    throw new CodecError(`array "${name}": dtype ${dtype} is unknown`);
  }
  const natural = (value: unknown) => Number.isSafeInteger(value) && (value as number) >= 0;
  if (!Array.isArray(shape) || !shape.every(natural) || !natural(offset)) {
    throw new CodecError(`array "${name}": its shape or offset is not made of natural numbers`);
  }
  return { name, dtype, shape, offset: offset as number };
}

function tensor(payload: Uint8Array, { name, dtype, shape, offset }: Entry): Tensor {
  const Type = CONSTRUCTORS[dtype];
  const length = count(shape);
  const outside = offset + length * Type.BYTES_PER_ELEMENT > payload.length;
  if (outside || offset % ALIGNMENT !== 0) {
    throw new CodecError(`array "${name}" reaches outside the container`);
  }
  const buffer = payload.buffer as ArrayBuffer;
  return { shape, data: new Type(buffer, payload.byteOffset + offset, length) };
}

function aligned(source: Bytes): Uint8Array {
  const bytes =
    source instanceof ArrayBuffer
      ? new Uint8Array(source)
      : new Uint8Array(source.buffer, source.byteOffset, source.byteLength);
  return bytes.byteOffset % ALIGNMENT === 0 ? bytes : bytes.slice();
}

function dtypeOf(name: string, data: Data): Dtype {
  for (const [dtype, Type] of Object.entries(CONSTRUCTORS)) {
    if (data instanceof Type) return dtype as Dtype;
  }
  throw new CodecError(`array "${name}": its type is none of ${Object.keys(CONSTRUCTORS)}`);
}

function refuseNonFinite(value: unknown): void {
  if (typeof value === "number" && !Number.isFinite(value)) {
    throw new CodecError(`meta holds ${value}, which JSON has no form for`);
  }
  if (value !== null && typeof value === "object") Object.values(value).forEach(refuseNonFinite);
}

const count = (shape: readonly number[]) => shape.reduce((product, length) => product * length, 1);
const padded = (length: number) => Math.ceil(length / ALIGNMENT) * ALIGNMENT;
