"""Attention whose heads are no products of two matrices is refused by name."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - PyTorch's own name for it

from svr_widget.engine.errors import UnsupportedLayerError
from svr_widget.svr import SVR
from tests.engine.support.zoo import language
from tests.engine.support.zoo.heads import HEADS, joined, linear, split, weights
from tests.engine.support.zoo.varied import Varied, made


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


class TurnedByNoRotation(TurnedQueries):
    def keys(self, x: Tensor) -> Tensor:
        k = self.key(x)
        return k * k.new_full((8,), 0.6) + k.roll(1, -1) * 0.8


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
    (TurnedQueries, "not the outputs of 'query' and 'key', both turned pair by pair"),
    (TurnedUnlike, "not the outputs of 'query' and 'key', both turned pair by pair"),
    (TurnedByNoRotation, "not the outputs of 'query' and 'key', both turned pair by pair"),
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
