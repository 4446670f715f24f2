"""Recognising the use of maps in the graph by the parameters that are multiplied with."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch._ops import OpOverload
from torch._subclasses.fake_tensor import FakeTensor

from svr_widget.engine.maps.parts import (
    CONVOLUTION,
    LINEAR,
    LINEAR_TRANSPOSED,
    OTHER_WAY,
    TRANSPOSED_CONVOLUTION,
    Application,
    Part,
)
from svr_widget.engine.maps.weights import named_tensors
from svr_widget.engine.trace.flow import labels
from svr_widget.engine.trace.flow.call import Call, base_name
from svr_widget.engine.trace.flow.flow import Flow
from svr_widget.engine.trace.rules.contraction import (
    BATCHED,
    CONVOLUTIONS,
    GATHERS,
    GROUPED,
    LOOKUPS,
    factors,
    packed_operator,
)

MATRIX_PRODUCTS = frozenset({"linear", "matmul", "mm", "addmm", "mv"}) | BATCHED
"""Of a batch, too: PyTorch expands the weight of a frozen layer over a transposed input."""


@lru_cache(maxsize=4096)
def may_apply(func: OpOverload[..., Any]) -> bool:
    """Whether an operator is of those that can apply a map."""
    by_name = base_name(func) in MATRIX_PRODUCTS | GROUPED | CONVOLUTIONS | LOOKUPS | GATHERS
    return by_name or packed_operator(func) is not None


class Use(NamedTuple):
    """One use of one or several maps that read the same tensor.

    Attributes:
        read: the tensor that they read.
        read_dim: the dimension of its channels, counted from the end; ``None`` for tokens.
        write_dim: the dimension of the output channels, counted from the end.
        written: for each map, int64 ``[outputs]``: which of its output channels each feature of
            the result is, or ``labels.NONE``. Empty for a matrix that is a part of some map's
            effective weight: its result is in that map's already.
        weights: the parameters and buffers that their weight comes from.
        through: what the operator does to the result.
        computed: the weight as the parameter is kept, where the model computes it from that.
        positions: where along the first dimension of the result the maps are applied, to what
            ``read`` holds of it; None for everywhere.
    """

    read: Flow
    read_dim: int | None
    write_dim: int
    written: Mapping[str, Tensor]
    weights: frozenset[str] = frozenset()
    through: tuple[str, ...] = ()
    computed: Tensor | None = None
    positions: Tensor | None = None


def complete(uses: Iterable[Use]) -> bool:
    """Whether every feature that an operator makes is some map's, or accounted for by one."""
    tables = [table for use in uses for table in use.written.values()]
    if not tables or any(use.positions is not None for use in uses):
        return True
    return bool((torch.stack(tables) != labels.NONE).any(dim=0).all())


@dataclass(frozen=True, eq=False)
class Home:
    """One parameter that holds maps.

    Attributes:
        parts: its maps, at least one.
    """

    parts: tuple[Part, ...]

    @property
    def like(self) -> Part:
        """Any of its maps: they differ in their rows only."""
        return self.parts[0]

    @property
    def words(self) -> str:
        """Its maps in an error message."""
        names = [repr(part.name) for part in self.parts]
        return f"map{'s' if len(names) > 1 else ''} {', '.join(names)}"


@dataclass(frozen=True)
class Owners:
    """Which maps a parameter belongs to.

    Attributes:
        homes: every qualified name of a tensor -> the parameters that are computed from it.
        paths: every qualified name of a module that holds maps -> its parameters.
        absorbed: qualified names of tensors that some map's effective weight accounts for.
    """

    homes: Mapping[str, tuple[Home, ...]]
    paths: Mapping[str, tuple[Home, ...]]
    absorbed: frozenset[str]

    @property
    def alone(self) -> dict[str, Part]:
        """The maps that are all of a matrix, by every qualified name of one that no other holds."""
        return {
            name: homes[0].like
            for name, homes in self.homes.items()
            if len(homes) == 1 and homes[0].like.is_matrix
        }

    @classmethod
    def of(cls, model: nn.Module, parts: Iterable[Part]) -> Owners:
        """Read the owners off a model; tied tensors have several."""
        packed: dict[tuple[int, str], list[Part]] = {}
        for part in parts:
            packed.setdefault((id(part.module), part.parameter), []).append(part)
        of_module: dict[int, list[Home]] = {}
        for group in packed.values():
            of_module.setdefault(id(group[0].module), []).append(Home(tuple(group)))
        holders: dict[int, list[Home]] = {}
        absorbed: set[int] = set()
        for home in (home for homes in of_module.values() for home in homes):
            tensors, accounted = home.like.tensors, home.like.absorbed
            for name, tensor in named_tensors(home.like.module):
                if name in tensors:
                    holders.setdefault(id(tensor), []).append(home)
                elif name in accounted:
                    absorbed.add(id(tensor))
        aliases = list(named_tensors(model))
        return cls(
            {name: tuple(dict.fromkeys(holders.get(id(tensor), ()))) for name, tensor in aliases},
            {
                path: tuple(of_module[id(module)])
                for path, module in model.named_modules(remove_duplicate=False)
                if id(module) in of_module
            },
            frozenset(name for name, tensor in aliases if id(tensor) in absorbed),
        )


def _packed_use(call: Call, operator: re.Match[str], owners: Owners) -> Use | None:
    """A quantised layer hands its packed weight over, so that only its module tells the map."""
    homes = owners.paths.get(call.scope.module, ())
    read = call.args[0]
    if len(homes) != 1 or homes[0].like.tensors or not isinstance(read, Flow):
        return None
    part = homes[0].like
    dim = -1 if operator["layer"] == "linear" else 1 - len(read.shape)
    written = {part.name: torch.arange(part.total)}
    through = (operator["then"],) if operator["then"] else ()
    return Use(read, dim, dim, written, through=through)


class _Weight(NamedTuple):
    """A weight as an operator uses it: which of its dimensions are output and input channels."""

    flow: Flow
    outputs: int
    inputs: int


def recognise(call: Call, owners: Owners) -> Use | None:
    """The maps that this operator applies, or ``None`` where it applies none."""
    packed = packed_operator(call.func)
    if packed is not None:
        return _packed_use(call, packed, owners)
    weight = _weight(call)
    if weight is None or (call.name in BATCHED and not _is_repeated(weight.flow)):
        return None
    if weight.flow.weights <= owners.absorbed:
        return Use(Flow(()), None, -1, {})
    homes = _homes(call, weight.flow, owners)
    ndim = 3 if call.name in BATCHED else 2
    if homes and _application(call) == "matrix" and len(weight.flow.shape) != ndim:
        shape = "x".join(map(str, weight.flow.shape))
        words = ", ".join(home.words for home in homes)
        raise call.refusal(f"it uses the weight of {words} in the shape {shape}")
    if weight.flow.computed and len(homes) > 1:
        words = ", ".join(home.words for home in homes)
        raise call.refusal(f"its weight is computed from several: {words}")
    written: dict[str, Tensor] = {}
    for home, trusted in homes.items():
        rows = _rows(call, weight, home, owners, trusted)
        if rows is None:
            return None  # used the other way round: a linear map that is not among the maps
        for part in home.parts:
            mine = (rows >= part.rows.start) & (rows < part.rows.stop)
            if bool(mine.any()):
                written[part.name] = torch.where(mine, rows - part.rows.start, labels.NONE)
    return _use(call, weight, next(iter(homes)).like, written) if written else None


def _use(call: Call, weight: _Weight, part: Part, written: Mapping[str, Tensor]) -> Use:
    names, value = weight.flow.weights, _computed(call, weight, part)
    if call.name in LOOKUPS:
        return Use(call.flow("indices"), None, -1, written, names, computed=value)
    if call.name in CONVOLUTIONS:
        dim = 1 - len(weight.flow.shape)
        return Use(call.flow("input"), dim, dim, written, names, computed=value)
    left, right = factors(call)
    if weight.flow is right:
        return Use(left, -1, -1, written, names, computed=value)
    dim = -2 if len(right.shape) > 1 else -1
    return Use(right, dim, dim, written, names, computed=value)


_USED_OTHER_WAY = {
    ("matrix", True): LINEAR,
    ("matrix", False): LINEAR_TRANSPOSED,
    ("convolution", True): CONVOLUTION,
    ("transposed convolution", False): TRANSPOSED_CONVOLUTION,
}
"""The map that a layer's weight makes where it is used the other way round: by what is done with
it, and whether the layer keeps it transposed."""


def other_way(call: Call, owners: Owners) -> tuple[Part, Use] | None:
    """The map that an operator applies with all of a layer's weight, the other way round.

    As a decoder does that is tied to its encoder, ``F.linear(x, self.encoder.weight.T)``, or a head
    to its embedding.
    """
    # A layer of PyTorch's own that is left out does not come back under the name of another one.
    if packed_operator(call.func) or call.scope.library_leaf:
        return None
    weight = _weight(call)
    if weight is None:
        return None
    # What else takes part in it, such as a scale, is in its value.
    names = [name for name in weight.flow.weights if owners.homes.get(name)]
    if len(names) != 1:
        return None
    (name,) = names
    homes = owners.homes[name]
    own = [home.like for home in homes if name.endswith(home.like.parameter)]
    part = own[0] if own and len(homes[0].parts) == 1 else None
    if part is None or part.groups > 1 or part.tensors != {part.parameter} or part.held is None:
        return None
    kind = _USED_OTHER_WAY.get((_application(call), part.kind.transposed))
    ndim, kept = len(weight.flow.shape), int(part.kind.transposed)
    if kind is None or part.held.ndim != ndim or (kind.application == "matrix" and ndim != 2):
        return None
    indexed = {c.source.use for c in weight.flow.index if c.source.name == name}
    for dim, size, along in (
        (weight.inputs, part.outputs, kept),
        (weight.outputs, part.inputs, 1 - kept),
    ):
        places = _along(weight.flow, name, along, dim) if along in indexed else None
        if weight.flow.shape[dim] != size or (
            places is None
            and (not weight.flow.computed or size == weight.flow.shape[1 - dim % ndim])
        ):
            return None
        if places is not None and not torch.equal(places, torch.arange(size)):
            return None
    made = replace(
        part,
        kind=kind,
        inputs=part.outputs,
        rows=range(part.inputs),
        total=part.inputs,
        suffix=f"{part.parameter}{OTHER_WAY}",
    )
    return made, _use(call, weight, made, {made.name: torch.arange(made.total)})


def _is_repeated(flow: Flow) -> bool:
    """Whether a weight is the same at every place of a batch."""
    held = [carrier.label for carrier in flow.index]
    return bool(held) and all(0 not in labels.varying_dims(label) for label in held)


def _computed(call: Call, weight: _Weight, part: Part) -> Tensor | None:
    """The value of a weight that the model computes, as the part's parameter is kept."""
    if not weight.flow.computed:
        return None
    if isinstance(part.held, FakeTensor):
        raise call.refusal(
            f"it computes its weight from {part.name!r} as it runs, for which that has to be in "
            "memory: load the file into the model, and give the model without weights="
        )
    if weight.flow.value is None:
        return None
    value = weight.flow.value()
    swapped = (weight.outputs % value.ndim > weight.inputs % value.ndim) != part.kind.transposed
    return value.transpose(0, 1) if swapped else value


def _weight(call: Call) -> _Weight | None:
    if call.name in LOOKUPS or call.name in CONVOLUTIONS:
        found = call.get("weight")
        if not isinstance(found, Flow) or not found.weights:
            return None
        kept = call.name in LOOKUPS or _application(call) == "transposed convolution"
        return _Weight(found, 1, 0) if kept else _Weight(found, 0, 1)
    if call.name not in MATRIX_PRODUCTS:
        return None
    left, right = factors(call)
    if call.name == "linear":
        return _Weight(right, -2, -1) if right.weights else None
    if left.traced or left.data or call.name == "addmm":
        return _Weight(right, -1, -2) if right.weights else None
    # Two weights multiplied make another weight (a low-rank update), not a use of either.
    return _Weight(left, -2, -1) if left.weights and (right.traced or right.data) else None


def _application(call: Call) -> Application:
    if call.name in LOOKUPS:
        return "lookup"
    if call.name in CONVOLUTIONS:
        transposed = "transpose" in call.name or bool(call.get("transposed", False))
        return "transposed convolution" if transposed else "convolution"
    return "matrix"


def _homes(call: Call, weight: Flow, owners: Owners) -> dict[Home, bool]:
    """The parameters that a weight comes from, and whether their own module uses them."""
    around = [home for path in reversed(call.scope.path) for home in owners.paths.get(path, ())]
    wanted = _application(call)
    found: dict[Home, bool] = {}
    for name in sorted(weight.weights):
        candidates = owners.homes.get(name, ())
        fitting = [home for home in candidates if home.like.kind.application == wanted]
        inner = next((home for home in around if home in candidates), None)
        if inner is not None and inner in fitting:
            found[inner] = True
        elif len(fitting) == 1:
            found[fitting[0]] = False
        elif fitting:
            names = ", ".join(home.words for home in fitting)
            raise call.refusal(f"its weight is shared by {names}")
    return found


def _rows(call: Call, weight: _Weight, home: Home, owners: Owners, trusted: bool) -> Tensor | None:
    """int64 ``[outputs]``: the output channel of the parameter in each row of a weight.

    ``None`` where the weight is used the other way round.
    """
    part, flow = home.like, weight.flow
    kept = int(part.kind.transposed)
    inputs = part.inputs if kept else part.inputs // part.groups
    outputs = part.total // part.groups if kept else part.total
    shape = flow.shape[weight.outputs], flow.shape[weight.inputs]
    # A vector that takes part in a weight tells neither rows nor columns.
    matrices = {c.source.name for c in flow.index if c.source.use == 1}
    names = {name for name in matrices if home in owners.homes[name]}
    for name in sorted(names):
        rows = _along(flow, name, kept, weight.outputs)
        columns = _along(flow, name, 1 - kept, weight.inputs)
        if rows is None or columns is None:
            return None
        if call.name in LOOKUPS or torch.equal(columns, torch.arange(inputs)):
            whole = torch.equal(rows, torch.arange(outputs))
            if whole or part.groups == 1:
                return torch.arange(part.total) if whole else rows
    if not names and shape == (outputs, inputs) and (trusted or outputs != inputs):
        return torch.arange(part.total)
    if not names and shape == (inputs, outputs):
        return None
    raise call.refusal(
        f"it uses the weight of {home.words} ({part.total} x {part.inputs}) in part, or in the "
        f"shape {'x'.join(map(str, flow.shape))}"
    )


def _along(flow: Flow, parameter: str, kept: int, dim: int) -> Tensor | None:
    """The rows (``kept`` 0) or columns (1) of a parameter along one dimension of a weight."""
    others = [other for other in range(len(flow.shape)) if other != dim % len(flow.shape)]
    for carrier in flow.index:
        if carrier.source == (parameter, kept):
            one = labels.collapse(carrier.label, others)
            return None if one is None else one.flatten()
    return None
