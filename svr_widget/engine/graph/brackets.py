"""What is seen of a graph whose modules are folded: columns, and brackets of open modules.

The page works out the same for itself (``js/src/logic/folding.ts``); cases of both stand in
``js/test/golden/folding.json``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from svr_widget.engine.graph.folding import Module, groups_of, label_of
from svr_widget.engine.maps.labels import Labels

_FEW = 8
"""A graph of no more columns has no brackets, unless something of it is folded."""


class SeenColumn(NamedTuple):
    """What is seen as one column.

    Attributes:
        label: what it is called where it stands.
        columns: the places of the columns in it.
        folded: whether it is a folded module.
    """

    label: str
    columns: tuple[int, ...]
    folded: bool


class Bracket(NamedTuple):
    """A module that is open, over the columns that are its own.

    Attributes:
        label: what it is called, without what the bracket around it says.
        first: its first seen column.
        last: its last one.
        row: 0 for one with no other bracket within it.
    """

    label: str
    first: int
    last: int
    row: int


class Seen(NamedTuple):
    """What is seen of a graph.

    Attributes:
        columns: from left to right, by their least depth.
        brackets: those around come before those within.
    """

    columns: tuple[SeenColumn, ...]
    brackets: tuple[Bracket, ...]


def seen_of(
    columns: Sequence[str],
    depths: Sequence[int],
    modules: Sequence[Module],
    labels: Labels,
    folded: Iterable[str] | None = None,
) -> Seen:
    """What is seen while modules are folded.

    Args:
        columns: names of all columns.
        depths: the depth of each.
        modules: as ``modules_of`` has them.
        labels: what columns are called.
        folded: names of folded modules; None for those that are folded at first.

    Raises:
        SVRError: a name is that of no module.
    """
    called = [label_of(module, labels) for module in modules]
    place = {module.name: at for at, module in enumerate(modules)}
    groups = sorted(
        groups_of(columns, modules, folded),
        key=lambda group: (min(depths[at] for at in group.columns), group.columns[0]),
    )
    innermost = {at: place for place, module in enumerate(modules) for at in module.columns}
    shown, around = [], []
    for name, held in groups:
        is_folded = len(held) > 1
        own = called[place[name]] if is_folded else labels.of[name]
        shown.append(SeenColumn(own, held, is_folded))
        within = modules[place[name]].parent if is_folded else innermost.get(held[0])
        around.append(_chain(modules, within))
    if len(columns) <= _FEW and not any(column.folded for column in shown):
        return Seen(tuple(shown), ())
    spans = _spans(modules, around)
    own_labels = [column.label for column in shown]
    brackets = []
    for at, (first, last, row) in spans.items():
        outer = next((up for up in _chain(modules, modules[at].parent) if up in spans), None)
        own = called[at] if outer is None else _within(called[at], called[outer])
        brackets.append(Bracket(own, first, last, row))
    for at, (first, last, _) in reversed(spans.items()):  # an inner one before the one around it
        for seen in range(first, last + 1):
            column = shown[seen]
            # What an inner one has said is gone; one that is a range is no part of a name.
            if column.label == own_labels[seen]:
                shown[seen] = column._replace(label=_within(column.label, called[at]))
    return Seen(tuple(shown), tuple(brackets))


def _chain(modules: Sequence[Module], at: int | None) -> list[int]:
    """A module and those that it stands in, from the innermost."""
    found = []
    while at is not None:
        found.append(at)
        at = modules[at].parent
    return found


def _spans(
    modules: Sequence[Module], around: Sequence[Sequence[int]]
) -> dict[int, tuple[int, int, int]]:
    """The longest run of columns that are a module's own, and its row; by its place.

    One that is scattered among others would say something wrong over a part of it; the rows of
    those within it are taken all the same for the one around it.
    """
    found: dict[int, tuple[int, int, int]] = {}
    rows: dict[int, int] = {}
    for at in reversed(range(len(modules))):
        own = [seen for seen, chain in enumerate(around) if at in chain]
        if not own:
            continue
        row, parent = rows.get(at, 0), modules[at].parent
        starts = [seen for seen in own if seen - 1 not in own]
        ends = [seen for seen in own if seen + 1 not in own]
        first, last = max(zip(starts, ends, strict=True), key=lambda run: run[1] - run[0])
        if last > first and 2 * (last - first + 1) >= len(own):
            found[at] = first, last, row
            row += 1
        if parent is not None:
            rows[parent] = max(rows.get(parent, 0), row)
    return dict(sorted(found.items()))


def _within(label: str, around: str) -> str:
    """A label without the module's; a number keeps its dot: ".0" goes on from what it says."""
    rest = label.removeprefix(around)
    if rest == label or not re.match(r"[.\[].", rest):
        return label
    bracket = re.fullmatch(r"\[([^\[\]]+)\]", rest)
    part = bracket[1] if bracket else rest[1:]
    return part if part[0].isalpha() else rest
