"""Two networks side by side: what they share, and which neurons answer each other."""

from __future__ import annotations

import copy
from collections.abc import Iterator

import pytest
import torch
from torch import nn

from svr_widget import SVRWidget
from svr_widget.engine.errors import SVRError
from svr_widget.widget.comparison import Comparison


def network() -> nn.Sequential:
    torch.manual_seed(6)
    return nn.Sequential(nn.Linear(30, 24), nn.ReLU(), nn.Linear(24, 20), nn.ReLU())


def descendant(model: nn.Sequential) -> nn.Sequential:
    """The same network with the two first neurons of its first map in exchanged strengths."""
    other = copy.deepcopy(model)
    with torch.no_grad():
        U, S, Vh = torch.linalg.svd(model[0].weight, full_matrices=False)
        S = S[[1, 0, *range(2, len(S))]]
        other[0].weight.copy_(U * S @ Vh)
        other[2].weight.copy_(torch.randn(20, 24) * 0.3)
    return other


@pytest.fixture
def compared() -> Iterator[Comparison]:
    model = network()
    made = SVRWidget.compare(model, descendant(model), p=0.1)
    yield made
    made.close()


def test_they_share_threshold_scale_law_and_panes(compared: Comparison) -> None:
    left, right = compared.left, compared.right
    assert (right.threshold_mode, right.threshold) == ("p", 0.1)
    left.set_threshold(fdr=0.2)
    assert (right.threshold_mode, right.threshold) == ("fdr", 0.2)
    right.set_threshold(sigma=3)
    assert (left.threshold_mode, left.threshold) == ("sigma", 3)
    right.y_scale, left.null, right.panes = "log", "chi2", []
    assert (left.y_scale, right.null, left.panes) == ("log", "chi2", [])


def test_both_axes_reach_as_far_as_either_graph(compared: Comparison) -> None:
    largest = max(float(w.svr[name].S[0]) for w in (compared.left, compared.right) for name in "02")
    assert compared.left.y_range == compared.right.y_range
    assert compared.left.y_range[1] == largest


def test_a_selection_selects_the_same_neurons_in_the_other(compared: Comparison) -> None:
    compared.left.selected = [("0", 0), ("0", 5)]
    assert compared.right.selected == [("0", 1), ("0", 5)]
    compared.right.selected = [("0", 0)]
    assert compared.left.selected == [("0", 1)]
    compared.right.selected = [("2", 3)]  # a neuron of random weights has no partner
    assert compared.left.selected == []
    assert compared.right.selected == [("2", 3)]


def test_what_is_the_same_is_said_in_words(compared: Comparison) -> None:
    assert compared.matching is not None
    assert "24 neurons matched" in compared._said.value
    assert "20 of them new" in compared._said.value


def test_births_have_a_ring_and_a_row(compared: Comparison) -> None:
    assert compared.matching is not None
    births = compared.matching.births
    new = births[births["new"]]
    marked = compared.right._marked
    assert marked["word"] == "new"
    assert marked["neurons"] == list(zip(new["other_map"], new["other_k"], strict=True))
    assert compared.left._marked["neurons"] == [("2", k) for k in range(20)]
    table = compared._born.value
    assert f"{len(births)} births" in table
    assert table.count("<tr>") == len(births) + 1
    strongest = compared.right.svr["2"].S[0]
    assert f"2 · 0</td><td>{strongest:.3g}</td>" in table.split("<tr>")[2]


def test_a_change_of_method_matches_anew(compared: Comparison) -> None:
    compared.left.method = "cosvr"
    for widget in (compared.left, compared.right):
        widget.wait()
    assert compared.right.svr.method == "cosvr"
    compared.left.selected = [("0", 1)]
    assert compared.right.selected == [("0", 0)]


def test_maps_without_a_partner_are_named() -> None:
    some = {"a": torch.randn(6, 5), "<i>": torch.randn(4, 6)}
    made = SVRWidget.compare(
        some, {"a": some["a"], **{f"m{k}": torch.randn(6, 6) for k in "1234567"}}
    )
    said = made._said.value
    assert "5 neurons matched" in said
    assert "same name and form: &lt;i&gt; on the left, m1 on the right" in said
    assert said.endswith("m5 on the right and 2 more</p>")
    made.close()
    same = SVRWidget.compare(some, some)
    assert "same name and form" not in same._said.value
    same.close()


def test_a_wrapped_network_and_a_bare_one_have_the_same_maps() -> None:
    model = network()
    wrapped = {f"_orig_mod.module.{name}": weight for name, weight in model.state_dict().items()}
    made = SVRWidget.compare(model, wrapped)
    assert made.matching is not None
    assert set(made.matching.pairs["other_map"]) == {"_orig_mod.module.0", "_orig_mod.module.2"}
    assert "without a map of the same name" not in made._said.value
    made.left.selected = [("0", 3)]
    assert made.right.selected == [("_orig_mod.module.0", 3)]
    made.close()


def test_networks_without_common_maps_stand_side_by_side() -> None:
    other = {"<b>x": torch.randn(6, 5), "y": torch.randn(4, 6)}
    made = SVRWidget.compare(network(), other)
    assert made.matching is None
    assert "no neurons are matched" in made._said.value
    assert (made.left._marked, made._born.value) == ({}, "")
    made.left.selected = [("0", 0)]
    assert made.right.selected == []
    made.close()


def test_closing_closes_both(compared: Comparison) -> None:
    compared.close()
    assert compared.left.comm is None
    assert compared.right.comm is None


def normed(norm: nn.Module) -> nn.Sequential:
    torch.manual_seed(7)
    model = nn.Sequential(nn.Linear(12, 10), norm, nn.ReLU(), nn.Linear(10, 6))
    model(torch.randn(16, 12))
    return model.eval()


def test_norms_are_folded_in_both() -> None:
    model = normed(nn.BatchNorm1d(10))
    compared = SVRWidget.compare(model, copy.deepcopy(model))
    compared.right.norm = "fold"
    for widget in (compared.left, compared.right):
        widget.wait()
        assert (widget.norm, widget.svr.norm) == ("fold", "fold")
    assert compared.matching is not None
    assert len(compared.matching.pairs) == 16
    compared.close()


def test_a_network_that_cannot_fold_its_norms_decides_for_both() -> None:
    compared = SVRWidget.compare(
        normed(nn.BatchNorm1d(10)),
        normed(nn.BatchNorm1d(10, track_running_stats=False)),
        example_inputs=torch.zeros(4, 12),
    )
    with pytest.raises(SVRError, match="no stored statistics"):
        compared.left.norm = "fold"
    for widget in (compared.left, compared.right):
        widget.wait()
        assert (widget.norm, widget.svr.norm) == ("ignore", "ignore")
        assert "no stored statistics" in widget._notice
    compared.close()
