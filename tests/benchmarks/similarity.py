"""Similarity to the Sobel filter: one pass for everything, beside a pass for every neuron.

Run ``python -m tests.benchmarks.similarity``. Both compare every spectral image of a small
VGG-like network with the Sobel filter of its input, and both have their decompositions already.

* ``published``: as in the paper's published code: for each image and convolution the Sobel filter
  once, then for each neuron a forward pass up to the convolution and one convolution.
* ``ours``: ``SVR.similarity``.
"""

from __future__ import annotations

import time
from statistics import median

import numpy as np
import scipy.ndimage
import torch
from torch import Tensor, nn
from torch.nn import functional

from svr_widget import SVR
from svr_widget.engine.analysis.activations.similarity import GREY

WIDTHS = ((16, 16), (32, 32), (64, 64))
SIZE, IMAGES, ROUNDS = 64, 2, 3


def network() -> nn.Sequential:
    layers: list[nn.Module] = []
    channels = 3
    for block in WIDTHS:
        for width in block:
            layers += [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU()]
            channels = width
        layers.append(nn.MaxPool2d(2))
    return nn.Sequential(*layers).eval()


@torch.no_grad()
def published(svr: SVR, model: nn.Sequential, images: Tensor) -> dict[str, Tensor]:
    """The mean cosine of every neuron, by map."""
    means = {}
    for name in svr.maps:
        before, V = model[: int(name)], svr[name].V
        found = torch.zeros(len(images), V.shape[-1])
        for i, image in enumerate(images):
            size = before(image[None]).shape[2:] if len(before) else image.shape[1:]
            pooled = functional.adaptive_avg_pool2d(image, tuple(size))
            grey = np.tensordot(GREY, pooled.numpy(), 1)
            edges = np.hypot(scipy.ndimage.sobel(grey, 0), scipy.ndimage.sobel(grey, 1))
            wanted = torch.from_numpy(edges).float()
            wanted = wanted / wanted.norm()
            for k in range(V.shape[-1]):
                shown = functional.conv2d(before(image[None]), V[..., k][None], padding=1).abs()
                found[i, k] = (shown[0, 0] / shown.norm() * wanted).sum()
        means[name] = found.mean(0)
    return means


def main() -> None:
    """Print medians in milliseconds and their ratio."""
    torch.set_num_threads(1)  # many small passes on a busy machine would measure waiting threads
    torch.manual_seed(0)
    model, images = network(), torch.randn(IMAGES, 3, SIZE, SIZE)
    svr = SVR(model, images)
    svr.compute()
    neurons = sum(len(svr[name]) for name in svr.maps)
    times: dict[str, list[float]] = {"published": [], "ours": []}
    for _ in range(ROUNDS):
        start = time.perf_counter()
        theirs = published(svr, model, images)
        middle = time.perf_counter()
        ours = svr.similarity(images)
        times["published"].append(middle - start)
        times["ours"].append(time.perf_counter() - middle)
    apart = np.abs(ours["mean"].to_numpy() - torch.cat(list(theirs.values())).numpy()).max()
    if apart > 1e-4:
        raise SystemExit(f"the two ways differ by {apart:.1e}")
    ratio = median(times["published"]) / median(times["ours"])
    print(f"torch {torch.__version__}, 1 thread\n")
    print(f"{IMAGES} images of {SIZE} x {SIZE}, {len(svr.maps)} convolutions, {neurons} neurons")
    for name, seconds in times.items():
        print(f"{name:<12}{median(seconds) * 1e3:>10.1f} ms")
    print(
        f"a pass for every neuron takes {ratio:.0f} times as long; largest difference {apart:.0e}"
    )


if __name__ == "__main__":
    main()
