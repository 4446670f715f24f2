"""One binary container for all that travels to the front end; ``js/src/wire/codec.ts`` mirrors it.

Layout, all numbers little-endian::

    "SVRC" | u32 version | u32 header length | u32 zero | header (UTF-8 JSON) | padding | payload

The header is ``{"meta": any JSON, "arrays": [{"name", "dtype", "shape", "offset"}]}``; offsets
count from the start of the payload and are multiples of 8, so that the browser can lay typed
arrays over the bytes without copying. What could not come back the same is refused, not cast.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Mapping
from typing import Any

import numpy as np

MAGIC = b"SVRC"
VERSION = 1
ALIGNMENT = 8
PREFIX = struct.Struct("<4sIII")
DTYPES = {name: np.dtype(f"<{name}") for name in ("u1", "u2", "u4", "i4", "f4", "f8")}

Array = np.ndarray[Any, np.dtype[Any]]


class CodecError(ValueError):
    """Bytes that are no container, or values that a container cannot hold."""


def encode(meta: Any, arrays: Mapping[str, Array]) -> bytes:
    """Pack JSON-like ``meta`` and named arrays into one container.

    Raises:
        CodecError: an array's dtype is not one of ``DTYPES``, or ``meta`` holds NaN, an infinity
            or something that JSON has no form for.
    """
    entries, chunks, offset = [], [], 0
    for name, array in arrays.items():
        dtype = array.dtype.str[1:]
        if dtype not in DTYPES:
            raise CodecError(f"array {name!r}: dtype {array.dtype} is not one of {list(DTYPES)}")
        data = np.ascontiguousarray(array, dtype=DTYPES[dtype]).tobytes()
        entries.append({"name": name, "dtype": dtype, "shape": array.shape, "offset": offset})
        padding = -len(data) % ALIGNMENT
        chunks += [data, bytes(padding)]
        offset += len(data) + padding
    try:
        header = json.dumps({"meta": meta, "arrays": entries}, allow_nan=False, ensure_ascii=False)
        encoded = header.encode()
    except (TypeError, ValueError) as error:
        raise CodecError(f"meta cannot be written as JSON: {error}") from error
    head = PREFIX.pack(MAGIC, VERSION, len(encoded), 0) + encoded
    return b"".join([head, bytes(-len(head) % ALIGNMENT), *chunks])


def decode(data: bytes | memoryview) -> tuple[Any, dict[str, Array]]:
    """Unpack a container into its ``meta`` and read-only arrays that lie over ``data``.

    Raises:
        CodecError: wrong magic, another version, truncated bytes, an unknown dtype, a name twice.
    """
    view = memoryview(data).cast("B")
    if len(view) < PREFIX.size:
        raise CodecError(f"{len(view)} bytes are too few for a container")
    magic, version, length, _ = PREFIX.unpack_from(view)
    if magic != MAGIC:
        raise CodecError(f"not a container: it begins with {magic!r}")
    if version != VERSION:
        raise CodecError(f"container version {version}; this release reads version {VERSION}")
    end = PREFIX.size + length
    if end > len(view):
        raise CodecError("the header is truncated")
    try:
        header = json.loads(bytes(view[PREFIX.size : end]))
    except ValueError as error:
        raise CodecError(f"the header is not JSON: {error}") from error
    payload = view[min(len(view), end + -end % ALIGNMENT) :].toreadonly()
    arrays: dict[str, Array] = {}
    for entry in header["arrays"]:
        name = entry["name"]
        if name in arrays:
            raise CodecError(f"array {name!r} stands twice")
        arrays[name] = _array(payload, **entry)
    return header["meta"], arrays


def _array(payload: memoryview, name: str, dtype: str, shape: list[int], offset: int) -> Array:
    if dtype not in DTYPES:
        raise CodecError(f"array {name!r}: dtype {dtype!r} is not one of {list(DTYPES)}")
    size = math.prod(shape) * DTYPES[dtype].itemsize
    outside = offset < 0 or min(shape, default=0) < 0 or offset + size > len(payload)
    if outside or offset % ALIGNMENT:
        raise CodecError(f"array {name!r} reaches outside the container")
    return np.frombuffer(payload[offset : offset + size], dtype=DTYPES[dtype]).reshape(shape)
