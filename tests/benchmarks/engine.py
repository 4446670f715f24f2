"""How long the engine takes beside what else could be used, on this machine, in one run.

Run ``python -m tests.benchmarks.engine``. Each round times every contender once, in turn, so that
a busy machine slows all of them; medians over the rounds and their ratios are printed.

* ``lapack``: ``torch.linalg.svd(full_matrices=False)`` of every weight in float32, nothing else.
* ``published``: the method of the paper's published code: ``scipy.sparse.linalg.svds`` truncated
  at 128 where a side is longer, else the float32 SVD, and the adjacency by ``tensordot``.
* ``ours``: every singular triplet, in float64 where it matters, with its certificate; for whole
  networks also the adjacency of every link and its sorted tests.
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
from svr_widget.engine.decompose import decompose

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


def ours(weights: list[Tensor]) -> object:
    if len(weights) == 1:
        return decompose(weights[0])
    svr = SVR(weights)
    svr.compute()
    return svr.significance()


def compare(title: str, weights: list[Tensor], rounds: int) -> None:
    """Print medians in milliseconds, and their ratios to LAPACK's."""
    contenders: tuple[Callable[[list[Tensor]], object], ...] = (lapack, published, ours)
    times: dict[str, list[float]] = {contender.__name__: [] for contender in contenders}
    for _ in range(rounds):
        for contender in contenders:
            contender(weights)  # untimed: the threads of the one before may still be spinning
            start = time.perf_counter()
            contender(weights)
            times[contender.__name__].append(time.perf_counter() - start)
    base = median(times["lapack"])
    for name, seconds in times.items():
        ratio = median([t / b for t, b in zip(seconds, times["lapack"], strict=True)])
        print(f"{title:<34}{name:<12}{median(seconds) * 1e3:>10.1f} ms{ratio:>8.2f}")
    print(
        f"{'':<34}{'(lapack in one round':<20} {min(times['lapack']) / base:.2f} to "
        f"{max(times['lapack']) / base:.2f} of its median)"
    )


def main() -> None:
    """Run every comparison."""
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads; ratios to lapack\n")
    single = torch.randn(512, 512, 3, 3, generator=torch.Generator().manual_seed(0))
    compare("512 x 4608, Gaussian", [single], 15)
    compare("512 x 4608, decaying", [decaying(512, 512, 3, 3, seed=0)], 15)
    mnist = [decaying(o, i, seed=o + i) for i, o in pairwise((784, 40, 40, 40, 10))]
    compare("MNIST net 784-40-40-40-10", mnist, 21)
    vgg = [decaying(o, i, 3, 3, seed=k) for k, (i, o) in enumerate(pairwise((3, *VGG16)))]
    compare("VGG16's 13 convolutions", vgg, 3)


if __name__ == "__main__":
    main()
