"""Copies of large weights: let go once decomposed, and right whatever training does afterwards."""

from __future__ import annotations

import gc
import weakref

import pytest
import torch
from torch import nn

from svr_widget import SVR, SVRError, SVRRecorder
from svr_widget.engine.maps import copied
from svr_widget.engine.maps.read_only import ReadOnlyTensor, plain


@pytest.fixture(autouse=True)
def small_is_large(monkeypatch):
    monkeypatch.setattr(copied, "LARGE", 0)


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(12, 9), nn.ReLU(), nn.Linear(9, 7), nn.Linear(7, 7))


def convolutions():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(4, 8, 3), nn.ReLU(), nn.Conv2d(8, 8, 3, groups=2))


def held(svr, name):
    """A weak reference to the copy of a map's weight."""
    return weakref.ref(copied.copy_of(svr.maps[name])._values)


def train(model):
    with torch.no_grad():
        for each in model.parameters():
            each.data.mul_(1.5)  # behind the back of version counters


@pytest.mark.parametrize("make", [network, convolutions])
@pytest.mark.parametrize("method", ["svr", "cosvr", "cross"])
def test_a_copy_is_let_go_once_its_map_is_decomposed(make, method):
    svr = SVR(make(), method=method)
    copies = {name: held(svr, name) for name in svr.maps}
    assert all(copy() is not None for copy in copies.values())
    svr.compute()
    gc.collect()
    assert not any(copy() is not None for copy in copies.values())


def test_it_is_kept_where_the_neurons_do_not_hold_all_of_it():
    truncated, uncached = SVR(network(), rank=3), SVR(network(), cache=False)
    for svr in (truncated, uncached):
        copies = [held(svr, name) for name in svr.maps]
        svr.compute()
        gc.collect()
        assert all(copy() is not None for copy in copies)


@pytest.mark.parametrize("make", [network, convolutions])
@pytest.mark.parametrize("folder", [False, True])
def test_of_a_model_that_did_not_change_the_weight_is_the_same_to_the_bit(make, folder, tmp_path):
    model = make()
    svr = SVR(model, cache=tmp_path if folder else True)
    svr.compute()
    for name, linear in svr.maps.items():
        assert torch.equal(linear.weight, model.get_submodule(name).weight)


@pytest.mark.parametrize("make", [network, convolutions])
@pytest.mark.parametrize("method", ["svr", "cosvr"])
def test_of_one_that_did_the_weight_is_that_of_the_moment_to_rounding(make, method):
    model = make()
    before = {name: each.clone() for name, each in model.state_dict().items()}
    svr = SVR(model, method=method)
    svr.compute()
    train(model)
    for name, linear in svr.maps.items():
        weight = before[f"{name}.weight"]
        assert not torch.equal(plain(linear.weight), model.get_submodule(name).weight)
        torch.testing.assert_close(plain(linear.weight), weight, rtol=0, atol=1e-6)
    other = SVR(before_as(make, before)).by_method("cosvr")
    for name in svr.maps:  # decomposed of what the neurons make of it
        S, exact = svr.by_method("cosvr")[name].S, other[name].S
        torch.testing.assert_close(S, exact, rtol=1e-5, atol=1e-6)


def before_as(make, state):
    model = make()
    model.load_state_dict(state)
    return model


def test_before_it_is_decomposed_training_changes_nothing():
    model = network()
    before = model[0].weight.detach().clone()
    svr = SVR(model)
    train(model)
    assert torch.equal(svr.maps["0"].weight, before)
    assert torch.equal(svr["0"].S, SVR([before])["0"].S)


def test_a_model_that_has_no_weight_any_more_is_no_error():
    model = network()
    before = model[0].weight.detach().clone()
    svr = SVR(model)
    svr.compute()
    with torch.no_grad():
        model[0].weight.fill_(float("nan"))
    torch.testing.assert_close(plain(svr.maps["0"].weight), before, rtol=0, atol=1e-6)
    del model[0].weight
    torch.testing.assert_close(plain(svr.maps["0"].weight), before, rtol=0, atol=1e-6)


@pytest.mark.parametrize("rank", [None, 3])
def test_a_weight_of_little_rank_keeps_its_precision(rank):
    """Its vectors are of float64; it is not."""
    model = network()
    with torch.no_grad():
        model[0].weight[5:] = 0
    before = model[0].weight.detach().clone()
    svr = SVR(model, rank=rank)
    svr.compute()
    assert svr["0"].U.dtype == torch.float64
    train(model)
    torch.testing.assert_close(plain(svr.maps["0"].weight), before, rtol=0, atol=1e-6)


def test_nobody_writes_to_it():
    svr = SVR(network())
    for _ in range(2):
        weight = svr.maps["0"].weight
        assert isinstance(weight, ReadOnlyTensor)
        with pytest.raises(SVRError, match="read-only"):
            weight[0, 0] = 1
        svr.compute()


def test_one_copy_of_tied_weights():
    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            self.wte, self.fc = nn.Embedding(11, 6), nn.Linear(6, 6)
            self.head = nn.Linear(6, 11, bias=False)
            self.head.weight = self.wte.weight

        def forward(self, x):
            return self.head(self.fc(self.wte(x)))

    model = Tied()
    svr = SVR(model, torch.arange(5)[None])
    copy = held(svr, "wte")
    assert svr.maps["head"].tied_to == "wte"
    assert torch.equal(svr.maps["head"].weight, model.head.weight)
    svr.compute()
    gc.collect()
    assert copy() is None
    assert torch.equal(svr.maps["head"].weight, model.head.weight)
    assert svr.maps["head"].weight.stride() == svr.maps["wte"].weight.T.stride()


def test_saved_and_read_again(tmp_path):
    model = network()
    svr = SVR(model)
    svr.compute()
    svr.save(tmp_path / "svr.safetensors", weights=True)
    loaded = SVR.load(tmp_path / "svr.safetensors")
    for name in svr.maps:
        assert torch.equal(loaded.maps[name].weight, model.get_submodule(name).weight)


def test_a_recording_keeps_its_weights():
    model = network()
    before = model[0].weight.detach().clone()
    recorder = SVRRecorder(model, 1)
    train(model)
    recorder.step()
    recorder.svr(0).compute()
    assert torch.equal(recorder.svr(0).maps["0"].weight, before)


class Attention(nn.Module):
    """Two heads, and a map behind them."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.norm = nn.LayerNorm(12)
        self.q, self.k, self.v, self.o = (nn.Linear(12, 12, bias=False) for _ in range(4))
        self.fc = nn.Linear(12, 5)

    def forward(self, x):
        y = self.norm(x)
        queries, keys, values = (
            each(y).unflatten(-1, (2, 6)).transpose(-3, -2) for each in (self.q, self.k, self.v)
        )
        made = nn.functional.scaled_dot_product_attention(queries, keys, values)
        return self.fc(x + self.o(made.transpose(-3, -2).flatten(-2)))


def svr_of_heads(model, **keywords):
    return SVR(model, torch.randn(1, 3, 12), **keywords)


def products(model):
    """The weights of the heads by hand: ``W_O W_V`` and ``W_Q^T W_K`` of each."""
    q, k, v, o = (getattr(model, name).weight.detach().clone() for name in "qkvo")
    heads = [slice(0, 6), slice(6, 12)]
    found = {f"[OV.{at}]": o[:, rows] @ v[rows] for at, rows in enumerate(heads)}
    return found | {f"[QK.{at}]": q[rows].T @ k[rows] for at, rows in enumerate(heads)}


def copies_of_heads(svr):
    """Weak references to the copies of the four matrices."""
    matrices = svr._traced.matrices
    return [weakref.ref(copied.copy_of(matrices[name])._values) for name in "qkvo"]


def assert_weights(svr, expected, within):
    for name, weight in expected.items():
        (found,) = (linear for each, linear in svr.maps.items() if each.endswith(name))
        torch.testing.assert_close(plain(found.weight), weight, rtol=0, atol=within)
        left, right = (factor.read() for factor in found.factors)
        torch.testing.assert_close(left @ right, weight, rtol=0, atol=within)


def test_copies_of_heads_are_let_go_once_all_products_of_them_are_decomposed():
    model = Attention()
    svr, expected = svr_of_heads(model), products(model)
    copies = copies_of_heads(svr)
    first, *others = (name for name, linear in svr.maps.items() if linear.product_of)
    assert len(others) == 3
    assert svr[first] is not None
    gc.collect()
    assert all(copy() is not None for copy in copies)
    svr.compute()
    gc.collect()
    assert not any(copy() is not None for copy in copies)
    for name, linear in svr.maps.items():
        if linear.product_of:  # the model has them still
            assert torch.equal(linear.weight, svr_of_heads(model).maps[name].weight)
    train(model)
    assert_weights(svr, expected, 1e-6)


def test_factors_belong_together_where_one_matrix_alone_was_trained():
    model = Attention()
    svr, expected = svr_of_heads(model), products(model)
    svr.compute()
    with torch.no_grad():
        model.q.weight.mul_(1.5)
        model.o.weight.mul_(1.5)
    assert_weights(svr, expected, 1e-6)


def test_a_graph_that_is_there_already_keeps_what_it_needs():
    model = Attention()
    svr, expected = svr_of_heads(model), products(model)
    folded, exact = svr.by_norm("fold"), svr_of_heads(Attention(), norm="fold")
    svr.compute()
    train(model)
    for name in exact.maps:
        torch.testing.assert_close(folded[name].S, exact[name].S, rtol=1e-5, atol=1e-6)
    assert_weights(svr, expected, 1e-6)


def test_one_that_is_asked_for_too_late_says_so():
    model = Attention()
    svr = svr_of_heads(model)
    svr.compute()
    svr.by_norm("fold").compute()
    again = svr_of_heads(model)
    again.compute()
    train(model)
    with pytest.raises(SVRError, match="changed after the heads that it is part of were decompo"):
        again.by_norm("fold").compute()


def test_heads_are_saved_and_read_again(tmp_path):
    model = Attention()
    svr, expected = svr_of_heads(model), products(model)
    svr.compute()
    train(model)
    svr.save(tmp_path / "svr.safetensors", weights=True)
    loaded = SVR.load(tmp_path / "svr.safetensors")
    for name, weight in expected.items():
        (found,) = (linear for each, linear in loaded.maps.items() if each.endswith(name))
        torch.testing.assert_close(plain(found.weight), weight, rtol=0, atol=1e-6)
