"""What a layer reads and writes, and the identity that its spectral activations obey."""

from __future__ import annotations

import torch
from torch.nn.modules.conv import _ConvNd


def run(model, name, *args, **kwargs):
    """What a layer reads and what it writes without its bias, channels second."""
    layer, seen = model.get_submodule(name), []
    handle = layer.register_forward_hook(lambda _, x, y: seen.append((x[0].clone(), y)))
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    with torch.no_grad():
        model(*args, **kwargs)
    handle.remove()
    for module, mode in modes:
        module.training = mode
    (x, y), *_ = seen
    if isinstance(layer, _ConvNd):
        bias = 0 if layer.bias is None else layer.bias.detach()[:, *[None] * len(layer.kernel_size)]
        return x, y - bias
    bias = getattr(layer, "bias", None)
    y = y if bias is None else y - bias.detach()
    return x, y.movedim(-1, 1)


def whole(vectors, neurons):
    """The columns of a grouped map's ``U`` or ``V`` among the channels of all groups."""
    inside, count = vectors.shape[0], len(neurons)
    dense = torch.zeros(neurons.group_count, inside, *vectors.shape[1:], dtype=torch.float64)
    for m in range(count):
        dense[neurons.groups[m], ..., m] = vectors[..., m].double()
    return dense.flatten(0, 1)


def assert_identity(svr, name, y, written):
    """``U diag(S) Y`` is what the layer writes."""
    neurons = svr.decomposition(name, "svr")
    scaled = torch.einsum("m,bm...->bm...", neurons.S, y.double())
    found = torch.einsum("om,bm...->bo...", whole(neurons.U, neurons), scaled)
    torch.testing.assert_close(found, written.double(), rtol=1e-4, atol=1e-5)
