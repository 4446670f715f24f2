"""The columns of the picture: the spectral neurons of a map, or of each of its two sides.

SVR and co-SVR give every map one set of neurons. A cross graph (paper, 5.2.1) joins the SVR
neurons of a link's producer to the co-SVR neurons of its consumer. Where the two sets of a map
between others differ, which is where it has a kernel, the map has two columns: what it reads as
``name~`` (the paper marks what belongs to the co-SVR with a tilde), what it emits under its name.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from svr_widget.engine.decompose import Flattening
from svr_widget.engine.graph.adjacency import Method, sides
from svr_widget.engine.maps.bundles import Links
from svr_widget.engine.maps.linear_map import LinearMap


class Column(NamedTuple):
    """The neurons of a map under one flattening.

    Attributes:
        map: name of the map.
        flattening: whose singular vectors they are.
    """

    map: str
    flattening: Flattening


def columns_of(maps: Mapping[str, LinearMap], links: Links, method: Method) -> dict[str, Column]:
    """The columns by name, in order of execution; what a map reads before what it emits."""
    out_side, in_side = sides(method)
    found: dict[str, Column] = {}
    producers = {name for bundle in links.bundles for name in bundle.producers}
    consumers = {name for bundle in links.bundles for name, _ in bundle.consumers}
    for name, linear in maps.items():
        if in_side == out_side or linear.positions == 1 or name not in consumers:
            found[name] = Column(name, out_side)
        elif name not in producers:
            found[name] = Column(name, in_side)
        else:
            input_name = name + "~"
            while input_name in maps or input_name in found:
                input_name += "~"
            found[input_name] = Column(name, in_side)
            found[name] = Column(name, out_side)
    return found
