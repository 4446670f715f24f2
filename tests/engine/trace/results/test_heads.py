"""Which attention is read head by head, and which maps stay beside its products."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from svr_widget.engine.trace import trace, trace_model
from svr_widget.svr import SVR
from tests.engine.support.oracle import traced_pairs
from tests.engine.support.zoo import attention, heads, language, maps_of
from tests.engine.support.zoo.heads import HEADS, linear
from tests.engine.support.zoo.varied import Varied, made

# What stays as it is.


class Gated(Varied):
    def add(self) -> None:
        self.gate = linear(8, 8)

    def read(self, y: Tensor, x: Tensor) -> Tensor:
        return self.out(y * torch.sigmoid(self.gate(x)))


class CurvedValues(Varied):
    def values(self, x: Tensor) -> Tensor:
        return torch.relu(self.value(x))


class ScaledOutput(Varied):
    def add(self) -> None:
        self.scale = nn.Parameter(torch.linspace(1, 2, 8))

    def read(self, y: Tensor, x: Tensor) -> Tensor:
        return self.out(y * self.scale)


class NormalisedOutput(Varied):
    def add(self) -> None:
        self.norm = nn.LayerNorm(8)

    def read(self, y: Tensor, x: Tensor) -> Tensor:
        return self.out(self.norm(y))


class WrittenAsItIs(Varied):
    """The values go into the stream without an output map, so their basis means something."""

    def read(self, y: Tensor, x: Tensor) -> Tensor:
        return self.out(x + y)


class SummedValues(Varied):
    def add(self) -> None:
        self.extra = linear(8, 8)

    def values(self, x: Tensor) -> Tensor:
        return self.value(x) + self.extra(x)


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        (Gated, "mul"),
        (ScaledOutput, "product with scale"),
        (CurvedValues, "relu"),
        (NormalisedOutput, "layer_norm (norm)"),
        (WrittenAsItIs, ""),
        (SummedValues, "a sum"),
    ],
)
def test_values_in_a_basis_of_their_own_stay(kind: Callable[[], nn.Module], said: str) -> None:
    model = kind()
    svr = made(model)
    assert [name for name in svr.maps if "OV" in name] == []
    assert sum("QK" in name for name in svr.maps) == HEADS
    assert ("value", "out") in svr.links
    assert "query" not in svr.maps
    plain = SVR(model, torch.randn(1, 5, 6), attention="plain")
    assert svr.links["value", "out"].through == plain.links["value", "out"].through
    if said:
        (note,) = [note for note in svr.notes if "beside the attention" in note]
        assert f"'out' and 'value' ({said})" in note


class ValuesReadTwice(Varied):
    def add(self) -> None:
        self.other = linear(8, 3)

    def read(self, y: Tensor, x: Tensor) -> Tensor:
        return self.out(y).sum(-1, keepdim=True) + self.other(self.value(x))


class OutputReadsMore(Varied):
    def add(self) -> None:
        self.mlp, self.out = linear(8, 5), linear(13, 8)

    def read(self, y: Tensor, x: Tensor) -> Tensor:
        return self.out(torch.cat([y, torch.relu(self.mlp(x))], -1))


class UnusedQueries(Varied):
    def add(self) -> None:
        self.query = linear(8, 11)

    def queries(self, x: Tensor) -> Tensor:
        return self.query(x)[..., 3:]


@pytest.mark.parametrize(
    ("kind", "left"),
    [
        (ValuesReadTwice, {"inlet", "value", "other"}),
        (OutputReadsMore, {"inlet", "mlp", "out"}),
        (UnusedQueries, {"inlet", "query"}),
    ],
)
def test_a_map_with_more_to_do_stays_beside_the_products(
    kind: Callable[[], nn.Module], left: set[str]
) -> None:
    svr = made(kind())
    products = {f"attention[{kind}.{head}]" for kind in ("QK", "OV") for head in range(HEADS)}
    assert set(svr.maps) == left | products
    wanted = {("inlet", name) for name in left & {"value", "query", "mlp"}}
    wanted |= {("value", "other")} if "other" in left else set()
    wanted |= {("mlp", "out")} if "mlp" in left else set()
    assert {key for key in svr.links if "[" not in key[1]} == wanted


class TwoReaders(Varied):
    def add(self) -> None:
        self.second = linear(8, 4)

    def read(self, y: Tensor, x: Tensor) -> Tensor:
        return self.out(y)[..., :4] + self.second(y)


def test_each_map_that_reads_the_heads_makes_products_of_its_own() -> None:
    svr = made(TwoReaders())
    found = [name for name in svr.maps if "OV" in name]
    assert found == [f"attention[OV.{number}]" for number in range(2 * HEADS)]
    assert [svr.maps[name].shape[0] for name in found] == [8] * HEADS + [4] * HEADS


class Pooled(Varied):
    """One score a position, no products of queries with keys."""

    def add(self) -> None:
        self.score = linear(8, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.inlet(x)
        return self.out(self.score(x).softmax(1).transpose(1, 2) @ self.value(x))


class Contrast(nn.Module):
    """Products over channels that weigh nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.image, self.text, self.head = linear(6, 8), linear(6, 8), linear(5, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.image(x) @ self.text(x).transpose(1, 2))


@pytest.mark.parametrize("model", [Pooled(), Contrast()])
def test_what_is_no_attention_with_queries_and_keys_is_as_before(model: nn.Module) -> None:
    svr = made(model)
    plain = SVR(model, torch.randn(1, 5, 6), attention="plain")
    assert (list(svr.maps), list(svr.links)) == (list(plain.maps), list(plain.links))
    assert svr.notes == plain.notes


class Shared(nn.Module):
    """One layer of attention, run three times."""

    def __init__(self) -> None:
        super().__init__()
        self.inlet, self.layer, self.head = linear(6, 8), heads.Fused(by_head=False), linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.inlet(x)
        for _ in range(3):
            x = x + self.layer(x, x)
        return self.head(x)


def test_a_layer_that_runs_again_has_one_set_of_products() -> None:
    svr = made(Shared())
    products = [f"layer[{kind}.{head}]" for kind in ("QK", "OV") for head in range(HEADS)]
    assert list(svr.maps) == ["inlet", *products, "head"]
    values = products[HEADS:]
    backward = {key for key, link in svr.links.items() if link.backward}
    assert backward == {(first, second) for first in values for second in values}
    assert {linear.depth for linear in svr.maps.values()} == {0, 1, 2}


def test_by_hand_given_links_leave_the_matrices() -> None:
    svr = SVR(Varied(), links=[("inlet", "query"), ("inlet", "value"), ("value", "out")])
    assert set(svr.maps) == {"inlet", "query", "key", "value", "out"}


# What tracing heads leaves alone.


@pytest.mark.parametrize("name", ["gpt2", "bert", "llama", "t5"])
def test_reading_heads_only_takes_out_what_their_values_carry(name: str) -> None:
    torch.manual_seed(0)
    model, inputs = getattr(language, name)()
    parts = maps_of(model)
    plain, by_head = (trace(model, parts, inputs, heads=heads) for heads in (False, True))
    carried = {
        (output.right, output.left, int(channel), int(feature))
        for found in by_head.attentions
        for output in found.outputs
        for features, channels in output.heads
        for feature, channel in zip(features, channels, strict=True)
    }
    assert carried
    assert traced_pairs(plain) == traced_pairs(by_head) | carried
    assert traced_pairs(by_head).isdisjoint(carried)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["torch.export", "forward pass"])
@pytest.mark.parametrize("fused", [True, False])
def test_every_method_of_tracing_reads_the_same_heads(
    method: str, fused: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, image = attention.ViT(fused), torch.zeros(1, 3, 8, 8)

    def pairs(found: Any) -> list[Any]:
        return [
            (a.module, p.maps, [(q.tolist(), k.tolist()) for q, k in p.heads])
            for a in found.attentions
            for p in (a.scores, *a.outputs)
        ]

    first = trace(model, maps_of(model), image, heads=True)
    monkeypatch.setattr(trace_model, "METHODS", {method: trace_model.METHODS[method]})
    second = trace(model, maps_of(model), image, heads=True)
    assert (first.method, second.method) == ("torch dispatch", method)
    assert pairs(first) == pairs(second) != []
