"""The super-feature of whole networks, planted or enumerated."""

import itertools

import numpy as np
import pytest
import torch

from svr_widget.engine.errors import ThresholdError
from svr_widget.svr import SVR


def frame(rng, rows, columns):
    return np.linalg.qr(rng.standard_normal((rows, columns)))[0]


def planted(rng, widths, path):
    """Weights whose neurons are random but for one that each passes to the next one's.

    ``path[i]`` is the neuron of map ``i``; its output direction is the input direction of the next.
    """
    weights, direction = [], None
    for (width, out), k in zip(itertools.pairwise(widths), path, strict=True):
        count = min(width, out)
        U, V = frame(rng, out, count), frame(rng, width, count)
        if direction is not None:
            rest = V - np.outer(direction, direction @ V)
            V = np.insert(np.linalg.qr(np.delete(rest, k, axis=1))[0], k, direction, axis=1)
        weights.append(U @ np.diag(np.linspace(2, 1, count)) @ V.T)
        direction = U[:, k]
    return weights


def test_a_planted_path_is_found_whichever_neurons_it_runs_through():
    path = [7, 0, 21, 3, 11]
    weights = planted(np.random.default_rng(0), [50, 40, 40, 40, 40, 30], path)
    found = SVR(weights).super_feature()
    assert found["map"].tolist() == ["0", "1", "2", "3", "4"]
    assert found["k"].tolist() == path
    np.testing.assert_allclose(found["weight"][1:], 1.0, atol=1e-5)
    assert np.isnan(found["weight"][0])
    assert found["link"].tolist() == [None, ("0", "1"), ("1", "2"), ("2", "3"), ("3", "4")]


def test_it_goes_along_the_branch_that_carries_it():
    rng = np.random.default_rng(1)
    stem, through, head = planted(rng, [20, 16, 16, 12], [2, 5, 4])
    branch = rng.standard_normal((16, 16))
    weights = {"stem": stem, "branch": branch, "through": through, "head": head}
    links = [("stem", "branch"), ("stem", "through"), ("branch", "head"), ("through", "head")]
    found = SVR(weights, links=links).super_feature()
    assert list(zip(found["map"], found["k"], strict=True)) == [
        ("stem", 2),
        ("through", 5),
        ("head", 4),
    ]


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(
    ("threshold", "null"), [({"p": 0.3}, "exact"), ({"fdr": 0.5}, None), ({"sigma": 1.0}, "chi2")]
)
def test_no_path_through_the_edges_has_more_evidence(seed, threshold, null):
    """Against all paths of a small branching network, from the frame of its edges alone."""
    rng = np.random.default_rng(seed)
    weights = {name: rng.standard_normal((5, 5)) for name in "abcd"}
    links = [("a", "b"), ("b", "c"), ("a", "c"), ("c", "d"), ("d", "b")]
    svr = SVR(weights, links=links)
    edges = svr.edges(**threshold, null=null)
    cut = svr.significance(null).cut(**threshold)
    level = next(iter(cut.log10_p.values()))
    leaving: dict[tuple[str, int], list] = {}
    for row in edges.itertuples():
        if row.producer < row.consumer:
            edge = ((row.consumer, row.n), level - row.log10_p)
            leaving.setdefault((row.producer, row.m), []).append(edge)

    def best_from(neuron):
        return max((e + best_from(end) for end, e in leaving.get(neuron, [])), default=0.0)

    expected = max(map(best_from, leaving), default=0.0)
    found = svr.super_feature(**threshold, null=null)
    assert (level - found["log10_p"][1:]).sum() == pytest.approx(expected, rel=1e-6, abs=1e-9)
    known = {(row[1:5]): row.weight for row in edges.itertuples()}
    steps = list(zip(found["map"], found["k"], strict=True))
    weights = [known[(*start, *end)] for start, end in itertools.pairwise(steps)]
    assert found["weight"][1:].tolist() == weights


def test_links_against_the_order_of_the_maps_lead_on_where_they_close_no_cycle():
    first, second, third = planted(np.random.default_rng(2), [20, 16, 16, 12], [2, 5, 4])
    weights = {"last": third, "middle": second, "first": first}
    found = SVR(weights, links=[("first", "middle"), ("middle", "last")]).super_feature()
    assert found["map"].tolist() == ["first", "middle", "last"]
    assert found["k"].tolist() == [2, 5, 4]


def test_without_significant_edges_it_is_empty():
    weights = [torch.eye(3), torch.full((3, 3), 0.5).fill_diagonal_(1)]
    found = SVR(weights).super_feature(bonferroni=1e-9)
    assert found.empty
    assert list(found) == ["map", "k", "singular_value", "link", "weight", "log10_p"]
    assert SVR([torch.eye(3)]).super_feature().empty


def test_thresholds_are_checked_as_for_edges():
    svr = SVR([torch.eye(3), torch.eye(3)])
    with pytest.raises(ThresholdError, match="exactly one"):
        svr.super_feature(p=0.1, fdr=0.1)
    with pytest.raises(TypeError, match="'fdrr'; did you mean 'fdr'"):
        svr.super_feature(fdrr=0.1)
