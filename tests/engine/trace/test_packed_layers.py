"""Layers that hold several maps: traced as PyTorch has them, perturbed as they are written out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - PyTorch's own name for it
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from svr_widget.engine.maps.bundles import depths
from svr_widget.engine.trace import Trace, trace, trace_model
from svr_widget.engine.trace.dispatch import run
from svr_widget.engine.trace.interpreter import Interpreter
from svr_widget.svr import SVR
from tests.engine.support.oracle import oracle, traced_pairs
from tests.engine.support.zoo import maps_of
from tests.engine.support.zoo.explicit import unpacked


def sequence(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


class Attending(nn.Module):
    """Attention between linear maps, to itself or to another sequence."""

    def __init__(self, attention: nn.MultiheadAttention, others: str = "", **options: Any):
        super().__init__()
        self.a, self.attention = nn.Linear(3, attention.embed_dim), attention
        self.keys = nn.Linear(3, attention.kdim) if "k" in others else None
        self.values = nn.Linear(3, attention.vdim) if "v" in others else None
        self.b, self.options = nn.Linear(attention.embed_dim, 2), options

    def forward(self, x: Tensor) -> Tensor:
        q = self.a(x)
        k = q if self.keys is None else self.keys(x)
        v = k if self.values is None else self.values(x)
        return self.b(self.attention(q, k, v, **self.options)[0])


def attention(width: int = 4, heads: int = 2, **options: Any) -> nn.MultiheadAttention:
    made = nn.MultiheadAttention(width, heads, **options)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.copy_(torch.randn_like(parameter))
    return made


class Encoding(nn.Module):
    """What stands around a transformer."""

    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.a, self.body, self.b = nn.Linear(3, 4), body, nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.b(self.body(self.a(x)))


class Translating(Encoding):
    """A body that reads two sequences, the second masked."""

    def forward(self, x: Tensor) -> Tensor:
        x = self.a(x)
        mask = nn.Transformer.generate_square_subsequent_mask(x.shape[1], dtype=x.dtype)
        return self.b(self.body(x, x.flip(1) * 2, tgt_mask=mask))


class Reading(nn.Module):
    """A recurrent layer between linear maps; the last layer's last state is read as well."""

    def __init__(self, layer: nn.RNNBase) -> None:
        super().__init__()
        state = layer.proj_size or layer.hidden_size
        self.a, self.layer = nn.Linear(3, layer.input_size), layer
        self.b = nn.Linear(state * (1 + layer.bidirectional), 2)
        self.states = nn.Linear(state, 2)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        y, last = self.layer(self.a(x))
        last = last[0] if isinstance(last, tuple) else last
        return self.b(y), self.states(last[-1])


class Tagger(nn.Module):
    """Tokens to states of both directions to tags."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.lstm = nn.Embedding(3, 3), nn.LSTM(3, 2, 2, bidirectional=True)
        self.tag = nn.Linear(4, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.tag(self.lstm(self.embed(x.argmax(-1)))[0])


class Handing(nn.Module):
    """The states of one recurrent layer start another."""

    def __init__(self, first: nn.RNNBase, second: nn.RNNBase) -> None:
        super().__init__()
        self.first, self.second = first, second
        self.b = nn.Linear(second.hidden_size, 2)

    def forward(self, x: Tensor) -> Tensor:
        _, state = self.first(x)
        return self.b(self.second(x[:2] + 1, state)[0])


class Stepping(nn.Module):
    """A cell in a loop of the user's own."""

    def __init__(self, cell: nn.RNNCellBase) -> None:
        super().__init__()
        self.a, self.cell, self.b = nn.Linear(3, cell.input_size), cell, nn.Linear(2, 2)
        self.pair = isinstance(cell, nn.LSTMCell)

    def forward(self, x: Tensor) -> Tensor:
        state: Any = x.new_zeros(x.shape[1], 2)
        state = (state, state) if self.pair else state
        for step in self.a(x):
            state = self.cell(step, state)
        return self.b(state[0] if self.pair else state)


MODELS: dict[str, Callable[[], nn.Module]] = {
    "attention": lambda: Attending(attention()),
    "attention, batch first": lambda: Attending(attention(batch_first=True), need_weights=False),
    "attention without biases": lambda: Attending(attention(bias=False)),
    "attention with biases of keys and values": lambda: Attending(attention(add_bias_kv=True)),
    "attention to nothing": lambda: Attending(attention(add_zero_attn=True, batch_first=True)),
    "attention to another sequence": lambda: Attending(attention(), "kv"),
    "attention to keys that are values": lambda: Attending(attention(), "k"),
    "attention of other widths": lambda: Attending(
        attention(kdim=5, vdim=3, batch_first=True), "kv", need_weights=False
    ),
    "encoder layer": lambda: Encoding(nn.TransformerEncoderLayer(4, 2, 5, batch_first=True)),
    "encoder": lambda: Encoding(
        nn.TransformerEncoder(nn.TransformerEncoderLayer(4, 2, 5, norm_first=True), 2, None, False)
    ),
    "decoder layer": lambda: Translating(nn.TransformerDecoderLayer(4, 2, 5, batch_first=True)),
    "transformer": lambda: Translating(nn.Transformer(4, 2, 1, 1, 5, batch_first=True)),
    "RNN": lambda: Reading(nn.RNN(3, 2)),
    "RNN, as many layers as steps": lambda: Reading(nn.RNN(2, 2, 3)),
    "RNN with ReLU, two layers both ways": lambda: Reading(
        nn.RNN(2, 2, 2, nonlinearity="relu", bidirectional=True)
    ),
    "LSTM": lambda: Reading(nn.LSTM(3, 2)),
    "LSTM with projections": lambda: Reading(nn.LSTM(2, 3, proj_size=2, batch_first=True)),
    "LSTM tagger": Tagger,
    "GRU": lambda: Reading(nn.GRU(3, 2, bias=False)),
    "LSTM to LSTM": lambda: Handing(nn.LSTM(3, 2), nn.LSTM(3, 2)),
    "GRU to RNN": lambda: Handing(nn.GRU(3, 2), nn.RNN(3, 2)),
    "LSTM cell": lambda: Stepping(nn.LSTMCell(2, 2)),
    "GRU cell": lambda: Stepping(nn.GRUCell(3, 2)),
    "RNN cell": lambda: Stepping(nn.RNNCell(2, 2)),
}


@pytest.mark.parametrize("name", MODELS)
def test_against_the_layer_written_out(name: str) -> None:
    torch.manual_seed(0)
    model, inputs = MODELS[name]().double().eval(), sequence(3, 3, 3)
    explicit = unpacked(model)
    for mine, theirs in zip(model(inputs), explicit(inputs), strict=True):
        torch.testing.assert_close(mine, theirs)
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)  # as after a step of training
    found, parts = trace(model, maps_of(model), (inputs,)), maps_of(explicit)
    assert found.method == "torch dispatch"
    assert set(found.order) == set(parts)
    for part in maps_of(model).values():
        assert torch.equal(part.weight(), parts[part.name].weight())
    wanted = oracle(explicit, parts, (inputs,))
    assert wanted
    assert traced_pairs(found) == wanted


@pytest.mark.slow
@pytest.mark.parametrize("method", ["torch.export", "forward pass"])
@pytest.mark.parametrize(
    "name", ["attention", "attention of other widths", "decoder layer", "LSTM", "GRU to RNN"]
)
def test_every_method_finds_the_same(
    method: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, inputs = MODELS[name]().double(), sequence(3, 3, 3)
    first = trace(model, maps_of(model), inputs)
    monkeypatch.setattr(trace_model, "METHODS", {method: trace_model.METHODS[method]})
    second = trace(model, maps_of(model), inputs)
    assert second.method == method
    assert traced_pairs(second) == traced_pairs(first)
    assert described(second) == described(first)


def described(found: Trace) -> set[tuple[str, str, tuple[str, ...], bool]]:
    return {(link.producer, link.consumer, link.through, link.backward) for link in found.links}


def test_names() -> None:
    model = nn.ModuleDict(
        {
            "attn": nn.MultiheadAttention(4, 2, kdim=3),
            "lstm": nn.LSTM(3, 2, 2, bidirectional=True, proj_size=1),
            "gru": nn.GRUCell(3, 2),
            "rnn": nn.RNN(3, 2),
        }
    )
    names = list(maps_of(model))
    assert names[:4] == ["attn.in_proj[q]", "attn.in_proj[k]", "attn.in_proj[v]", "attn.out_proj"]
    lstm = [name for name in names if name.startswith("lstm.")]
    assert len(lstm) == 4 * 9
    assert lstm[:5] == [f"lstm.ih[{gate}]" for gate in "ifgo"] + ["lstm.hh[i]"]
    for name in ("hr", "ih_reverse[g]", "hh_l1[o]", "hh_l1_reverse[f]", "hr_l1_reverse"):
        assert f"lstm.{name}" in lstm
    assert names[-8:-2] == [f"gru.{side}[{gate}]" for side in ("ih", "hh") for gate in "rzn"]
    assert names[-2:] == ["rnn.ih", "rnn.hh"]
    assert set(maps_of(nn.LSTM(3, 2))) == {f"{a}[{b}]" for a in ("ih", "hh") for b in "ifgo"}


def test_what_stands_on_the_links_of_a_gate() -> None:
    found = trace(model := MODELS["LSTM"](), maps_of(model), torch.zeros(3, 1, 3))
    links = {(link.producer, link.consumer): link for link in found.links}
    gates = [f"layer.{side}[{gate}]" for side in ("ih", "hh") for gate in "ifgo"]
    assert found.order == ("a", *gates, "b", "states")
    assert links["layer.ih[o]", "b"].through == ("sigmoid", "mul")
    assert links["layer.ih[g]", "b"].through == ("tanh", "mul", "tanh", "mul")
    assert not links["layer.ih[g]", "b"].backward
    assert links["a", "layer.ih[f]"].through == ()
    assert not links["layer.ih[f]", "layer.hh[i]"].backward
    around = [link for link in found.links if link.backward]
    assert {(link.producer, link.consumer) for link in around} == {
        (f"layer.hh[{first}]", f"layer.hh[{second}]") for first in "ifgo" for second in "ifgo"
    }
    depth = depths(found.links, found.order)
    assert [depth[name] for name in ("a", "layer.ih[i]", "layer.hh[i]", "b")] == [0, 1, 2, 3]


@pytest.mark.parametrize("steps", [1, 400])
def test_any_length_has_the_same_links(steps: int) -> None:
    model = MODELS["LSTM"]()
    found = trace(model, maps_of(model), torch.zeros(steps, 2, 3))
    assert described(found) == described(trace(model, maps_of(model), torch.zeros(3, 1, 3)))


def test_a_long_loop_carries_no_more_than_a_short_one() -> None:
    def carried(steps: int) -> int:
        model = MODELS["LSTM cell"]()
        interpreter = Interpreter(model, maps_of(model))
        run(model.eval(), interpreter, (torch.zeros(steps, 3, 3),), {})
        return max(len(arrival.flow.carriers) for arrival in interpreter.arrivals)

    assert carried(12) == carried(4) == 8


def test_sequences_of_unequal_length() -> None:
    class Padded(Reading):
        def forward(self, x: Tensor) -> tuple[Tensor, ...]:
            packed = pack_padded_sequence(self.a(x), torch.tensor([3, 1]))
            y, last = self.layer(packed)
            return self.b(pad_packed_sequence(y)[0]), self.states(last[-1])

    model = Padded(nn.GRU(3, 2, 2))
    found = trace(model, maps_of(model), torch.zeros(3, 2, 3))
    equal = Reading(model.layer)
    whole = trace(equal, maps_of(equal), torch.zeros(3, 2, 3))
    assert traced_pairs(found) == traced_pairs(whole)


def test_one_sequence_without_a_batch() -> None:
    for name in ("LSTM", "attention"):
        model = MODELS[name]()
        found = trace(model, maps_of(model), torch.zeros(3, 3))
        batched = trace(model, maps_of(model), torch.zeros(3, 2, 3))
        assert described(found) == described(batched)


def test_a_layer_left_out_is_named() -> None:
    for name, layer in (("LSTM", "layer"), ("attention", "attention")):
        model = MODELS[name]()
        parts = {n: part for n, part in maps_of(model).items() if not n.startswith(layer)}
        found = trace(model, parts, torch.zeros(3, 1, 3))
        assert found.links == ()
        assert any("a -> b" in note and f"{layer}." in note for note in found.notes)


def test_a_map_left_out_of_a_packed_weight_is_named() -> None:
    model = MODELS["attention"]()
    parts = {n: part for n, part in maps_of(model).items() if not n.endswith("[v]")}
    found = trace(model, parts, torch.zeros(3, 1, 3))
    assert ("attention.in_proj[v]", "attention.out_proj") not in {
        (link.producer, link.consumer) for link in found.links
    }
    assert any(
        "a -> attention.out_proj" in note and "part of attention.in_proj_weight" in note
        for note in found.notes
    )


class Sliced(nn.Module):
    """Weights used in pieces, and together."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.c = nn.Linear(3, 4), nn.Linear(4, 5), nn.Linear(4, 2)
        self.d, self.e = nn.Linear(5, 2), nn.Linear(7, 2)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        x = self.a(x)
        low, high = F.linear(x, self.b.weight[:2].half().float()), x @ self.b.weight[2:].T
        joint = F.linear(x, torch.cat([self.c.weight, self.b.weight]))
        return self.d(torch.cat([high, low], -1)), self.e(joint)


def test_weights_in_pieces_and_together() -> None:
    model = Sliced()
    found = trace(model, maps_of(model), torch.zeros(1, 3))
    links = {(link.producer, link.consumer): link for link in found.links}
    assert {(p, c) for p, c, *_ in traced_pairs(found)} == {
        ("a", "b"), ("a", "c"), ("b", "d"), ("b", "e"), ("c", "e"),
    }  # fmt: skip
    channels = {(p, c): set() for p, c in links}
    for p, c, out, read in traced_pairs(found):
        channels[p, c].add((out, read))
    assert channels["b", "d"] == {(2, 0), (3, 1), (4, 2), (0, 3), (1, 4)}
    assert channels["b", "e"] == {(n, n + 2) for n in range(5)}
    assert channels["c", "e"] == {(0, 0), (1, 1)}


def test_the_whole_graph_of_a_recurrent_network() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Embedding(20, 6), nn.LSTM(6, 5, batch_first=True))
    svr = SVR(model)
    assert len(svr.maps) == 9
    weight = svr.maps["1.hh[f]"].weight
    assert torch.equal(weight, model[1].weight_hh_l0[5:10])
    A = svr.adjacency(("1.hh[f]", "1.hh[f]")).dense()
    U, _, Vh = torch.linalg.svd(weight.double())
    torch.testing.assert_close(A.double(), (Vh @ U).square(), rtol=0, atol=1e-6)
    assert len(svr.edges(p=0.5)) > 0
