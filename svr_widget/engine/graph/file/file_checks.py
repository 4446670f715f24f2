"""Whether what a file says of a graph can be so, before anything is made of it.

Check sums tell what was damaged. These tell what was never so: channels that a map does not have,
maps that stand before those that feed them, vectors of other lengths than the weight.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from svr_widget.engine.decompose import Certificate, Decomposition, Flattening
from svr_widget.engine.errors import SVRError
from svr_widget.engine.graph.spectral_graph import SpectralGraph
from svr_widget.engine.maps.bundles import depths
from svr_widget.engine.maps.linear_map import LinearMap
from svr_widget.engine.maps.links import OUTSIDE, Layout, Link

_FLOATS = (torch.float32, torch.float64)


def check_network(
    maps: Sequence[LinearMap], links: Sequence[Link], outlets: Sequence[Link]
) -> None:
    """Raise ``SVRError`` unless maps and links fit each other."""
    known: dict[str, LinearMap] = {}
    for linear in maps:
        _ask(isinstance(linear, LinearMap), "one of its maps is none")
        _ask(isinstance(linear.name, str), f"a map is called {linear.name!r}")
        _ask(linear.name not in known, f"two maps are called {linear.name!r}")
        _check_map(linear, known)
        known[linear.name] = linear
    for linear in maps:
        _ask(_counts(linear.depth, below=len(maps)), f"{linear.name!r} lies at {linear.depth!r}")
    for link in links:
        _check_link(link, known, (link.producer, link.consumer))
    for link in outlets:
        _check_link(link, known, (link.producer,))
        _ask(link.consumer == OUTSIDE, f"an outlet leads into {link.consumer!r}")
    depths(links, tuple(known))
    for link in links:
        forward = known[link.producer].depth < known[link.consumer].depth
        _ask(forward or link.backward, f"{link.consumer!r} lies before {link.producer!r}")


def check_decompositions(
    found: Mapping[tuple[str, Flattening], Decomposition], graph: SpectralGraph
) -> None:
    """Raise ``SVRError`` unless decompositions fit the maps, and stand in for missing weights."""
    for (name, side), neurons in found.items():
        _ask(name in graph.maps, f"neurons of {name!r}, which is no map")
        _ask(isinstance(neurons, Decomposition), f"the neurons of {name!r} are none")
        _check_neurons(neurons, graph.maps[name], side, graph.rank)
    for column in graph.columns.values():
        without = any(factor.is_meta for factor in graph.maps[column.map].factors)
        _ask(not without or column in found, f"neither neurons nor a weight of {column.map!r}")


def _check_map(linear: LinearMap, before: Mapping[str, LinearMap]) -> None:
    """Raise ``SVRError`` unless a map can be one, given those before it."""
    name, factors = linear.name, linear.factors
    _ask(isinstance(factors, tuple) and len(factors) in (1, 2), f"{name!r} has no weight")
    for factor in factors:
        _ask(isinstance(factor, Tensor) and factor.dtype in _FLOATS, f"{name!r} has no weight")
        _ask(factor.ndim > 1 and 0 not in factor.shape, f"{name!r} has a weight {factor.shape}")
        _ask(factor.is_meta or _finite(factor), f"the weight of {name!r} is not finite")
    if len(factors) == 2:
        inner = factors[0].shape[1] == factors[1].shape[0]
        _ask(factors[0].ndim == factors[1].ndim == 2 and inner, f"{name!r} is no product")
    _ask(_counts(linear.groups, 1), f"{name!r} has {linear.groups!r} groups")
    _ask(linear.out_channels % linear.groups == 0, f"{name!r} has groups of different sizes")
    for text in (linear.kind, linear.remark, *_tuple(linear.norms, name)):
        _ask(isinstance(text, str), f"{name!r} has {text!r} for a text")
    if linear.tied_to is not None:
        _ask(linear.tied_to in before, f"{name!r} is tied to {linear.tied_to!r}")
        first = before[linear.tied_to]
        same = first.shape in (linear.shape, linear.shape[::-1])
        _ask(same and first.tied_to is None, f"{name!r} is tied to {first.name!r}")
        _ask(len(factors) == len(first.factors) == 1, f"{name!r} is tied to {first.name!r}")
    for layout, channels in (
        (linear.input_layout, linear.in_channels),
        (linear.output_layout, linear.out_channels),
    ):
        if layout is not None:
            _check_layout(layout, channels, linear)
    if linear.product_of is not None:
        words = _tuple(linear.product_of, name)
        _ask(len(words) == len(factors) == 2, f"{name!r} is a product of {words!r}")
        _ask(all(isinstance(word, str) for word in words), f"{name!r} is a product of {words!r}")
    if linear.product_channels is not None:
        for met in _pair(linear.product_channels, name):
            _check_channels(met, (factors[0].shape[1],), None, name)
    widths = linear.out_channels, linear.in_channels
    for normal, width in zip(_pair(linear.normals, name), widths, strict=True):
        if normal is not None:
            _check_numbers(normal, (width,), f"a normal of {name!r}")


def _check_layout(layout: Layout, channels: int, linear: LinearMap) -> None:
    _ask(isinstance(layout, Layout), f"{linear.name!r} has a layout that is none")
    _ask(layout.kernel == linear.kernel, f"the layout of {linear.name!r} is of {layout.kernel!r}")
    shape = channels, math.prod(layout.kernel)
    _check_channels(layout.index, shape, None, f"the layout of {linear.name!r}")


def _check_link(link: Link, maps: Mapping[str, LinearMap], ends: Sequence[str]) -> None:
    _ask(isinstance(link, Link), "one of its links is none")
    called = f"the link {link.producer!r} -> {link.consumer!r}"
    for end in ends:
        # Where a product took the place of matrices, their ways out of the network are still told.
        _ask(
            isinstance(end, str) and (end in maps or link.consumer == OUTSIDE), f"{called}: {end!r}"
        )
    sent, read = link.producer_channels, link.consumer_channels
    producer, consumer = maps.get(link.producer), maps.get(link.consumer)
    _ask(isinstance(sent, Tensor) and sent.ndim == 1, f"{called} carries no channels")
    width = None if producer is None else producer.out_channels
    _check_channels(sent, tuple(sent.shape), width, called)
    flat = isinstance(read, Tensor) and read.ndim == 2
    shape = (*sent.shape, *read.shape[1:]) if flat else tuple(sent.shape)
    width = None
    if consumer is not None:
        width = consumer.out_channels if link.side == "q" else consumer.in_channels
    _check_channels(read, shape, width, called)
    _ask(link.side in (None, "q", "k"), f"{called} ends in {link.side!r}")
    _ask(isinstance(link.backward, bool), f"{called} is backward: {link.backward!r}")
    made = link.by_construction
    _ask(isinstance(made, bool), f"{called} is by construction: {made!r}")
    _ask(link.steps == (), f"{called} has steps")
    for text in _tuple(link.through, called):
        _ask(isinstance(text, str), f"{called} goes through {text!r}")
    if link.gains is not None:
        _check_numbers(link.gains, tuple(sent.shape), f"the gains of {called}", nan=True)
    if link.signs is not None:
        _check_numbers(link.signs, tuple(sent.shape), f"the signs of {called}")


def _check_neurons(
    neurons: Decomposition, linear: LinearMap, side: Flattening, rank: int | None
) -> None:
    """Raise ``SVRError`` unless neurons are such as a map has by a flattening."""
    called = f"the neurons of {linear.name!r} by {side!r}"
    _ask(neurons.method == side and side in ("svr", "cosvr"), f"{called} are by {neurons.method!r}")
    whole = linear.neurons(side)
    count = min(whole, rank or whole)
    written, read = linear.out_channels // linear.groups, linear.shape[1]
    out_side = (written,) if side == "svr" else (written, *linear.kernel)
    in_side = (read, *linear.kernel) if side == "svr" else (read,)
    _check_numbers(neurons.U, (*out_side, count), f"U of {called}")
    _check_numbers(neurons.V, (*in_side, count), f"V of {called}")
    _check_numbers(neurons.S, (count,), f"S of {called}")
    _ask(bool((neurons.S >= 0).all()), f"{called} have negative singular values")
    null = neurons.null
    _ask(isinstance(null, Tensor) and null.dtype == torch.bool, f"{called} are null: {null!r}")
    _ask(tuple(null.shape) == (count,), f"{called} are {count}, of which {len(null)} are null")
    _check_channels(neurons.clusters, (count,), None, f"the clusters of {called}")
    _check_channels(neurons.groups, (count,), linear.groups, f"the groups of {called}")
    _ask(neurons.group_count == linear.groups, f"{called} have {neurons.group_count!r} groups")
    _ask(neurons.rank == whole, f"{called} are {neurons.rank!r} of {whole}")
    _ask(_number(neurons.energy) and neurons.energy >= 0, f"the energy of {called}")
    _ask(_number(neurons.rounding) and neurons.rounding >= 0, f"the rounding of {called}")
    confined = _pair(neurons.confined, called)
    _ask(all(isinstance(each, bool) for each in confined), f"{called} are confined to {confined}")
    measured = neurons.certificate
    _ask(isinstance(measured, Certificate), f"{called} have no certificate")
    errors = measured.residual, measured.orthogonality_u, measured.orthogonality_v
    _ask(all(map(_number, errors)), f"the certificate of {called} says {errors}")
    _ask(isinstance(measured.driver, str), f"{called} were found by {measured.driver!r}")
    probes = measured.probes
    _ask(probes is None or _counts(probes), f"the certificate of {called} has {probes!r} probes")


def _check_channels(value: object, shape: Sequence[int], below: int | None, of: str) -> None:
    """Raise ``SVRError`` unless it is int64 of a shape, from 0 up to a number."""
    _ask(isinstance(value, Tensor) and value.dtype == torch.int64, f"{of}: no numbers of channels")
    assert isinstance(value, Tensor)
    _ask(not value.is_meta, f"{of}: no numbers of channels")
    _ask(tuple(value.shape) == tuple(shape), f"{of}: {tuple(value.shape)} and not {tuple(shape)}")
    if value.numel():
        least, most = int(value.min()), int(value.max())
        _ask(least >= 0 and (below is None or most < below), f"{of}: channels {least} to {most}")


def _check_numbers(value: object, shape: Sequence[int], of: str, *, nan: bool = False) -> None:
    """Raise ``SVRError`` unless it is a tensor of finite numbers of a shape."""
    _ask(isinstance(value, Tensor) and value.dtype in _FLOATS, f"{of}: no numbers")
    assert isinstance(value, Tensor)
    _ask(not value.is_meta, f"{of}: no numbers")
    _ask(tuple(value.shape) == tuple(shape), f"{of}: {tuple(value.shape)} and not {tuple(shape)}")
    _ask(nan or _finite(value), f"{of}: NaN or infinite")


def _finite(tensor: Tensor) -> bool:
    return bool(torch.isfinite(tensor).all())


def _number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _counts(value: object, least: int = 0, below: int | None = None) -> bool:
    """Whether it is an integer in a range."""
    return (
        isinstance(value, int)
        and not isinstance(value, bool)
        and value >= least
        and (below is None or value < below)
    )


def _tuple(value: object, of: str) -> tuple[object, ...]:
    _ask(isinstance(value, tuple), f"{of} has {value!r} for a list")
    assert isinstance(value, tuple)
    return value


def _pair(value: object, of: str) -> tuple[object, object]:
    found = _tuple(value, of)
    _ask(len(found) == 2, f"{of} has {len(found)} of a pair")
    return found[0], found[1]


def _ask(holds: object, otherwise: str) -> None:
    """Raise ``SVRError`` unless something holds."""
    if not holds:
        raise SVRError(otherwise)
