"""From what the caller has (a model, or weights in a list or a mapping) to maps and links."""

from __future__ import annotations

import itertools
import math
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from svr_widget.engine.errors import (
    NoMapsError,
    NonFiniteWeightsError,
    SVRError,
    TraceError,
    UnsupportedLayerError,
    WidthMismatchError,
    listed,
    nearest_name,
)
from svr_widget.engine.maps.linear_map import map_of
from svr_widget.engine.maps.links import Layout, Link, depths, directed
from svr_widget.engine.maps.weights import floating
from svr_widget.engine.model.example_inputs import given_example
from svr_widget.engine.model.find_maps import (
    Globs,
    Selection,
    excluded_modules,
    find_parts,
    globs,
    unwrap,
)
from svr_widget.engine.network.head_products import AttentionView
from svr_widget.engine.network.network import MapReader, Network, TracedModel
from svr_widget.engine.network.norms.folding import Normalisation
from svr_widget.engine.network.pairs import links_from_pairs
from svr_widget.engine.network.weight_files import read_weights
from svr_widget.engine.trace import trace
from svr_widget.engine.trace.results.heads import Attention
from svr_widget.engine.trace.results.meetings import Meetings

Links = Iterable[tuple[str, str] | Link]
NonFinite = Literal["refuse", "leave out"]
"""What becomes of a network some maps of which have NaN or infinite entries."""

# Entries of a state dict that a weight is computed from: their own values are not the weight.
_PARTS = ("weight_v", "weight_g", "weight_orig", "original0", "original1", "original")


def read_network(
    source: object,
    example_inputs: object = None,
    links: Links | None = None,
    include: Globs = None,
    exclude: Globs = None,
    attention: AttentionView = "products",
    norm: Normalisation = "ignore",
    *,
    meetings: bool = False,
    run_live: bool = False,
    non_finite: NonFinite = "refuse",
) -> Network:
    """The network behind whatever ``SVR`` was given; a ``Network`` is one already.

    Raises:
        TypeError: a source of another kind, or example inputs for bare weights.
        SVRError: the source cannot be used; the message names the culprit.
    """
    given = None if links is None else _pairs(links)
    if isinstance(source, Network):
        return source
    if norm == "fold" and (given is not None or not isinstance(source, nn.Module)):
        raise SVRError(
            "norm='fold' reads the norms off a model as it is traced: give the nn.Module itself, "
            "without links=, or use norm='ignore'"
        )
    if isinstance(source, nn.Module):

        def without(left_out: Globs) -> Network:
            return _of_model(
                source,
                example_inputs,
                given,
                include,
                left_out,
                attention,
                norm,
                meetings,
                run_live,
            )

        try:
            return replace(without(exclude), run_live=run_live)
        except NonFiniteWeightsError:
            if non_finite == "refuse":
                raise
            damaged = _damaged(source, include, exclude)
            network = without([*globs(exclude), *damaged])
            notes = (*network.notes, *damaged.values())
            return replace(network, run_live=run_live, damaged=damaged, notes=notes)
    if example_inputs is not None:
        raise TypeError("example_inputs belong to an nn.Module; bare weights are not run")
    if isinstance(source, str | os.PathLike):
        file = read_weights(Path(source))
        network = _of_weights(_without_suffix(file.weights), given, include, exclude, non_finite)
        notes = (*(file.notes if given is None else ()), *network.notes)
        return replace(network, title=file.title, notes=notes)
    if isinstance(source, Mapping):
        weights = {str(name): weight for name, weight in source.items()}
        return _of_weights(_without_suffix(weights), given, include, exclude, non_finite)
    if isinstance(source, Sequence) and not isinstance(source, str | bytes):
        weights = {str(place): weight for place, weight in enumerate(source)}
        return _of_weights(weights, given, include, exclude, non_finite)
    raise TypeError(
        "SVR takes an nn.Module, a list of weights, a mapping from names to weights or the path "
        f"of a file of them, not {type(source).__name__}"
    )


def _damaged(model: nn.Module, include: Globs, exclude: Globs) -> dict[str, str]:
    """The maps of a model that have NaN or infinite entries, with words for each.

    Raises:
        NonFiniteWeightsError: all of them have.
    """
    found = {}
    parts = find_parts(unwrap(model), include, exclude).parts
    for name, part in parts.items():
        try:
            part.weight()
        except NonFiniteWeightsError as error:
            found[name] = str(error)
    own = find_parts(unwrap(model), include, exclude).own
    for name, parameter in own.items():
        broken = int((~torch.isfinite(parameter.value)).sum())
        if broken:
            found[name] = f"{name!r} has {broken} NaN or infinite entries, and is left out"
    if parts and len(found) == len(parts) + len(own):
        raise NonFiniteWeightsError(next(iter(found.values())))
    return found


def _of_model(
    model: nn.Module,
    example_inputs: object,
    links: Sequence[tuple[str, str] | Link] | None,
    include: Globs,
    exclude: Globs,
    attention: AttentionView,
    norm: Normalisation,
    meetings: bool,
    run_live: bool,
) -> Network:
    model = unwrap(model)
    found_parts = find_parts(model, include, exclude)
    parts = found_parts.parts
    outputs: Mapping[str, Layout] = {}
    ends: tuple[Link, ...] = ()
    notes: tuple[str, ...] = ()
    order = tuple(parts)
    attentions: Sequence[Attention] = ()
    rank: Mapping[str, int] = {}
    computed: Mapping[str, Tensor] = {}
    example = None if example_inputs is None else given_example(model, example_inputs)
    met: Meetings | None = None
    if links is None:
        heads = attention == "products"
        traced = trace(
            model,
            parts,
            example_inputs,
            heads=heads,
            meetings=meetings,
            own=found_parts.own,
            walls=excluded_modules(model, exclude),
            live=run_live,
        )
        chosen = {
            name: part
            for name, part in traced.own.items()
            if found_parts.chosen(name, f"{part.path}.{part.parameter}".lstrip("."))
        }
        traced = traced.without(traced.own.keys() - chosen.keys())
        parts = {**parts, **chosen}
        found, notes = traced.links, traced.notes
        inputs, outputs, ends = traced.input_layouts, traced.output_layouts, traced.ends
        order = tuple(dict.fromkeys((*traced.order, *order)))
        attentions, rank, computed = traced.attentions, traced.rank, traced.computed
        example, met = traced.example, traced.meetings
    else:
        found_parts.check()
        notes = tuple(_left_out(found_parts.own))
        pairs = [link for link in links if not isinstance(link, Link)]
        made, inputs = links_from_pairs(pairs, parts)
        found = (*made, *(link for link in links if isinstance(link, Link)))
    _check_names(found, order)
    reading = MapReader({name: parts[name] for name in order}, inputs, outputs, computed)
    whole = reading.matrices()
    traced_model = TracedModel(
        model, parts, reading, whole, found, ends, attentions, rank, notes, example, met
    )
    network = traced_model.network(norm)
    return network if links is None else replace(network, traced=None)


def _left_out(own: Iterable[str]) -> Iterator[str]:
    if names := [repr(name) for name in sorted(own)]:
        yield (
            "links by hand, for which nothing is run, so that parameters of no known layer are no "
            f"maps: {listed(names, 2)}"
        )


def _of_weights(
    weights: Mapping[str, object],
    links: Sequence[tuple[str, str] | Link] | None,
    include: Globs,
    exclude: Globs,
    non_finite: NonFinite,
) -> Network:
    """A network of bare weights: a chain in the order given, unless the caller gives the links."""
    selection = Selection(include, exclude)
    chosen: dict[str, Tensor] = {}
    order: list[str] = []
    damaged: dict[str, str] = {}
    for name, weight in weights.items():
        tensor = _tensor(name, weight)
        if tensor.ndim >= 2 and selection(name):
            if name.rsplit(".", 1)[-1] in _PARTS:
                raise UnsupportedLayerError(
                    f"{name!r} is a part that a weight is computed from (weight norm, spectral "
                    "norm or pruning), not the weight; give the model itself, or leave it out "
                    f"with exclude={name!r}"
                )
            order.append(name)
            try:
                chosen[name] = floating(name, tensor)
            except NonFiniteWeightsError as error:
                if non_finite == "refuse":
                    raise
                damaged[name] = str(error)
    selection.check(weights)
    if damaged and not chosen:
        raise NonFiniteWeightsError(next(iter(damaged.values())))
    if not chosen:
        raise NoMapsError(
            f"no weight of two or more dimensions among {len(weights)} entries"
            f"{selection.described()}; a linear map is [out, in, *kernel]"
        )
    if links is None:
        pairs = [pair for pair in itertools.pairwise(order) if not damaged.keys() & set(pair)]
        ready: list[Link] = []
    else:
        pairs = [(str(link[0]), str(link[1])) for link in links if not isinstance(link, Link)]
        pairs = [pair for pair in pairs if not damaged.keys() & set(pair)]
        ready = [link for link in links if isinstance(link, Link)]
        ready = [link for link in ready if not damaged.keys() & {link.producer, link.consumer}]
    made, layouts = _connect(pairs, chosen)
    found = (*made, *ready)
    _check_names(found, tuple(chosen))
    depth = depths(found, tuple(chosen))
    maps = {
        name: map_of(
            name,
            "linear" if weight.ndim == 2 else "convolution",
            weight,
            input_layout=layouts.get(name),
            depth=depth[name],
        )
        for name, weight in chosen.items()
    }
    title = f"{len(maps)} weight{'s' if len(maps) > 1 else ''}"
    return Network(title, maps, found, tuple(damaged.values()), damaged=damaged)


def _connect(
    pairs: Iterable[tuple[str, str]], weights: Mapping[str, Tensor]
) -> tuple[tuple[Link, ...], dict[str, Layout]]:
    """Links that carry all channels in order, and the layouts of flattening consumers.

    A matrix after a convolution with ``c`` output channels reads ``c x h x h`` flattened with the
    channels first where its width is ``c h^2`` (``c l`` after a 1d, ``c h^3`` after a 3d one).
    """
    rank = {name: place for place, name in enumerate(weights)}
    links: list[Link] = []
    layouts: dict[str, Layout] = {}
    for producer, consumer in pairs:
        _check_known((producer, consumer), weights)
        channels, width = weights[producer].shape[0], weights[consumer].shape[1]
        kernel = _flattened(weights[producer], weights[consumer])
        known = layouts.get(consumer)
        if kernel is None or (known is not None and known.index.shape[0] != channels):
            raise WidthMismatchError(
                f"{producer!r} {_shape(weights[producer])} has {channels} output channels, but "
                f"{consumer!r} {_shape(weights[consumer])} reads {width}; where this is no chain, "
                "give the nn.Module itself, or links=[(producer, consumer), ...]; weights that "
                "stand aside go with exclude=..."
            )
        if kernel:
            positions = math.prod(kernel)
            layouts[consumer] = Layout(torch.arange(width).view(channels, positions), kernel)
        every = torch.arange(channels)
        links.append(Link(producer, consumer, every, every))
    return directed(links, rank), layouts


def _flattened(producer: Tensor, consumer: Tensor) -> tuple[int, ...] | None:
    """The kernel of a consumer that flattens, ``()`` for one that does not, None for a misfit."""
    channels, width, dims = producer.shape[0], consumer.shape[1], producer.ndim - 2
    if width == channels:
        return ()
    if consumer.ndim > 2 or dims == 0 or width % channels:
        return None
    side = round((width // channels) ** (1 / dims))
    return (side,) * dims if side**dims * channels == width else None


def _pairs(links: Links) -> tuple[tuple[str, str] | Link, ...]:
    """The links as the caller gave them, each a ``Link`` or a pair of names."""
    given = tuple(links)
    for link in given:
        pair = isinstance(link, tuple | list) and len(link) == 2
        if not (pair or isinstance(link, Link)):
            raise TraceError(f"links: {link!r} is no pair (producer, consumer) of names of maps")
    return given


def _check_names(links: Iterable[Link], names: Sequence[str]) -> None:
    for link in links:
        _check_known((link.producer, link.consumer), names)


def _check_known(ends: tuple[str, str], names: Iterable[str]) -> None:
    for end in ends:
        if end not in names:
            raise TraceError(f"links: no map is called {end!r}{nearest_name(end, names)}")


def _tensor(name: str, weight: object) -> Tensor:
    if isinstance(weight, Tensor):
        return weight.detach()
    if isinstance(weight, np.ndarray | list | tuple):
        return torch.from_numpy(np.array(weight))
    raise TypeError(f"weight {name!r} is a {type(weight).__name__}, not a tensor or an array")


def _without_suffix(weights: Mapping[str, object]) -> dict[str, object]:
    """``"layer1.conv.weight"`` goes by its module's name, ``"layer1.conv"``."""
    short = {name: name.removesuffix(".weight") for name in weights}
    return {
        short[name] if short[name] == name or short[name] not in weights else name: weight
        for name, weight in weights.items()
    }


def _shape(weight: Tensor) -> str:
    return "x".join(map(str, weight.shape))
