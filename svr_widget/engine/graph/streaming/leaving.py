"""How intense the neurons of producers are over all links that leave them, from one pass."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

from svr_widget.engine.graph.adjacency import Adjacency
from svr_widget.engine.graph.streaming.products import Bus
from svr_widget.engine.graph.streaming.stream import Stream
from svr_widget.engine.maps.links import LinkKey
from svr_widget.engine.significance.intensity_null import intensity_p_values
from svr_widget.engine.significance.tails import Floats


class Leaving(NamedTuple):
    """The neurons of one producer over the links that leave it.

    Attributes:
        intensity: the largest, as ``Adjacency.intensity`` has it.
        p_value: the smallest, of null neurons without meaning.
        links: how many there are.
    """

    intensity: Floats
    p_value: Floats
    links: int

    def joined(self, other: Leaving) -> Leaving:
        """Over the links of both."""
        return Leaving(
            np.maximum(self.intensity, other.intensity),
            np.fmin(self.p_value, other.p_value),
            self.links + other.links,
        )


def leaving(
    stream: Stream, adjacency: Callable[[LinkKey], Adjacency], seed: int
) -> Mapping[str, Leaving]:
    """The producers' neurons, by map.

    On a bus the links into consumers of as many neurons follow one law: there the largest intensity
    has the smallest p-value, and one law is asked instead of one a link.

    Args:
        stream: the entries of all links, whose pass is over.
        adjacency: gives that of a link.
        seed: seeds the draws behind the p-values.
    """
    found: dict[str, Leaving] = {}
    for product, intensities, starts in stream.intensities():
        if isinstance(product, Bus):
            p_values = np.ones(intensities.shape[1])
            for alike in product.alike:
                column = adjacency(stream.link(product.links[alike[0], 0])).random_column(0)
                largest = intensities[alike].max(axis=0)
                np.minimum(p_values, intensity_p_values(largest, column, seed), out=p_values)
        else:
            only = adjacency(stream.link(product.links[0, 0]))
            p_values = only.intensity_p_values(intensities[0])
        strongest = intensities.max(axis=0)
        for first, start, stop in zip(product.links[0], starts[:-1], starts[1:], strict=True):
            name = stream.link(first)[0]
            mine = Leaving(strongest[start:stop], p_values[start:stop], len(product.links))
            found[name] = found[name].joined(mine) if name in found else mine
    return found
