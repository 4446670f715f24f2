"""How long the engine takes beside what else could be used, on this machine, in one run.

Run ``python -m tests.benchmarks.engine``. Each round times every contender once, in turn, so that
a busy machine slows all of them; medians over the rounds and their ratios are printed.

* ``lapack``: ``torch.linalg.svd(full_matrices=False)`` of every weight in float32, nothing else.
* ``published``: the method of the paper's published code: ``scipy.sparse.linalg.svds`` truncated
  at 128 where a side is longer, else the float32 SVD, and the adjacency by ``tensordot``.
* ``gram``: the floor: ``torch.linalg.eigh`` of each weight's Gram matrix in float64, nothing else;
  of a head's product of two matrices, what gives its singular values by way of theirs.
* ``ours``: every singular triplet, in float64 where it matters, with its certificate; for the
  networks up to VGG16's convolutions also the adjacency of every link and its sorted tests.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import pairwise
from statistics import median

import numpy as np
import scipy.sparse.linalg
import torch
from torch import Tensor

from svr_widget import SVR
from svr_widget.engine.decompose import decompose, decompose_product

TRUNCATION = 128
VGG16 = (64, 64, 128, 128, 256, 256, 256, 512, 512, 512, 512, 512, 512)


def decaying(out: int, *rest: int, seed: int) -> Tensor:
    """A weight whose singular values fall off like a trained layer's."""
    random = torch.Generator().manual_seed(seed)
    weight = torch.randn(out, *rest, generator=random).flatten(1)
    few = torch.randn(out, 24, generator=random) * torch.arange(24, 0, -1) / 24
    weight += few @ torch.randn(24, weight.shape[1], generator=random)
    return weight.reshape(out, *rest) / weight.shape[1] ** 0.5


def lapack(weights: list[Tensor]) -> object:
    return [torch.linalg.svd(weight.flatten(1), full_matrices=False) for weight in weights]


def published(weights: list[Tensor]) -> object:
    triplets = []
    for weight in weights:
        matrix = weight.flatten(1)
        if min(matrix.shape) > TRUNCATION:
            u, s, vh = scipy.sparse.linalg.svds(matrix.numpy(), k=TRUNCATION)
            order = np.argsort(-s)
            u, vh = torch.from_numpy(u[:, order].copy()), torch.from_numpy(vh[order].copy())
        else:
            u, _, vh = torch.linalg.svd(matrix, full_matrices=False)
        triplets.append((u, vh.T.reshape(*weight.shape[1:], -1)))
    adjacencies = []
    for (u, _), (_, v) in pairwise(triplets):
        by_channel = v.reshape(u.shape[0], -1, v.shape[-1])
        filters = torch.tensordot(by_channel.permute(2, 1, 0), u, 1)
        adjacencies.append(filters.square().sum(1))
    return adjacencies


def gram(weights: list[Tensor]) -> object:
    return [torch.linalg.eigh(_square(weight.flatten(1).double())) for weight in weights]


def _square(matrix: Tensor) -> Tensor:
    return matrix @ matrix.T if matrix.shape[0] <= matrix.shape[1] else matrix.T @ matrix


def gram_of_products(heads: list[Tensor]) -> object:
    found = []
    for left, right in zip(heads[::2], heads[1::2], strict=True):
        values, vectors = torch.linalg.eigh(_square(left.double()))
        root = vectors * values.clamp(min=0).sqrt()
        found.append(torch.linalg.eigh(root.T @ _square(right.double()) @ root))
    return found


def ours_of_products(heads: list[Tensor]) -> object:
    return [decompose_product(*pair) for pair in zip(heads[::2], heads[1::2], strict=True)]


def ours_alone(weights: list[Tensor]) -> object:
    return [decompose(weight) for weight in weights]


def ours(weights: list[Tensor]) -> object:
    if len(weights) == 1:
        return decompose(weights[0])
    svr = SVR(weights)
    svr.compute()
    return svr.significance()


Contender = Callable[[list[Tensor]], object]


def compare(
    title: str,
    weights: list[Tensor],
    rounds: int,
    contenders: tuple[Contender, ...] = (lapack, published, gram, ours),
) -> None:
    """Print medians in milliseconds, and their ratios to LAPACK's and to the floor."""
    times: dict[Contender, list[float]] = {contender: [] for contender in contenders}
    for _ in range(rounds):
        for contender in contenders:
            if rounds > 1:  # untimed: the threads of the one before may still be spinning
                contender(weights)
            start = time.perf_counter()
            contender(weights)
            times[contender].append(time.perf_counter() - start)
    floor = next(contender for contender in contenders if contender in FLOORS)
    for contender, seconds in times.items():
        ratios = [
            f"{median([t / b for t, b in zip(seconds, times[base], strict=True)]):>10.2f}"
            if base in times
            else " " * 10
            for base in (lapack, floor)
        ]
        name = contender.__name__.split("_")[0]
        print(f"{title:<34}{name:<12}{median(seconds) * 1e3:>10.1f} ms{''.join(ratios)}")
    base = times[contenders[0]]
    print(
        f"{'':<34}({contenders[0].__name__.split('_')[0]} in one round "
        f"{min(base) / median(base):.2f} to {max(base) / median(base):.2f} of its median)"
    )


FLOORS = (gram, gram_of_products)


def main() -> None:
    """Run every comparison."""
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads")
    print(f"{'':<59}{'to lapack':>10}{'to gram':>10}\n")
    single = torch.randn(512, 512, 3, 3, generator=torch.Generator().manual_seed(0))
    compare("512 x 4608, Gaussian", [single], 15)
    compare("512 x 4608, decaying", [decaying(512, 512, 3, 3, seed=0)], 15)
    mnist = [decaying(o, i, seed=o + i) for i, o in pairwise((784, 40, 40, 40, 10))]
    compare("MNIST net 784-40-40-40-10", mnist, 21)
    vgg = [decaying(o, i, 3, 3, seed=k) for k, (i, o) in enumerate(pairwise((3, *VGG16)))]
    compare("VGG16's 13 convolutions", vgg, 3)
    heads = [decaying(*shape, seed=k) for k in range(24) for shape in ((768, 64), (64, 768))]
    compare("24 heads of GPT-2 small", heads, 5, (gram_of_products, ours_of_products))
    rest = [decaying(*shape, seed=0) for shape in ((3072, 768), (768, 3072), (1024, 768))]
    rest.append(decaying(50257, 768, seed=0))
    compare("GPT-2 small, a layer and its ends", rest, 3, (gram, ours_alone))
    vgg += [decaying(o, i, seed=0) for o, i in ((4096, 512 * 49), (4096, 4096), (1000, 4096))]
    compare("VGG16's 16 maps", vgg, 1, (gram, ours_alone))


if __name__ == "__main__":
    main()
