"""Two layers of any kind compose to the sum over their edges (sections 2.2, 4.2 and 4.4)."""

import pytest
import torch
import transformers
from torch import nn
from torch.nn import functional

from svr_widget.svr import SVR
from tests.engine.support.dense import whole

CONV = {1: functional.conv1d, 2: functional.conv2d, 3: functional.conv3d}
TRANSPOSED = {1: functional.conv_transpose1d, 2: functional.conv_transpose2d}


def applied(module, weight, x):
    """What a layer would compute with another weight ``[out, in, *kernel]``, without groups."""
    if isinstance(module, nn.modules.conv._ConvTransposeNd):
        spatial = module.stride, module.padding, module.output_padding
        convolve = TRANSPOSED[weight.ndim - 2]
        return convolve(x, weight.transpose(0, 1), None, *spatial, 1, module.dilation)
    if isinstance(module, nn.modules.conv._ConvNd):
        convolve = CONV[weight.ndim - 2]
        return convolve(x, weight, None, module.stride, module.padding, module.dilation)
    if isinstance(module, nn.Embedding):
        return functional.embedding(x, weight.T)
    read = list(range(1, x.ndim))  # channels x positions where the map reads them flattened
    return torch.tensordot(x, weight, dims=(read, read))


def mixed(matrix, x):
    """A matrix ``[out, in]`` on the channels, which are dimension 1."""
    return torch.tensordot(x, matrix, dims=([1], [1])).movedim(-1, 1)


def kernels(vectors, side, kernel):
    """U or V as a weight ``[M, channels, *kernel]``."""
    full = whole(vectors, side)
    return full.permute(2, 0, 1).reshape(full.shape[2], full.shape[0], *kernel)


def summed_over_edges(svr, first, second, x):
    """The output of the second map for an input of the first."""
    (link,) = svr.links
    adjacency = svr.adjacency(link)
    P, C = adjacency.producer, adjacency.consumer
    read_kernel, written_kernel = svr.maps[link[0]].kernel, svr.maps[link[1]].kernel
    filters = adjacency.effective_filters() * P.S.view(1, -1, *[1] * len(adjacency.kernel))
    if svr.method == "svr":
        activations = applied(first, kernels(P.V, P, read_kernel), x)
        return mixed(whole(C.U, C)[:, 0] * C.S, applied(second, filters, activations))
    V = whole(P.V, P)[:, 0]
    if isinstance(first, nn.Embedding):
        activations = applied(first, filters @ V.T, x)
    else:
        activations = applied(first, filters, mixed(V.T, x))
    U = kernels(C.U * C.S, C, written_kernel).transpose(0, 1)
    return applied(second, U, activations)


def image(*shape):
    return torch.randn(2, *shape, dtype=torch.float64)


PAIRS = {
    "linear": lambda: (nn.Linear(5, 4), nn.Linear(4, 6), image(5)),
    "transformers' Conv1D": lambda: (
        transformers.pytorch_utils.Conv1D(4, 5),
        nn.Linear(4, 6),
        image(5),
    ),
    "embedding": lambda: (nn.Embedding(7, 4), nn.Linear(4, 6), torch.tensor([3, 0, 6])),
    "1d, strided and dilated": lambda: (
        nn.Conv1d(3, 4, 3, stride=2, padding=1),
        nn.Conv1d(4, 5, 2, dilation=2),
        image(3, 12),
    ),
    "2d, uneven kernels": lambda: (
        nn.Conv2d(3, 4, (3, 2)),
        nn.Conv2d(4, 5, (1, 3), padding=1),
        image(3, 7, 8),
    ),
    "3d": lambda: (nn.Conv3d(2, 3, 2), nn.Conv3d(3, 4, (1, 2, 2)), image(2, 4, 5, 4)),
    "groups into groups": lambda: (
        nn.Conv2d(4, 6, 3, groups=2),
        nn.Conv2d(6, 9, 2, groups=3),
        image(4, 6, 6),
    ),
    "depthwise into pointwise": lambda: (
        nn.Conv2d(4, 4, 3, groups=4),
        nn.Conv2d(4, 5, 1),
        image(4, 6, 6),
    ),
    "pointwise into depthwise": lambda: (
        nn.Conv2d(3, 4, 1),
        nn.Conv2d(4, 8, 3, groups=4),
        image(3, 6, 6),
    ),
    "transposed into plain": lambda: (
        nn.ConvTranspose2d(3, 4, 3, stride=2, output_padding=1),
        nn.Conv2d(4, 5, 3),
        image(3, 4, 4),
    ),
    "plain into transposed": lambda: (
        nn.Conv2d(3, 4, 3),
        nn.ConvTranspose2d(4, 5, (2, 3), stride=2, padding=1),
        image(3, 6, 6),
    ),
    "grouped transposed": lambda: (
        nn.ConvTranspose1d(4, 6, 3, groups=2),
        nn.ConvTranspose1d(6, 6, 2, groups=3),
        image(4, 5),
    ),
    "flattened": lambda: (
        nn.Conv2d(2, 3, 2),
        nn.Sequential(nn.Flatten(), nn.Linear(27, 4)),
        image(2, 4, 4),
    ),
    "unflattened": lambda: (
        nn.Sequential(nn.Linear(5, 36), nn.Unflatten(1, (4, 3, 3))),
        nn.ConvTranspose2d(4, 3, 2, stride=2),
        image(5),
    ),
}


@pytest.mark.parametrize("method", ["svr", "cosvr"])
@pytest.mark.parametrize("name", PAIRS)
def test_two_layers_compose_to_the_sum_over_edges(name, method):
    torch.manual_seed(0)
    *layers, x = PAIRS[name]()
    model = nn.Sequential(*layers).double()
    first, second = (m for m in model.modules() if hasattr(m, "weight"))
    for layer in (first, second):
        if getattr(layer, "bias", None) is not None:
            nn.init.zeros_(layer.bias)
    found = summed_over_edges(SVR(model, x, method=method), first, second, x)
    torch.testing.assert_close(found, model(x))
