"""A network as the graph is made of it, and the traced model that it comes from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import torch
from torch import Tensor, nn

from svr_widget.engine.environment.mapped_files import MappedFiles
from svr_widget.engine.errors import SVRError
from svr_widget.engine.maps.bundles import depths
from svr_widget.engine.maps.copied import copied, copy_of
from svr_widget.engine.maps.linear_map import LinearMap, linear_map, stored_map
from svr_widget.engine.maps.links import OUTSIDE, Layout, Link
from svr_widget.engine.maps.parts import Part
from svr_widget.engine.model.example_inputs import Example
from svr_widget.engine.network.head_products import Product, plan_products
from svr_widget.engine.network.norms.folding import Normalisation, fold, gains_of
from svr_widget.engine.network.ties import marked, notes_on
from svr_widget.engine.trace.results.heads import Attention
from svr_widget.engine.trace.results.meetings import Meetings


@dataclass(frozen=True, eq=False)
class Network:
    """The linear maps of a network and which feeds which.

    Attributes:
        title: what to call it.
        maps: by name, in order of execution.
        links: every link between them.
        notes: what tracing found worth saying.
        model: the model itself, inside its wrappers; None where only weights were given.
        parts: where the model keeps each map; empty where only weights were given.
        outlets: what leads from a map to the output of the network, as far as it was traced; the
            consumer is called ``OUTSIDE``.
        example: what the model can be called with: the caller's input, or the one it was traced
            with.
        arrangement: what reads the maps off the model again; None where only weights were given.
        meetings: which parameters channels meet on their way, where that was asked for.
        traced: the model before its norms were ignored or folded, to do the other; None where the
            links were not traced.
        run_live: the model itself may be run, not only a private structure of it.
        damaged: maps that were left out because of NaN or infinite entries, with words for each.
        unlinked: where nobody says which map feeds which, as of a file alone: that, and what does.
    """

    title: str
    maps: Mapping[str, LinearMap]
    links: Sequence[Link]
    notes: tuple[str, ...] = ()
    model: nn.Module | None = None
    parts: Mapping[str, Part] = field(default_factory=dict)
    outlets: tuple[Link, ...] = ()
    example: Example | None = None
    arrangement: Arrangement | None = None
    meetings: Meetings | None = None
    traced: TracedModel | None = None
    run_live: bool = False
    damaged: Mapping[str, str] = field(default_factory=dict)
    unlinked: str = ""


@dataclass(frozen=True, eq=False)
class TracedModel:
    """A model after tracing, as it was then, whose norms are still to be ignored or folded.

    Attributes:
        model, parts, notes, example, meetings: as in ``Network``.
        reading: where the weights come from.
        matrices: the weights of the moment when it was traced.
        links: every link, with its steps.
        ends: what leads from the input to a map, or from a map to the output.
        attentions: the heads that become products.
        rank: where each map stands in the order of execution.
    """

    model: nn.Module
    parts: Mapping[str, Part]
    reading: MapReader
    matrices: Mapping[str, LinearMap]
    links: tuple[Link, ...]
    ends: tuple[Link, ...]
    attentions: Sequence[Attention]
    rank: Mapping[str, int]
    notes: tuple[str, ...]
    example: Example | None
    meetings: Meetings | None

    @property
    def has_norms(self) -> bool:
        """Whether a norm stands before, between or behind the maps."""
        steps = (step for link in (*self.links, *self.ends) for step in link.steps)
        return any(
            step.kind == "unfoldable" or (step.norm is not None and not step.norm.plain)
            for step in steps
        )

    def network(self, norm: Normalisation) -> Network:
        """The network with its norms ignored, or folded into the maps that they touch.

        Raises:
            UnsupportedLayerError: a norm cannot be folded exactly.
        """
        whole = self.matrices
        found: Sequence[Link] = marked(self.links, whole, self.parts)
        if norm == "fold":
            whole, found = fold(whole, found, self.ends)
        found = tuple(_summed_up(link, whole) for link in found)
        outlets = tuple(_summed_up(link, whole) for link in self.ends if link.consumer == OUTSIDE)
        order, notes = tuple(self.matrices), self.notes
        products: Mapping[str, Product] = {}
        if self.attentions:
            plan = plan_products(whole, self.rank, found, self.attentions)
            order, found, products = plan.order, plan.links, plan.products
            notes = (*notes, *plan.notes)
        depth = depths(found, order)
        arranged = Arrangement(
            self.reading, {name: depth[name] for name in order}, products, norm == "fold"
        )
        maps = arranged.maps(whole)
        return Network(
            type(self.model).__name__,
            maps,
            found,
            (*notes, *notes_on(found)),
            self.model,
            self.parts,
            outlets,
            self.example,
            arranged,
            self.meetings,
            self,
        )


def _summed_up(link: Link, maps: Mapping[str, LinearMap]) -> Link:
    """A link with the product of its steps, which are of no more use themselves, and large."""
    ends = (maps[end] for end in (link.producer, link.consumer) if end != OUTSIDE)
    folded = {name for linear in ends for name in linear.norms}
    return replace(link, steps=(), gains=gains_of(link, folded))


@dataclass(frozen=True, eq=False)
class MapReader:
    """What of a model each map is, known once it was traced; only weights change after that.

    Attributes:
        parts: where the model keeps each map, in order of execution.
        input_layouts: matrices that read flattened ``channels x positions``.
        output_layouts: matrices whose output is unflattened.
        computed: weights that modules were seen to compute as they ran.
        files: those that the weights stay in, from which each is read whenever it is needed; None
            where they are copied.
    """

    parts: Mapping[str, Part]
    input_layouts: Mapping[str, Layout] = field(default_factory=dict)
    output_layouts: Mapping[str, Layout] = field(default_factory=dict)
    computed: Mapping[str, Tensor] = field(default_factory=dict)
    files: MappedFiles | None = None

    def matrices(self, *, let_go: bool = False) -> dict[str, LinearMap]:
        """Every part's weight of this moment, in canonical form; one copy of what is one tensor.

        Args:
            let_go: copies of large weights can be let go once the neurons are known.
        """
        if self.files is not None:
            return {name: stored_map(partial(self._matrix, name)) for name in self.parts}
        read = {name: partial(self._matrix, name) for name in self.parts}
        found = {name: again() for name, again in read.items()}
        if let_go:
            found = {name: copied(linear, read[name]) for name, linear in found.items()}
        for name, _, weight in _one_weight(found, self.parts):
            found[name] = replace(found[name], factors=(weight,))
        return found

    def _matrix(self, name: str) -> LinearMap:
        if self.files is not None:
            self.files.check()
        return linear_map(
            self.parts[name],
            self.input_layouts.get(name),
            self.output_layouts.get(name),
            computed=self.computed.get(name),
        )


@dataclass(frozen=True, eq=False)
class Arrangement:
    """What becomes of a model's matrices: which are shown, which make products.

    Attributes:
        reading: where the matrices come from.
        depth: the column of each map that is shown, in order of execution.
        products: the maps among them that are products of two matrices.
        folded: norms are folded into the matrices.
    """

    reading: MapReader
    depth: Mapping[str, int]
    products: Mapping[str, Product]
    folded: bool = False

    def maps(self, matrices: Mapping[str, LinearMap]) -> dict[str, LinearMap]:
        """The maps that are shown, in order of execution."""
        kept = {
            name: replace(matrices[name], depth=depth)
            for name, depth in self.depth.items()
            if name in matrices
        }
        for name, linear in matrices.items():
            if copy := copy_of(linear):
                copy.shown = copy.shown or name in kept
        maps = _tied(kept, self.reading.parts)
        for name, product in self.products.items():
            maps[name] = product.of(matrices, self.depth[name])
        return {name: maps[name] for name in self.depth}

    def check_repeatable(self) -> None:
        """Raise ``SVRError`` where the weights of later do not follow from the parameters alone."""
        if self.folded:
            raise SVRError(
                "norm='fold' folds the norms' statistics of one moment into the weights: record "
                "with norm='ignore', or make an SVR(model, norm='fold') of each moment"
            )
        for name in self.reading.computed:
            part = self.reading.parts[name]
            raise SVRError(
                f"map {name!r} is what {part.path!r} computes from its {part.parameter} as it "
                f"runs, which cannot be read off again without running the model; leave it out "
                f"with exclude={name!r}, or make an SVR(model) of each moment"
            )

    def read_again(self) -> dict[str, LinearMap]:
        """The maps with the weights that the model has now.

        Raises:
            UnsupportedLayerError, NonFiniteWeightsError: as when they were read first.
        """
        return self.maps(self.reading.matrices())


def _tied(maps: Mapping[str, LinearMap], parts: Mapping[str, Part]) -> dict[str, LinearMap]:
    """Maps of one weight share it, transposed where they use it so, and say whose it is."""
    shared = dict(maps)
    for name, first, weight in _one_weight(maps, parts):
        shared[name] = replace(maps[name], factors=(weight,), tied_to=first)
    return shared


def _one_weight(
    maps: Mapping[str, LinearMap], parts: Mapping[str, Part]
) -> Iterator[tuple[str, str, Tensor]]:
    """Maps without kernels that use the parameter of an earlier one, that, and the weight there."""
    first_use: dict[object, LinearMap] = {}
    for name, linear in maps.items():
        memory = parts[name].memory
        if memory is None or linear.kernel or linear.folded:
            continue
        first = first_use.setdefault(memory, linear)
        for weight in (first.factors[0], first.factors[0].T):
            if first is not linear and torch.equal(weight, linear.factors[0]):
                yield name, first.name, weight
