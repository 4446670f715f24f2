"""What columns are called on a picture: as a person would call them.

A module's path tells by its end, and what nearly all paths begin with tells nothing: it is said
once, beside the model's own name. The children of an ``nn.Sequential`` have numbers for names,
which tell nothing at all: they are called by what they are and which of these, ``Linear 1``.
The qualified name stays what Python, the search and the words beside a neuron know a map by.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from svr_widget.engine.maps.linear_map import LinearMap

_NUMBERS = re.compile(r"\d+(?:\.\d+)*")
_NOUNS = {"convolution": "Conv", "transposed convolution": "Transposed conv"}
_MOST = 0.75
"""A beginning that fewer columns than this share of them have is not shared."""


class Labels(NamedTuple):
    """What the columns of a graph are called on a picture.

    Attributes:
        of: the label of each column, by its name; no two are the same.
        shared: what the names of most columns begin with and their labels leave out, with its dot.
    """

    of: dict[str, str]
    shared: str = ""


def labels_of(columns: Mapping[str, LinearMap]) -> Labels:
    """Labels for columns, by name, with the map of each.

    ``"transformer.h.0.mlp.c_fc"`` is ``"h.0.mlp.c_fc"`` where all are within ``transformer``;
    ``"0"`` and ``"2"`` of two linear layers are ``"Linear 1"`` and ``"Linear 2"``.
    """
    counted = _counted(columns)
    named = [name for name in columns if name not in counted]
    shared = _shared(named, len(columns))
    found = {name: counted.get(name) or name.removeprefix(shared) for name in columns}
    if len(set(found.values())) < len(found):
        return Labels(dict(zip(columns, columns, strict=True)))
    return Labels(found, shared)


def _counted(columns: Mapping[str, LinearMap]) -> dict[str, str]:
    """Those whose paths are numbers only, called by their kind and a number of their own."""
    found: dict[str, str] = {}
    numbers: dict[str, str] = {}
    seen: dict[str, int] = {}
    for name, linear in columns.items():
        path = _NUMBERS.match(name)
        if path is None or (rest := name[path.end() :])[:1] not in ("", "[", "~"):
            continue
        if path[0] not in numbers:
            noun = _noun(linear)
            seen[noun] = seen.get(noun, 0) + 1
            numbers[path[0]] = f"{noun} {seen[noun]}"
        found[name] = numbers[path[0]] + (f" {rest}" if rest.startswith("[") else rest)
    return found


def _noun(linear: LinearMap) -> str:
    """What its layer is, which for one that reads or writes flattened channels is a linear one."""
    flattened = linear.input_layout is not None or linear.output_layout is not None
    kind = "linear" if flattened else linear.kind
    return _NOUNS.get(kind, kind[:1].upper() + kind[1:])


def _shared(names: Iterable[str], columns: int) -> str:
    """The longest beginning that all paths of several parts have, as far as most columns do."""
    paths = [path.split("[")[0].split(".") for path in names]
    deep = [path for path in paths if len(path) > 1]
    if len(deep) < max(2, _MOST * columns):
        return ""
    length = 0
    while all(len(path) > length + 1 and path[length] == deep[0][length] for path in deep):
        length += 1
    # What is left begins with a name: a number says nothing without what it is a number of.
    while length and any(path[length].isdecimal() for path in deep):
        length -= 1
    return "".join(f"{part}." for part in deep[0][:length])
