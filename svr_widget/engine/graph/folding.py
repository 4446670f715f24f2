"""Columns by the modules that they stand in, so that a deep network can be shown folded.

A network of three hundred columns is read by its blocks first. The modules follow from the
qualified names: ``"h.3.attn[QK.0]"`` stands in ``"h.3"`` and in ``"h.3.attn"``. What nearly all
columns share (``"transformer"``, ``"transformer.h"``) parts nothing and is no module here, nor is
one of a single column. Where more than ``MOST`` columns or modules still stand side by side, as in
a plain stack of a hundred layers, ranges of them are modules too (``ranges.py``).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple, Unpack

import numpy as np
from numpy.typing import NDArray

from svr_widget.engine.errors import SVRError, nearest_name
from svr_widget.engine.graph.ranges import ranges_of, spanned
from svr_widget.engine.graph.spectral_graph import SpectralGraph
from svr_widget.engine.graph.thresholds import Threshold, cut_of
from svr_widget.engine.maps.labels import Labels

MOST = 24
"""Columns that are to be seen at first: where there are more, modules are folded."""

_FEWEST, _ALLOWED = 8, 64
"""Where folding leaves fewer columns than the first, one level more is seen, up to the second."""

_SMALL = 8
"""A module within a folded one is itself folded at first where it has more columns than this."""

_SHARED = 0.75
"""A module that holds at least this share of all columns parts nothing."""


class Module(NamedTuple):
    """A module with several columns, or a range of such and of columns that follow each other.

    Attributes:
        name: its qualified name; of a range what its ends are called, as in ``"fc1-fc10"``.
        parent: the place among the modules of the one that it stands in; None for none.
        columns: the places of its columns, those of modules within it too.
        folded: whether it is folded at first.
        ends: of a range, the names of the first and the last in it; None for a module.
    """

    name: str
    parent: int | None
    columns: tuple[int, ...]
    folded: bool
    ends: tuple[str, str] | None = None


class Group(NamedTuple):
    """What is seen as one column: a folded module, or a column by itself.

    Attributes:
        name: of the module or the column.
        columns: places of the columns in it.
    """

    name: str
    columns: tuple[int, ...]


def modules_of(columns: Sequence[str]) -> tuple[Module, ...]:
    """The modules that columns stand in, by the columns' names; each after the one it stands in.

    Examples:
        >>> from svr_widget.engine.graph.folding import modules_of
        >>> found = modules_of(["stem", "layer1.a", "layer1.b", "layer2.a", "layer2.b", "head"])
        >>> [(module.name, module.columns) for module in found]
        [('layer1', (1, 2)), ('layer2', (3, 4))]
        >>> [module.name for module in modules_of([f"fc{i}" for i in range(1, 101)])][:2]
        ['fc1-fc10', 'fc11-fc20']
    """
    found = _with_ranges(columns, _named(columns))
    folded = _folded_at_first(found, len(columns))
    return tuple(
        Module(name, parent, held, place in folded, ends)
        for place, (name, parent, held, ends) in enumerate(found)
    )


def label_of(module: Module, labels: Labels) -> str:
    """What a picture calls a module, by the labels of its columns."""

    def said(name: str) -> str:
        return labels.of.get(name) or name.removeprefix(labels.shared)

    return said(module.name) if module.ends is None else spanned(*map(said, module.ends))


def groups_of(
    columns: Sequence[str], modules: Sequence[Module], folded: Iterable[str] | None = None
) -> tuple[Group, ...]:
    """What is seen of columns, in their order.

    Args:
        columns: their names.
        modules: as ``modules_of`` has them.
        folded: names of folded modules; None for those that are folded at first.

    Raises:
        SVRError: a name is that of no module.
    """
    names = check_folded(modules, folded)
    group: dict[int, int] = {}
    for at, module in reversed(list(enumerate(modules))):
        if module.name in names:  # an outer one comes last
            group.update(dict.fromkeys(module.columns, at))
    seen = dict.fromkeys(group.get(place, ~place) for place in range(len(columns)))
    return tuple(
        Group(columns[~at], (~at,)) if at < 0 else Group(modules[at].name, modules[at].columns)
        for at in seen
    )


def check_folded(modules: Sequence[Module], folded: Iterable[str] | None) -> frozenset[str]:
    """The names of the folded modules.

    Raises:
        SVRError: a name is that of no module.
    """
    if folded is None:
        return frozenset(module.name for module in modules if module.folded)
    known, names = {module.name for module in modules}, list(folded)
    for name in names:
        if name not in known:
            said = "" if known else ": no module of this graph has several columns"
            raise SVRError(f"folded: no module {name!r}{said}{nearest_name(name, known)}")
    return frozenset(names)


def folded_like(
    there: Sequence[Module],
    folded: Iterable[str] | None,
    here: Sequence[Module],
    before: Iterable[str] | None,
) -> list[str] | None:
    """The folded modules of a network beside one whose folds changed.

    Args:
        there: the modules of that one.
        folded: which of them are folded; None for those that are at first.
        here: the modules of this one. Those of both are folded as there.
        before: which of these were folded; those that are not there stay so.

    Returns:
        Names of modules of this one; None where ``folded`` is.
    """
    if folded is None:
        return None
    known = {module.name for module in there}
    theirs, ours = set(folded), None if before is None else set(before)

    def is_folded(module: Module) -> bool:
        if module.name in known:
            return module.name in theirs
        return module.folded if ours is None else module.name in ours

    return [module.name for module in here if is_folded(module)]


class FoldedLinks(NamedTuple):
    """Which group feeds which, and what was found there.

    Attributes:
        groups: rows and columns of the matrices, in the order in which data flows.
        links: how many links join them, ``[consumers, producers]``.
        tests: tested entries of those.
        significant: entries that are significant.
        expected: how many of the tests chance brings below the same p-value.
    """

    groups: tuple[Group, ...]
    links: NDArray[np.int64]
    tests: NDArray[np.int64]
    significant: NDArray[np.int64]
    expected: NDArray[np.float64]


def folded_links(
    graph: SpectralGraph, folded: Iterable[str] | None = None, **threshold: Unpack[Threshold]
) -> FoldedLinks:
    """The links of a graph summed over the columns of folded modules (links by construction apart).

    Args:
        graph: computed here if it is not yet.
        folded: names of folded modules; None for those that are folded at first.
        **threshold: as in ``SVR.edges``.

    Raises:
        SVRError: a name is that of no module.
        ThresholdError: the level is out of range, or more than one is given.

    Examples:
        >>> from svr_widget.engine.graph.folding import folded_links
        >>> found = folded_links(svr)
        >>> [group.name for group in found.groups], found.significant.tolist()
        (['0', '2', '4'], [[0, 0, 0], [1, 0, 0], [0, 1, 0]])
    """
    columns = list(graph.columns)
    groups = groups_of(columns, modules_of(columns), folded)
    depths = [graph.maps[column.map].depth for column in graph.columns.values()]
    groups = tuple(sorted(groups, key=lambda group: min(depths[at] for at in group.columns)))
    place = {columns[at]: row for row, group in enumerate(groups) for at in group.columns}
    tests, cut = cut_of(graph, threshold)
    shape = len(groups), len(groups)
    links, sizes, found = (np.zeros(shape, np.int64) for _ in range(3))
    expected = np.zeros(shape)
    for key, size in zip(tests.keys, tests.sizes.tolist(), strict=True):
        link, part = key
        if graph.links[link].by_construction:
            continue
        producer, consumer = (place[name] for name in graph.ends(link))
        at = consumer, producer
        links[at] += part == 0
        sizes[at] += size
        found[at] += cut.counts[key]
        expected[at] += size * 10.0 ** cut.log10_p[key]
    return FoldedLinks(groups, links, sizes, found, expected)


class _Found(NamedTuple):
    """A module as it is found; attributes as of ``Module``."""

    name: str
    parent: int | None
    columns: tuple[int, ...]
    ends: tuple[str, str] | None = None


def _named(columns: Sequence[str]) -> list[_Found]:
    """The modules that the names of columns speak of; each after the one it stands in."""
    inside: dict[str, list[int]] = {}
    for place, name in enumerate(columns):
        for path in _paths(name):
            inside.setdefault(path, []).append(place)
    places: dict[str, int] = {}
    found: list[_Found] = []
    for path, held in sorted(inside.items(), key=lambda each: (each[0].count("."), each[1][0])):
        if len(held) < 2 or len(held) >= _SHARED * len(columns):
            continue
        above = [places[each] for each in _above(path) if each in places]
        parent = above[-1] if above else None
        # A module that holds but another one is that module.
        if parent is None or len(found[parent].columns) > len(held):
            places[path] = len(found)
            found.append(_Found(path, parent, tuple(held)))
    return found


def _with_ranges(columns: Sequence[str], named: Sequence[_Found]) -> list[_Found]:
    """The same modules, and ranges of what stands side by side in too large a number."""
    innermost = {at: place for place, module in enumerate(named) for at in module.columns}
    inner: dict[int | None, list[_Found]] = {}
    for at, name in enumerate(columns):
        inner.setdefault(innermost.get(at), []).append(_Found(name, None, (at,)))
    for module in named:
        inner.setdefault(module.parent, []).append(module)
    place_of = {module.name: place for place, module in enumerate(named)}
    taken = {*columns, *place_of}
    found: list[_Found] = []

    def put(items: list[_Found], parent: int | None) -> None:
        """Those that hold several columns, with what stands in them, and the ranges of all."""
        items = sorted(items, key=lambda item: item.columns[0])
        ranges = {each[0]: each for each in ranges_of([i.name for i in items], MOST, _FEWEST)}
        at = 0
        while at < len(items):
            item = items[at]
            if (together := ranges.get(at)) is not None:
                own = items[together.start : together.stop]
                ends = own[0].name, own[-1].name
                name = spanned(*ends)
                while name in taken:
                    name += "~"
                taken.add(name)
                held = sorted(place for each in own for place in each.columns)
                found.append(_Found(name, parent, tuple(held), ends))
                put(own, len(found) - 1)
                at = together.stop
                continue
            if len(item.columns) > 1:
                found.append(item._replace(parent=parent))
                put(inner[place_of[item.name]], len(found) - 1)
            at += 1

    put(inner.get(None, []), None)
    return found


def _paths(name: str) -> list[str]:
    """The modules that a column's name says it stands in, from the outermost.

    What is one of several of a module stands in that: ``"attn[QK.0]"`` in ``"attn"``.
    """
    path, bracket, _ = name.partition("[")
    above = _above(path)
    return [*above, path] if bracket else above


def _above(path: str) -> list[str]:
    parts = path.split(".")
    return [".".join(parts[:end]) for end in range(1, len(parts))]


def _folded_at_first(found: Sequence[_Found], columns: int) -> set[int]:
    """Modules folded so that few columns are seen, all of one level alike."""
    if columns <= MOST:
        return set()
    levels: list[int] = []
    for module in found:
        levels.append(0 if module.parent is None else levels[module.parent] + 1)
    deepest = max(levels, default=-1)
    seen = [
        columns
        - sum(
            len(module.columns) - 1 for module, at in zip(found, levels, strict=True) if at == level
        )
        for level in range(deepest + 1)
    ] + [columns]
    fitting = [level for level, many in enumerate(seen) if many <= MOST]
    level = fitting[-1] if fitting else 0
    if seen[level] < _FEWEST and seen[level + 1] <= _ALLOWED:
        level += 1
    return {
        place
        for place, module in enumerate(found)
        if levels[place] == level or (levels[place] > level and len(module.columns) > _SMALL)
    }
