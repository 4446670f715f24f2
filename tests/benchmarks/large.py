"""Networks that were too large: what they take now, each in a process of its own.

Run ``python -m tests.benchmarks.large`` for all, or with the names of some. Memory is the growth of
anonymous memory above the loaded model, at its peak; times are of one run, and their ratios to what
was timed in the same process. A fast answer that is wrong fails: entries, counts and intensities of
some links are compared with those of their whole matrices.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import torch
import transformers
from safetensors.torch import save_file
from torch import nn

from svr_widget import SVR, SVRWidget
from svr_widget.engine.environment.settings import matrix_product
from tests.benchmarks.opening import page_opened
from tests.browser.lab import chromium

Row = dict[str, Any]
GPT2 = {"gpt2-small": (12, 768), "gpt2-medium": (24, 1024), "gpt2-large": (36, 1280)}


class Memory:
    """The growth of anonymous memory since it was made, in GB; Linux only."""

    def __init__(self) -> None:
        self._start, self.peak, self.course = _anonymous(), 0.0, list[tuple[float, float]]()
        self._began = time.perf_counter()
        threading.Thread(target=self._watch, daemon=True).start()

    def _watch(self) -> None:
        while True:
            grown = _anonymous() - self._start
            self.peak = max(self.peak, grown)
            self.course.append((time.perf_counter() - self._began, grown))
            time.sleep(0.1)

    def over_time(self, points: int = 12) -> str:
        """Seconds and GB, at some moments."""
        chosen = self.course[:: max(len(self.course) // points, 1)]
        return ", ".join(f"{at:.0f} s {grown:.2f}" for at, grown in chosen)


def _anonymous() -> float:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) / 1e6
    raise OSError("this system does not say how much memory is anonymous")


def gpt2(layers: int, width: int) -> nn.Module:
    config = transformers.GPT2Config(n_layer=layers, n_embd=width, n_head=width // 64)
    torch.manual_seed(0)
    return transformers.GPT2LMHeadModel(config).eval()


def check(svr: SVR, links: int = 12) -> None:
    """Compare some links with their whole matrices, and all of them with chance."""
    tests = svr.significance()
    random = np.random.default_rng(0)
    keys = [key for key, link in svr.links.items() if not link.by_construction]
    least = tests.cut(p=1e-4)
    edges = svr.edges(p=1e-4)
    for place in random.choice(len(keys), min(links, len(keys)), replace=False):
        key = keys[place]
        adjacency = svr.adjacency(key)
        log_p = adjacency.logsf(adjacency.dense())
        assert least.counts[key, 0] == (log_p <= np.log(1e-4)).sum(), key
        mine = edges[(edges.producer == key[0]) & (edges.consumer == key[1])]
        dense = adjacency.dense().numpy()
        assert (dense[mine.n, mine.m] == mine.weight).all(), key
        strongest = tests.strongest((key, 0))
        assert strongest is not None
        assert dense[strongest.n, strongest.m] == dense.max(), key
        np.testing.assert_array_equal(svr.link_intensity(key), adjacency.intensity())


def products_alone(svr: SVR) -> float:
    """Seconds that the matrix products of all tiles take, at the rate of a full one."""
    stream = svr._streams[False]
    channels = max(link.shared for link in svr.links.values())
    left, right = torch.randn(1024, channels), torch.randn(channels, 1024)
    matrix_product(left, right)
    start = time.perf_counter()
    for _ in range(8):
        matrix_product(left, right)
    rate = 8 * 1024 * 1024 * channels / (time.perf_counter() - start)
    operations = 0
    for product in stream.products:
        first = svr.links.links[int(product.links.flat[0])]
        operations += product.size * first.shared
    return operations / rate


def transformer(name: str) -> Row:
    model = gpt2(*GPT2[name])
    memory, start = Memory(), time.perf_counter()
    svr = SVR(model, model.dummy_inputs)
    constructed = time.perf_counter() - start
    svr.decompose_all()
    decomposed = time.perf_counter() - start - constructed
    svr.compute()
    counted = time.perf_counter() - start - constructed - decomposed
    found = {
        "links": len(svr.links),
        "entries": svr.significance().total,
        "memory": memory.peak,
        "over_time": memory.over_time(),
        "constructed": constructed,
        "decomposed": decomposed,
        "counted": counted,
    }
    alone = products_alone(svr)
    found |= {"products": alone, "ratio": (constructed + decomposed + counted) / alone}
    check(svr)
    return found


def page() -> Row:
    model = gpt2(*GPT2["gpt2-small"])
    # Of random weights no edge is beyond chance, and a page without edges is not what people open.
    widget = SVRWidget(model, model.dummy_inputs, p=1e-5)
    widget.wait()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "svr.html")
        widget.to_html(path)
        with chromium() as browser:
            drawn = statistics.median(page_opened(browser, path) for _ in range(5)) / 1e3
        return {
            "megabytes": path.stat().st_size / 1e6,
            "scene": len(widget._scene) / 1e6,
            "drawn": drawn,
        }


def _chain(maps: int, width: int) -> list[torch.Tensor]:
    random = torch.Generator().manual_seed(0)
    return [torch.randn(width, width, generator=random) for _ in range(maps)]


def deep(layers: int = 32) -> Row:
    """Heads as products, read map by map from a sharded file, decompositions in a folder."""
    config = transformers.LlamaConfig(
        hidden_size=1024, intermediate_size=2816, num_hidden_layers=layers, vocab_size=2000,
        num_attention_heads=32, num_key_value_heads=32, max_position_embeddings=64,
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        _write_shards(config, Path(folder, "model"))
        with torch.device("meta"):
            model = transformers.LlamaForCausalLM(config).eval()
        memory, start = Memory(), time.perf_counter()
        example = {"input_ids": torch.arange(5)[None]}
        svr = SVR(model, example, weights=Path(folder, "model"), cache=Path(folder, "cache"))
        constructed = time.perf_counter() - start
        svr.compute()
        finished = time.perf_counter() - start
        check(svr, 4)
        return {
            "layers": layers,
            "links": len(svr.links),
            "entries": svr.significance().total,
            "constructed": constructed,
            "finished": finished,
            "memory": memory.peak,
            "over_time": memory.over_time(),
        }


def _write_shards(config: transformers.PretrainedConfig, folder: Path) -> None:
    folder.mkdir()
    torch.manual_seed(0)
    tensors = transformers.LlamaForCausalLM(config).state_dict()
    places: dict[str, str] = {}
    names = list(tensors)
    for shard in range(4):
        file = f"model-{shard + 1:05}-of-00004.safetensors"
        mine = names[shard::4]
        save_file({name: tensors[name].contiguous() for name in mine}, folder / file)
        places |= dict.fromkeys(mine, file)
    index = {"metadata": {}, "weight_map": places}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))


def growth() -> Row:
    """How seconds grow with width, depth and edges, and as which power; with the figure of it."""
    series: dict[str, list[tuple[int, float]]] = {}

    def timed(name: str, size: int, work: Callable[[], object]) -> None:
        start = time.perf_counter()
        work()
        series.setdefault(name, []).append((size, time.perf_counter() - start))

    SVR(_chain(2, 16)).compute()  # what is imported and looked up once
    for width in (128, 256, 512, 1024, 2048):
        timed("width of 8 maps", width, SVR(_chain(8, width)).compute)
    for depth in (2, 4, 8, 16):
        model = gpt2(depth, 256)
        timed("blocks of GPT-2, 256 wide", depth, SVR(model, model.dummy_inputs).compute)
    svr = SVR(_chain(4, 1024))
    svr.compute()
    for level in (1e-4, 1e-3, 1e-2, 1e-1):
        count = len(svr.edges(p=level))
        timed("edges asked of 3 million", count, partial(svr.edges, p=level))
    draw_growth(series)
    return {
        name: ", ".join(f"{size:,}: {seconds:.3g} s" for size, seconds in of)
        + f"; at last as its power {power(of[-2:]):.2f}"
        for name, of in series.items()
    }


def power(points: Sequence[tuple[int, float]]) -> float:
    """The exponent by which seconds grow from the first to the last."""
    (size, seconds), (larger, more) = points[0], points[-1]
    return float(np.log(more / seconds) / np.log(larger / size))


def draw_growth(series: dict[str, list[tuple[int, float]]]) -> None:
    figure, axes = plt.subplots(1, len(series), figsize=(9, 3), sharey=True, layout="constrained")
    for ax, (name, points) in zip(axes, series.items(), strict=True):
        sizes, seconds = np.array(points).T
        ax.loglog(sizes, seconds, "o-", color="#0072B2")
        for exponent, style in ((1, ":"), (2, "--")):
            line = seconds[0] * (sizes / sizes[0]) ** exponent
            ax.loglog(sizes, line, style, color="#888888", lw=1, label=f"power {exponent}")
        ax.set_xlabel(name)
    axes[0].set_ylabel("seconds")
    axes[0].legend(frameon=False)
    figure.savefig(Path(__file__).with_name("growth.svg"), metadata={"Date": None})


CASES: dict[str, tuple[Callable[[], Row], str]] = {
    "gpt2-small": (lambda: transformer("gpt2-small"), "memory 1.2 GB; ratio to products 3.5"),
    "gpt2-medium": (lambda: transformer("gpt2-medium"), "memory 4 GB"),
    "gpt2-large": (lambda: transformer("gpt2-large"), "memory 6 GB"),
    "page": (page, "5 MB, drawn in 2 s"),
    "deep": (deep, "constructed in 5 s, 8 GB in all"),
    "growth": (growth, "no more than the square of the width"),
}


def main() -> None:
    """Run some cases, each in a process of its own, and print what they found."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("names", nargs="*", choices=[*CASES, []], default=[])
    parser.add_argument("--case")
    asked = parser.parse_args()
    if asked.case:
        print(json.dumps(CASES[asked.case][0]()))
        return
    failed = []
    for name in asked.names or CASES:
        command = [sys.executable, "-W", "ignore", "-m", "tests.benchmarks.large", "--case", name]
        run = subprocess.run(command, capture_output=True, text=True, check=False)
        print(f"{name} (goal: {CASES[name][1]})")
        if run.returncode:
            failed.append(name)
            print(f"  failed: {run.stderr.strip().splitlines()[-1:]}")
            continue
        for key, value in json.loads(run.stdout.splitlines()[-1]).items():
            print(f"  {key}: {f'{value:,.2f}' if isinstance(value, float) else value}")
    sys.exit(f"failed: {', '.join(failed)}" if failed else 0)


if __name__ == "__main__":
    main()
