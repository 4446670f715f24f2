"""Spectral activations: what every map reads, filtered by its ``V`` (paper, 2.2 and 4.1)."""

from __future__ import annotations

import operator
import warnings
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, get_args

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from svr_widget.engine.analysis.activations.hooks import (
    Receive,
    of_batch,
    placed_example,
    read_along,
)
from svr_widget.engine.analysis.activations.module_inputs import Read, UnreadableError, reading_of
from svr_widget.engine.analysis.activations.spectral_filter import SpectralFilter, position_dims
from svr_widget.engine.decompose import Flattening, check_method
from svr_widget.engine.errors import SVRError, nearest_name
from svr_widget.engine.errors import listed as first_of
from svr_widget.engine.graph.spectral_graph import SpectralGraph
from svr_widget.engine.maps.linear_map import LinearMap
from svr_widget.engine.model.example_inputs import Example
from svr_widget.engine.model.images import Form, are_images, form_of, taken

Chosen = int | slice | Iterable[int]
Neurons = Chosen | Mapping[str, Chosen]
Maps = str | Iterable[str]
Activations = dict[str, Tensor]


def spectral_activations(
    graph: SpectralGraph,
    inputs: object,
    maps: Maps | None = None,
    neurons: Neurons | None = None,
    method: Flattening | None = None,
) -> Activations | Iterator[Activations]:
    """``SVR.spectral_activations``."""
    filters = Filters(graph, maps, neurons, method)
    filters.refuse(filters.unreadable)
    if is_one_batch(graph, inputs):
        return _activations(filters, one_example(graph, inputs))
    return (_activations(filters, example) for example in examples_of(graph, inputs))


def _activations(filters: Filters, example: Example) -> Activations:
    found: Activations = {}

    def receive(name: str, call: int, arguments: tuple[Any, ...]) -> None:
        found[called(name, call)] = filters[name](*arguments)

    missing = filters.run(example, receive)
    filters.refuse(missing)
    if missing:
        warnings.warn(f"left out: {listed(missing)}", stacklevel=3)
    return found


def listed(reasons: Mapping[str, str]) -> str:
    """Maps with what is said of them, in one line: of those with one reason the first two."""
    alike: dict[str, list[str]] = {}
    for name, reason in reasons.items():
        alike.setdefault(reason, []).append(repr(name))
    return "; ".join(f"{first_of(names, 2)}: {reason}" for reason, names in alike.items())


def called(name: str, call: int) -> str:
    """What to call the activations of a map's first, second... call in one forward pass."""
    return name if call == 0 else f"{name} (call {call + 1})"


def form_of_inputs(graph: SpectralGraph) -> Form | None:
    """What the model's first input has to be, by its first map and what it was run on."""
    if graph.own_example is None or (leaf := graph.own_example.first()) is None:
        return None
    return form_of((graph.parts[name] for name in graph.maps if name in graph.parts), leaf)


def is_one_batch(graph: SpectralGraph, inputs: object) -> bool:
    """Whether the inputs are what the model is called with once; else they are its batches."""
    if are_images(inputs, form_of_inputs(graph)):
        return True
    return isinstance(inputs, Tensor | np.ndarray | tuple | Mapping)


def one_example(graph: SpectralGraph, inputs: object) -> Example:
    """The call of the model for one batch of inputs, images as it takes them.

    Raises:
        SVRError: these are images that do not fit it.
    """
    assert graph.model is not None
    found = taken(inputs, form_of_inputs(graph))
    graph.add_note(found.note)
    return placed_example(graph.model, found.batch)


def examples_of(graph: SpectralGraph, batches: object) -> Iterator[Example]:
    """The calls of the model for the batches of a ``DataLoader`` or another iterable.

    Raises:
        TypeError: these are no batches.
        SVRError: as in ``one_example``.
    """
    if isinstance(batches, Dataset):
        raise TypeError(
            f"a {type(batches).__name__} gives single samples; wrap it: "
            "torch.utils.data.DataLoader(dataset, batch_size=32)"
        )
    if isinstance(batches, str | bytes) or not isinstance(batches, Iterable):
        raise TypeError(
            "inputs must be a tensor, a tuple of positional or a mapping of keyword arguments, an "
            "image or a list of them, or an iterable of batches such as a DataLoader, not "
            f"{type(batches).__name__}"
        )
    return (one_example(graph, _of_batch(graph, batch)) for batch in batches)


def _of_batch(graph: SpectralGraph, batch: Any) -> Any:
    """What of a batch is the model's input; a single one is no tuple."""
    assert graph.model is not None
    if are_images(batch, form_of_inputs(graph)):
        return batch
    mine = of_batch(graph.model, batch)
    return mine[0] if isinstance(mine, tuple) and len(mine) == 1 else mine


class Filters:
    """The filters of the chosen maps and neurons; each map is decomposed when it is first run.

    Attributes:
        model: what data is run through.
        names: the chosen maps.
        named: the caller asked for these maps by name.
        unreadable: those whose input nothing tells, with the reason.
    """

    def __init__(
        self,
        graph: SpectralGraph,
        maps: Maps | None,
        neurons: Neurons | None,
        method: Flattening | None,
    ) -> None:
        """Choose maps and neurons as ``SVR.spectral_activations`` does.

        Raises:
            SVRError: there is no model, or no such map, neuron or method, or norms are folded into
                a chosen map: its neurons then are not those of the layer that is run.
        """
        if graph.model is None:
            raise SVRError(
                f"{graph.title}: bare weights cannot be run on data; make the SVR from the "
                "nn.Module that they belong to"
            )
        self.model = graph.model
        self.method: Flattening = method or graph.flattening
        check_method(self.method, get_args(Flattening))
        self._graph = graph
        self.named = maps is not None or isinstance(neurons, Mapping)
        self.names = names = _names(graph, maps, neurons)
        folded = [repr(name) for name in names if graph.maps[name].folded]
        if folded:
            raise SVRError(
                f"norms are folded into {', '.join(folded)}, whose neurons then are not those of "
                "the layers that are run; activations need an SVR with norm='ignore'"
            )
        self._chosen = {
            name: _neurons(graph.maps[name], _of_map(neurons, name), self.method, graph.rank)
            for name in names
        }
        self._parts = {name: graph.parts[graph.maps[name].reader] for name in names}
        self._readings: dict[str, tuple[nn.Module, Read]] = {}
        self.unreadable: dict[str, str] = {}
        for name, part in self._parts.items():
            try:
                self._readings[name] = reading_of(part, graph.model)
            except UnreadableError as error:
                self.unreadable[name] = str(error)
        self._made: dict[str, SpectralFilter] = {}

    def __getitem__(self, name: str) -> SpectralFilter:
        """The filter of a map."""
        if name not in self._made:
            self._made[name] = SpectralFilter(
                self._graph.maps[name],
                self._parts[name],
                self._graph.decomposition(name, self.method),
                self._chosen[name],
            )
        return self._made[name]

    def neurons(self, name: str) -> list[int]:
        """The chosen neurons of a map."""
        return [int(k) for k in self._chosen[name]]

    def position_dims(self, name: str, read: Tensor) -> int:
        """How many dimensions a map's activations have besides batch and neurons."""
        return position_dims(self._graph.maps[name], self._parts[name], read.dim(), self.method)

    def run(self, example: Example, receive: Receive) -> dict[str, str]:
        """One forward pass; what the chosen maps read goes to ``receive``.

        Returns:
            The maps of which nothing could be read, with the reason.
        """
        live = self._graph.run_live
        return self.unreadable | read_along(self.model, self._readings, example, receive, live)

    def refuse(self, missing: Mapping[str, str]) -> None:
        """Raise ``SVRError`` where maps are missing that were asked for by name."""
        if missing and self.named:
            raise SVRError(f"what these maps read is not known: {listed(missing)}")


def _names(graph: SpectralGraph, maps: Maps | None, neurons: Neurons | None) -> list[str]:
    if maps is None:
        names = list(neurons if isinstance(neurons, Mapping) else graph.maps)
    else:
        names = [maps] if isinstance(maps, str) else list(maps)
    for name in [*names, *(neurons if isinstance(neurons, Mapping) else ())]:
        if name not in graph.maps:
            raise SVRError(f"no map {name!r}{nearest_name(name, graph.maps)}")
    return names


def _of_map(neurons: Neurons | None, name: str) -> Chosen | None:
    return neurons.get(name) if isinstance(neurons, Mapping) else neurons


def _neurons(
    linear: LinearMap, chosen: Chosen | None, method: Flattening, rank: int | None
) -> Tensor:
    """Indices of neurons, negative ones counted from the last."""
    count = min(linear.neurons(method), rank or linear.neurons(method))
    every = range(count)
    if chosen is None or isinstance(chosen, slice):
        indices = list(every if chosen is None else every[chosen])
    else:
        listed = chosen if isinstance(chosen, Iterable) else [chosen]
        try:
            indices = [every[operator.index(k)] for k in listed]
        except IndexError:
            raise SVRError(
                f"map {linear.name!r} has {count} neurons, 0 to {count - 1}, and not all of "
                f"{chosen!r}; slice(n) takes the first n of every map that has as many"
            ) from None
    if not indices:
        raise SVRError(f"no neuron of map {linear.name!r} is chosen by {chosen!r}")
    return torch.tensor(indices)
