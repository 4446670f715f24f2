"""torch_geometric: networks on graphs, each with a graph as its example."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch_geometric import nn as pyg

from tests.coverage.architectures.architecture import Architecture, noise

NODES, EDGES = 10, 24
IN, HIDDEN, OUT = 12, 16, 4


def _edges() -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(NODES, (2, EDGES), generator=generator)


def _graph() -> tuple[Tensor, ...]:
    return noise(NODES, IN), _edges()


def _attributed() -> tuple[Tensor, ...]:
    return *_graph(), noise(EDGES, 6), torch.zeros(NODES, dtype=torch.long)


class Layers(nn.Module):
    """Two layers of one kind with a ReLU between them, and a classifier of the whole graph."""

    def __init__(self, make: Callable[[int, int], nn.Module]) -> None:
        super().__init__()
        self.conv1, self.conv2 = make(IN, HIDDEN), make(HIDDEN, HIDDEN)
        self.classify = nn.Linear(HIDDEN, OUT)

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        x = self.conv1(x, edge_index).relu()
        x = self.conv2(x, edge_index).relu()
        return self.classify(pyg.global_mean_pool(x, torch.zeros(len(x), dtype=torch.long)))


def _model(name: str, build: Any, example: Any = _graph) -> Architecture:
    return Architecture(f"torch_geometric/{name}", build, example)


def _layers(make: Callable[[int, int], nn.Module]) -> Callable[[], nn.Module]:
    return lambda: Layers(make)


DEGREES = torch.ones(8, dtype=torch.long)

ARCHITECTURES = (
    _model("GCN", lambda: pyg.GCN(IN, HIDDEN, 2, OUT)),
    _model("GraphSAGE", lambda: pyg.GraphSAGE(IN, HIDDEN, 2, OUT)),
    _model("GIN", lambda: pyg.GIN(IN, HIDDEN, 2, OUT)),
    _model("GAT", lambda: pyg.GAT(IN, HIDDEN, 2, OUT, heads=2)),
    _model("GATv2", lambda: pyg.GAT(IN, HIDDEN, 2, OUT, heads=2, v2=True)),
    _model(
        "PNA",
        lambda: pyg.PNA(
            IN, HIDDEN, 2, OUT, aggregators=["mean", "max"], scalers=["identity"], deg=DEGREES
        ),
    ),
    _model("EdgeCNN", lambda: pyg.EdgeCNN(IN, HIDDEN, 2, OUT)),
    _model("GCN-jk", lambda: pyg.GCN(IN, HIDDEN, 3, OUT, jk="cat", norm="batch")),
    _model("GraphUNet", lambda: pyg.GraphUNet(IN, HIDDEN, OUT, 2)),
    _model("LINKX", lambda: pyg.LINKX(NODES, IN, HIDDEN, OUT, 2)),
    _model("PMLP", lambda: pyg.PMLP(IN, HIDDEN, OUT, 3)),
    _model("SGFormer", lambda: pyg.SGFormer(IN, HIDDEN, OUT), lambda: (*_graph(),
        torch.zeros(NODES, dtype=torch.long))),
    _model("Polynormer", lambda: pyg.Polynormer(IN, HIDDEN, OUT), lambda: (*_graph(),
        torch.zeros(NODES, dtype=torch.long))),
    _model("AttentiveFP", lambda: pyg.AttentiveFP(IN, HIDDEN, OUT, 6, 2, 2), _attributed),
    _model("NeuralFingerprint", lambda: pyg.NeuralFingerprint(IN, HIDDEN, OUT, 2), _graph),
    _model("Layers-Transformer", _layers(lambda i, o: pyg.TransformerConv(i, o, 1))),
    _model("Layers-Cheb", _layers(lambda i, o: pyg.ChebConv(i, o, 2))),
    _model("Layers-GEN", _layers(pyg.GENConv)),
    _model("Layers-Graph", _layers(pyg.GraphConv)),
    _model("Layers-TAG", _layers(pyg.TAGConv)),
    _model("Layers-ARMA", _layers(pyg.ARMAConv)),
)  # fmt: skip
