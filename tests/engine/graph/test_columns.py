"""The columns of SVR, co-SVR and cross graphs, and one network seen by each method in turn."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from svr_widget import SVR
from svr_widget.engine.errors import SVRError
from svr_widget.engine.graph.columns import Column

METHODS = ("svr", "cosvr", "cross")


@pytest.fixture(scope="module")
def model() -> nn.Sequential:
    torch.manual_seed(8)
    convolutions = [
        nn.Conv2d(3, 8, 3),
        nn.ReLU(),
        nn.Conv2d(8, 9, 3),
        nn.ReLU(),
        nn.Conv2d(9, 7, 1),
    ]
    return nn.Sequential(*convolutions, nn.ReLU(), nn.Conv2d(7, 5, 3))


def singular(weight: Tensor, method: str) -> tuple[Tensor, Tensor]:
    """``U [out, M]`` or ``V [in, M]`` of the flattening that keeps that side whole, in float64."""
    out, in_ = weight.shape[:2]
    w = weight.detach().double().reshape(out, in_, -1)
    if method == "svr":
        return torch.linalg.svd(w.reshape(out, -1), full_matrices=False)[0], w
    rows = w.permute(0, 2, 1).reshape(-1, in_)
    return torch.linalg.svd(rows, full_matrices=False)[2].T, w


def test_a_cross_graph_joins_what_one_map_emits_to_what_the_next_reads(
    model: nn.Sequential,
) -> None:
    svr = SVR(model, torch.zeros(1, 3, 12, 12), method="cross")
    assert dict(svr.columns) == {
        "0": Column("0", "svr"),
        "2~": Column("2", "cosvr"),
        "2": Column("2", "svr"),
        "4": Column("4", "svr"),  # 1 x 1: both sides are one
        "6": Column("6", "cosvr"),
    }
    edges = svr.edges(p=1.0)
    assert set(zip(edges["producer"], edges["consumer"], strict=True)) == {
        ("0", "2~"),
        ("2", "4"),
        ("4", "6"),
    }
    for (producer, consumer), found in edges.groupby(["producer", "consumer"]):
        U, _ = singular(model[int(producer)].weight, "svr")
        V, _ = singular(model[int(consumer.rstrip("~"))].weight, "cosvr")
        expected = (V.T @ U).square().numpy()
        weights = np.zeros_like(expected)
        weights[found["n"], found["m"]] = found["weight"]
        assert len(found) == expected.size
        assert weights == pytest.approx(expected, abs=1e-5)


def test_neurons_of_a_cross_graph_are_those_of_its_columns(model: nn.Sequential) -> None:
    svr = SVR(model, torch.zeros(1, 3, 12, 12), method="cross")
    frame = svr.neurons()
    for name, (map_, flattening) in svr.columns.items():
        mine = frame[frame["map"] == name]
        weight = model[int(map_)].weight.detach().double()
        out, in_ = weight.shape[:2]
        flat = weight.reshape(out, -1)
        if flattening == "cosvr":
            flat = weight.reshape(out, in_, -1).permute(0, 2, 1).reshape(-1, in_)
        assert mine["singular_value"].to_numpy() == pytest.approx(
            torch.linalg.svdvals(flat).numpy(), rel=1e-5
        )
        assert len(svr[name]) == len(svr.intensity(name)) == len(mine)
    # No link leaves what a map reads.
    assert (frame.loc[frame["map"] == "2~", "intensity"] == 1).all()


def test_a_path_of_a_cross_graph_does_not_pass_between_the_sides_of_a_map(
    model: nn.Sequential,
) -> None:
    path = SVR(model, torch.zeros(1, 3, 12, 12), method="cross").super_feature(p=0.9)
    assert list(path["map"]) in (["0", "2~"], ["2", "4", "6"])


@pytest.mark.parametrize("first", METHODS)
def test_one_network_by_each_method_in_turn(model: nn.Sequential, first: str) -> None:
    example = torch.zeros(1, 3, 12, 12)
    svr = SVR(model, example, method=first)
    svr.compute()
    for method in METHODS:
        other = svr.by_method(method)
        fresh = SVR(model, example, method=method)
        assert other.method == method
        assert other.edges(p=0.5).equals(fresh.edges(p=0.5))
        assert other.neurons().equals(fresh.neurons())
        assert repr(other) == repr(fresh)
    assert svr.method == first
    assert svr.by_method(first) is svr


def test_what_two_methods_share_is_computed_once(
    model: nn.Sequential, monkeypatch: pytest.MonkeyPatch
) -> None:
    from svr_widget.engine.work import tasks

    decomposed: list[str] = []
    decompose = tasks.decompose

    def counting(weight: Tensor, *args: object, **keywords: object) -> object:
        decomposed.append("x".join(map(str, weight.shape)))
        return decompose(weight, *args, **keywords)

    monkeypatch.setattr(tasks, "decompose", counting)
    svr = SVR(model, torch.zeros(1, 3, 12, 12))
    for method in ("svr", "cosvr", "cross", "svr"):
        svr.by_method(method).compute()
    # Twice each, but the 1 x 1 convolution once: its two flattenings are one.
    assert sorted(decomposed) == sorted(["8x3x3x3", "9x8x3x3", "5x7x3x3"] * 2 + ["7x9x1x1"])


def test_names_of_columns_never_meet_names_of_maps() -> None:
    torch.manual_seed(0)
    weights = {"a": torch.randn(6, 4, 3), "a~": torch.randn(5, 6, 3), "b": torch.randn(4, 5, 3)}
    names = list(SVR(weights, method="cross", links="chain").columns)
    assert names == ["a", "a~~", "a~", "b"]


def test_an_unknown_method_is_refused(model: nn.Sequential) -> None:
    svr = SVR(model, torch.zeros(1, 3, 12, 12))
    with pytest.raises(SVRError, match="did you mean 'cosvr'"):
        svr.by_method("cossvr")  # type: ignore[arg-type]
