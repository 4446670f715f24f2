"""Ranges of columns or modules that follow each other, where nothing else groups them.

A stack of a hundred layers, in an ``nn.Sequential`` or as ``fc1`` to ``fc100``, has no modules to
fold, and forty-eight blocks are more than are to be seen. Where so many stand side by side, those
that follow each other in the forward pass and have names of one form make ranges, as even as can
be: ``"fc1-fc10"``, ``"h.0-5"``.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import groupby, pairwise


def ranges_of(names: Sequence[str], most: int, fewest: int) -> list[range]:
    """Which of many things side by side are put together, as ranges of their places.

    Args:
        names: in the order of the forward pass.
        most: how many may be seen side by side; up to that there are no ranges.
        fewest: how many are to be seen at least.

    Returns:
        Ranges of two places or more, none of which overlap.

    Examples:
        >>> from svr_widget.engine.graph.ranges import ranges_of
        >>> found = ranges_of(["stem", *(f"fc{i}" for i in range(30))], most=24, fewest=8)
        >>> found[0], found[-1], len(found)
        (range(1, 4), range(28, 31), 10)
    """
    if len(names) <= most:
        return []
    alike = [len(list(run)) for _, run in groupby(names, key=_form)]
    if 2 * len(alike) > most:  # names of many forms part nothing
        alike = [len(names)]
    size = _size(alike, most, fewest)
    found, start = [], 0
    for length in alike:
        parts = -(-length // size)
        cuts = [start + -(-length * part // parts) for part in range(parts + 1)]
        found += [range(*ends) for ends in pairwise(cuts)]
        start += length
    return [each for each in found if len(each) > 1]


def spanned(first: str, last: str) -> str:
    """The name of what reaches from one to another; what both begin and end with is said once.

    Examples:
        >>> from svr_widget.engine.graph.ranges import spanned
        >>> spanned("fc1", "fc10"), spanned("h.0.mlp", "h.5.mlp"), spanned("attn[0]", "attn[7]")
        ('fc1-fc10', 'h.0-5.mlp', 'attn[0-7]')
    """
    start = _shared(first, last)
    end = min(_shared(first[::-1], last[::-1]), min(len(first), len(last)) - start)
    while end and first[len(first) - end].isalnum():  # whole words only
        end -= 1
    middles = [name[start : len(name) - end] for name in (first, last)]
    if not all(middles):
        return f"{first}-{last}"
    return f"{first[:start]}{'-'.join(middles)}{first[len(first) - end :]}"


def _form(name: str) -> str:
    """A name but for its numbers."""
    return re.sub(r"\d+", "#", name)


def _size(alike: Sequence[int], most: int, fewest: int) -> int:
    """How many are one range: so that few are seen, and few more where one of them is opened.

    Sizes that divide what is alike evenly are preferred to their neighbours.
    """
    best, least = max(alike), sum(alike) + len(alike)
    for size in range(2, max(alike) + 1):
        seen = sum(-(-length // size) for length in alike)
        uneven = any(length % size for length in alike if length > 1)
        if fewest <= seen <= most and seen + size + uneven < least:
            best, least = size, seen + size + uneven
    return best


def _shared(a: str, b: str) -> int:
    """How long the beginning is that both have, up to the end of its last word."""
    length = 0
    while length < min(len(a), len(b)) and a[length] == b[length]:
        length += 1
    while length and a[length - 1].isalnum():
        length -= 1
    return length
