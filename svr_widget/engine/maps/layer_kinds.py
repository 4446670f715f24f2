"""Kinds of layers and the maps that each holds: to support another one, add it to ``LAYERS``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd

from svr_widget.engine.maps import adapters
from svr_widget.engine.maps.parts import (
    CONVOLUTION,
    EMBEDDING,
    LINEAR,
    LINEAR_TRANSPOSED,
    TRANSPOSED_CONVOLUTION,
    Part,
)
from svr_widget.engine.maps.weights import (
    WeightReader,
    bounded_rows,
    effective_weight,
    packed_weight,
)


@dataclass(frozen=True)
class Layer:
    """A class of modules that hold maps.

    Attributes:
        matches: whether a module is of this class.
        parts: its maps, given the module and its qualified name.
        children: its submodules that hold maps of their own; what else lies beneath is its own.
    """

    matches: Callable[[nn.Module], bool]
    parts: Callable[[nn.Module, str], Iterable[Part]]
    children: frozenset[str] = frozenset()


def _linear(module: nn.Module, path: str) -> Iterator[Part]:
    assert isinstance(module, nn.Linear)
    rows = range(module.out_features)
    yield Part(module, path, "weight", LINEAR, module.in_features, rows, len(rows))


def _transformers_conv1d(module: nn.Module, path: str) -> Iterator[Part]:
    weight = module.weight
    assert isinstance(weight, Tensor)
    rows = range(weight.shape[1])
    yield Part(module, path, "weight", LINEAR_TRANSPOSED, weight.shape[0], rows, len(rows))


def _convolution(module: nn.Module, path: str) -> Iterator[Part]:
    assert isinstance(module, _ConvNd)
    kind = TRANSPOSED_CONVOLUTION if isinstance(module, _ConvTransposeNd) else CONVOLUTION
    rows = range(module.out_channels)
    yield Part(module, path, "weight", kind, module.in_channels, rows, len(rows), module.groups)


def _embedding(module: nn.Module, path: str) -> Iterator[Part]:
    assert isinstance(module, nn.Embedding | nn.EmbeddingBag)
    rows = range(module.embedding_dim)
    reader: WeightReader = effective_weight if module.max_norm is None else bounded_rows
    inputs = module.num_embeddings
    yield Part(module, path, "weight", EMBEDDING, inputs, rows, len(rows), reader=reader)


def _attention(module: nn.Module, path: str) -> Iterator[Part]:
    """Queries, keys and values; the output projection is a module of its own."""
    assert isinstance(module, nn.MultiheadAttention)
    width = module.embed_dim
    for place, (part, inputs) in enumerate(
        zip("qkv", (width, module.kdim, module.vdim), strict=True)
    ):
        packed = module._qkv_same_embed_dim
        name = "in_proj_weight" if packed else f"{part}_proj_weight"
        rows = range(place * width, (place + 1) * width) if packed else range(width)
        total = 3 * width if packed else width
        suffix = f"in_proj[{part}]"
        yield Part(module, path, name, LINEAR, inputs, rows, total, suffix=suffix)


# The gates in PyTorch's order; a plain recurrence has none.
_GATES = {"LSTM": "ifgo", "GRU": "rzn", "RNN_TANH": "", "RNN_RELU": ""}


def _recurrent(module: nn.Module, path: str) -> Iterator[Part]:
    """One map a gate from the input, and one from the hidden state, of each layer and direction."""
    assert isinstance(module, nn.RNNBase)
    gates, directions = _GATES[module.mode], 2 if module.bidirectional else 1
    state = module.proj_size or module.hidden_size
    for layer in range(module.num_layers):
        inputs = state * directions if layer else module.input_size
        for reverse in ("", "_reverse")[:directions]:
            place = f"_l{layer}{reverse}"
            short = place if layer else reverse  # "ih[f]" is the first layer's
            for side, width in (("ih", inputs), ("hh", state)):
                yield from _gates(
                    module,
                    path,
                    f"weight_{side}{place}",
                    side + short,
                    gates,
                    width,
                    module.hidden_size,
                )
            if module.proj_size:
                yield from _gates(
                    module, path, f"weight_hr{place}", f"hr{short}", "", module.hidden_size, state
                )


def _cell(module: nn.Module, path: str) -> Iterator[Part]:
    assert isinstance(module, nn.RNNCellBase)
    gates = {nn.LSTMCell: "ifgo", nn.GRUCell: "rzn"}
    mine = next((names for kind, names in gates.items() if isinstance(module, kind)), "")
    for side, width in (("ih", module.input_size), ("hh", module.hidden_size)):
        yield from _gates(module, path, f"weight_{side}", side, mine, width, module.hidden_size)


def _gates(
    module: nn.Module, path: str, name: str, short: str, gates: str, inputs: int, outputs: int
) -> Iterator[Part]:
    """The maps of a parameter that stacks ``outputs`` rows a gate."""
    total = outputs * max(1, len(gates))
    for place, gate in enumerate(gates or ("",)):
        rows = range(place * outputs, (place + 1) * outputs)
        suffix = f"{short}[{gate}]" if gate else short
        yield Part(module, path, name, LINEAR, inputs, rows, total, suffix=suffix)


def _quantised(module: nn.Module, path: str) -> Iterator[Part]:
    """A layer of ``torch.ao`` that keeps its weight in the form of its own kernels."""
    sizes = vars(module)
    if "in_features" in sizes:
        kind, inputs, outputs, groups = LINEAR, sizes["in_features"], sizes["out_features"], 1
    else:
        kind = TRANSPOSED_CONVOLUTION if sizes["transposed"] else CONVOLUTION
        inputs, outputs, groups = (
            sizes[name] for name in ("in_channels", "out_channels", "groups")
        )
    rows = range(outputs)
    yield Part(module, path, "weight", kind, inputs, rows, outputs, groups, reader=packed_weight)


def _is_quantised(module: nn.Module) -> bool:
    known = {"in_features", "in_channels"} & vars(module).keys()
    return bool(known) and any(
        base.__name__ == "WeightedQuantizedModule" for base in type(module).__mro__
    )


def _is(*types: type[nn.Module]) -> Callable[[nn.Module], bool]:
    return lambda module: isinstance(module, types)


def _is_transformers_conv1d(module: nn.Module) -> bool:
    return any(
        base.__name__ == "Conv1D" and base.__module__ == "transformers.pytorch_utils"
        for base in type(module).__mro__
    )


def _adapted(module: nn.Module, path: str) -> Iterator[Part]:
    """A layer and the low-rank matrices that an adapter adds to its weight, as one map."""
    base = module.get_submodule("base_layer")
    found = parts_of(base)
    part = found[0] if len(found) == 1 else Part(base, "", "weight", LINEAR, 0, range(0), 0)
    yield replace(
        part,
        module=module,
        path=path,
        parameter=f"base_layer.{part.parameter}",
        suffix="",
        reader=adapters.adapted_weight,
        absorbed=adapters.low_rank_matrices(module),
        refusal=adapters.refusal(module, len(found) == 1 and part.groups == 1),
    )


LAYERS = (
    Layer(adapters.is_adapted, _adapted),
    Layer(_is(nn.Linear), _linear),
    Layer(_is(nn.Conv1d, nn.Conv2d, nn.Conv3d, _ConvTransposeNd), _convolution),
    Layer(_is(nn.Embedding, nn.EmbeddingBag), _embedding),
    Layer(_is_transformers_conv1d, _transformers_conv1d),
    Layer(_is(nn.MultiheadAttention), _attention, frozenset({"out_proj"})),
    Layer(_is(nn.RNNBase), _recurrent),
    Layer(_is(nn.RNNCellBase), _cell),
    Layer(_is_quantised, _quantised),
)


def layer_of(module: nn.Module) -> Layer | None:
    """The class of layers that a module belongs to, or None where it holds no map itself."""
    return next((layer for layer in LAYERS if layer.matches(module)), None)


def parts_of(module: nn.Module, path: str = "") -> tuple[Part, ...]:
    """The maps that a module holds itself, in order; none for most."""
    layer = layer_of(module)
    return () if layer is None else tuple(layer.parts(module, path))
