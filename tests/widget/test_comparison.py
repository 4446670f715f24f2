"""Two networks side by side: what they share, and which neurons answer each other."""

from __future__ import annotations

import base64
import copy
import gzip
import itertools
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from traitlets import TraitError

from svr_widget import SVRWidget, compare
from svr_widget.engine.errors import SVRError
from svr_widget.widget.comparison import Comparison
from svr_widget.widget.wire.codec import decode


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


def test_new_and_gone_neurons_have_rings_and_rows(compared: Comparison) -> None:
    matching = compared.matching
    assert matching is not None
    new = matching.births[matching.births["new"]]
    marked = compared.right._marked
    assert marked["word"] == "new"
    assert marked["neurons"] == list(zip(new["other_map"], new["other_k"], strict=True))
    assert compared.left._marked["neurons"] == [("2", k) for k in range(20)]
    frame = compared.changes()
    assert frame["change"].value_counts().to_dict() == {"same": 24, "new": 20, "gone": 20}
    assert frame["ringed"].sum() == 40
    assert (frame["difference"].abs().diff().dropna() <= 0).all()
    swapped = frame[(frame["map"] == "0") & (frame["k"] == 0)].iloc[0]
    S = compared.left.svr["0"].S
    assert (swapped["change"], swapped["other_k"]) == ("same", 1)
    assert swapped["difference"] == pytest.approx(float(S[1] - S[0]), abs=1e-5)


def test_a_new_direction_is_ringed_by_its_cosine_and_not_by_its_p() -> None:
    """Of 256 dimensions an overlap of 0.04 is beyond chance, and next to nothing."""
    generator = torch.Generator().manual_seed(1)
    base = {"a": torch.randn(256, 256, generator=generator) / 16}
    sides = [torch.linalg.qr(torch.randn(256, 31, generator=generator))[0] for _ in range(2)]
    tuned = {"a": base["a"] + 20 * sides[0] @ sides[1].T}
    made = compare(base, tuned, names=("base", "tuned"))
    assert made.right._marked["neurons"][:31] == [("a", k) for k in range(31)]
    strong = made.changes().head(31)
    assert (strong["overlap"] < 0.2).all()
    loose = made.right._marked["neurons"]
    made.least = 0.0
    assert len(made.right._marked["neurons"]) < len(loose)
    made.close()


def test_the_page_is_sent_who_answers_whom(compared: Comparison) -> None:
    meta, arrays = decode(compared._matchings)
    assert meta == {"neurons": [44, 44], "matched": [True]}
    partner = arrays["partner_base_1"]
    np.testing.assert_array_equal(partner[:3], [1, 0, 2])
    np.testing.assert_array_equal(arrays["partner_other_1"][partner[:24]], np.arange(24))
    assert (partner[24:] == -1).all()
    assert (arrays["nearest_base_1"][24:] >= 24).all()
    np.testing.assert_array_equal(arrays["alone_other_1"], [0] * 24 + [1] * 20)


def test_networks_have_the_names_they_are_given() -> None:
    model = network()
    made = compare([model, descendant(model), network()], names=("a<b", "b", "c"))
    assert (made.names, made.sides[2]._name) == (["a<b", "b", "c"], "c")
    assert made.changes(2)["change"].tolist() == ["same"] * 44
    made.left.selected = [("0", 0)]
    assert [side.selected for side in made.sides] == [[("0", 0)], [("0", 1)], [("0", 0)]]
    # In the base only what no other network has.
    assert made.left._marked["neurons"] == []
    with pytest.raises(SVRError, match="there are networks 1 to 2"):
        made.changes(3)
    made.close()
    same = compare(model, model)
    assert same.names == ["Sequential 1", "Sequential 2"]
    same.close()


def test_what_cannot_be_compared_is_refused() -> None:
    model = network()
    with pytest.raises(SVRError, match="at least two networks"):
        compare(model)
    for names in (("a",), ("a", "a"), "ab"):
        with pytest.raises(SVRError, match="one name for each of the 2"):
            compare(model, model, names=names)
    with pytest.raises(SVRError, match="it is a cosine"):
        compare(model, model, least=50)


def test_it_is_written_as_a_page_and_as_a_picture(compared: Comparison, tmp_path: Path) -> None:
    compared.to_html(tmp_path / "both.html")
    html = (tmp_path / "both.html").read_text()
    data = re.search(r'id="svr-data">([^<]*)<', html)
    assert data is not None
    meta, arrays = decode(gzip.decompress(base64.b64decode(data[1])))
    assert [side["traits"]["_name"] for side in meta["sides"]] == compared.names
    assert meta["traits"]["least"] == 0.5
    for place, widget in enumerate((compared.left, compared.right)):
        assert arrays[f"{place}/_scene"].tobytes() == widget._scene
    compared.save_image(tmp_path / "both.svg")
    assert "Sequential 2" in (tmp_path / "both.svg").read_text()
    with pytest.raises(SVRError, match=r"\.png and \.svg"):
        compared.save_image(tmp_path / "both.pdf")


def asked_of(widget: SVRWidget, views: list[dict[str, object]]) -> tuple[dict[str, object], bytes]:
    reply = widget._answers.answer({"kind": "comparison", "id": 1, "views": views})
    assert reply is not None
    message, buffers = reply
    return message, b"".join(buffers)


def test_a_page_asks_for_the_page_of_all_with_views_that_may_be_ahead(
    compared: Comparison,
) -> None:
    left = compared.left
    assert isinstance(left, SVRWidget)
    message, html = asked_of(left, [{"threshold": 0.3, "panes": ["table"]}, {}])
    assert message["kind"] == "comparison"
    data = re.search(rb'id="svr-data">([^<]*)<', html)
    assert data is not None
    meta, _ = decode(gzip.decompress(base64.b64decode(data[1])))
    assert [side["traits"]["threshold"] for side in meta["sides"]] == [0.3, 0.1]
    assert "1 views of 2 networks" in str(asked_of(left, [{}])[0]["message"])
    alone = SVRWidget(network())
    assert "part of no comparison" in str(asked_of(alone, [{}])[0]["message"])
    alone.close()


def test_a_change_of_method_matches_anew(compared: Comparison) -> None:
    compared.left.method = "cosvr"
    for widget in (compared.left, compared.right):
        widget.wait()
    assert compared.right.svr.method == "cosvr"
    compared.left.selected = [("0", 1)]
    assert compared.right.selected == [("0", 0)]


def test_a_wrapped_network_and_a_bare_one_have_the_same_maps() -> None:
    model = network()
    wrapped = {f"_orig_mod.module.{name}": weight for name, weight in model.state_dict().items()}
    made = SVRWidget.compare(model, wrapped)
    assert made.matching is not None
    assert set(made.matching.pairs["other_map"]) == {"_orig_mod.module.0", "_orig_mod.module.2"}
    made.left.selected = [("0", 3)]
    assert made.right.selected == [("_orig_mod.module.0", 3)]
    made.close()


def test_networks_without_common_maps_stand_side_by_side() -> None:
    other = {"<b>x": torch.randn(6, 5), "y": torch.randn(4, 6)}
    made = SVRWidget.compare(network(), other)
    assert made.matching is None
    assert (made.left._marked, made.right._marked) == ({}, {})
    with pytest.raises(SVRError, match="have no map in common"):
        made.changes()
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


def deep(blocks: int, seed: int = 0) -> dict[str, torch.Tensor]:
    """Weights of blocks of two maps each, between two that stand alone."""
    generator = torch.Generator().manual_seed(seed)
    names = [f"h.{block}.{name}" for block in range(blocks) for name in ("up", "down")]
    return {name: torch.randn(6, 6, generator=generator) for name in ("first", *names, "last")}


@pytest.fixture
def folds() -> Iterator[Comparison]:
    """A network of twelve blocks beside one of ten."""
    made = compare(deep(12), deep(10, 1), links="chain", p=0.1)
    yield made
    made.close()


def test_what_is_folded_in_one_is_folded_in_the_others(folds: Comparison) -> None:
    assert folds.left.folded is None
    assert folds.folded is None
    folds.left.folded = ["h.3", "h.11"]
    assert folds.right.folded == ["h.3"]
    assert sorted(folds.folded) == ["h.11", "h.3"]
    folds.right.folded = ["h.4", "h.3"]
    # What only the first network has stays as it was.
    assert folds.left.folded == ["h.3", "h.4", "h.11"]
    folds.right.folded = None
    assert folds.left.folded is None
    assert folds.folded is None


def test_folds_of_a_comparison_are_those_of_every_network_that_has_them(folds: Comparison) -> None:
    folds.folded = ["h.11", "h.2"]
    assert [side.folded for side in folds.sides] == [["h.11", "h.2"], ["h.2"]]
    folds.folded = []
    assert [side.folded for side in folds.sides] == [[], []]
    with pytest.raises(TraitError, match=r"no network has a module 'h\.12'; did you mean 'h"):
        folds.folded = ["h.12"]
    assert folds.folded == []


def test_a_comparison_begins_as_folded_as_it_is_asked_to(folds: Comparison) -> None:
    made = compare(deep(12), deep(10), links="chain", folded=["h.1", "h.10"])
    assert [side.folded for side in made.sides] == [["h.1", "h.10"], ["h.1"]]
    made.close()


@pytest.mark.slow
def test_three_networks_fold_together() -> None:
    made = compare(deep(12), deep(10), deep(13), links="chain")
    made.sides[1].folded = ["h.9"]
    # The first and the last have more columns than are to be seen: the rest was folded at first.
    assert made.sides[0].folded == ["h.9", "h.10", "h.11"]
    assert made.sides[2].folded == ["h.9", *(f"h.{block}" for block in (10, 11, 12))]
    made.close()


def test_pictures_of_a_comparison_are_folded_as_it_is(folds: Comparison, tmp_path: Path) -> None:
    folds.folded = [f"h.{block}" for block in range(12) if block != 4]
    folds.save_image(tmp_path / "both.svg")
    texts = re.findall(r"<!-- (\S+) -->", (tmp_path / "both.svg").read_text())
    names = [text for text in texts if text in ("up", "down") or text.startswith("h.")]
    open_block = ["up", "down"]
    expected = [
        [*(f"h.{block}" for block in range(4)), *open_block]
        + [f"h.{block}" for block in range(5, many)]
        + ["h.4"]
        for many in (12, 10)
    ]
    assert names == list(itertools.chain(*expected))
