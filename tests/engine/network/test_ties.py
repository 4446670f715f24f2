"""Links by construction: which they are, and that nothing about them counts as found."""

import numpy as np
import pytest
import torch
from safetensors import safe_open
from torch import nn
from torch.nn import functional

from svr_widget.engine.work.records import read_record, write_record
from svr_widget.recording.recorder import SVRRecorder
from svr_widget.svr import SVR
from tests.engine.support.gaussian import gaussian

TOKENS = torch.zeros(1, 2, dtype=torch.long)


def constructed(svr):
    return [key for key, link in svr.links.items() if link.by_construction]


class Bigram(nn.Module):
    """A tied embedding and head, with a map and a norm between."""

    def __init__(self, norm=False):
        super().__init__()
        self.embed, self.mlp = nn.Embedding(40, 12), nn.Linear(12, 12)
        self.norm = nn.LayerNorm(12) if norm else nn.Identity()
        self.head = nn.Linear(12, 40, bias=False)
        self.head.weight = self.embed.weight

    def forward(self, x):
        x = self.embed(x)
        return self.head(self.norm(x + self.mlp(x).relu()))


class ByHand(nn.Module):
    """An embedding and a head by the model's own code, of one tensor."""

    def __init__(self, look_up, head, own):
        super().__init__()
        if own:
            self.table = nn.Parameter(torch.randn(40, 12))
        else:
            self.embed = nn.Embedding(40, 12)
        self.mlp, self.look_up, self.head, self.own = nn.Linear(12, 12), look_up, head, own

    def forward(self, x):
        weight = self.table if self.own else self.embed.weight
        x = self.look_up(weight, x) if self.own else self.embed(x)
        return self.head(x + self.mlp(x).relu(), weight)


class Looked(nn.Module):
    """A table of the user's own, of which only the head is a known layer."""

    def __init__(self):
        super().__init__()
        self.table, self.mlp = nn.Parameter(torch.randn(40, 12)), nn.Linear(12, 12)
        self.head = nn.Linear(12, 40, bias=False)
        self.head.weight = self.table

    def forward(self, x):
        x = functional.embedding(x, self.table)
        return self.head(x + self.mlp(x).relu())


class Chained(nn.Module):
    """Two layers in a row."""

    def __init__(self, first, second, between=lambda x: x):
        super().__init__()
        self.first, self.second, self.between = first, second, between

    def forward(self, x):
        return self.second(self.between(self.first(x)))


def autoencoder(weight_of=lambda weight: nn.Parameter(weight.t()), between=torch.tanh):
    first, second = nn.Linear(9, 6, bias=False), nn.Linear(6, 9, bias=False)
    second.weight = weight_of(first.weight.data)
    return Chained(first, second, between)


def alike():
    first, second = nn.Linear(6, 6, bias=False), nn.Linear(6, 6, bias=False)
    second.weight = first.weight
    return Chained(first, second)


def alike_and_symmetric():
    model = alike()
    model.first.weight.data += model.first.weight.data.T.clone()
    return model


def convolutions():
    first, second = nn.Conv2d(3, 6, 3, bias=False), nn.ConvTranspose2d(6, 3, 3, bias=False)
    second.weight = first.weight
    return Chained(first, second)


HEADS = {
    "linear": functional.linear,
    "product": lambda x, weight: x @ weight.T,
    "einsum": lambda x, weight: torch.einsum("btc,vc->btv", x, weight),
}
TABLES = {
    "embedding": lambda weight, x: functional.embedding(x, weight),
    "index": lambda weight, x: weight[x],
    "index_select": lambda weight, x: weight.index_select(0, x.flatten()).view(*x.shape, -1),
}


class Twice(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(6, 6, bias=False)

    def forward(self, x):
        return self.layer(torch.relu(self.layer(x)))


def shuffled(x):
    return x.unflatten(-1, (2, 3)).transpose(-1, -2).flatten(-2)


class TestWhichTheyAre:
    @pytest.mark.parametrize(
        ("model", "inputs", "expected"),
        [
            pytest.param(Bigram, TOKENS, [("embed", "head")], id="tied embeddings"),
            pytest.param(
                autoencoder, torch.zeros(2, 9), [("first", "second")], id="a view of one storage"
            ),
            pytest.param(
                convolutions,
                torch.zeros(1, 3, 9, 9),
                [("first", "second")],
                id="a convolution and its transpose",
            ),
            pytest.param(alike, torch.zeros(2, 6), [], id="plain at both ends"),
            pytest.param(alike_and_symmetric, torch.zeros(2, 6), [], id="symmetric, plain at both"),
            pytest.param(Twice, torch.zeros(2, 6), [], id="a module that runs twice"),
            pytest.param(
                lambda: autoencoder(lambda weight: nn.Parameter(weight.t().clone())),
                torch.zeros(2, 9),
                [],
                id="equal by chance: two tensors",
            ),
            pytest.param(
                lambda: autoencoder(between=shuffled), torch.zeros(2, 9), [], id="shuffled between"
            ),
        ],
    )
    def test_of_a_model(self, model, inputs, expected):
        torch.manual_seed(0)
        svr = SVR(model(), inputs)
        assert svr.links
        assert constructed(svr) == expected
        assert [("by construction" in note) for note in svr.notes] == [True] * len(expected)

    def test_links_given_by_hand(self):
        svr = SVR(autoencoder(), links=[("first", "second")])
        assert constructed(svr) == [("first", "second")]

    @pytest.mark.parametrize(
        ("weights", "expected"),
        [
            ([gaussian(6, 9), None], [("0", "1")]),
            ([gaussian(6, 6), None], [("0", "1")]),
            ([gaussian(6, 9), gaussian(9, 6, seed=1)], []),
            ([gaussian(6, 6) + gaussian(6, 6).T, None], []),  # plain or transposed: who can tell
            ([torch.ones(6, 9), None], []),
        ],
    )
    def test_equal_content_of_bare_weights(self, weights, expected):
        first, second = weights
        second = first.T.clone() if second is None else second
        assert constructed(SVR([first, second])) == expected
        assert constructed(SVR([first.numpy(), second.numpy()])) == expected

    def test_with_norms_folded(self):
        torch.manual_seed(0)
        svr = SVR(Bigram(norm=True), TOKENS, norm="fold")
        assert constructed(svr) == [("embed", "head")]
        assert len(svr.edges(by_construction=True)) > 0
        assert "embed" not in set(svr.edges(fdr=0.05, scope="link")["producer"])

    def test_files(self, tmp_path):
        torch.manual_seed(0)
        svr = SVR(Bigram(), TOKENS)
        for weights in (False, True):
            svr.save(tmp_path / "svr.safetensors", weights=weights)
            again = SVR.load(tmp_path / "svr.safetensors")
            assert constructed(again) == [("embed", "head")]
            # A file of before says nothing of it, and is read by which weights are one.
            with read_record(tmp_path / "svr.safetensors", "svr_widget", "") as (record, tensors):
                for link in (*record["links"], *record["outlets"]):
                    del link["by_construction"]
            del record["sums"]
            write_record(tmp_path / "old.safetensors", "svr_widget", record, tensors)
            with safe_open(tmp_path / "old.safetensors", framework="pt") as file:
                assert '"by_construction"' not in file.metadata()["svr"]
            old = SVR.load(tmp_path / "old.safetensors")
            assert constructed(old) == [("embed", "head")]
            assert old.edges(p=0.1).equals(svr.edges(p=0.1))

    def test_checkpoints(self):
        torch.manual_seed(0)
        recorder = SVRRecorder(Bigram(), example_inputs=TOKENS)
        recorder.step()
        assert constructed(recorder[0]) == [("embed", "head")]


class TestWhatIsCounted:
    @pytest.fixture
    def svr(self):
        torch.manual_seed(0)
        return SVR(Bigram(), TOKENS)

    @pytest.fixture
    def apart(self, svr):
        """The same graph as if the link were not there."""
        links = [link for link in svr.links.values() if not link.by_construction]
        return SVR(svr.model, links=links)

    def test_tests_and_tables(self, svr, apart):
        assert svr.significance().total == apart.significance().total
        for threshold in (
            {"p": 0.2},
            {"fdr": 0.5},
            {"sigma": 0.5},
            {"bonferroni": 1.0},
            {"fdr": 0.5, "scope": "link"},
        ):
            assert svr.edges(**threshold).equals(apart.edges(**threshold))
            mine, theirs = (graph.significance() for graph in (svr, apart))
            one, other = mine.cut(**threshold), theirs.cut(**threshold)
            assert (one.significant, one.tests) == (other.significant, other.tests)
            assert one.expected == pytest.approx(other.expected)
        assert svr.neurons().equals(apart.neurons())
        assert svr.super_feature(p=0.3).equals(apart.super_feature(p=0.3))
        assert svr.path_metric() == pytest.approx(apart.path_metric())
        graphs = svr.to_networkx(p=0.3), apart.to_networkx(p=0.3)
        assert set(graphs[0].edges) == set(graphs[1].edges)

    def test_its_own_edges_are_asked_for(self, svr):
        found = svr.edges(by_construction=True)
        assert set(zip(found["producer"], found["consumer"], strict=True)) == {("embed", "head")}
        assert sorted(found["m"]) == sorted(found["n"]) == list(range(12))
        assert (found["m"] == found["n"]).all()
        np.testing.assert_allclose(found["weight"], 1, atol=1e-5)
        matrix = svr.adjacency(("embed", "head")).dense()
        torch.testing.assert_close(matrix, torch.eye(12), atol=1e-5, rtol=0)
        assert svr.edges(p=1.0, by_construction=True).shape[0] == 144
        assert SVR([gaussian(4, 5), gaussian(3, 4)]).edges(by_construction=True).empty

    def test_it_has_no_internal_dimensions(self, svr):
        found = svr.internal_dimensions(("embed", "head"))
        assert found[:4] == (0, 0, 0.0, 1.0)
        assert "one tensor" in found.method

    def test_intensity_of_a_map_that_no_other_link_leaves(self):
        assert (SVR(autoencoder()).intensity("first") == 1).all()

    def test_pruning_reads_nothing_off_it(self, svr, apart):
        mine, theirs = (graph.prune()[1].maps for graph in (svr, apart))
        assert mine["kept"].tolist() == theirs["kept"].tolist()
        _, alone = SVR(autoencoder()).prune()
        assert (alone.maps["kept"] == alone.maps["neurons"]).all()


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("table", [None, *TABLES])
def test_a_head_by_hand_is_tied_to_its_embedding(head, table):
    torch.manual_seed(0)
    svr = SVR(ByHand(TABLES.get(table), HEADS[head], table is not None), TOKENS)
    embed, tied = ("embed", "embed.weight[T]") if table is None else ("table", "table[T]")
    assert list(svr.links) == [(embed, "mlp"), (embed, tied), ("mlp", tied)]
    assert constructed(svr) == [(embed, tied)]
    assert torch.equal(svr.maps[tied].factors[0], svr.maps[embed].factors[0].T)
    assert len(svr.edges(by_construction=True))
    assert not svr.edges()["producer"].eq(embed)[svr.edges()["consumer"].eq(tied)].any()


def test_a_table_whose_head_alone_is_a_layer():
    svr = SVR(Looked(), TOKENS)
    tied = "head.weight[T]"
    assert list(svr.links) == [(tied, "mlp"), (tied, "head"), ("mlp", "head")]
    assert constructed(svr) == [(tied, "head")]


def test_a_head_that_is_left_out_does_not_come_back_by_its_embedding():
    for options in ({"exclude": "head"}, {"include": ["embed", "mlp"]}):
        svr = SVR(Bigram(), TOKENS, **options)
        assert list(svr.maps) == ["embed", "mlp"]
        assert not constructed(svr)


def test_a_parameter_that_is_used_both_ways_is_tied_to_itself():
    class BothWays(nn.Module):
        def __init__(self, shape, course):
            super().__init__()
            self.p, self.course = nn.Parameter(torch.randn(shape)), course

        def forward(self, x):
            return self.course(self, x)

    plain = BothWays((6, 5), lambda net, x: (x @ net.p).tanh() @ net.p.T)
    heads = BothWays(
        (6, 2, 5),
        lambda net, x: torch.einsum("bhd,ihd->bi", torch.einsum("bi,ihd->bhd", x, net.p), net.p),
    )
    for model in (plain, heads):
        svr = SVR(model, torch.randn(2, 6))
        assert list(svr.links) == [("p", "p[T]")] == constructed(svr)
