"""Which attention is read head by head, which maps stay beside its products, what is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - PyTorch's own name for it

from svr_widget.engine import SVR
from svr_widget.engine.errors import UnsupportedLayerError
from svr_widget.engine.trace import api, trace
from tests.engine.trace.oracle import traced_pairs
from tests.engine.zoo import attention, heads, language, maps_of
from tests.engine.zoo.heads import HEADS, joined, linear, split, weights


class Varied(nn.Module):
    """Attention of four heads in which a subclass does something else."""

    def __init__(self) -> None:
        super().__init__()
        self.inlet = linear(6, 8)
        self.query, self.key, self.value, self.out = (linear(8, 8) for _ in range(4))
        self.add()

    def add(self) -> None:
        """Further modules."""

    def queries(self, x: Tensor) -> Tensor:
        return self.query(x)

    def keys(self, x: Tensor) -> Tensor:
        return self.key(x)

    def values(self, x: Tensor) -> Tensor:
        return self.value(x)

    def weigh(self, q: Tensor, k: Tensor, x: Tensor) -> Tensor:
        return weights(q, k)

    def read(self, y: Tensor, x: Tensor) -> Tensor:
        return self.out(y)

    def forward(self, x: Tensor) -> Tensor:
        x = self.inlet(x)
        q, k, v = (split(part(x), HEADS) for part in (self.queries, self.keys, self.values))
        return self.read(joined(self.weigh(q, k, x) @ v), x)


def made(model: nn.Module) -> SVR:
    return SVR(model, torch.randn(1, 5, 6))


# What is refused.


class NormalisedQueries(Varied):
    def queries(self, x: Tensor) -> Tensor:
        return F.normalize(self.query(x), dim=-1)


class ScaledQueries(Varied):
    def add(self) -> None:
        self.scale = nn.Parameter(torch.linspace(1, 2, 8))

    def queries(self, x: Tensor) -> Tensor:
        return self.query(x) * self.scale


class CurvedKeys(Varied):
    def keys(self, x: Tensor) -> Tensor:
        return F.elu(self.key(x))


class TwoQueryMaps(Varied):
    def add(self) -> None:
        self.extra = linear(8, 8)

    def queries(self, x: Tensor) -> Tensor:
        return self.query(x) + self.extra(x)


class KeysPutTogether(Varied):
    def add(self) -> None:
        self.extra = linear(8, 4)

    def keys(self, x: Tensor) -> Tensor:
        return torch.cat([self.key(x)[..., :4], self.extra(x)], -1)


class TwoProducts(Varied):
    def add(self) -> None:
        self.place = linear(8, 8)

    def weigh(self, q: Tensor, k: Tensor, x: Tensor) -> Tensor:
        p = split(self.place(x), HEADS)
        return (q @ k.transpose(-2, -1) + q @ p.transpose(-2, -1)).softmax(-1)


class TurnedQueries(Varied):
    def queries(self, x: Tensor) -> Tensor:
        q = self.query(x)
        return q * q.new_full((8,), 0.6) + q.roll(1, -1) * 0.8


class TurnedUnlike(TurnedQueries):
    def keys(self, x: Tensor) -> Tensor:
        k = self.key(x)
        return k * k.new_full((8,), 0.6) + k.roll(3, -1) * 0.8


class ShiftedChannels(Varied):
    def keys(self, x: Tensor) -> Tensor:
        order = torch.stack([torch.arange(8).roll(place) for place in range(5)])
        return torch.take_along_dim(self.key(x), order.unsqueeze(0), -1)


class HeadsAsRows(Varied):
    def add(self) -> None:
        self.value = linear(8, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = self.inlet(x)
        every = weights(split(self.query(x), HEADS), split(self.key(x), HEADS))
        mixed = every.transpose(1, 2).flatten(1, 2) @ self.value(x)
        return self.out(mixed.unflatten(1, (5, HEADS)).flatten(2))


class MixedHeads(Varied):
    def weigh(self, q: Tensor, k: Tensor, x: Tensor) -> Tensor:
        scores = q @ k.transpose(-2, -1)
        return torch.cat([scores[..., :2], scores.flip(1)[..., 2:]], -1).softmax(-1)


class Strongest(Varied):
    def weigh(self, q: Tensor, k: Tensor, x: Tensor) -> Tensor:
        scores = q @ k.transpose(-2, -1)
        best, where = scores.topk(2, -1)
        return torch.zeros(1, HEADS, 5, 5).scatter(
            -1, where.new_zeros(where.shape), best.softmax(-1)
        )


class OverPositions(Varied):
    def add(self) -> None:
        self.out = linear(40, 8)

    def read(self, y: Tensor, x: Tensor) -> Tensor:
        return self.out(y.flatten(1))


class ConvolvedValues(Varied):
    def add(self) -> None:
        self.value = nn.Conv1d(8, 8, 3, padding=1, bias=False)

    def values(self, x: Tensor) -> Tensor:
        return self.value(x.transpose(1, 2)).transpose(1, 2)


class StraightOn(Varied):
    def add(self) -> None:
        self.last = linear(8, 8)

    def read(self, y: Tensor, x: Tensor) -> Tensor:
        v = split(self.out(y), HEADS)
        q, k = split(self.query(x), HEADS), split(self.key(x), HEADS)
        return self.last(joined(weights(q, k) @ v))


REFUSED = [
    (NormalisedQueries, "stands between the map 'query' and the queries it makes"),
    (ScaledQueries, "product with scale stands between the map 'query' and the queries"),
    (CurvedKeys, "elu stands between the map 'key' and the keys it makes"),
    (TwoQueryMaps, r"its queries come from more than one use of a map \('extra', 'query'\)"),
    (KeysPutTogether, r"its keys come from more than one use of a map \('extra', 'key'\)"),
    (TwoProducts, "its weights add up 2 products of maps"),
    (TurnedQueries, "positions turn the outputs of 'query' and 'key' unlike"),
    (TurnedUnlike, "positions turn the outputs of 'query' and 'key' unlike"),
    (ShiftedChannels, "its keys hold other channels of 'key' at other positions"),
    (HeadsAsRows, "its heads could not be told apart in what it puts out"),
    (MixedHeads, "how its weights come from the products of 'key', 'query' cannot be followed"),
    (Strongest, "how its weights come from the products of 'key', 'query' cannot be followed"),
    (OverPositions, "'out' reads what it puts out at several positions together"),
    (ConvolvedValues, r"'attention\[OV.0\]' would be a product with LinearMap\('value', convol"),
    (StraightOn, "'out' reads the heads of one attention and makes those of another"),
]


@pytest.mark.parametrize(("kind", "words"), REFUSED)
def test_what_is_no_product_of_two_matrices_is_refused(
    kind: Callable[[], nn.Module], words: str
) -> None:
    model = kind()
    with pytest.raises(UnsupportedLayerError, match=words) as error:
        made(model)
    assert "attention='plain'" in str(error.value)
    plain = SVR(model, torch.randn(1, 5, 6), attention="plain")
    assert {"query", "key", "value", "out"} <= set(plain.maps)


def test_a_refusal_names_the_module() -> None:
    model, inputs = language.qwen3()
    words = r"'model\.layers\.0\.self_attn' \(Qwen3Attention\): Qwen3RMSNorm .*q_norm\) stands"
    with pytest.raises(UnsupportedLayerError, match=words):
        SVR(model, inputs)


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
        (Gated, "mul stands between them"),
        (ScaledOutput, "product with scale stands between them"),
        (CurvedValues, "relu stands between them"),
        (NormalisedOutput, r"layer_norm \(norm\) stands between them"),
        (WrittenAsItIs, ""),
        (SummedValues, "a sum stands between them"),
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
        (note,) = [note for note in svr.notes if "no product of 'out' and 'value'" in note]
        assert said.replace("\\", "") in note


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
    monkeypatch.setattr(api, "METHODS", {method: api.METHODS[method]})
    second = trace(model, maps_of(model), image, heads=True)
    assert (first.method, second.method) == ("torch dispatch", method)
    assert pairs(first) == pairs(second) != []
