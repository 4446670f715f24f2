"""The container against its own written layout: golden bytes, round trips, refusals."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from svr_widget.widget.wire.codec import DTYPES, CodecError, decode, encode

GOLDEN = Path(__file__).parents[1] / "golden-container.bin"  # read by js/test too
GOLDEN_META = {"name": "conv1 – ω", "numbers": [1, 2.5, -3e-300], "none": None}
GOLDEN_ARRAYS = {
    "bytes": np.array([1, 2, 255], np.uint8),
    "matrix": np.array([[0.5, -1.5], [2.25, 1e30]], np.float32),
    "wide": np.array([4_000_000_000], np.uint32),
    "empty": np.zeros((0, 3), np.float64),
    "exact": np.array([0.1, -300.25], np.float64),
}


def test_golden_bytes() -> None:
    assert encode(GOLDEN_META, GOLDEN_ARRAYS) == GOLDEN.read_bytes()


def test_layout_by_hand() -> None:
    data = encode({"a": 1}, {"x": np.array([7], np.uint16)})
    magic, version, length, zero = struct.unpack_from("<4sIII", data)
    assert (magic, version, zero) == (b"SVRC", 1, 0)
    header = json.loads(data[16 : 16 + length])
    assert header["meta"] == {"a": 1}
    assert header["arrays"] == [{"name": "x", "dtype": "u2", "shape": [1], "offset": 0}]
    payload = 16 + length + -(16 + length) % 8
    assert data[payload : payload + 2] == b"\x07\x00"


@given(
    st.dictionaries(
        st.text(max_size=8),
        st.sampled_from(sorted(DTYPES)).flatmap(
            lambda name: hnp.arrays(DTYPES[name], hnp.array_shapes(min_dims=0, min_side=0))
        ),
        max_size=4,
    ),
    st.dictionaries(st.text(), st.floats(allow_nan=False, allow_infinity=False) | st.text()),
)
def test_round_trip(arrays: dict[str, np.ndarray], meta: dict[str, object]) -> None:
    meta_back, arrays_back = decode(encode(meta, arrays))
    assert meta_back == meta
    assert list(arrays_back) == list(arrays)
    for name, array in arrays.items():
        assert arrays_back[name].dtype == array.dtype
        assert arrays_back[name].shape == array.shape
        assert arrays_back[name].tobytes() == array.tobytes()


@pytest.mark.parametrize("dtype", [np.int64, np.float16, np.bool_, np.complex64])
def test_other_dtypes_are_refused_by_name(dtype: object) -> None:
    with pytest.raises(CodecError, match="'weights'"):
        encode({}, {"weights": np.zeros(2, dtype)})


@pytest.mark.parametrize("value", [float("nan"), float("inf"), object(), {1, 2}])
def test_meta_that_json_cannot_hold_is_refused(value: object) -> None:
    with pytest.raises(CodecError, match="meta"):
        encode({"value": value}, {})


def corrupt(**changes: object) -> bytes:
    """A container whose only array's entry is changed."""
    entry = {"name": "x", "dtype": "u2", "shape": [2], "offset": 0, **changes}
    header = json.dumps({"meta": None, "arrays": [entry]}).encode()
    head = struct.pack("<4sIII", b"SVRC", 1, len(header), 0) + header
    return head + bytes(-len(head) % 8) + bytes(8)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "too few"),
        (b"PNG!" + bytes(20), "not a container"),
        (struct.pack("<4sIII", b"SVRC", 9, 0, 0), "version 9"),
        (struct.pack("<4sIII", b"SVRC", 1, 99, 0) + b"{}", "truncated"),
        (struct.pack("<4sIII", b"SVRC", 1, 2, 0) + b"x}", "not JSON"),
        (corrupt(dtype="O"), "dtype"),
        (corrupt(shape=[5]), "outside"),
        (corrupt(offset=4), "outside"),
        (corrupt(offset=-8), "outside"),
        (corrupt(shape=[-1]), "outside"),
    ],
)
def test_what_is_no_container_is_refused(data: bytes, message: str) -> None:
    with pytest.raises(CodecError, match=message):
        decode(data)


def test_the_same_name_twice_is_refused() -> None:
    entry = {"name": "x", "dtype": "u1", "shape": [1], "offset": 0}
    header = json.dumps({"meta": None, "arrays": [entry, entry]}).encode()
    head = struct.pack("<4sIII", b"SVRC", 1, len(header), 0) + header
    with pytest.raises(CodecError, match="twice"):
        decode(head + bytes(-len(head) % 8) + bytes(8))


def test_decoded_arrays_are_read_only() -> None:
    _, arrays = decode(encode({}, {"x": np.zeros(2, np.float32)}))
    with pytest.raises(ValueError, match="read-only"):
        arrays["x"][0] = 1
