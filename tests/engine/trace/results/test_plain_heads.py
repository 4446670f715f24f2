"""Attention whose heads are no products of two matrices is shown plain where it stands."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import transformers
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - PyTorch's own name for it

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


PLAIN = [
    (NormalisedQueries, "stands between the map 'query' and the queries it makes"),
    (ScaledQueries, "product with scale stands between the map 'query' and the queries"),
    (CurvedKeys, "elu stands between the map 'key' and the keys it makes"),
    (TwoQueryMaps, "its queries come from more than one use of a map ('extra', 'query')"),
    (KeysPutTogether, "its keys come from more than one use of a map ('extra', 'key')"),
    (TwoProducts, "its weights add up 2 products of maps"),
    (TurnedQueries, "not the outputs of 'query' and 'key', both turned pair by pair"),
    (TurnedUnlike, "not the outputs of 'query' and 'key', both turned pair by pair"),
    (TurnedByNoRotation, "not the outputs of 'query' and 'key', both turned pair by pair"),
    (ShiftedChannels, "its keys hold other channels of 'key' at other positions"),
    (HeadsAsRows, "its heads could not be told apart in what it puts out"),
    (MixedHeads, "how its weights come from the products of 'key', 'query' cannot be followed"),
    (Strongest, "how its weights come from the products of 'key', 'query' cannot be followed"),
    (ConvolvedValues, "'value' has a kernel or groups"),
    (StraightOn, "'out' reads heads and makes others"),
]


@pytest.mark.parametrize(("kind", "words"), PLAIN)
def test_what_is_no_product_of_two_matrices_is_shown_plain(
    kind: Callable[[], nn.Module], words: str
) -> None:
    model = kind()
    fallen, plain = made(model), SVR(model, torch.randn(1, 5, 6), attention="plain")
    assert {"query", "key", "value", "out"} <= set(fallen.maps) == set(plain.maps)
    assert links_of(fallen) == links_of(plain)
    (note,) = set(fallen.notes) - set(plain.notes)
    assert "shown plain" in note
    assert words in note
    assert note.count(words) == 1


def test_values_that_meet_over_positions_are_shown_plain_beside_the_scores() -> None:
    model = OverPositions()
    svr, plain = made(model), SVR(model, torch.randn(1, 5, 6), attention="plain")
    assert sum("QK" in name for name in svr.maps) == HEADS
    assert svr.links["value", "out"].through == plain.links["value", "out"].through
    (note,) = [note for note in svr.notes if "beside the attention" in note]
    assert "'out' and 'value' (a move of positions)" in note


def test_only_the_attention_that_needs_it_is_shown_plain() -> None:
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.middle, self.second = NormalisedQueries(), linear(8, 6), Varied()

        def forward(self, x: Tensor) -> Tensor:
            return self.second(self.middle(self.first(x)))

    svr = SVR(Two(), torch.randn(1, 5, 6))
    assert {"first.query", "first.value", "first.out"} <= set(svr.maps)
    assert sum(name.startswith("second[") for name in svr.maps) == 2 * HEADS
    assert "second.query" not in svr.maps


@pytest.mark.parametrize("build", [language.deepseek, language.swin2])
def test_library_models_have_the_links_of_plain_ones(
    build: Callable[[], language.Example],
) -> None:
    model, inputs = build()
    svr, plain = SVR(model, inputs), SVR(model, inputs, attention="plain")
    assert links_of(svr) == links_of(plain)
    assert sum("shown plain" in note for note in svr.notes) == 1


def test_the_note_counts_and_names_two() -> None:
    config = {**language.GROUPED, "num_hidden_layers": 4}
    model = transformers.Qwen3ForCausalLM(transformers.Qwen3Config(**config, head_dim=4))
    (note,) = [note for note in SVR(model).notes if "plain" in note]
    assert note.startswith("4 attentions are shown plain")
    assert "'model.layers.0.self_attn' (Qwen3Attention): Qwen3RMSNorm" in note
    assert "'model.layers.1.self_attn'" in note
    assert note.endswith("and 2 more")


def links_of(svr: SVR) -> list[tuple[object, ...]]:
    """Every link with its channels and what stands on it."""
    return sorted(
        (
            link.producer,
            link.consumer,
            link.producer_channels.tolist(),
            link.consumer_channels.tolist(),
            link.through,
        )
        for link in svr.links.values()
    )
