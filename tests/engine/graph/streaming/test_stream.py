"""What is counted tile by tile, against all entries at once."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from svr_widget import SVR
from svr_widget.engine.graph.streaming import digests
from svr_widget.engine.graph.streaming import stream as streaming
from svr_widget.engine.graph.streaming.graph_tests import GraphTests
from svr_widget.engine.graph.streaming.products import Bus
from svr_widget.engine.graph.streaming.stream import Stream
from svr_widget.engine.graph.streaming.tally import grid
from svr_widget.engine.significance.multiple_testing import MODES
from svr_widget.engine.significance.nulls import LOG_10
from svr_widget.engine.significance.stops import lay_out


def residual(
    channels: int, seed: int, sizes=(3, 5, 4, 6), planted: float = 1.5, null: bool = True
) -> SVR:
    """Some maps that all write to one stream of channels, and some that all read it."""
    random = np.random.default_rng(seed)
    shared = np.linalg.qr(random.standard_normal((channels, channels)))[0][:, :2]
    weights = {}
    for at, size in enumerate(sizes):
        write = random.standard_normal((channels, size)) + planted * channels * np.outer(
            shared[:, 0], np.eye(size)[0]
        )
        read = random.standard_normal((size + 1, channels)) + planted * channels * np.outer(
            np.eye(size + 1)[0], shared[:, 0]
        )
        weights[f"write{at}"], weights[f"read{at}"] = write, read
    if null:
        weights["write0"][:, -1] = weights["write0"][:, 0]
    links = [(f"write{i}", f"read{j}") for j in range(len(sizes)) for i in range(len(sizes))]
    return SVR({name: each.astype(np.float32) for name, each in weights.items()}, links=links)


class Mixed(nn.Module):
    """A kernel, groups of one channel, a concatenation, and a skip."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 8, 3, padding=1, groups=8)
        self.c, self.d = nn.Conv2d(8, 6, 1), nn.Conv2d(14, 5, 1)
        self.e = nn.Conv2d(5, 4, 1, groups=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.a(x).relu()
        y = self.c(self.b(x).relu())
        return self.e(self.d(torch.cat([x, y], 1)).relu())


def mixed(seed: int) -> SVR:
    torch.manual_seed(seed)
    return SVR(Mixed(), torch.zeros(1, 3, 8, 8))


def counted_in(svr: SVR, kept: int | None, counted: int = 0, kind="exact") -> GraphTests:
    stream = Stream(svr.links, lambda _: True, svr._ends(), kept=kept, counted=counted)
    stream.run(lambda *_: None)
    return GraphTests(stream, kind, lambda link: svr.adjacency(link).tests(kind))


class Brute:
    """All entries, with their log p, from the matrices themselves."""

    def __init__(self, svr: SVR, kind: str) -> None:
        self.entries = {}
        for link in svr.links:
            adjacency = svr.adjacency(link)
            dense, parts = adjacency.dense().numpy(), adjacency.parts()
            for part, law in enumerate(adjacency.laws):
                n, m = np.nonzero(parts == part)
                weight = dense[n, m]
                log_p = replace(law, kind=kind).logsf(weight)
                self.entries[link, part] = weight, log_p, n, m
        self.log_p = np.sort(np.concatenate([each[1] for each in self.entries.values()]))
        self.total = self.log_p.size

    def counts(self, log_p: float) -> dict:
        return {key: int((each[1] <= log_p).sum()) for key, each in self.entries.items()}

    def cut(self, mode: str, level: float) -> float:
        """The largest p-value that is significant, by the definitions."""
        if mode == "p":
            return np.log(level)
        if mode == "bonferroni":
            return np.log(level / self.total)
        rank = np.arange(1, self.total + 1)
        reached = np.flatnonzero(self.log_p <= np.log(level * rank / self.total))
        return self.log_p[reached[-1]] if reached.size else -np.inf


GRAPHS = {
    "bus": lambda seed: residual(9, seed),
    "wide bus": lambda seed: residual(40, seed, planted=0.3),
    "mixed": mixed,
}


@pytest.mark.parametrize("graph", GRAPHS)
@pytest.mark.parametrize("kept", [None, 20, 150])
@pytest.mark.parametrize("counted", [0, 1000])
@pytest.mark.parametrize("kind", ["exact", "chi2"])
def test_counts_are_those_of_all_entries(graph, kept, counted, kind, monkeypatch):
    monkeypatch.setattr("svr_widget.engine.graph.streaming.tiles.TILE", 7)
    svr = GRAPHS[graph](1)
    tests, brute = counted_in(svr, kept, counted, kind), Brute(svr, kind)
    assert tests.total == brute.total
    assert dict(zip(tests.keys, tests.sizes, strict=True)) == {
        key: len(each[0]) for key, each in brute.entries.items()
    }
    levels = [("p", p) for p in (1, 0.6173, 0.5, 0.2, 0.04321, 1e-3, 1e-7)]
    levels += [("fdr", q) for q in (0.9, 0.5, 0.31, 0.05)] + [("bonferroni", 0.05)]
    for mode, level in levels:
        expected = brute.counts(brute.cut(mode, level))
        cut = tests.cut(**{mode: level})
        assert cut.counts == expected, (mode, level)
        assert cut.significant == sum(expected.values())
        edges, starts = tests.edges(cut.weight)
        assert edges.weight.size == cut.significant
        assert (edges.weight >= [cut.weight[tests.keys[key]] for key in edges.key]).all()
        assert starts[-1] == cut.significant


@pytest.mark.parametrize("graph", GRAPHS)
@pytest.mark.parametrize("kept", [None, 20])
def test_edges_and_digests_are_those_of_the_matrices(graph, kept, monkeypatch):
    monkeypatch.setattr("svr_widget.engine.graph.streaming.tiles.TILE", 7)
    svr = GRAPHS[graph](2)
    tests, brute = counted_in(svr, kept), Brute(svr, "exact")
    edges, starts = tests.edges(tests.cut(p=0.3).weight)
    for at, link in enumerate(svr.links):
        mine = slice(starts[at], starts[at + 1])
        dense = svr.adjacency(link).dense().numpy()
        np.testing.assert_allclose(
            dense[edges.n[mine], edges.m[mine]], edges.weight[mine], rtol=1e-6
        )
        assert (np.diff(edges.weight[mine]) <= 0).all()
        np.testing.assert_allclose(
            tests._stream.intensity(link), svr.adjacency(link).intensity(), rtol=1e-5, atol=1e-6
        )
    for key, (weight, _, n, m) in brute.entries.items():
        found = tests.strongest(key)
        if not weight.size:
            assert found is None
            continue
        first = np.flatnonzero(weight == weight.max())[0]
        assert (found.n, found.m) == (n[first], m[first])
        assert found.weight == pytest.approx(weight.max(), rel=1e-6)


@pytest.mark.slow
@settings(max_examples=25, deadline=None)
@given(
    channels=st.sampled_from([6, 40]),
    seed=st.integers(0, 10**6),
    kept=st.integers(1, 400),
    level=st.floats(1e-6, 1, exclude_max=True),
    mode=st.sampled_from(["p", "fdr"]),
)
def test_any_level_in_any_memory(channels, seed, kept, level, mode):
    svr = residual(channels, seed)
    found = counted_in(svr, kept).cut(**{mode: level})
    brute = Brute(svr, "exact")
    expected = brute.counts(brute.cut(mode, level))
    # A product of other shape rounds otherwise: an entry may lie on the cut by its last bit.
    assert abs(found.significant - sum(expected.values())) <= 1


def test_a_residual_stream_is_one_product():
    svr = residual(9, 3, planted=0, null=False)
    stream = Stream(svr.links, lambda _: True, svr._ends())
    (bus,) = stream.products
    assert isinstance(bus, Bus)
    assert sorted(bus.links.ravel()) == list(range(16))
    assert bus.links[1, 2] == list(svr.links).index(("write2", "read1"))


@pytest.mark.parametrize("channels", [40, 768, 1024, 2048])
def test_what_is_counted_is_what_is_given_out(channels, monkeypatch):
    monkeypatch.setattr("svr_widget.engine.graph.streaming.tiles.TILE", 12)
    svr = residual(channels, 4)
    edges = svr.edges(p=0.9)
    for link in svr.links:
        mine = edges[(edges.producer == link[0]) & (edges.consumer == link[1])]
        dense = svr.adjacency(link).dense().numpy()
        assert (dense[mine.n, mine.m] == mine.weight).all()
        assert (svr.link_intensity(link) == svr.adjacency(link).intensity()).all()


@pytest.mark.parametrize("channels", [40, 1024, 2048])
def test_tiles_change_entries_by_no_more_than_rounding(channels, monkeypatch):
    svr = residual(channels, 5)
    whole = counted_in(svr, None).edges(counted_in(svr, None).cut(p=1.0).weight).entries
    monkeypatch.setattr("svr_widget.engine.graph.streaming.tiles.TILE", 5)
    parts = counted_in(svr, None).edges(counted_in(svr, None).cut(p=1.0).weight).entries
    where = [np.lexsort((each.m, each.n, each.key)) for each in (whole, parts)]
    first, second = (each.weight[at] for each, at in zip((whole, parts), where, strict=True))
    np.testing.assert_allclose(first, second, rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("kept", [None, 30])
def test_stops_have_exact_numbers_and_the_round_levels(mode, kept):
    svr = residual(20, 6, planted=0.5)
    tests, brute = counted_in(svr, kept), Brute(svr, "exact")
    stops = lay_out(tests, mode, 60)
    assert 0.05 in stops.level or mode == "sigma"
    for log10_p, significant in zip(stops.log10_p, stops.significant, strict=True):
        log_p = log10_p * LOG_10 * (1 - 1e-12)
        assert abs((brute.log_p <= log_p).sum() - significant) <= 1
    direction = -1 if mode == "sigma" else 1
    assert (np.diff(stops.level) * direction > 0).all()
    assert (np.diff(stops.log10_p) >= 0).all()
    if mode == "fdr":
        at = int(np.flatnonzero(stops.level == 0.05)[0])
        assert stops.significant[at] == sum(brute.counts(brute.cut("fdr", 0.05)).values())


def test_the_grid_has_the_levels_that_people_give():
    p = np.exp(grid())
    for level in (1, 0.5, 0.15, 0.05, 0.01, 1e-3, 1e-6, 1e-12, 1e-300):
        assert np.isclose(p, level, rtol=1e-12, atol=0).any(), level
    assert (np.diff(grid()) > 0).all()
    assert grid()[-1] == 0


def test_a_pass_that_was_stopped_goes_on(monkeypatch):
    monkeypatch.setattr("svr_widget.engine.graph.streaming.tiles.TILE", 7)
    svr = residual(9, 7)
    stream = Stream(svr.links, lambda _: True, svr._ends(), kept=40)
    tiles = stream.tiles_left

    begun: list[object] = []

    def stop_before_fourth(link, _) -> None:
        if len(begun) == 3:
            raise KeyboardInterrupt
        begun.append(link)

    with pytest.raises(KeyboardInterrupt):
        stream.run(stop_before_fourth)
    assert stream.tiles_left == tiles - 3
    assert not stream.done
    stream.run(lambda *_: None)
    tests = GraphTests(stream, "exact", lambda link: svr.adjacency(link).tests())
    whole = counted_in(svr, 40)
    assert tests.cut(p=0.2).counts == whole.cut(p=0.2).counts
    assert stream.digests.largest.tolist() == whole._stream.digests.largest.tolist()


def test_no_more_is_kept_than_asked_for(monkeypatch):
    svr = residual(9, 8)
    tests = counted_in(svr, 33)
    kept = [tally.kept.weight for tally in tests._stream.tallies]
    assert 0 < sum(each.size for each in kept) <= 33
    monkeypatch.setattr(streaming, "KEPT", 33)
    few = residual(9, 8)
    assert few.edges(p=0.4).equals(residual(9, 8).edges(p=0.4))
    assert sum(tally.kept_size for tally in few.significance()._stream.tallies) <= 33


@pytest.mark.parametrize("mean", [0.3, "of each entry"])
def test_sums_on_a_device_are_those_row_by_row(mean):
    random = np.random.default_rng(0)
    entries = torch.from_numpy(random.random((9, 5)).astype(np.float32))
    expected = random.random((9, 5)) if isinstance(mean, str) else mean
    counted, before = random.random(9) < 0.7, random.random(5)
    mine, theirs = (
        rise(entries, expected, counted, before)
        for rise in (digests._rise, digests._rise_on_device)
    )
    np.testing.assert_allclose(mine[0], theirs[0], rtol=1e-12)
    centred = (entries.double().numpy() - expected)[counted]
    np.testing.assert_allclose(mine[0], before + centred.sum(axis=0), rtol=1e-12)
    highest = np.maximum(before, (before + centred.cumsum(axis=0)).max(axis=0))
    np.testing.assert_allclose(mine[1], highest, rtol=1e-12)
    np.testing.assert_allclose(np.maximum(before, theirs[1]), highest, rtol=1e-12)
