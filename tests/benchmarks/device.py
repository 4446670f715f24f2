"""Decompositions and counts on another device, beside ``torch.linalg.svd`` on the same one.

Run ``python -m tests.benchmarks.device --device cuda``. Numbers are compared with the CPU's before
anything is timed. Each part is timed once after one round on a small network; ``--layers`` says how
many of the 32 layers of a network of 7 billion parameters are made.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Mapping
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor, nn

from svr_widget.engine.decompose import decompose
from svr_widget.svr import SVR

VGG16 = (3, 64, 64, 128, 128, 256, 256, 256, 512, 512, 512, 512, 512, 512)
WIDTH, INNER = 4096, 11008


def timed(call: Callable[[], object], device: torch.device) -> float:
    """Seconds until the device has done it."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    start = time.perf_counter()
    call()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - start


def check(device: torch.device) -> None:
    """Compare a network of every kind of link with what the CPU says of it."""
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(3, 24, 3), nn.ReLU(), nn.Conv2d(24, 32, 3, groups=4), nn.ReLU(),
        nn.Conv2d(32, 40, 1), nn.ReLU(), nn.Flatten(), nn.Linear(40 * 16, 30),
    )  # fmt: skip
    with torch.no_grad():
        model[0].weight[3] = 0  # a null neuron
        model[2].weight += 0.5
    example = torch.zeros(1, 3, 8, 8)
    for method in ("svr", "cosvr", "cross"):
        here, there = (SVR(model, example, method=method, device=d) for d in ("cpu", device))
        compare(here, there)
    weights = {f"write{k}": torch.randn(96, 20 + k) for k in range(6)}
    weights |= {f"read{k}": torch.randn(30 + k, 96) for k in range(6)}
    links = [(f"write{i}", f"read{k}") for i in range(6) for k in range(6)]
    compare(*(SVR(weights, links=links, device=d) for d in ("cpu", device)))
    print(f"same numbers as on the CPU: four networks, {device}")


def compare(here: SVR, there: SVR) -> None:
    """Singular values, counts, edges and intensities; signs and clusters do not matter to them."""
    for name in here.columns:
        mine, theirs = here[name], there[name]
        np.testing.assert_allclose(mine.S, theirs.S, rtol=1e-6, atol=1e-7 * float(mine.S[0]))
        assert (mine.null == theirs.null).all(), name
    for level in (0.5, 0.05, 1e-4):
        counts = [svr.significance().cut(p=level).significant for svr in (here, there)]
        assert abs(counts[0] - counts[1]) <= 1 + 1e-4 * counts[0], (level, counts)
    for link in here.links:
        np.testing.assert_allclose(
            here.adjacency(link).dense(), there.adjacency(link).dense(), rtol=1e-3, atol=1e-5
        )
        np.testing.assert_allclose(
            here.link_intensity(link), there.link_intensity(link), rtol=1e-3, atol=1e-4
        )


def decaying(out: int, *rest: int, seed: int) -> Tensor:
    """A weight whose singular values fall off like a trained layer's."""
    random = torch.Generator().manual_seed(seed)
    weight = torch.randn(out, *rest, generator=random).flatten(1)
    few = torch.randn(out, 24, generator=random) * torch.arange(24, 0, -1) / 24
    weight += few @ torch.randn(24, weight.shape[1], generator=random)
    return weight.reshape(out, *rest) / weight.shape[1] ** 0.5


def vgg() -> dict[str, Tensor]:
    """The weights of VGG16's 16 maps."""
    maps = {f"conv{k}": decaying(o, i, 3, 3, seed=k) for k, (i, o) in enumerate(pairwise(VGG16))}
    full = ((4096, 25088), (4096, 4096), (1000, 4096))
    return maps | {f"fc{k}": decaying(*shape, seed=20 + k) for k, shape in enumerate(full)}


def compare_svd(title: str, weights: Mapping[str, Tensor], device: torch.device) -> None:
    """Our decompositions beside ``torch.linalg.svd`` of each, from and to the CPU."""

    def lapack() -> None:
        for weight in weights.values():
            found = torch.linalg.svd(weight.flatten(1).to(device), full_matrices=False)
            for each in found:
                each.cpu()

    def ours() -> None:
        for weight in weights.values():
            decompose(weight, device=device)

    svd, own = timed(lapack, device), timed(ours, device)
    print(f"{title}: torch.linalg.svd {svd:.2f} s, ours {own:.2f} s, ratio {own / svd:.3f}")


def billions(layers: int, device: torch.device) -> None:
    """Some layers of a network of 7 billion parameters: maps, then every entry of every link."""
    random = torch.Generator(device=device).manual_seed(0)

    def made(out: int, into: int) -> Tensor:
        return (torch.randn(out, into, generator=random, device=device) / into**0.5).cpu()

    weights: dict[str, Tensor] = {}
    links: list[tuple[str, str]] = []
    writers: list[str] = []
    for layer in range(layers):
        attention = {f"{layer}.{name}": (WIDTH, WIDTH) for name in ("q", "k", "v", "o")}
        inner = {f"{layer}.gate": (INNER, WIDTH), f"{layer}.up": (INNER, WIDTH)}
        shapes = {**attention, **inner, f"{layer}.down": (WIDTH, INNER)}
        weights |= {name: made(*shape) for name, shape in shapes.items()}
        links += [(w, f"{layer}.{name}") for name in ("q", "k", "v") for w in writers]
        writers.append(f"{layer}.o")
        links += [(w, f"{layer}.{name}") for name in ("gate", "up") for w in writers]
        writers.append(f"{layer}.down")
        links += [(f"{layer}.v", f"{layer}.o")]
        links += [(f"{layer}.{name}", f"{layer}.down") for name in ("gate", "up")]
    one = {name: weight for name, weight in weights.items() if name in ("0.q", "0.gate")}
    compare_svd("a map of 4096 x 4096 and one of 11008 x 4096", one, device)
    svr = SVR(weights, links=links, device=device)
    decomposing = timed(svr.decompose_all, device)
    counting = timed(svr.compute, device)
    total = svr.significance().total
    expected = svr.significance().cut(p=0.05).significant / total
    assert abs(expected - 0.05) < 1e-3, expected  # nothing but chance in random weights
    print(
        f"{layers} of 32 layers of 7 billion: {len(weights)} maps decomposed in "
        f"{decomposing:.1f} s, {len(links)} links with {total / 1e9:.2f} billion entries counted "
        f"in {counting:.1f} s"
    )


def main() -> None:
    """Check, then time."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--layers", type=int, default=4)
    asked = parser.parse_args()
    device = torch.device(asked.device)
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else str(device)
    print(f"torch {torch.__version__} on {name}")
    check(device)
    if asked.layers:
        compare_svd("VGG16, 16 maps", vgg(), device)
        billions(asked.layers, device)


if __name__ == "__main__":
    main()
