"""Parameters that a module's own code multiplies channels with, and so are maps.

A layer that is known says what its maps are. Any other module may multiply by a parameter in part,
one matrix at a time (``w[e]``), by many at once (``bmm``), by the matrix that the data choose
(``w[ids]``, ``_grouped_mm``), or with several of its dimensions flattened (``einsum``). What it did
is read off the elements of the parameter that stand in the operator's weight.

Matrices that lie along a dimension of one parameter are siblings: mixtures of experts keep theirs
so. Which of them run is up to the tokens, so those that the example did not reach have the links
of those that it did.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from svr_widget.engine.errors import listed
from svr_widget.engine.maps.parts import (
    CONVOLUTION,
    EMBEDDING,
    LINEAR,
    OTHER_WAY,
    TRANSPOSED_CONVOLUTION,
    Matrix,
    OwnParameter,
    Part,
)
from svr_widget.engine.trace.flow import labels
from svr_widget.engine.trace.flow.call import Call
from svr_widget.engine.trace.flow.flow import Flow, as_data
from svr_widget.engine.trace.flow.selected import rearranged, taken
from svr_widget.engine.trace.mapping import MATRIX_PRODUCTS, Use
from svr_widget.engine.trace.results.siblings import Family
from svr_widget.engine.trace.rules.contraction import (
    CONVOLUTIONS,
    GATHERS,
    GROUPED,
    LOOKUPS,
    factors,
    packed_operator,
)
from svr_widget.engine.trace.rules.matrices import (
    Matrices,
    Operand,
    is_rectangle,
    table_along,
    varying_along,
)

_MATRICES = MATRIX_PRODUCTS | GROUPED
TABLE = Matrix((None, None), outputs=(1,), inputs=(0,))
"""All of a parameter of two dimensions, as an embedding is kept."""


class OwnParameters:
    """Finds their maps, operator by operator.

    Attributes:
        parts: the maps that were found, by name.
        multiplied: qualified names of the parameters that were multiplied with channels in some
            way, whether as maps or not.
        accounted: those from which the weight of a known layer is computed.
    """

    def __init__(
        self, parameters: Mapping[str, OwnParameter], layers: Mapping[str, Part] | None = None
    ) -> None:
        """Start with nothing found.

        Args:
            parameters: by their qualified names.
            layers: the maps of known layers, by qualified names of their weights, that may be used
                the other way round as well: tables of embeddings that a head multiplies with, the
                weight of a head in which tokens are looked up.
        """
        self._named: dict[tuple[str, Matrix], Part] = {}
        of_layers: dict[str, OwnParameter] = {}
        for name, part in (layers or {}).items():
            if "." in part.parameter:
                continue  # of a layer inside, on which an adapter's map is built
            of_layers[name] = OwnParameter(part.module, part.path, part.parameter)
            self._named[name, TABLE if part.kind is EMBEDDING else TABLE.swapped] = part
        self._of_layers = of_layers.keys()
        self._parameters = {**parameters, **of_layers}
        self._own = parameters.keys()
        self.parts: dict[str, Part] = {}
        self.multiplied: set[str] = set()
        self.accounted: frozenset[str] = frozenset()
        self._chosen: set[str] = set()

    def holds(self, flow: Flow) -> bool:
        """Whether a tensor was computed from these parameters alone."""
        return bool(flow.weights) and flow.weights <= self._own

    def _usable(self, flow: Flow) -> bool:
        """Whether a tensor may be a map's weight: of these parameters, or one of a layer."""
        return self.holds(flow) or (len(flow.weights) == 1 and flow.weights <= self._of_layers)

    def _is_new(self, name: str, matrix: Matrix, call: Call) -> bool:
        """Whether a map is none that a layer applies, chosen or not."""
        if name not in self._of_layers:
            return True
        return (name, matrix.swapped) in self._named and not call.scope.library_leaf

    def uses(self, call: Call) -> list[Use]:
        """The maps that an operator applies; empty where it applies none."""
        if packed_operator(call.func) is not None:
            return []
        if call.name in LOOKUPS or call.name in CONVOLUTIONS:
            return self._whole(call, call.get("weight"))
        if call.name in GATHERS:
            return self._looked_up(call)
        operand = self._operand(call)
        if operand is None:
            return []
        self.multiplied |= operand.weight.weights & self._own
        if operand.weight.computed and len(operand.weight.weights) > 1:
            return []
        found: list[Matrices] = []
        for name in sorted(operand.weight.weights):
            made = self._of(name, call, operand)
            if made is None or not all(
                self._is_new(name, matrix, call) for matrix, _ in made.places
            ):
                return []
            found.append(made)
        return [use for each in found for use in self._uses(each, operand)]

    def gathered(self, call: Call) -> Flow | None:
        """What remains known of a parameter whose rows or matrices are chosen by the data."""
        if call.name not in GATHERS or not call.args or not isinstance(call.args[0], Flow):
            return None
        flow = call.args[0]
        if not self.holds(flow) or flow.traced:
            return None
        if call.name == "index_select":
            chosen = {call.get("dim") % len(flow.shape): call.get("index")}
        else:
            given = call.get("indices")
            chosen = {at: index for at, index in enumerate(given) if index is not None}
        by_data = any(isinstance(i, Flow) and (i.traced or i.data) for i in chosen.values())
        if not by_data or len(chosen) != 1:
            return None
        ((dim, index),) = chosen.items()
        rank = len(index.shape)
        index_of_rest = []
        for carrier in flow.index:
            if dim in labels.varying_dims(carrier.label):
                continue
            stored = labels.core(carrier.label).select(dim, 0)
            for _ in range(rank):
                stored = stored.unsqueeze(dim)
            label = labels.canonical(stored.expand(call.shape))
            index_of_rest.append(replace(carrier, label=label))
        return Flow(
            call.shape, weights=flow.weights, index=tuple(index_of_rest), computed=flow.computed
        )

    # Which factor is a weight.

    def _operand(self, call: Call) -> Operand | None:
        if call.name not in _MATRICES:
            return None
        left, right = factors(call)
        if call.name == "linear":
            return Operand(right, -2, -1, left, -1, -1) if self._usable(right) else None
        if len(left.shape) < 1 or len(right.shape) < 1:
            return None
        fits = len(right.shape) > 1 and (left.traced or left.data or call.name == "addmm")
        if self._usable(right) and fits and not self._usable(left):
            return Operand(right, -1, -2, left, -1, -1)
        if self._usable(left) and len(left.shape) > 1 and (right.traced or right.data):
            dim = -2 if len(right.shape) > 1 else -1
            return Operand(left, -2, -1, right, dim, dim)
        return None

    # Which matrices of which parameter it holds.

    def _of(self, name: str, call: Call, operand: Operand) -> Matrices | None:
        """The matrices of one parameter; None where they cannot be told."""
        flow, shape = operand.weight, self._parameters[name].value.shape
        ndim = len(flow.shape)
        outputs, inputs = operand.outputs % ndim, operand.inputs % ndim
        found = {c.source.use: c.label for c in flow.index if c.source.name == name}
        along: dict[int, list[int]] = {outputs: [], inputs: []}
        beside: list[int] = []
        for dim in (dim for dim, size in enumerate(shape) if size > 1):
            varying = varying_along(found[dim]) if dim in found else frozenset[int]()
            if dim in found and len(varying) == 1 and varying <= along.keys():
                along[min(varying)].append(dim)
            elif varying & along.keys():
                return None
            else:
                beside.append(dim)
        left = [dim for dim, size in enumerate(shape) if size == 1] + [
            dim for dim in beside if dim in found and not varying_along(found[dim])
        ]
        for side in (outputs, inputs):  # one channel does not vary
            if not along[side] and flow.shape[side] == 1 and len(left) == 1:
                along[side] = left
                beside = [dim for dim in beside if dim not in left]
        if not along[outputs] or not along[inputs]:
            return None
        tables = []
        for side in (outputs, inputs):
            table = table_along(
                [found[dim] for dim in along[side]], [shape[d] for d in along[side]], side
            )
            if table is None:
                return None
            tables.append(table)
        written, read = tables
        if not is_rectangle(found[along[outputs][0]], written, read, outputs, inputs):
            return None
        whole: list[int | None] = [None if d in (*along[outputs], *along[inputs]) else 0
                                   for d in range(len(shape))]  # fmt: skip
        places = []
        for place, positions in self._places(name, found, beside, call, ndim):
            at = tuple(place.get(dim, each) for dim, each in enumerate(whole))
            matrix = Matrix(at, tuple(along[outputs]), tuple(along[inputs]))
            others = {m for n, m in self._named if n == name and m.at == at}
            if others - {matrix, matrix.swapped}:
                return None  # it was flattened otherwise before
            places.append((matrix, positions))
        if flow.computed and not self._is_all(name, flow, places, written, read):
            return None
        return Matrices(name, places, written, read) if places else None

    def _is_all(
        self,
        name: str,
        weight: Flow,
        places: Sequence[tuple[Matrix, Tensor | None]],
        written: Tensor,
        read: Tensor,
    ) -> bool:
        """Whether a weight holds every entry of one matrix, and its value is known."""
        if len(places) > 1 or weight.value is None:
            return False
        shape = self._parameters[name].value.shape
        ((matrix, positions),) = places
        sizes = [
            torch.Size(shape[d] for d in dims).numel() for dims in (matrix.outputs, matrix.inputs)
        ]
        complete = sizes == [int((t != labels.NONE).sum()) for t in (written, read)]
        return positions is None and complete and len(written) == sizes[0] and len(read) == sizes[1]

    def _places(
        self, name: str, found: Mapping[int, Tensor], beside: Sequence[int], call: Call, ndim: int
    ) -> Iterator[tuple[dict[int, int], Tensor | None]]:
        """Which matrices of a parameter a weight holds, and at which positions of a batch.

        Where the data choose them, the first stands for all.
        """
        batch = range(ndim - 2)
        fixed: dict[int, int] = {}
        spread: dict[int, Tensor] = {}
        for dim in beside:
            label = found.get(dim)
            varying = frozenset[int]() if label is None else varying_along(label)
            if label is None or (varying and call.name in GROUPED):
                fixed[dim] = 0
                self._chosen.add(name)
            elif not varying:
                fixed[dim] = int(labels.core(label).flatten()[0])
            else:
                one = labels.collapse(label, [d for d in range(label.dim()) if d not in batch])
                if one is None or len(batch) != 1:
                    return
                spread[dim] = one.flatten()
        if not spread:
            yield fixed, None
            return
        table = torch.stack(list(spread.values()), dim=1)
        for place in torch.unique(table, dim=0):
            positions = (table == place).all(dim=1).nonzero().flatten()
            yield {**fixed, **dict(zip(spread, place.tolist(), strict=True))}, positions

    def _part(self, name: str, matrix: Matrix) -> Part:
        """The map of a matrix, which goes by its name from its first use on."""
        known = self._named.get((name, matrix))
        if known is not None:
            return known
        own = self._parameters[name]
        shape = own.value.shape
        count = [
            torch.Size(shape[d] for d in dims).numel() for dims in (matrix.outputs, matrix.inputs)
        ]
        both_ways = (name, matrix.swapped) in self._named
        called = (
            f"{own.qualified}{matrix.place}{OTHER_WAY}" if both_ways else own.called(matrix.place)
        )
        suffix = called.removeprefix(own.path).removeprefix(".")
        part = Part(
            own.module,
            own.path,
            own.name,
            LINEAR,
            count[1],
            range(count[0]),
            count[0],
            suffix=suffix,
            matrix=matrix,
        )
        return self._keep(name, matrix, part)

    def _keep(self, name: str, matrix: Matrix, part: Part) -> Part:
        self._named[name, matrix] = part
        self.parts[part.name] = part
        return part

    def _uses(self, found: Matrices, operand: Operand) -> Iterator[Use]:
        """The maps of one parameter, and what each reads."""
        for matrix, positions in found.places:
            part = self._part(found.name, matrix)
            flow, in_order = operand.read, torch.equal(found.read, torch.arange(part.inputs))
            if positions is not None or not in_order:
                flow = as_data(flow)
            if positions is not None:
                flow = taken(flow, positions)
            if not in_order:
                known = found.read != labels.NONE
                features = torch.full((part.inputs,), labels.NONE)
                features[found.read[known]] = known.nonzero().flatten()
                flow = rearranged(flow, operand.read_dim, features)
            yield Use(
                flow,
                operand.read_dim,
                operand.write_dim,
                {part.name: found.written},
                operand.weight.weights,
                computed=_computed(operand, part, found),
                positions=positions,
            )

    def _looked_up(self, call: Call) -> list[Use]:
        """Rows of a parameter that the network's input chooses, as an embedding's are."""
        flow = call.args[0]
        if call.name == "index_select":
            chosen = [] if call.get("dim") else [call.get("index")]
        else:
            chosen = list(call.get("indices"))
        by_input = len(chosen) == 1 and isinstance(chosen[0], Flow) and chosen[0].data
        if not by_input or chosen[0].traced or len(flow.shape) != 2:
            return []
        return self._whole(call, flow, chosen[0])

    def _whole(self, call: Call, weight: object, tokens: Flow | None = None) -> list[Use]:
        """A convolution or a look-up with all of a parameter."""
        if not isinstance(weight, Flow) or not self._usable(weight) or len(weight.weights) > 1:
            return []
        (name,) = weight.weights
        self.multiplied |= weight.weights & self._own
        own = self._parameters[name]
        shape = tuple(own.value.shape)
        found = {c.source.use: c.label for c in weight.index}
        in_order = weight.shape == shape and all(
            dim in found and labels.equal(found[dim], labels.along(dim, shape))
            for dim, size in enumerate(shape)
            if size > 1
        )
        if not in_order:
            return []
        groups = 1
        lookup = call.name in LOOKUPS or tokens is not None
        if lookup:
            kind, outputs, inputs = EMBEDDING, shape[1], shape[0]
        else:
            groups = call.get("groups", 1)
            kept = "transpose" in call.name or bool(call.get("transposed", False))
            kind = TRANSPOSED_CONVOLUTION if kept else CONVOLUTION
            outputs, inputs = (
                (shape[1] * groups, shape[0]) if kept else (shape[0], shape[1] * groups)
            )
        matrix = TABLE if lookup else Matrix((None,) * len(shape), (), ())
        if not self._is_new(name, matrix, call):
            return []
        both_ways = (name, matrix.swapped) in self._named and matrix != matrix.swapped
        called = f"{own.qualified}{OTHER_WAY}" if both_ways else own.called()
        suffix = called.removeprefix(own.path).removeprefix(".")
        rows = range(outputs)
        part = self._named.get((name, matrix)) or self._keep(
            name,
            matrix,
            Part(
                own.module, own.path, own.name, kind, inputs, rows, outputs, groups, suffix=suffix
            ),
        )
        value = weight.value() if weight.computed and weight.value is not None else None
        written = {part.name: torch.arange(outputs)}
        if lookup:
            read = call.flow("indices") if tokens is None else tokens
            return [Use(read, None, -1, written, weight.weights, computed=value)]
        dim = 1 - len(shape)
        read = call.flow("input")
        return [Use(read, dim, dim, written, weight.weights, computed=value)]

    # Siblings.

    def families(self) -> Iterator[Family]:
        """The maps that lie along a dimension of one parameter, those not reached among them."""
        families: dict[tuple[str, Matrix], dict[tuple[int | None, ...], Part]] = {}
        for (name, matrix), part in list(self._named.items()):
            first = replace(matrix, at=tuple(None if at is None else 0 for at in matrix.at))
            if any(at is not None for at in matrix.at):
                families.setdefault((name, first), {})[matrix.at] = part
        for (name, matrix), reached in families.items():
            own = self._parameters[name]
            sizes = zip(matrix.at, own.value.shape, strict=True)
            every = itertools.product(*((None,) if at is None else range(n) for at, n in sizes))
            places = {self._part(name, replace(matrix, at=at)).name: at for at in every}
            names = frozenset(part.name for part in reached.values())
            yield Family(name, own.path, places, names, name in self._chosen)

    def notes(self) -> Iterator[str]:
        """What is no map, and which maps the data choose."""
        used = {name for name, _ in self._named}
        unread = sorted(self.multiplied - used)
        if unread:
            yield (
                "no maps, for they are multiplied in a way that is not known here: "
                f"{listed([repr(name) for name in unread], 2)}"
            )
        others = sorted(self._own - used - self.multiplied - self.accounted)
        if others:
            yield (
                "no maps, for no channels are multiplied with them: "
                f"{listed([repr(name) for name in others], 2)}"
            )
        if chosen := sorted(self._chosen):
            yield (
                "which of several maps a token goes through is up to the data; all of them have "
                f"the same links: {listed([repr(name) for name in chosen], 2)}"
            )


def _computed(operand: Operand, part: Part, found: Matrices) -> Tensor | None:
    """The value of a weight that the model computes from a parameter, as that is kept."""
    weight = operand.weight
    if not weight.computed or weight.value is None or part.matrix is None:
        return None
    value = weight.value().reshape(weight.shape[-2:])
    if operand.outputs == -1:
        value = value.T
    kept = torch.empty_like(getattr(part.module, part.parameter))
    in_order = value[found.written.argsort()][:, found.read.argsort()]
    part.matrix.write(kept, in_order)
    return kept
