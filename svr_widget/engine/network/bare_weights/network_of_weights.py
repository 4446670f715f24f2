"""From bare weights to a network: links only where somebody vouches for them.

Whoever gives a list says its order: it is a chain. A mapping or a file is a bag: nothing in it says
which map feeds which, so that it has maps and their spectra, and no links but those that the caller
claims.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection

from svr_widget.engine.maps.bundles import depths
from svr_widget.engine.maps.linear_map import LinearMap, map_of
from svr_widget.engine.maps.links import Layout, Link
from svr_widget.engine.model.find_maps import Globs, Selection
from svr_widget.engine.network.bare_weights.claims import connect, uncertain
from svr_widget.engine.network.bare_weights.file_weights import FileWeight, Place, left_in_file
from svr_widget.engine.network.bare_weights.given import BareWeights
from svr_widget.engine.network.bare_weights.orientation import READ_AS, NonFinite, Weight, choose
from svr_widget.engine.network.network import Network
from svr_widget.engine.network.pairs import Claimed, check_names
from svr_widget.engine.network.ties import marked_by_content, notes_on


def network_of_weights(
    bare: BareWeights,
    links: Claimed | None = None,
    include: Globs = None,
    exclude: Globs = None,
    non_finite: NonFinite = "refuse",
) -> Network:
    """The network of bare weights.

    Args:
        bare: the weights.
        links: what feeds what; ``"chain"`` for each map the next one, which a list is anyway.
        include: globs over map names; only those are maps.
        exclude: globs over names that are left out.
        non_finite: what becomes of weights with NaN or infinite entries.

    Raises:
        NoMapsError: nothing among them is a map.
        NonFiniteWeightsError: as it is asked for, or all of them are not finite.
        UnsupportedLayerError: one of them cannot be read.
        WidthMismatchError: links join maps of widths that do not fit; all of them are named.
        TraceError: links name a map that there is not.
    """
    chosen = choose(bare, Selection(include, exclude), bool(include), non_finite)
    weights, damaged = chosen.weights, chosen.damaged
    notes = [*bare.notes, *chosen.notes]
    unlinked = ""
    if links is None and not bare.is_list:
        unlinked = _unlinked(bare)
        notes.insert(0, unlinked)
        links = ()
    if links is None or links == "chain":
        if not bare.known:
            notes.append(f"{bare.called} keeps no order of its weights: the chain goes by name")
        pairs, ready = list(itertools.pairwise(chosen.order)), list[Link]()
    else:
        named = [(str(link[0]), str(link[1])) for link in links if not isinstance(link, Link)]
        known = {*weights, *damaged}
        pairs = list(dict.fromkeys((_map(one, known), _map(other, known)) for one, other in named))
        ready = [link for link in links if isinstance(link, Link)]
    pairs = [pair for pair in pairs if not damaged.keys() & set(pair)]
    ready = [link for link in ready if not damaged.keys() & {link.producer, link.consumer}]
    made, layouts = connect(pairs, weights)
    found = (*made, *ready)
    check_names(found, weights)
    if not unlinked and not bare.is_list:
        notes += uncertain(pairs, weights)
    depth = depths(found, tuple(weights))
    maps = {
        name: _map_of(name, weight, bare, layouts.get(name), depth[name])
        for name, weight in weights.items()
    }
    title = bare.title or f"{len(maps)} weight{'s' if len(maps) > 1 else ''}"
    found = marked_by_content(found, maps)
    told = (*notes, *damaged.values(), *notes_on(found))
    return Network(title, maps, found, told, damaged=damaged, unlinked=unlinked)


def _map_of(
    name: str, weight: Weight, bare: BareWeights, layout: Layout | None, depth: int
) -> LinearMap:
    """A map that owns its weight, or reads it from its file."""
    linear = map_of(name, weight.kind, weight.values, weight.groups, layout, depth=depth)
    if weight.kept is None:
        return linear
    path = bare.places.get(weight.own)
    place = None if path is None else Place(path.absolute(), weight.own)
    held = bare.named[weight.own].detach()
    read = FileWeight(name, weight.kept, layout, place, held, bare.files)
    return left_in_file(linear, read)


def _map(name: str, known: Collection[str]) -> str:
    """The map that a name means: its own, or that of its weight in the file."""
    module = name.removesuffix(".weight")
    return module if name not in known and module in known else name


def _unlinked(bare: BareWeights) -> str:
    return (
        f"{bare.called} says neither which map feeds which nor how its weights are kept. So there "
        f"are maps and their spectra and no links, and weights are read as {READ_AS}. "
        f'links="chain" makes links in {bare.order}, links=[(producer, consumer), ...] those that '
        f"you name; the model knows both: {bare.model}"
    )
