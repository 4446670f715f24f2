"""The filters behind neurons and edges, for the pane that shows them: signed, strongest first."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from svr_widget.engine.decompose import Decomposition
from svr_widget.engine.graph.adjacency import Adjacency
from svr_widget.svr import SVR
from svr_widget.widget.wire.codec import encode
from svr_widget.widget.wire.scene import scene_links

Question = dict[str, Any]


def effective_filters(svr: SVR, question: Question) -> bytes:
    """``A_{n,m}`` (section 4.2) between some neurons of a link: ``filters`` ``[n, m, *kernel]``.

    ``question`` has the ``link``, the consumer's neurons ``rows`` and the producer's ``columns``.
    """
    adjacency = _adjacency(svr, question)
    rows, columns = (
        _within(question[side], count)
        for side, count in zip(("rows", "columns"), adjacency.shape, strict=True)
    )
    filters = adjacency.effective_filters(rows, columns)
    meta = {"rows": rows, "columns": columns, "kernel": adjacency.kernel}
    return encode(meta, {"filters": filters.numpy().astype(np.float32)})


def neuron_vectors(svr: SVR, question: Question) -> bytes:
    """What a neuron reads, ``V``, and emits, ``U``: the ``most`` strongest channels of each.

    ``question`` has the place of the ``column`` among ``svr.columns``, the neuron ``k`` and
    ``most``. Arrays ``V`` and ``U`` ``[channels, *kernel]``, by falling norm, and which channels
    they are; ``meta`` says how many there are in all.
    """
    neurons = _neurons(svr, question)
    (k,) = _within([question["k"]], len(neurons))
    meta, arrays = {}, {}
    for name, vectors in (("V", neurons.V[..., k]), ("U", neurons.U[..., k])):
        chosen, channels = strongest(vectors, question["most"])
        arrays[name] = chosen.numpy().astype(np.float32)
        first = int(neurons.groups[k]) * len(vectors)
        arrays[f"{name}_channels"] = (channels + first).numpy().astype(np.uint32)
        meta[name] = {"kernel": tuple(vectors.shape[1:]), "total": _channels(neurons, vectors)}
    return encode(meta, arrays)


def bytes_of_filters(svr: SVR, question: Question) -> int:
    """How much of ``effective_filters`` the question makes."""
    kernel = math.prod(_adjacency(svr, question).kernel)
    return 4 * len(question["rows"]) * len(question["columns"]) * kernel


def bytes_of_vectors(svr: SVR, question: Question) -> int:
    """How much of ``neuron_vectors`` the question makes."""
    neurons = _neurons(svr, question)
    sizes = ((len(each), math.prod(each.shape[1:-1])) for each in (neurons.V, neurons.U))
    return sum(4 * min(channels, question["most"]) * (kernel + 1) for channels, kernel in sizes)


def strongest(vectors: Tensor, most: int) -> tuple[Tensor, Tensor]:
    """The ``most`` channels of largest norm over the kernel, and which they are."""
    norms = torch.linalg.vector_norm(vectors.reshape(len(vectors), -1), dim=1)
    channels = torch.argsort(norms, descending=True, stable=True)[:most]
    return vectors[channels], channels


def _adjacency(svr: SVR, question: Question) -> Adjacency:
    links, number = scene_links(svr), question["link"]
    if not 0 <= number < len(links):
        raise ValueError(f"there is no link {number}, only {len(links)}")
    return svr.adjacency(links[number][0])


def _neurons(svr: SVR, question: Question) -> Decomposition:
    names = list(svr.columns)
    if not 0 <= question["column"] < len(names):
        raise ValueError(f"there is no map {question['column']}, only {len(names)}")
    return svr[names[question["column"]]]


def _channels(neurons: Decomposition, vectors: Tensor) -> int:
    """Channels of all groups; a neuron's are zero outside of its own group."""
    return len(vectors) * neurons.group_count


def _within(neurons: list[int], count: int) -> list[int]:
    for k in neurons:
        if not 0 <= k < count:
            raise ValueError(f"there is no neuron {k}, only {count}")
    return [int(k) for k in neurons]
