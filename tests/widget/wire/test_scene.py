"""What the front end is sent, against the engine's own frames and brute-force counts."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats
from torch import nn

from svr_widget import SVR
from svr_widget.engine.graph.folding import modules_of
from svr_widget.engine.maps.links import Link
from svr_widget.engine.significance.multiple_testing import MODES, Mode
from svr_widget.engine.significance.nulls import Kind
from svr_widget.widget.answers.requests import exact_cut
from svr_widget.widget.wire.codec import decode
from svr_widget.widget.wire.scene import LAWS, encode_scene
from tests.engine.support.zoo import attention, language
from tests.widget.scenes import scene_of
from tests.widget.wire.test_increments import unpacked


def convolutional() -> SVR:
    layers = [nn.Conv2d(3, 12, 3), nn.ReLU(), nn.Conv2d(12, 10, 3), nn.ReLU(), nn.Flatten()]
    model = nn.Sequential(*layers, nn.Linear(10 * 4 * 4, 8))
    return SVR(model, torch.zeros(1, 3, 8, 8))


def attentive() -> SVR:
    return SVR(attention.ViT(), torch.zeros(1, 3, 8, 8), exclude="positions")


@pytest.fixture(scope="module", params=[convolutional, attentive])
def svr(request: pytest.FixtureRequest) -> SVR:
    torch.manual_seed(3)
    made = request.param()
    assert isinstance(made, SVR)
    return made


def _entered(names: list[str], link: dict[str, Any]) -> str:
    return names[link["consumer"]] + (f".{link['side']}" if link["side"] else "")


def test_columns_say_in_which_module_they_stand(svr: SVR) -> None:
    meta, _ = decode(encode_scene(svr, 10))
    names, modules = list(svr.columns), modules_of(list(svr.columns))
    assert [each["name"] for each in meta["modules"]] == [each.name for each in modules]
    inside: list[set[int]] = [set() for _ in modules]
    for at, described in enumerate(meta["maps"]):
        place = described["module"]
        while place is not None:
            inside[place].add(at)
            place = meta["modules"][place]["parent"]
    assert inside == [set(each.columns) for each in modules], names


def test_every_entry_fits_into_a_large_budget(svr: SVR) -> None:
    meta, arrays = scene_of(encode_scene(svr, 10**6))
    assert [link["sent"] for link in meta["links"]] == [link["tests"] for link in meta["links"]]
    for index, (key, link) in enumerate(zip(svr.links, meta["links"], strict=True)):
        dense = svr.adjacency(key).dense().numpy()
        part = slice(link["start"], link["start"] + link["sent"])
        m, n, weight = (arrays[f"edge_{name}"][part] for name in ("m", "n", "weight"))
        assert np.array_equal(weight, np.sort(dense.ravel())[::-1])
        assert np.array_equal(weight, dense[n, m])
        assert len(set(zip(m.tolist(), n.tolist(), strict=True))) == dense.size
        names = list(svr.maps)
        assert (names[link["producer"]], _entered(names, link)) == key
        assert meta["links"][index]["strongest"] == pytest.approx(dense.max())


def test_log10_p_is_the_engines(svr: SVR) -> None:
    meta, arrays = scene_of(encode_scene(svr, 10**6))
    names = list(svr.maps)
    for law in LAWS:
        frame = svr.edges(p=1.0, null=law)
        expected = {
            (row.producer, row.m, row.consumer, row.n): row.log10_p for row in frame.itertuples()
        }
        for link in meta["links"]:
            for i in range(link["start"], link["start"] + link["sent"]):
                edge = (
                    names[link["producer"]],
                    int(arrays["edge_m"][i]),
                    _entered(names, link),
                    int(arrays["edge_n"][i]),
                )
                assert arrays[f"log10_p_{law}"][i] == pytest.approx(expected[edge], rel=2e-11)


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("mode", MODES)
def test_stops_count_what_the_engine_counts(svr: SVR, law: str, mode: str) -> None:
    _, arrays = scene_of(encode_scene(svr, 50))
    prefix = f"stops_{law}_{mode}"
    level = arrays[f"{prefix}_level"]
    counts = unpacked(arrays[f"{prefix}_counts"].tobytes(), (len(level), len(svr.links)))
    assert (np.diff(arrays[f"{prefix}_log10_p"]) >= 0).all()  # strict to loose
    for k in range(0, len(level), 37):
        cut = svr.significance(law).cut(**{mode: float(level[k])})
        assert counts[k].tolist() == list(cut.counts.values())
        assert arrays[f"{prefix}_expected"][k] == pytest.approx(cut.expected)
        assert arrays[f"{prefix}_log10_p"][k] == pytest.approx(next(iter(cut.log10_p.values())))


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize(
    ("mode", "level"), [("fdr", 0.987), ("p", 0.21), ("sigma", 0.333), ("bonferroni", 0.77)]
)
def test_a_cut_that_is_asked_for_is_that_of_the_frame(
    svr: SVR, law: Kind, mode: Mode, level: float
) -> None:
    meta, arrays = decode(exact_cut(svr, {"law": law, "mode": mode, "level": level}))
    frame = svr.edges(null=law, **{mode: level})
    links, _ = scene_of(encode_scene(svr, 50))
    names = list(svr.maps)
    assert len(frame) > 0 or law == "chi2"
    for link, found in zip(links["links"], arrays["counts"], strict=True):
        ends = (frame["producer"] == names[link["producer"]]) & (
            frame["consumer"] == _entered(names, link)
        )
        assert found == ends.sum()
    assert (frame["log10_p"] <= meta["log10_p"] + 1e-12).all()
    by_chance = {"fdr": level * len(frame), "bonferroni": level}
    tests = links["tests"]
    assert meta["expected"] == pytest.approx(
        by_chance.get(mode, tests * (level if mode == "p" else stats.norm.sf(level)))
    )


def test_without_links_a_cut_has_nothing_to_count() -> None:
    meta, arrays = decode(exact_cut(SVR([torch.eye(3)]), {"law": "exact", "mode": "p", "level": 1}))
    assert (meta["log10_p"], meta["expected"], arrays["counts"].size) == (None, 0, 0)


def test_a_bag_is_sent_with_what_gives_links() -> None:
    svr = SVR({"a": torch.randn(4, 3), "b": torch.randn(3, 4)})
    meta, arrays = scene_of(encode_scene(svr, 50))
    assert (meta["links"], meta["tests"], meta["unlinked"]) == ([], 0, svr.unlinked)
    assert np.isnan(arrays["intensity"]).all()
    assert scene_of(encode_scene(SVR([torch.randn(4, 3)]), 50))[0]["unlinked"] == ""


def test_parallel_links_are_numbered() -> None:
    some = torch.tensor([0, 2]), torch.tensor([1, 0])
    links = [Link("0", "1", *some), Link("0", "1", some[1], some[0])]
    svr = SVR([torch.randn(3, 4), torch.randn(5, 3)], links=links)
    meta, _ = scene_of(encode_scene(svr, 50))
    assert [link["number"] for link in meta["links"]] == [0, 1]


def test_the_default_is_a_stop(svr: SVR) -> None:
    _, arrays = scene_of(encode_scene(svr, 50))
    assert 0.05 in arrays["stops_exact_fdr_level"]
    assert 0.15 in arrays["stops_exact_p_level"]


@pytest.mark.parametrize("budget", [0, 1, 10, 77, 200])
def test_a_budget_keeps_the_smallest_p_values(svr: SVR, budget: int) -> None:
    _, arrays = scene_of(encode_scene(svr, budget))
    kept = arrays["log10_p_exact"]
    every = np.sort(svr.edges(p=1.0)["log10_p"])
    assert len(kept) <= budget
    np.testing.assert_allclose(np.sort(kept), every[: len(kept)], rtol=2e-11)
    if len(kept) < budget:  # only ties may not fit
        assert every[len(kept)] == every[budget]


def test_neurons_are_the_engines(svr: SVR) -> None:
    meta, arrays = scene_of(encode_scene(svr, 50))
    frame = svr.neurons()
    assert np.array_equal(arrays["singular_value"], frame["singular_value"])
    assert arrays["intensity"] == pytest.approx(frame["intensity"].to_numpy(), abs=1e-6)
    assert np.array_equal(arrays["null"], frame["null"])
    for described, (name, linear) in zip(meta["maps"], svr.maps.items(), strict=True):
        weight = linear.weight.double()
        assert described["name"] == name
        assert described["energy"] == pytest.approx(float(weight.square().sum()))
        assert described["neurons"] == (frame["map"] == name).sum()


def test_columns_are_sent_with_what_they_are_called() -> None:
    meta, _ = decode(encode_scene(convolutional(), 10))
    assert [each["label"] for each in meta["maps"]] == ["Conv 1", "Conv 2", "Linear 1"]
    assert [each["name"] for each in meta["maps"]] == ["0", "2", "5"]


def test_a_link_by_construction_is_told_apart_and_sends_nothing() -> None:
    torch.manual_seed(0)
    svr = SVR(*language.gpt2())
    meta, arrays = scene_of(encode_scene(svr, 10**6))
    made = [link for link in meta["links"] if link["by_construction"]]
    names = [linear["name"] for linear in meta["maps"]]
    assert [(names[link["producer"]], names[link["consumer"]]) for link in made] == [
        key for key, link in svr.links.items() if link.by_construction
    ]
    assert len(made) == 1
    assert (made[0]["sent"], made[0]["tests"], made[0]["strongest"]) == (0, 0, 0)
    assert meta["tests"] == sum(link["tests"] for link in meta["links"]) == len(svr.edges(p=1.0))
    assert len(arrays["edge_weight"]) == meta["tests"]


def test_columns_of_links_are_as_narrow_as_their_numbers(svr: SVR) -> None:
    _, arrays = decode(encode_scene(svr, 10))
    columns = {name: column for name, column in arrays.items() if name.startswith("link_")}
    assert len(columns) == 13
    for name, column in columns.items():
        if column.dtype.kind == "f":
            assert column.dtype == np.float32, name
        else:
            assert column.dtype == np.min_scalar_type(int(column.max())), name
