"""A list is a chain; a mapping or a file is a bag, and what works on a bag."""

import copy
import pickle

import networkx
import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from svr_widget import SVR, SVRWidget, compare
from svr_widget.engine.errors import NoMapsError, SVRError, TraceError
from tests.engine.support.gaussian import chain, gaussian

ATTENTION = [f"layers.{i}.attn.{p}_proj.weight" for i in range(2) for p in "qkvo"]


@pytest.fixture
def attention(tmp_path):
    weights = {name: gaussian(8, 8, seed=place) for place, name in enumerate(ATTENTION)}
    torch.save(weights, tmp_path / "w.pt")
    save_file(weights, tmp_path / "w.safetensors")
    return {"mapping": weights, "pt": tmp_path / "w.pt", "st": tmp_path / "w.safetensors"}


@pytest.mark.parametrize("kind", ["mapping", "pt", "st"])
class TestBags:
    def test_there_is_no_link_that_nobody_vouches_for(self, attention, kind):
        svr = SVR(attention[kind])
        assert [f"{name}.weight" for name in svr.maps] == (
            sorted(ATTENTION) if kind == "st" else ATTENTION
        )
        assert (len(svr.links), len(svr.edges(p=1.0))) == (0, 0)
        frame = svr.neurons()
        assert frame["intensity"].isna().all()
        for name, linear in svr.maps.items():
            exact = np.linalg.svd(linear.weight.double().numpy(), compute_uv=False)
            np.testing.assert_allclose(frame.loc[frame["map"] == name, "singular_value"], exact)

    def test_the_notice_quotes_what_gives_links(self, attention, kind):
        svr = SVR(attention[kind])
        assert svr.notes == (svr.unlinked,)
        for quoted in (
            'links="chain"',
            "links=[(producer, consumer), ...]",
            "SVR(model)",
            "SVR(model, weights=",
            "[out, in, *kernel]",
        ):
            assert quoted in svr.unlinked

    def test_links_are_those_that_the_caller_claims(self, attention, kind):
        names = [name.removesuffix(".weight") for name in ATTENTION]
        pair = (names[2], names[3])
        svr = SVR(attention[kind], links=[pair])
        assert (list(svr.links), svr.unlinked) == ([pair], "")
        intensity = svr.neurons().groupby("map")["intensity"]
        assert (intensity.max() == 1).all()
        assert SVR(attention[kind], links=[]).unlinked == "", "that there are none is an answer"
        chained = SVR(attention[kind], links="chain")
        assert len(chained.links) == len(names) - 1
        assert next(iter(chained.links)) == tuple(list(chained.maps)[:2])
        assert any("keeps no order" in note for note in chained.notes) == (kind == "st")


def test_a_list_is_a_chain_as_it_is_and_when_it_is_said():
    weights = chain(5, 4, 3, 2)
    for given in (None, "chain"):
        svr = SVR(weights, links=given)
        assert list(svr.links) == [("0", "1"), ("1", "2")]
        assert (svr.notes, svr.unlinked) == ((), "")
    assert list(SVR(weights, links=[("1", "2")]).links) == [("1", "2")]


@pytest.fixture
def bag():
    return SVR({"conv": gaussian(6, 3, 3, 3), "fc": gaussian(4, 24), "zero": torch.zeros(3, 4)})


@pytest.mark.parametrize("method", ["svr", "cosvr", "cross"])
def test_what_works_on_a_bag(bag, method, tmp_path):
    svr = bag.by_method(method)
    assert svr.edges().empty
    assert svr.super_feature().empty
    assert svr.neurons()["intensity"].isna().all()
    assert len(svr.near_kernels()) >= 3
    assert len(svr.match(svr).pairs) == (~svr.neurons()["null"]).sum()
    graph = svr.to_networkx()
    networkx.write_graphml(graph, tmp_path / "bag.graphml")
    assert (graph.number_of_edges(), graph.number_of_nodes()) == (0, len(svr.neurons()))


def test_a_bag_stays_one_where_it_is_kept(bag, tmp_path):
    bag.save(tmp_path / "bag.safetensors")
    for again in (
        SVR.load(tmp_path / "bag.safetensors"),
        pickle.loads(pickle.dumps(bag)),
        copy.deepcopy(bag),
    ):
        assert (again.unlinked, again.notes) == (bag.unlinked, bag.notes)
        assert again.neurons().equals(bag.neurons())


def test_what_rests_on_links_says_what_gives_them(bag):
    for ask in (
        bag.dead_channels,
        bag.path_metric,
        lambda: bag.plot("dimensions"),
        lambda: bag.adjacency(("conv", "fc")),
        lambda: bag.plot("adjacency", ("conv", "fc")),
        lambda: bag.internal_dimensions(("conv", "fc")),
        lambda: bag.null_comparison(("conv", "fc")),
    ):
        with pytest.raises((SVRError, KeyError), match='links="chain"'):
            ask()


def test_the_weights_of_before_training_have_the_links_of_after():
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.Flatten(), nn.Linear(16, 3))
    links = [("0", "2")]
    svr = SVR(model.state_dict(), links=links)
    frame = svr.null_comparison(("0", "2"), draws=0, initial=model.state_dict())
    assert frame.iloc[0]["weight"] == frame.iloc[-1]["weight"]


def test_a_bag_is_shown_with_its_notice(bag):
    widget = SVRWidget(bag)
    assert widget.edges().empty
    assert len(compare(bag, bag).sides) == 2
    dots = bag.plot().axes[0].collections[-1]
    papers, rims = dots.get_facecolors(), dots.get_edgecolors()
    assert (papers[:, :3] == 1).all()
    assert not (rims[:, :3] == 1).all(axis=1).any()


def test_what_is_no_layers_weight_by_its_name_is_left_out_with_a_note():
    state = {
        "pos_embed": gaussian(1, 5, 8),
        "experts.gate_up": gaussian(4, 6, 8),
        "patch.weight": gaussian(8, 3, 4, 4),
    }
    svr = SVR(state)
    assert list(svr.maps) == ["patch"]
    assert any("'pos_embed' (1x5x8), 'experts.gate_up' (4x6x8)" in note for note in svr.notes)
    assert list(SVR(state, include="pos_embed").maps) == ["pos_embed"]
    plain = {"first": gaussian(4, 3, 3), "second": gaussian(4, 3, 3)}
    assert list(SVR(plain).maps) == ["first", "second"], "the caller's own names say nothing"


def test_a_mapping_is_looked_into_as_a_file_is():
    state = nn.Linear(3, 4).state_dict()
    nested = {"epoch": 3, "model": state, "optimizer": {"state": {0: torch.eye(3)}}}
    assert list(SVR(nested).maps) == ["weight"]
    arrays = {"a": np.eye(3), "b": [[1.0, 2.0], [3.0, 4.0]], "names": ["x", "y"], "n": None}
    svr = SVR(arrays)
    assert list(svr.maps) == ["a", "b"]
    assert any("'names' (list), 'n' (None)" in note for note in svr.notes)
    with pytest.raises(SVRError, match="'actor', 'critic': choose one, as in SVR"):
        SVR({"actor": state, "critic": state})


def test_complex_entries():
    rotary, weight = torch.ones(6, 4, dtype=torch.complex64), gaussian(4, 4)
    svr = SVR({"freqs": rotary, "a": weight})
    assert list(svr.maps) == ["a"]
    assert any("complex" in note and "'freqs' (6x4)" in note for note in svr.notes)
    with pytest.raises(SVRError, match="they are complex"):
        SVR({"freqs": rotary})


def test_several_weights_in_a_list_are_not_stacked():
    pair = [torch.eye(3), torch.eye(3)]
    with pytest.raises(TypeError, match="'0' is a list"):
        SVR([pair])
    with pytest.raises(NoMapsError):
        SVR({"a": pair})
    assert SVR([[[1.0, 2.0], [3.0, 4.0]]]).maps["0"].weight.shape == (2, 2)


def test_links_name_maps_or_their_weights_and_count_once():
    given = {"a.weight": torch.randn(4, 3), "b.weight": torch.randn(2, 4)}
    twice = [("a.weight", "b.weight"), ("a", "b")]
    assert list(SVR(given, links=twice).links) == [("a", "b")]
    with pytest.raises(TraceError, match="not a int"):
        SVR(given, links=3)
