"""Every kind of layer, cut in place and as two layers: what the model computes afterwards."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations, parametrize, prune
from transformers import T5Config, T5ForConditionalGeneration
from transformers.pytorch_utils import Conv1D

from svr_widget.engine.errors import SVRError, UnsupportedLayerError
from svr_widget.svr import SVR
from tests.engine.maps.test_weights import Adapted


def both_ways(model, example, ranks=3, **options):
    """Outputs with low-rank weights, and with two layers, on the same input; and the report."""
    svr = SVR(model, example, **options)
    low, _ = svr.prune(ranks)
    two, report = svr.prune(ranks, factored=True)
    with torch.no_grad():
        return low.eval()(example), two.eval()(example), report


T5_SIZES = {
    "d_model": 32,
    "d_ff": 64,
    "num_layers": 1,
    "num_heads": 4,
    "d_kv": 8,
    "vocab_size": 100,
    "decoder_start_token_id": 0,
}
CONVOLUTIONS = {
    "1d": (nn.Conv1d(6, 8, 3, stride=2, padding=1), (6, 11)),
    "2d": (nn.Conv2d(6, 8, (3, 2), padding="same", dilation=2), (6, 7, 8)),
    "reflected": (nn.Conv2d(6, 8, 3, padding=1, padding_mode="reflect", bias=False), (6, 7, 8)),
    "groups": (nn.Conv2d(8, 12, 3, groups=2), (8, 7, 8)),
    "3d": (nn.Conv3d(6, 8, 2), (6, 4, 4, 4)),
    "transposed": (nn.ConvTranspose2d(6, 8, 3, stride=2, output_padding=1), (6, 5, 5)),
    "transposed groups": (nn.ConvTranspose1d(8, 12, 4, groups=2, padding=1), (8, 9)),
}


@pytest.mark.parametrize("method", ["svr", "cosvr"])
@pytest.mark.parametrize("kind", CONVOLUTIONS)
def test_two_convolutions_compute_what_the_low_rank_one_does(kind, method):
    torch.manual_seed(0)
    layer, shape = CONVOLUTIONS[kind]
    model = nn.Sequential(layer, nn.Tanh()).double()
    low, two, report = both_ways(model, torch.randn(2, *shape).double(), method=method)
    assert report.maps.form.tolist() == ["factored"], report.maps.remark[0]
    torch.testing.assert_close(two, low, rtol=0, atol=1e-13)
    assert (two - model(torch.zeros(2, *shape).double())).abs().max() > 0.1
    assert report.parameters.after < report.parameters.before
    assert report.multiply_adds.after < report.multiply_adds.before


class Reader(nn.Module):
    """Tokens, a flattened convolution, transformers' kind of layer."""

    def __init__(self):
        super().__init__()
        self.tokens = nn.Embedding(50, 16, padding_idx=0)
        self.project = Conv1D(24, 16)
        self.convolve = nn.Conv1d(24, 8, 3)
        self.head = nn.Linear(8 * 8, 20)

    def forward(self, tokens):
        x = torch.tanh(self.project(self.tokens(tokens)))
        return self.head(self.convolve(x.transpose(1, 2)).relu().flatten(1))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_embeddings_and_matrices(dtype):
    torch.manual_seed(0)
    model = Reader().to(dtype)
    tokens = torch.randint(0, 50, (3, 10))
    low, two, report = both_ways(model, tokens)
    assert report.maps.form.tolist() == ["factored"] * 4
    rounding = torch.finfo(dtype).eps
    torch.testing.assert_close(two, low, rtol=0, atol=16 * rounding)
    assert two.dtype == dtype
    pruned, _ = SVR(model, tokens).prune(3, factored=True)
    assert pruned.tokens[0].padding_idx == 0
    assert [name for name, _ in pruned.named_parameters() if name.startswith("head")] == [
        "head.0.weight",
        "head.1.weight",
        "head.1.bias",
    ]
    again = SVR(pruned, tokens)  # what comes back is a model like any other
    assert ("head.0", "head.1") in again.links


def test_a_layer_that_is_called_twice_is_replaced_at_both_names():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.one = nn.Linear(20, 20)
            self.same = self.one

        def forward(self, x):
            return self.same(torch.tanh(self.one(x)))

    low, two, report = both_ways(Twice().double(), torch.randn(2, 20).double())
    assert report.maps.form.tolist() == ["factored"]
    torch.testing.assert_close(two, low)


def test_training_state_is_kept():
    model = nn.Sequential(nn.Linear(30, 20), nn.ReLU(), nn.Linear(20, 10)).eval()
    model[0].weight.requires_grad_(False)
    pruned, _ = SVR(model).prune(2, factored=True)
    assert not any(module.training for module in pruned.modules())
    assert [p.requires_grad for p in pruned.parameters()] == [False, False, True, True, True, True]


def test_what_is_left_one_layer_is_said():
    class Mixed(nn.Module):
        def __init__(self):
            super().__init__()
            self.small = nn.Linear(6, 6)
            self.hooked = nn.Linear(6, 60)
            self.hooked.register_forward_hook(lambda *_: None)
            self.block = nn.TransformerEncoderLayer(60, 2, 60, batch_first=True)
            self.tied = nn.Linear(60, 60)
            self.again = nn.Linear(60, 60)
            self.again.weight = self.tied.weight
            self.rnn = nn.GRU(60, 12, batch_first=True)
            self.wide = nn.Linear(12, 60)

        def forward(self, x):
            x = self.again(self.tied(self.block(self.hooked(self.small(x)))))
            return self.wide(self.rnn(x)[0])

    torch.manual_seed(0)
    model, example = Mixed().double(), torch.randn(2, 4, 6).double()
    low, two, report = both_ways(model, example, ranks=4)
    torch.testing.assert_close(two, low)
    said = report.maps.set_index("map").remark
    assert said["small"] == "two layers would hold 48 parameters"
    assert said["hooked"] == "it has hooks"
    assert said["block.linear1"] == "TransformerEncoderLayer reads its weight directly"
    assert said[
        "block.self_attn.out_proj"
        if "block.self_attn.out_proj" in said
        else "block.self_attn[OV.0]"
    ]
    assert said["tied"] == said["again"] == "its parameter is used elsewhere too"
    assert said["rnn.ih[r]"] == "GRU is no layer that two can replace"
    assert report.maps.set_index("map").form["wide"] == "factored"


@pytest.mark.parametrize("attention", ["products", "plain"])
def test_packed_matrices_are_cut_where_they_are(attention):
    class Attended(nn.Module):
        def __init__(self):
            super().__init__()
            self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
            self.lstm = nn.LSTM(8, 5, batch_first=True)

        def forward(self, x):
            return self.lstm(self.attention(x, x, x)[0])[0]

    torch.manual_seed(0)
    model, x = Attended().double(), torch.randn(2, 3, 8).double()
    svr = SVR(model, x, attention=attention)
    ranks = {name: 2 for name in svr.maps if name != "lstm.hh[f]"}
    pruned, report = svr.prune(ranks)
    again = SVR(pruned, x, attention=attention)
    for name, linear in svr.maps.items():
        S = again[name].S
        if name == "lstm.hh[f]":
            assert torch.equal(again.maps[name].weight, linear.weight)
        else:
            torch.testing.assert_close(S[:2], svr[name].S[:2])
            assert S[2:].max() < 1e-12
            U, V = svr[name].U[:, :2], svr[name].V[:, :2]
            torch.testing.assert_close(again.maps[name].weight, U * svr[name].S[:2] @ V.T)
    assert report.parameters.before == report.parameters.after
    assert torch.equal(pruned.attention.in_proj_bias, model.attention.in_proj_bias)
    if attention == "products":  # by the values, so that their bias adds what it did
        assert torch.equal(pruned.attention.out_proj.weight, model.attention.out_proj.weight)


class Grouped(nn.Module):
    """Four heads of queries that share two of keys and values."""

    def __init__(self):
        super().__init__()
        self.q, self.k, self.v = nn.Linear(16, 16), nn.Linear(16, 8), nn.Linear(16, 8)
        self.o = nn.Linear(16, 16)

    def forward(self, x):
        n, t, _ = x.shape
        q = self.q(x).view(n, t, 4, 4).transpose(1, 2)
        k, v = (
            layer(x).view(n, t, 2, 4).transpose(1, 2).repeat_interleave(2, dim=1)
            for layer in (self.k, self.v)
        )
        y = nn.functional.scaled_dot_product_attention(q, k, v)
        return self.o(y.transpose(1, 2).reshape(n, t, 16))


def test_heads_that_share_keys_and_values_are_cut_by_their_own_matrices():
    torch.manual_seed(0)
    model, x = Grouped().double(), torch.randn(2, 3, 16).double()
    svr = SVR(model, x)
    assert len(svr.maps) == 8
    pruned, _ = svr.prune({"*.1]": 2, "*QK.2]": 1})
    again = SVR(pruned, x)
    ranks = {name: int((again[name].S > 1e-12).sum()) for name in svr.maps}
    expected = {
        name: 2 if name.endswith(".1]") else 1 if "QK.2" in name else 4 for name in svr.maps
    }
    assert ranks == expected
    for name, rank in expected.items():
        U, S, V = svr[name].U, svr[name].S, svr[name].V
        low = U[:, :rank] * S[:rank] @ V[:, :rank].T
        torch.testing.assert_close(again.maps[name].weight, low)


@pytest.mark.parametrize("read", ["v", "q"])
def test_a_matrix_that_is_read_elsewhere_too_is_not_cut_for_a_head(read):
    class ReadTwice(Grouped):
        def __init__(self):
            super().__init__()
            self.more = nn.Linear(getattr(self, read).out_features, 16)

        def forward(self, x):
            return super().forward(x) + self.more(getattr(self, read)(x))

    torch.manual_seed(0)
    model, x = ReadTwice().double(), torch.randn(2, 3, 16).double()
    svr = SVR(model, x)
    assert read in svr.maps
    if read == "q":  # and the keys are shared by two heads
        with pytest.raises(UnsupportedLayerError, match=r"\[QK.0\]' shares both of its matrices"):
            svr.prune({"*QK.0]": 2})
        return
    pruned, _ = svr.prune({"*OV.0]": 2})
    assert torch.equal(pruned.v.weight, model.v.weight)
    assert torch.linalg.matrix_rank(SVR(pruned, x).maps["attention[OV.0]"].weight) == 2


def test_tied_weights_are_cut_alike():
    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            self.tokens, self.middle = nn.Embedding(9, 6), nn.Linear(6, 6)
            self.head = nn.Linear(6, 9, bias=False)
            self.head.weight = self.tokens.weight

        def forward(self, x):
            return self.head(torch.tanh(self.middle(self.tokens(x))))

    torch.manual_seed(0)
    svr = SVR(Tied(), torch.arange(9)[None])
    for apart in ({"tokens": 2}, {"tokens": [0, 1], "head": [0, 2]}):
        with pytest.raises(SVRError, match="'tokens' and 'head' share one parameter"):
            svr.prune(apart)
    pruned, _ = svr.prune({"tokens": 2, "head": 2})
    assert pruned.head.weight is pruned.tokens.weight
    assert torch.linalg.matrix_rank(pruned.head.weight, rtol=1e-5) == 2
    by_rule = svr.prune()[1].maps.set_index("map").kept
    assert by_rule["tokens"] == by_rule["head"] == 6  # the last map stays whole
    held = svr.prune(budget=1.0)[1].rule
    assert held == "budget of 100% of 90 parameters"


def test_adapters_and_parametrisations_with_a_way_back():
    torch.manual_seed(0)
    model = nn.Sequential(
        Adapted(nn.Linear(8, 7)), nn.ReLU(), parametrizations.weight_norm(nn.Linear(7, 6))
    ).double()
    svr = SVR(model)
    pruned, report = svr.prune(3, factored=True)
    assert report.maps.form.tolist() == ["low rank"] * 2
    again = SVR(pruned)
    for name in svr.maps:
        U, S, V = svr[name].U[:, :3], svr[name].S[:3], svr[name].V[:, :3]
        torch.testing.assert_close(again.maps[name].weight, U * S @ V.T)
    assert torch.equal(pruned[0].lora_A["default"].weight, model[0].lora_A["default"].weight)


class Doubled(nn.Module):
    def forward(self, weight):
        return 2 * weight


@pytest.mark.parametrize(
    "layer",
    [
        nn.Linear(6, 6),
        nn.Embedding(6, 6, max_norm=0.1, norm_type=1.0),
    ],
    ids=["doubled", "bounded"],
)
def test_weights_that_cannot_be_given_are_refused_by_name(layer):
    torch.manual_seed(0)
    if isinstance(layer, nn.Linear):
        parametrize.register_parametrization(layer, "weight", Doubled())
    svr = SVR(nn.Sequential(layer), torch.arange(6) if isinstance(layer, nn.Embedding) else None)
    with pytest.raises(UnsupportedLayerError, match=r"'0' .* so it cannot be cut"):
        svr.prune(5)
    _, report = svr.prune({"0": slice(None)})
    assert report.maps.form.tolist() == ["whole"]


def test_a_layer_of_which_the_code_takes_more_than_its_output_stays_one():
    class Direct(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.last = nn.Linear(30, 30), nn.Linear(30, 30)

        def forward(self, x):
            return self.last(nn.functional.linear(x, self.first.weight, self.first.bias).relu())

    torch.manual_seed(0)
    low, two, report = both_ways(Direct().double(), torch.randn(2, 30).double())
    torch.testing.assert_close(two, low)
    assert report.maps.form.tolist() == ["low rank", "factored"]
    assert "'weight'" in report.maps.remark[0]
    t5 = T5ForConditionalGeneration(T5Config(**T5_SIZES)).eval()
    report = SVR(t5).prune(energy=0.5, factored=True)[1]
    stayed = report.maps[report.maps.remark.str.contains("does not run with two layers")]
    assert {name.rpartition(".")[2] for name in stayed["map"]} == {"wo"}  # it asks for their dtype
    assert (report.maps.form == "factored").sum() > 3


def test_a_model_that_cannot_be_copied():
    model = nn.Sequential(nn.Linear(4, 4))
    model.remembered = model[0].weight * 2  # a result of autograd
    masked = nn.Sequential(prune.random_unstructured(nn.Linear(6, 6), "weight", amount=0.3))
    for each in (model, masked):
        with pytest.raises(SVRError, match="cannot be copied"):
            SVR(each).prune(2)
