"""Recognising a map's use in the graph by the parameter that it multiplies with."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from svr_widget.engine.trace.call import Call
from svr_widget.engine.trace.contraction import CONVOLUTIONS, factors
from svr_widget.engine.trace.flow import Flow

MATRIX_PRODUCTS = frozenset({"linear", "matmul", "mm", "addmm", "mv"})
LOOKUPS = frozenset({"embedding", "embedding_bag", "_embedding_bag"})


class Use(NamedTuple):
    """One use of a map.

    Attributes:
        name: the map.
        read: the tensor that it reads.
        read_dim: the dimension of its input channels, counted from the end; ``None`` for tokens.
        write_dim: the dimension of its output channels, counted from the end.
    """

    name: str
    read: Flow
    read_dim: int | None
    write_dim: int


def is_embedding(module: nn.Module) -> bool:
    """Whether the module looks rows up."""
    return isinstance(module, (nn.Embedding, nn.EmbeddingBag))


def is_convolution(module: nn.Module) -> bool:
    """Whether the module convolves, transposed or not."""
    return isinstance(module, nn.modules.conv._ConvNd)


def is_matrix(module: nn.Module) -> bool:
    """Whether the module multiplies its last dimension with a matrix."""
    return not is_embedding(module) and not is_convolution(module)


def widths(module: nn.Module) -> tuple[int, int]:
    """``(input, output)`` widths of a map's module: features, channels, vocabulary.

    A matrix kept as ``[in, out]`` is known by its ``nf`` (transformers' ``Conv1D``).
    """
    if isinstance(module, (nn.Embedding, nn.EmbeddingBag)):
        return module.num_embeddings, module.embedding_dim
    if isinstance(module, nn.modules.conv._ConvNd):
        return module.in_channels, module.out_channels
    if isinstance(module, nn.Linear):
        return module.in_features, module.out_features
    weight = module.weight
    assert isinstance(weight, Tensor)
    rows, columns = weight.shape
    return (rows, columns) if hasattr(module, "nf") else (columns, rows)


@dataclass(frozen=True)
class Owners:
    """Which maps a parameter belongs to.

    Attributes:
        modules: the maps' modules by name.
        names: every qualified name of a tensor -> the maps that hold it.
        paths: every qualified name of a map's module -> the map.
    """

    modules: Mapping[str, nn.Module]
    names: Mapping[str, frozenset[str]]
    paths: Mapping[str, str]

    @classmethod
    def of(cls, model: nn.Module, modules: Mapping[str, nn.Module]) -> Owners:
        """Read the owners off a model; tied tensors have several."""
        maps = {id(module): name for name, module in modules.items()}
        holders: dict[int, set[str]] = {}
        aliases: dict[int, list[str]] = {}
        paths: dict[str, str] = {}
        for path, module in model.named_modules(remove_duplicate=False):
            name = maps.get(id(module))
            if name is not None:
                paths[path] = name
            for key, tensor in _tensors(module):
                aliases.setdefault(id(tensor), []).append(f"{path}.{key}" if path else key)
                if name is not None:
                    holders.setdefault(id(tensor), set()).add(name)
        names = {
            alias: frozenset(holders.get(key, ()))
            for key, group in aliases.items()
            for alias in group
        }
        return cls(modules, names, paths)

    def maps_of(self, weights: Iterable[str]) -> frozenset[str]:
        """The maps that hold any of these tensors."""
        return frozenset().union(*(self.names.get(weight, frozenset()) for weight in weights))


def _tensors(module: nn.Module) -> Iterable[tuple[str, Tensor]]:
    yield from module.named_parameters(remove_duplicate=False)
    yield from module.named_buffers(remove_duplicate=False)


def recognise(call: Call, owners: Owners) -> Use | None:
    """The map that this operator applies, or ``None`` where it applies none."""
    weight = _weight(call)
    if weight is None:
        return None
    candidates = owners.maps_of(weight.weights)
    if not candidates:
        return None
    around = [owners.paths[path] for path in reversed(call.scope.path) if path in owners.paths]
    inner = next((name for name in around if name in candidates), None)
    fitting = [name for name in sorted(candidates) if _fits(call, owners.modules[name])]
    if inner is not None and inner in fitting:
        name = inner
    elif len(fitting) == 1:
        name = fitting[0]
    elif fitting:
        raise call.refusal(f"its weight is shared by the maps {', '.join(fitting)}")
    else:
        return None
    module = owners.modules[name]
    if call.name in LOOKUPS:
        return Use(name, call.flow("indices"), None, -1)
    if call.name in CONVOLUTIONS:
        spatial = len(weight.shape) - 2
        if weight.shape[0] * weight.shape[1] != _weight_size(module):
            raise call.refusal(f"it uses only a part of the weight of map {name!r}")
        return Use(name, call.flow("input"), -(spatial + 1), -(spatial + 1))
    return _matrix_use(call, name, module, weight, trusted=inner == name)


def _weight_size(module: nn.Module) -> int:
    assert isinstance(module, nn.modules.conv._ConvNd)
    return module.in_channels * module.out_channels // module.groups


def _weight(call: Call) -> Flow | None:
    if call.name in LOOKUPS or call.name in CONVOLUTIONS:
        found = call.get("weight")
        return found if isinstance(found, Flow) and found.weights else None
    if call.name not in MATRIX_PRODUCTS:
        return None
    left, right = factors(call)
    if left.traced or left.data or call.name in ("linear", "addmm"):
        return right if right.weights else None
    # Two weights multiplied make another weight (a low-rank update), not a use of either.
    return left if left.weights and (right.traced or right.data) else None


def _fits(call: Call, module: nn.Module) -> bool:
    if call.name in LOOKUPS:
        return is_embedding(module)
    if call.name in CONVOLUTIONS:
        transposed = "transpose" in call.name or bool(call.get("transposed", False))
        kind = nn.modules.conv._ConvTransposeNd
        return is_convolution(module) and isinstance(module, kind) == transposed
    return is_matrix(module)


def _matrix_use(
    call: Call, name: str, module: nn.Module, weight: Flow, trusted: bool
) -> Use | None:
    left, right = factors(call)
    inputs, outputs = widths(module)
    if weight is right:
        stored = weight.shape[::-1] if call.name == "linear" else weight.shape
        use = Use(name, left, -1, -1)
    else:
        stored = weight.shape[::-1]
        dim = -2 if len(right.shape) > 1 else -1
        use = Use(name, right, dim, dim)
    if stored == (outputs, inputs) != (inputs, outputs):
        return None  # used the other way round: a linear map that is not among the maps
    if tuple(stored[-2:]) != (inputs, outputs):
        raise call.refusal(
            f"it uses the weight of map {name!r} ({outputs} x {inputs}) in the shape "
            f"{'x'.join(map(str, weight.shape))}"
        )
    if inputs == outputs and not trusted and not _upright(call, module, weight, weight is right):
        return None
    return use


def _upright(call: Call, module: nn.Module, weight: Flow, on_the_right: bool) -> bool:
    """Whether a square weight is used as its module does, not transposed."""
    own = module.weight
    if weight.value is None or not isinstance(own, Tensor):
        return False
    matrix = weight.value().detach()
    transposed = on_the_right != (call.name == "linear")
    canonical = own.detach().T if hasattr(module, "nf") else own.detach()
    return torch.equal(matrix.T if transposed else matrix, canonical)
