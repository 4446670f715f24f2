"""Two smaller layers in the place of one (paper, section 1.2: low-rank factorisation).

By the SVR ``U S V^T`` of a convolution is one with the same kernel to ``r`` channels, then one with
a kernel of 1; by the co-SVR the other way round. The second layer has the bias.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd

from svr_widget.engine.decompose import Flattening
from svr_widget.engine.maps.linear_map import LinearMap
from svr_widget.engine.maps.parts import LINEAR_TRANSPOSED, TRANSPOSED_CONVOLUTION, Part

# Their code takes the weights of the layers inside instead of calling them.
_READ_DIRECTLY = (nn.MultiheadAttention, nn.TransformerEncoderLayer)
_KNOWN = (
    nn.Linear,
    nn.Embedding,
    nn.Conv1d,
    nn.Conv2d,
    nn.Conv3d,
    nn.ConvTranspose1d,
    nn.ConvTranspose2d,
    nn.ConvTranspose3d,
)


def why_not(model: nn.Module, part: Part, linear: LinearMap, method: Flattening) -> str:
    """Why two layers cannot replace the layer of a map; empty where they can.

    Args:
        model: that the part is of.
        part: where the map is kept.
        linear: the map.
        method: the flattening whose neurons are kept.
    """
    module = part.module
    if linear.output_layout is not None:
        return "its output is unflattened: no two layers have the same neurons"
    if linear.input_layout is not None and method == "cosvr":
        return "its input is flattened: no two layers have the same co-SVR neurons"
    known = type(module) in _KNOWN or part.kind is LINEAR_TRANSPOSED
    if part.suffix or not known:
        return f"{type(module).__name__} is no layer that two can replace"
    if part.held is None or part.parameter != "weight":
        return "its weight is computed from others"
    if isinstance(module, nn.Embedding) and module.max_norm is not None:
        return "it bounds the norms of its rows"
    if module._forward_hooks or module._forward_pre_hooks or module._backward_hooks:
        return "it has hooks"
    for parent in model.modules():
        if isinstance(parent, _READ_DIRECTLY) and module in parent.children():
            return f"{type(parent).__name__} reads its weight directly"
    users = sum(
        any(own is part.held for own in each.parameters(recurse=False)) for each in model.modules()
    )
    return "its parameter is used elsewhere too" if users > 1 else ""


def two_layers(
    part: Part, linear: LinearMap, method: Flattening, first: Tensor, second: Tensor
) -> nn.Sequential:
    """The two layers with the weights of ``two_weights``; the bias is the layer's own."""
    module: Any = part.module
    if linear.input_layout is not None:
        flat = first.new_zeros(len(first), part.inputs)
        flat[:, linear.input_layout.index.flatten()] = first.flatten(1)
        first = flat
    layers = nn.Sequential(
        *(
            _convolutions(module, method, first, second)
            if isinstance(module, _ConvNd)
            else _matrices(module, first.flatten(1), second.flatten(1))
        )
    )
    for layer, weight in zip(layers, (first, second), strict=True):
        kept = weight
        if isinstance(layer, _ConvTransposeNd):
            kept = TRANSPOSED_CONVOLUTION.kept(weight, part.groups)
        elif isinstance(layer, nn.Embedding):
            kept = weight.T
        empty = layer.weight
        assert isinstance(empty, Tensor)
        own = kept.reshape(empty.shape).to(module.weight).contiguous()
        layer.weight = nn.Parameter(own, module.weight.requires_grad)
    if getattr(module, "bias", None) is not None:
        layers[1].bias = module.bias
    return layers.train(module.training)


def composed(first: Tensor, second: Tensor, linear: LinearMap) -> Tensor:
    """The weight of the two layers together, float64 ``[out, in/groups, *kernel]``."""
    groups, width = linear.groups, len(first) // linear.groups
    reading = first.double().reshape(groups, width, linear.shape[1], -1)
    writing = second.double().reshape(groups, linear.out_channels // groups, width, -1)
    return torch.einsum("grib,gora->goiab", reading, writing).reshape(linear.shape)


def replace_module(model: nn.Module, old: nn.Module, new: nn.Module) -> None:
    """Put one module in the place of another wherever the model holds it."""
    for parent in list(model.modules()):
        for name, child in list(parent._modules.items()):  # named_children tells each but once
            if child is old:
                setattr(parent, name, new)


# Made without values, so that no random number is drawn for them.


def _matrices(module: Any, first: Tensor, second: Tensor) -> tuple[nn.Module, nn.Module]:
    width, outputs = len(first), len(second)
    bias = getattr(module, "bias", None) is not None
    writing = nn.Linear(width, outputs, bias, device="meta")
    if isinstance(module, nn.Embedding):
        reading = nn.Embedding(
            module.num_embeddings,
            width,
            module.padding_idx,
            scale_grad_by_freq=module.scale_grad_by_freq,
            sparse=module.sparse,
            device="meta",
        )
        return reading, writing
    return nn.Linear(first.shape[1], width, False, device="meta"), writing


def _convolutions(
    module: Any, method: Flattening, first: Tensor, second: Tensor
) -> tuple[nn.Module, nn.Module]:
    width, kind = len(first), type(module)
    pointwise = (nn.Conv1d, nn.Conv2d, nn.Conv3d)[len(module.kernel_size) - 1]
    settings: dict[str, Any] = {
        name: getattr(module, name)
        for name in ("kernel_size", "stride", "padding", "dilation", "padding_mode")
    }
    if isinstance(module, _ConvTransposeNd):
        settings["output_padding"] = module.output_padding
    both: dict[str, Any] = {"groups": module.groups, "device": "meta"}
    bias, outputs = module.bias is not None, len(second)
    if method == "svr":
        return (
            kind(module.in_channels, width, bias=False, **settings, **both),
            pointwise(width, outputs, 1, bias=bias, **both),
        )
    return (
        pointwise(module.in_channels, width, 1, bias=False, **both),
        kind(width, outputs, bias=bias, **settings, **both),
    )
