"""What links, layouts and notes say about particular networks."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - PyTorch's own name for it

from svr_widget.engine.errors import NoMapsError, TraceError
from svr_widget.engine.maps.bundles import depths
from svr_widget.engine.maps.links import Link
from svr_widget.engine.trace import Trace, trace
from svr_widget.svr import SVR
from tests.engine.support.zoo import attention, chains, convolutional, maps_of


def traced(model: nn.Module, inputs: Any = None) -> Trace:
    return trace(model, maps_of(model), inputs)


def links_between(found: Trace, producer: str, consumer: str) -> list[Link]:
    return [k for k in found.links if (k.producer, k.consumer) == (producer, consumer)]


def only_link(found: Trace, producer: str, consumer: str) -> Link:
    (link,) = links_between(found, producer, consumer)
    return link


def test_flattening_channels_first_and_last() -> None:
    first = traced(chains.LeNet(), torch.zeros(1, 1, 20, 20)).input_layouts["fc1"]
    last = traced(chains.LeNet(channels_last=True), torch.zeros(1, 1, 20, 20)).input_layouts["fc1"]
    assert first.kernel == last.kernel == (3, 3)
    assert torch.equal(first.index, torch.arange(54).view(6, 9))
    assert torch.equal(last.index, torch.arange(54).view(9, 6).T)


def test_flattening_a_batch_is_the_same() -> None:
    layout = traced(chains.LeNet(channels_last=True), torch.zeros(3, 1, 20, 20)).input_layouts[
        "fc1"
    ]
    assert torch.equal(layout.index, torch.arange(54).view(9, 6).T)
    assert layout.kernel == (3, 3)


def test_kernels_that_are_not_square() -> None:
    found = traced(chains.vgg(), torch.zeros(1, 3, 16, 16))
    assert found.input_layouts["16"].kernel == (2, 3)


def test_pooled_to_one_position_is_plain() -> None:
    found = traced(convolutional.resnet(), torch.zeros(1, 3, 16, 16))
    assert found.input_layouts == {}


def test_unflattened_outputs() -> None:
    layout = traced(chains.Autoencoder(), torch.zeros(1, 1, 6, 6)).output_layouts["decoder.0"]
    assert layout.kernel == (2, 3)
    assert torch.equal(layout.index, torch.arange(30).view(5, 6))
    layout = traced(chains.Generator(), torch.zeros(1, 4)).output_layouts["fc"]
    assert layout.kernel == (3, 3)
    assert torch.equal(layout.index, torch.arange(45).view(9, 5).T)


def test_two_extents_in_one_input() -> None:
    found = traced(chains.ImageAndVector(), (torch.zeros(1, 1, 4, 4), torch.zeros(1, 3)))
    assert found.input_layouts == {}
    conv, vector = only_link(found, "conv", "head"), only_link(found, "vector", "head")
    assert torch.equal(conv.consumer_channels, torch.arange(16).view(4, 4))
    assert torch.equal(conv.producer_channels, torch.arange(4))
    assert torch.equal(vector.consumer_channels, torch.arange(16, 21))


def test_patches_merged_into_channels_are_a_kernel() -> None:
    layout = traced(convolutional.PatchMerging(), torch.zeros(1, 1, 8, 8)).input_layouts["merge"]
    assert layout.kernel == (2, 2)
    assert torch.equal(layout.index.sort(dim=1).values, torch.arange(12).view(4, 3).T)


def test_through() -> None:
    found = traced(chains.vgg(), torch.zeros(1, 3, 16, 16))
    assert only_link(found, "3", "7").through == ("batch_norm (4)", "relu", "max_pool2d")
    found = traced(convolutional.MobileNet(version=3), torch.zeros(1, 3, 8, 8))
    assert only_link(found, "gate.expand", "project.0").through == ("hardsigmoid", "mul")
    assert only_link(found, "depthwise.0", "project.0").through[-1] == "mul"
    assert "mul" not in only_link(found, "depthwise.0", "gate.reduce").through


def test_attention_passes_the_value_path_only() -> None:
    for fused in (True, False):
        found = traced(attention.ViT(fused), torch.zeros(1, 3, 8, 8))
        link = only_link(found, "blocks.0.attention.qkv", "blocks.0.attention.out")
        assert torch.equal(link.producer_channels, torch.arange(16, 24))
        assert link.through == ("attention",)


def test_paths_with_different_channels_are_separate_links() -> None:
    found = traced(attention.GatedMLP(), torch.zeros(1, 4))
    links = links_between(found, "halves", "out")
    starts = {int(link.producer_channels[0]): link.through for link in links}
    assert starts == {0: ("mul",), 5: ("sigmoid", "mul")}


def test_paths_with_the_same_channels_merge() -> None:
    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Linear(3, 4), nn.Linear(4, 2)

        def forward(self, x: Tensor) -> Tensor:
            x = self.a(x)
            return self.b(x * torch.sigmoid(x) + torch.tanh(x))

    assert only_link(traced(Model()), "a", "b").through == ("sigmoid", "tanh")


def test_backward_links_and_depth() -> None:
    found = traced(chains.Reused(), torch.zeros(1, 4))
    backward = {(link.producer, link.consumer): link.backward for link in found.links}
    assert backward == {
        ("inlet", "shared"): False,
        ("shared", "shared"): True,
        ("shared", "between"): False,
        ("between", "shared"): True,
        ("shared", "outlet"): False,
    }
    assert found.order == ("inlet", "shared", "between", "outlet")
    assert depths(found.links, found.order) == {"inlet": 0, "shared": 1, "between": 2, "outlet": 2}


def test_a_second_use_that_closes_no_cycle_is_not_backward() -> None:
    class Twins(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Linear(3, 4), nn.Linear(3, 4)
            self.shared, self.after = nn.Linear(4, 4), nn.Linear(4, 2)

        def forward(self, x: Tensor) -> Tensor:
            first = self.shared(self.a(x))
            return self.after(first * self.shared(self.b(x)))

    found = traced(Twins())
    assert not any(link.backward for link in found.links)
    assert depths(found.links, found.order) == {"a": 0, "shared": 1, "b": 0, "after": 2}


def test_statistics_of_hand_written_norms_are_steps() -> None:
    class Scaled(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6)

    model = nn.Sequential(nn.Linear(3, 4), Scaled(), nn.Linear(4, 2))
    assert only_link(traced(model), "0", "2").through == ("Scaled (1)",)


def test_in_place_writes_to_parts() -> None:
    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Linear(3, 4), nn.Linear(4, 2)

        def forward(self, x: Tensor) -> Tensor:
            y = self.a(x)
            y[:, :2] = torch.relu(y[:, 2:])
            return self.b(y)

    found = traced(Model())
    pairs = {
        (int(p), int(c), link.through)
        for link in found.links
        for p, c in zip(link.producer_channels, link.consumer_channels, strict=True)
    }
    assert {pair[:2] for pair in pairs} == {(2, 0), (3, 1), (2, 2), (3, 3)}


def test_positions_read_as_channels_are_no_link_but_a_note() -> None:
    class Efficient(nn.Module):
        """A convolution along the channels makes their gates."""

        def __init__(self) -> None:
            super().__init__()
            self.a, self.gate = nn.Conv2d(1, 6, 1), nn.Conv1d(1, 1, 3, padding=1)
            self.b = nn.Conv2d(6, 2, 1)

        def forward(self, x: Tensor) -> Tensor:
            x = self.a(x)
            gate = torch.sigmoid(self.gate(x.mean((2, 3)).unsqueeze(1)))
            return self.b(x * gate.transpose(1, 2).unsqueeze(-1))

    found = traced(Efficient(), torch.zeros(1, 1, 4, 4))
    assert [(link.producer, link.consumer) for link in found.links] == [("a", "b")]
    for pair in ("a -> gate", "gate -> b"):
        assert any(pair in note for note in found.notes)


def test_indices_known_and_unknown() -> None:
    class Chosen(nn.Module):
        """The last token's features, and those of the token with the largest score."""

        def __init__(self) -> None:
            super().__init__()
            self.a, self.score = nn.Embedding(9, 4), nn.Linear(4, 1)
            self.b, self.c = nn.Linear(4, 2), nn.Linear(4, 2)
            self.register_buffer("order", torch.tensor([2, 0, 3, 1]))

        def forward(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
            x = self.a(tokens)
            rows = torch.arange(len(tokens))
            best = self.score(x).squeeze(-1).argmax(1)
            return self.b(x[rows, tokens.argmax(1)][:, self.order]), self.c(x[rows, best])

    found = traced(Chosen(), torch.tensor([[1, 5, 2]]))
    assert only_link(found, "a", "b").producer_channels.tolist() == [2, 0, 3, 1]
    assert only_link(found, "a", "c").producer_channels.tolist() == [0, 1, 2, 3]
    assert links_between(found, "score", "c") == []
    assert any("score -> c" in note for note in found.notes)


@pytest.mark.parametrize("mode", ["sum", "mean", "max"])
def test_bags_of_tokens(mode: str) -> None:
    model = nn.Sequential(nn.EmbeddingBag(9, 4, mode=mode), nn.ReLU(), nn.Linear(4, 2))
    link = only_link(traced(model), "0", "2")
    assert link.producer_channels.tolist() == [0, 1, 2, 3]
    assert link.through == ("relu",)


def test_graph_messages() -> None:
    class Messages(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Linear(3, 4), nn.Linear(4, 2)

        def forward(self, nodes: Tensor, edges: Tensor) -> Tensor:
            x = self.a(nodes)
            return self.b(torch.zeros_like(x).index_add(0, edges[1], x[edges[0]]))

    found = traced(Messages(), (torch.zeros(3, 3), torch.tensor([[0, 1], [1, 2]])))
    assert only_link(found, "a", "b").producer_channels.tolist() == [0, 1, 2, 3]


class Lost(nn.Module):
    """One linear map, something that mixes channels, another linear map."""

    def __init__(self, mix: nn.Module) -> None:
        super().__init__()
        self.a, self.mix, self.b = nn.Linear(4, 4), mix, nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.b(self.mix(self.a(x)))


class Matrix(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.eye(4))

    def forward(self, x: Tensor) -> Tensor:
        return x @ self.table


class Mean(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.mean(-1, keepdim=True).expand_as(x)


class Cosine(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return F.cosine_similarity(x, x.flip(1), dim=-1).unsqueeze(-1).expand_as(x)


@pytest.mark.parametrize(
    ("mix", "words"),
    [(Matrix(), "mix.table"), (Mean(), "mean"), (Cosine(), "mix")],
)
def test_what_mixes_channels_is_no_link_but_a_note(mix: nn.Module, words: str) -> None:
    found = traced(Lost(mix), torch.zeros(1, 3, 4))
    assert links_between(found, "a", "b") == []
    (note,) = [note for note in found.notes if "a -> b" in note]
    assert words in note


def test_a_map_used_the_other_way_round_is_another_map() -> None:
    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Linear(4, 4), nn.Linear(4, 2)

        def forward(self, x: Tensor) -> Tensor:
            return self.b(F.linear(torch.relu(self.a(x)), self.a.weight.T))

    found = traced(Tied())
    pairs = [(link.producer, link.consumer) for link in found.links]
    assert pairs == [("a", "a.weight[T]"), ("a.weight[T]", "b")]
    assert not any("a -> b" in note for note in found.notes)


def test_tied_weights_are_told_apart_by_their_modules() -> None:
    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed, self.mid, self.head = nn.Embedding(7, 4), nn.Linear(4, 4), nn.Linear(4, 7)
            self.head.weight = self.embed.weight

        def forward(self, tokens: Tensor) -> Tensor:
            return self.head(self.mid(self.embed(tokens)))

    found = traced(Tied())
    assert [(link.producer, link.consumer) for link in found.links] == [
        ("embed", "mid"),
        ("mid", "head"),
    ]


def test_parametrised_weights() -> None:
    model = nn.Sequential(
        nn.utils.parametrizations.weight_norm(nn.Linear(3, 4)),
        nn.utils.parametrizations.spectral_norm(nn.Linear(4, 4)),
        nn.utils.parametrizations.orthogonal(nn.Linear(4, 4)),
    )
    found = traced(model)
    assert [(link.producer, link.consumer) for link in found.links] == [("0", "1"), ("1", "2")]


def test_excluded_maps_break_the_chain_and_are_named() -> None:
    model = chains.perceptron()
    modules = {name: module for name, module in maps_of(model).items() if name != "3"}
    found = trace(model, modules)
    assert found.links == ()
    assert any("0 -> 5" in note and "3.weight" in note for note in found.notes)


def test_unused_maps_are_named() -> None:
    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.spare = nn.Linear(3, 4), nn.Linear(4, 2)

        def forward(self, x: Tensor) -> Tensor:
            return self.a(x)

    found = traced(Model())
    assert found.order == ("a",)
    assert any("'spare' is not used" in note for note in found.notes)


def test_unknown_operators_are_refused_by_name() -> None:
    class Inverse(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.linalg.inv(x)

    with pytest.raises(TraceError, match=r"linalg.*module 'mix' \(Inverse\).*links="):
        traced(Lost(Inverse()), torch.eye(4).unsqueeze(0))


def test_shared_part_of_a_weight_is_refused() -> None:
    class Part(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Linear(3, 4), nn.Linear(4, 2)

        def forward(self, x: Tensor) -> Tensor:
            return F.linear(self.a(x)[:, :3], self.b.weight[:, :3])

    with pytest.raises(TraceError, match="weight of map 'b'"):
        traced(Part())


def test_nothing_to_trace() -> None:
    with pytest.raises(NoMapsError):
        trace(nn.ReLU(), {})


def test_a_decoder_that_is_the_encoder_transposed_is_a_map() -> None:
    class Tied(nn.Module):
        """An autoencoder whose decoder is the encoder's weight, transposed."""

        def __init__(self) -> None:
            super().__init__()
            self.encode = nn.Linear(12, 6)

        def forward(self, x: Tensor) -> Tensor:
            return F.linear(torch.relu(self.encode(x)), self.encode.weight.T)

    (link,) = traced(Tied(), torch.zeros(2, 12)).links
    assert (link.producer, link.consumer) == ("encode", "encode.weight[T]")


def test_reasons_are_told_once_with_how_many_pairs_they_concern() -> None:
    class TokenMixing(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.tokens = nn.ModuleList(nn.Linear(4, 4) for _ in range(6))
            self.channels = nn.ModuleList(nn.Linear(5, 5) for _ in range(6))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            for tokens, channels in zip(self.tokens, self.channels, strict=True):
                x = channels(tokens(x.transpose(1, 2)).transpose(1, 2))
            return x

    notes = [note for note in SVR(TokenMixing(), torch.randn(1, 4, 5)).notes if "no link" in note]
    (note,) = notes
    assert note.endswith("positions are read in the place of channels keeps no channel identity")
    assert "and 7 more" in note
