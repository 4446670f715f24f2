"""Which spectral neurons of every map are kept: by rank, by energy, by a budget."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from svr_widget.engine.compression.pruning.allocation import Allocation, Item, allocate
from svr_widget.engine.decompose import Decomposition
from svr_widget.engine.errors import SVRError, nearest_name
from svr_widget.engine.graph.spectral_graph import SpectralGraph
from svr_widget.engine.maps.linear_map import LinearMap
from svr_widget.engine.model.find_maps import matches

Rank = int | slice | Sequence[int]
"""Of a map the first so many neurons, a slice of them, or these."""

Internal = Literal["internal"]
Ranks = Internal | Rank | Mapping[str, Internal | Rank]
Kept = NDArray[np.int64]
"""Indices of neurons, increasing."""

CLEAR = 0.05
"""Chance gives a block as clear less often than this, or there is no block."""


class Choice(NamedTuple):
    """The neurons that are kept, and what has to be said about them.

    Attributes:
        kept: by map.
        rule: in words.
        remarks: by map, what its rank rests on.
        allocation: what a budget bought.
    """

    kept: dict[str, Kept]
    rule: str
    remarks: dict[str, list[str]]
    allocation: Allocation | None = None


def choose(
    graph: SpectralGraph,
    ranks: Ranks | None,
    energy: float | None,
    budget: float | None,
    cut: Ranks | None = None,
) -> Choice:
    """Which neurons are kept, by the one rule that is given; by default internal dimensions.

    Maps of one parameter are cut alike: as the one that keeps most, unless they are named apart.

    Raises:
        SVRError: several rules, a value out of range, an unknown map, or unequal ranks for maps
            that share a parameter.
    """
    given = [
        word
        for word, value in (
            ("ranks", ranks),
            ("cut", cut),
            ("energy", energy),
            ("budget", budget),
        )
        if value is not None
    ]
    if len(given) > 1:
        raise SVRError(f"{' and '.join(given)} are two rules: give one of them")
    if energy is not None:
        choice = _by_energy(graph, energy)
    elif budget is not None:
        choice = _by_budget(graph, budget)
    elif cut is not None:
        choice = _by_cut(graph, cut)
    else:
        choice = _by_rank(graph, "internal" if ranks is None else ranks)
    named = isinstance(ranks, Mapping) or isinstance(cut, Mapping)
    return choice._replace(kept=_alike(graph, choice.kept, named=named))


def _by_cut(graph: SpectralGraph, cut: Ranks) -> Choice:
    if isinstance(cut, Mapping):
        wanted, rule = _by_name(graph, cut, "cut"), "cuts by map"
    else:
        wanted, rule = dict.fromkeys(graph.maps, cut), f"cut={cut!r}"
    kept = every_neuron(graph)
    for name, rank in wanted.items():
        if isinstance(rank, int | np.integer) and not isinstance(rank, bool) and rank > 0:
            raise SVRError(
                f"cut for {name!r}: {rank} could be the first or the last {rank}: "
                f"slice({rank}) cuts the first, those of the largest singular values, "
                f"slice(-{rank}, None) the last"
            )
        kept[name] = np.setdiff1d(kept[name], _indices(rank, len(kept[name]), name, "cut"))
    return Choice(kept, rule, {})


def _by_rank(graph: SpectralGraph, ranks: Ranks) -> Choice:
    if isinstance(ranks, Mapping):
        wanted = _by_name(graph, ranks)
        rule = "ranks by map"
    else:
        wanted = dict.fromkeys(graph.maps, ranks)
        rule = "internal dimensions" if ranks == "internal" else f"ranks={ranks!r}"
    remarks: dict[str, list[str]] = {}
    internal: dict[str, int] = {}
    asked = {name for name, rank in wanted.items() if isinstance(rank, str)}
    for name in asked:
        if wanted[name] != "internal":
            raise SVRError(f"ranks for {name!r}: {wanted[name]!r} is no rank, 'internal' is one")
    if asked:
        internal, remarks = _internal(graph, asked)
    kept = {
        name: _indices(internal.get(name) if name in asked else rank, len(graph[name]), name)
        for name, rank in wanted.items()
        if rank is not None
    }
    return Choice(every_neuron(graph) | kept, rule, remarks)


def _by_name(
    graph: SpectralGraph, ranks: Mapping[str, Internal | Rank], option: str = "ranks"
) -> dict[str, Internal | Rank]:
    """What each named map is cut to; a name of its own goes before globs, those in order."""
    unused = set(ranks)
    wanted: dict[str, Internal | Rank] = {}
    for name in graph.maps:
        fitting = [glob for glob in ranks if matches(name, (glob,))]
        unused.difference_update(fitting)
        if fitting:
            wanted[name] = ranks[name if name in fitting else fitting[0]]
    for glob in ranks:
        if glob in unused:
            raise SVRError(f"{option}: {glob!r} matches no map{nearest_name(glob, graph.maps)}")
    return wanted


def _indices(rank: Internal | Rank | None, count: int, name: str, option: str = "ranks") -> Kept:
    """The neurons that a rank means, of a map with ``count`` of them; None for all."""
    every = np.arange(count, dtype=np.int64)
    if rank is None:
        return every
    if isinstance(rank, slice):
        return every[rank] if rank.step is None or rank.step > 0 else np.sort(every[rank])
    if isinstance(rank, int | np.integer) and not isinstance(rank, bool):
        if rank < 0:
            raise SVRError(f"{option} for {name!r}: {rank} is less than no neuron")
        return every[:rank]
    if isinstance(rank, str) or not isinstance(rank, Iterable):
        known = "a number (the first so many neurons), a slice, a list of neurons, or 'internal'"
        if option == "cut":
            known = "a slice or a list of the neurons to cut"
        raise SVRError(f"{option} for {name!r}: {rank!r} is no rank; give {known}")
    asked = np.asarray(list(rank))
    if asked.size and (
        asked.ndim != 1 or asked.dtype.kind not in "iu" or asked.min() < 0 or asked.max() >= count
    ):
        raise SVRError(f"{option} for {name!r}: its neurons are 0 to {count - 1}, not {rank!r}")
    return np.unique(asked.astype(np.int64))


def _internal(
    graph: SpectralGraph, names: Iterable[str]
) -> tuple[dict[str, int], dict[str, list[str]]]:
    """The larger of ``d_out`` of the links that enter and ``d_in`` of those that leave (3.1).

    Maps that no link leaves stay whole. So do those of which no link tells anything: a link by
    construction, and one whose other end has null neurons only. Of a map that itself has no other
    neurons none is kept.
    """
    if graph.method == "cross":
        raise SVRError(
            "in a cross graph one internal dimension counts SVR and the other co-SVR neurons: "
            "prune svr.by_method('svr')"
        )
    wanted = set(names)
    sizes: dict[str, list[int]] = {name: [] for name in wanted}
    remarks: dict[str, list[str]] = {}
    leaving = {link.producer for link in graph.links.values()}
    for key, link in graph.links.items():
        ends = link.producer, link.consumer
        if not {*ends} & wanted & leaving or link.by_construction:
            continue
        block = graph.internal_dimensions(key)
        empty = [name for name in ends if graph[name].null.all()]
        for name, size in zip(ends, (block.d_in, block.d_out), strict=True):
            if name not in wanted or name not in leaving:
                continue
            if empty and name not in empty:
                said = f"{' -> '.join(map(str, key))} tells nothing: {empty[0]!r} is zero"
                remarks.setdefault(name, []).append(said)
                continue
            sizes[name].append(size)
            if name in empty:
                remarks[name] = ["it is zero"]
            elif block.p_value is not None and block.p_value >= CLEAR:
                said = f"no clear block on {' -> '.join(map(str, key))} (p = {block.p_value:.2g})"
                remarks.setdefault(name, []).append(said)
    return {name: max(found) for name, found in sizes.items() if found}, remarks


def _by_energy(graph: SpectralGraph, share: float) -> Choice:
    if not 0 < share <= 1:
        raise SVRError(f"energy = {share!r} is out of range: 0 < energy <= 1")
    kept = {}
    for name in graph.maps:
        neurons = graph[name]
        squares = np.cumsum(neurons.S.numpy() ** 2)
        # The sum of all squares may differ from itself by rounding.
        enough = int(np.searchsorted(squares, share * neurons.energy * (1 - 1e-12))) + 1
        kept[name] = np.arange(min(enough, len(neurons)), dtype=np.int64)
    return Choice(kept, f"energy={share:g}", {})


def _by_budget(graph: SpectralGraph, budget: float) -> Choice:
    """The rule of ``allocation``, over each parameter once."""
    first = {names[0]: names for names in _sharing(graph)}
    items = {name: _item(graph.maps[name], graph[name]) for name in first}
    held = sum(item.whole for item in items.values())
    whole = isinstance(budget, int | np.integer) and not isinstance(budget, bool)
    if isinstance(budget, bool) or not (budget >= 0 if whole else 0 <= budget <= 1):
        raise SVRError(
            f"budget = {budget!r} is out of range: a share (0.0 to 1.0) of the {held:,} parameters "
            "in the weights, or a number of them"
        )
    least = sum(item.spent(item.least) for item in items.values())
    parameters = int(budget) if whole else int(budget * held)
    if parameters < least:
        raise SVRError(
            f"budget = {budget!r} is too small: one neuron of every map takes {least:,} of the "
            f"{held:,} parameters in the weights"
        )
    allocation = allocate(items, parameters)
    kept = {
        name: _first_of_each_group(graph[name], allocation.kept[chosen])
        for chosen, names in first.items()
        for name in names
    }
    words = f"{budget:,} parameters" if whole else f"{budget:.0%} of {held:,} parameters"
    return Choice(kept, f"budget of {words}", {}, allocation)


def _item(linear: LinearMap, neurons: Decomposition) -> Item:
    groups, S = neurons.groups.numpy(), neurons.S.numpy()
    counts = np.bincount(groups, minlength=neurons.group_count)
    gains = np.zeros(int(counts.max(initial=0)))
    for group in range(neurons.group_count):
        mine = S[groups == group] ** 2
        gains[: len(mine)] += mine
    whole = sum(factor.numel() for factor in linear.factors)
    return Item(gains / (neurons.energy or 1.0), parameters_of_a_neuron(linear, neurons), whole)


def parameters_of_a_neuron(linear: LinearMap, neurons: Decomposition) -> int:
    """Entries of ``U`` and ``V`` of a neuron; of one in every group for a map in groups."""
    one = neurons.U.shape[:-1].numel() + neurons.V.shape[:-1].numel()
    return one * linear.groups


def _first_of_each_group(neurons: Decomposition, count: int) -> Kept:
    groups = neurons.groups.numpy()
    places = np.zeros(len(groups), dtype=np.int64)
    for group in range(neurons.group_count):
        mine = groups == group
        places[mine] = np.arange(mine.sum())
    return np.flatnonzero(places < count)


def every_neuron(graph: SpectralGraph) -> dict[str, Kept]:
    """All neurons of every map."""
    return {name: np.arange(len(graph[name]), dtype=np.int64) for name in graph.maps}


def _sharing(graph: SpectralGraph) -> list[list[str]]:
    """The maps, those of one parameter together."""
    shared: dict[object, list[str]] = {}
    for name in graph.maps:
        memory = graph.parts[name].memory if name in graph.parts else None
        shared.setdefault(memory or name, []).append(name)
    return list(shared.values())


def _alike(graph: SpectralGraph, kept: dict[str, Kept], *, named: bool) -> dict[str, Kept]:
    """Cut maps of one parameter alike."""
    alike = dict(kept)
    for names in _sharing(graph):
        if all(np.array_equal(kept[name], kept[names[0]]) for name in names):
            continue
        if named:
            raise SVRError(
                f"{' and '.join(map(repr, names))} share one parameter, so they are cut alike: "
                "give them the same rank"
            )
        largest = max(names, key=lambda name: len(kept[name]))
        alike |= dict.fromkeys(names, kept[largest])
    return alike
