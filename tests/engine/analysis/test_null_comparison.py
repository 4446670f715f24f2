"""Statistics of a link beside shuffled, centred and untrained weights."""

import copy
from functools import partial

import numpy as np
import pytest
import torch
from torch import nn

from svr_widget.engine.errors import SVRError, ThresholdError
from svr_widget.svr import SVR
from tests.engine.support.gaussian import gaussian
from tests.engine.support.zoo import language

doubles = partial(gaussian, dtype=torch.float64)

COLUMNS = ["weights", "draw", "m", "n", "weight", "log10_p", "significant", "expected"]
COLUMNS += ["d_out", "d_in", "deviation", "p_value"]


def joined(seed=0):
    """Two weights whose first neurons meet, without a mean."""
    first, second = doubles(40, 50, seed=seed), doubles(30, 40, seed=seed + 1)
    U, _, _ = torch.linalg.svd(first)
    return first, second + 20 * torch.outer(doubles(30, seed=seed + 2), U[:, 3]) / 30**0.5


def by_hand(first, second):
    """The strongest edge of two matrices, and where the deviation of their block is largest."""
    first, second = first.numpy(), second.numpy()
    U = np.linalg.svd(first, full_matrices=False)[0]
    V = np.linalg.svd(second, full_matrices=False)[2].T
    A = np.square(V.T @ U)
    n, m = np.unravel_index(A.argmax(), A.shape)
    B = (A - 1 / len(U)).cumsum(0).cumsum(1)
    row, column = np.unravel_index(B.argmax(), A.shape)
    return (m, n, A.max(), row + 1, column + 1, B.max())


def shown(row):
    return row[["m", "n", "weight", "d_out", "d_in", "deviation"]].astype(float).to_list()


def test_trained_and_centred_rows_are_those_of_the_weights():
    first, second = joined()
    first, second = first + 0.5, second + 0.2
    frame = SVR([first, second]).null_comparison(("0", "1"), draws=2)
    assert list(frame) == COLUMNS
    assert frame["weights"].tolist() == ["trained", "shuffled", "shuffled", "centred"]
    assert frame["draw"].fillna(-1).tolist() == [-1, 0, 1, -1]
    np.testing.assert_allclose(shown(frame.iloc[0]), by_hand(first, second), rtol=1e-6)
    centred = by_hand(first - first.mean(), second - second.mean())
    np.testing.assert_allclose(shown(frame.iloc[3]), centred, rtol=1e-6)


def test_what_is_learned_does_not_survive_the_shuffle():
    frame = SVR(joined()).null_comparison(("0", "1")).set_index("weights")
    assert frame.loc["trained", "log10_p"] < -15
    assert frame.loc["centred", "log10_p"] < -15
    assert (frame.loc["shuffled", "log10_p"] > -7).all()
    assert frame.loc["shuffled", "significant"].sum() <= 2
    assert len(frame.loc["shuffled"]) == 10
    assert frame.loc["shuffled", "weight"].nunique() == 10


def test_a_mean_alone_makes_a_top_edge_that_shuffling_keeps_and_centring_takes_away():
    weights = [doubles(64, 64) + 0.5, doubles(64, 64, seed=1) + 0.5]
    frame = SVR(weights).null_comparison(("0", "1"), draws=3).set_index("weights")
    assert frame.loc["trained", "weight"] > 0.8
    assert (frame.loc["shuffled", "weight"] > 0.8).all()
    assert frame.loc["centred", "weight"] < 0.5


def test_shuffles_are_seeded():
    svr = SVR(joined())
    one, again = (svr.null_comparison(("0", "1"), draws=2) for _ in range(2))
    other = svr.null_comparison(("0", "1"), draws=2, seed=5)
    assert one.equals(again)
    assert not one["weight"].equals(other["weight"])


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3)
        self.branch = nn.Conv2d(8, 8, 1)
        self.head = nn.Linear(8 * 4, 5)

    def forward(self, x):
        x = self.conv(x).relu()
        return self.head((x + self.branch(x)).flatten(1))


@pytest.mark.parametrize("kind", ["svr", "model", "state"])
def test_the_network_before_training(kind):
    torch.manual_seed(0)
    before = Net()
    after = copy.deepcopy(before)
    with torch.no_grad():
        for parameter in after.parameters():
            parameter.add_(torch.randn_like(parameter))
    example = torch.zeros(1, 3, 4, 4)
    svr, link = SVR(after, example), ("conv", "head")
    initial = {"svr": SVR(before, example), "model": before, "state": before.state_dict()}[kind]
    frame = svr.null_comparison(link, draws=0, initial=initial)
    assert frame["weights"].tolist() == ["trained", "centred", "initial"]
    expected = float(SVR(before, example).adjacency(link).dense().max())
    assert frame["weight"].iloc[2] == pytest.approx(expected)
    assert torch.equal(after.conv.weight, svr.model.conv.weight)


@pytest.mark.parametrize("method", ["svr", "cosvr", "cross"])
def test_every_method(method):
    weights = [doubles(6, 4, 3, 3), doubles(5, 6, 3, 3, seed=1)]
    svr = SVR(weights, method=method)
    frame = svr.null_comparison(("0", "1"), draws=1)
    assert frame["weight"].iloc[0] == pytest.approx(float(svr.adjacency(("0", "1")).dense().max()))
    centred = SVR([w - w.mean() for w in weights], method=method)
    assert frame["weight"].iloc[2] == pytest.approx(
        float(centred.adjacency(("0", "1")).dense().max())
    )


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(12, 6)
        self.middle = nn.Linear(6, 6)
        self.head = nn.Linear(6, 12, bias=False)
        self.head.weight = self.embedding.weight

    def forward(self, tokens):
        x = self.embedding(tokens)
        return self.head(x + self.middle(x))


def test_maps_that_share_a_weight_share_the_shuffled_one():
    """The embedding is the head transposed, so each neuron meets itself whatever the entries."""
    torch.manual_seed(0)
    svr = SVR(Tied(), torch.zeros(1, 3, dtype=torch.long))
    frame = svr.null_comparison(("embedding", "head"), draws=3)
    np.testing.assert_allclose(frame["weight"], 1, atol=1e-5)


class Normed(nn.Module):
    def __init__(self):
        super().__init__()
        self.inlet, self.norm = nn.Linear(20, 30), nn.LayerNorm(30)
        self.outlet = nn.Linear(30, 25)

    def forward(self, x):
        return self.outlet(self.norm(self.inlet(x)))


def test_folded_layer_norms_stay_folded():
    """Shuffled weights have entries of chance in the 29 dimensions that the norm leaves."""
    torch.manual_seed(0)
    svr = SVR(Normed(), norm="fold")
    assert any(normal is not None for normal in svr.maps["inlet"].normals)
    frame = svr.null_comparison(("inlet", "outlet"), draws=30).set_index("weights")
    p = 10 ** frame.loc["shuffled", "log10_p"] * 20 * 25
    assert 0.05 < (p < 0.5).mean() < 0.75
    assert p.min() > 1e-3


def test_products_of_heads():
    torch.manual_seed(0)
    model, *inputs = language.gpt2()
    svr = SVR(model, *inputs)
    link = next(key for key in svr.links if "[OV" in key[0])
    frame = svr.null_comparison(link, draws=2)
    dense = svr.adjacency(link).dense()
    assert frame["weight"].iloc[0] == pytest.approx(float(dense.max()))
    assert (frame["d_in"] <= dense.shape[1]).all()


def test_refusals():
    svr = SVR(joined())
    with pytest.raises(KeyError, match="no link"):
        svr.null_comparison(("0", "2"))
    with pytest.raises(SVRError, match=r"initial: map '0' is \(40, 51\), here \(40, 50\)"):
        svr.null_comparison(("0", "1"), initial=[doubles(40, 51), doubles(30, 40)])
    with pytest.raises(SVRError, match="has no link"):
        svr.null_comparison(("0", "1"), initial={"a": doubles(40, 50)})
    with pytest.raises(SVRError, match="draws = -1"):
        svr.null_comparison(("0", "1"), draws=-1)
    with pytest.raises(ThresholdError, match="out of range"):
        svr.null_comparison(("0", "1"), p=2)
    with pytest.raises(TypeError, match="unexpected keyword 'sgma'; did you mean 'sigma'"):
        svr.null_comparison(("0", "1"), sgma=2)
    with pytest.raises(SVRError, match="joins null neurons only"):
        SVR([np.zeros((3, 3)), np.eye(3)]).null_comparison(("0", "1"))
