"""Traced links against perturbed networks: every channel of every map, none more, none less."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from svr_widget.engine.trace import Trace, trace, trace_model
from tests.engine.support.oracle import Pair, oracle, traced_pairs
from tests.engine.support.zoo import attention, chains, convolutional, language, maps_of, moving
from tests.engine.support.zoo.random_networks import RandomNetwork


def images(*shape: int) -> Tensor:
    return torch.randn(1, *shape, generator=torch.Generator().manual_seed(1))


def vectors(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(1))


MODELS: dict[str, tuple[Callable[[], nn.Module], tuple[Tensor, ...]]] = {
    "perceptron": (chains.perceptron, (images(6),)),
    "LeNet": (chains.LeNet, (images(1, 20, 20),)),
    "LeNet, channels last": (lambda: chains.LeNet(channels_last=True), (images(1, 20, 20),)),
    "VGG": (chains.vgg, (images(3, 16, 16),)),
    "VGG without adaptive pool": (lambda: chains.vgg(adaptive=False), (images(3, 16, 16),)),
    "autoencoder": (chains.Autoencoder, (images(1, 6, 6),)),
    "generator": (chains.Generator, (images(4),)),
    "module used again": (chains.Reused, (images(4),)),
    "recurrent": (chains.Recurrent, (images(3, 3),)),
    "image and vector": (chains.ImageAndVector, (images(1, 4, 4), images(3))),
    "ResNet": (convolutional.resnet, (images(3, 16, 16),)),
    "ResNet, bottleneck": (lambda: convolutional.resnet(bottleneck=True), (images(3, 16, 16),)),
    "padded shortcut": (convolutional.PaddedShortcut, (images(2, 6, 6),)),
    "DenseNet": (convolutional.DenseNet, (images(3, 8, 8),)),
    "Inception": (convolutional.Inception, (images(3, 8, 8),)),
    "MobileNet v2": (convolutional.MobileNet, (images(3, 8, 8),)),
    "MobileNet v3": (lambda: convolutional.MobileNet(version=3), (images(3, 8, 8),)),
    "ShuffleNet": (convolutional.ShuffleNet, (images(3, 8, 8),)),
    "U-Net": (convolutional.UNet, (images(1, 8, 8),)),
    "ConvNeXt": (convolutional.ConvNeXt, (images(3, 16, 16),)),
    "patch merging": (convolutional.PatchMerging, (images(1, 8, 8),)),
    "pixel shuffle": (convolutional.PixelShuffle, (images(1, 4, 4),)),
    "ViT": (attention.ViT, (images(3, 8, 8),)),
    "ViT, explicit softmax": (lambda: attention.ViT(fused=False), (images(3, 8, 8),)),
    "gated perceptrons": (attention.GatedMLP, (images(4),)),
    "spatial gate": (attention.SpatialGate, (images(1, 4, 4),)),
    "mixer": (attention.Mixer, (images(1, 4, 4),)),
}
MOVING: dict[str, tuple[Callable[[], nn.Module], tuple[Tensor, ...]]] = {
    "filled by parts": (moving.FilledByParts, (vectors(5, 3),)),
    "filled whole": (moving.FilledWhole, (vectors(5, 3),)),
    "views of views": (moving.ViewsOfViews, (vectors(5, 3),)),
    "out=": (moving.OutOfPlace, (vectors(5, 3),)),
    "buffer": (moving.Buffered, (vectors(1, 5, 3),)),
    "ReLU on a view": (moving.ReluOnAView, (vectors(5, 3),)),
    "channels in place": (moving.ChannelsInPlace, (vectors(1, 1, 5, 5),)),
    "by way of data": (moving.ClippedAsItRuns, (vectors(5, 3),)),
    "frozen": (partial(moving.Frozen, True), (vectors(2, 3, 5),)),
    "frozen, without biases": (partial(moving.Frozen, False), (vectors(2, 3, 5),)),
    **{
        f"one by one, {way}": (partial(moving.OneByOne, way), (vectors(5, 3),))
        for way in ("split", "stacked", "joined")
    },
    "states in a tensor": (moving.OneAfterTheOther, (vectors(2, 3, 3),)),
    "permuted channels": (moving.PermutedChannels, (vectors(5, 3),)),
    **{
        f"halves of tokens by {way}": (partial(moving.HalvesOfTokens, way), (vectors(6, 3),))
        for way in ("mask", "index_add", "scatter", "accumulate")
    },
    **{
        f"chosen tokens by {way}": (partial(moving.ChosenTokens, way), (vectors(6, 3),))
        for way in ("index_put", "index_add", "scatter", "gather", "fill")
    },
    **{
        f"pasted by {way}": (
            partial(moving.Pasted, way),
            (torch.tensor([[1, 7, 3, 7]]), vectors(2, 3)),
        )
        for way in ("mask", "masked_scatter")
    },
    **{
        f"queries, {way}, batch of {n}": (partial(moving.Queries, way), (vectors(n, 5, 3),))
        for way in ("whole", "plain", "expanded", "normed", "added", "written")
        for n in (1, 2)
    },
}
LANGUAGE = {
    "GPT-2": language.gpt2,
    "BERT": language.bert,
    "Llama": language.llama,
    "Qwen 3": language.qwen3,
    "DeepSeek V3": language.deepseek,
    "T5": language.t5,
    "ViT (transformers)": language.vit,
}


def explained(missing: set[Pair], found: Trace) -> bool:
    """Whether every dependency without a link is named in the notes."""
    pairs = {f"{producer} -> {consumer}" for producer, consumer, _, _ in missing}
    notes = " ".join(found.notes)
    return all(pair in notes for pair in pairs)


@pytest.mark.parametrize("name", MODELS)
def test_networks(name: str) -> None:
    torch.manual_seed(0)
    build, inputs = MODELS[name]
    model = build()
    found = trace(model, maps_of(model), inputs)
    wanted, got = oracle(model, maps_of(model), inputs), traced_pairs(found)
    assert wanted
    assert got <= wanted
    if name == "mixer":  # its token mixing reads positions: no channels, and the notes say so
        assert wanted - got
        assert explained(wanted - got, found)
    else:
        assert got == wanted


@pytest.mark.parametrize("name", MOVING)
def test_what_is_written_or_moved(name: str) -> None:
    torch.manual_seed(0)
    build, inputs = MOVING[name]
    model = build()
    found = trace(model, maps_of(model), inputs)
    assert found.method == "torch dispatch"
    wanted, got = oracle(model, maps_of(model), inputs), traced_pairs(found)
    assert wanted
    assert got <= wanted
    lost = wanted - got
    assert {pair[0] for pair in lost} <= {"router"}  # which chooses positions
    assert explained(lost, found)


def test_what_mixes_channels_that_were_joined_one_by_one_is_no_link() -> None:
    class Mixed(moving.Branches):
        def forward(self, x: Tensor) -> Tensor:
            joined = torch.cat(self.a(x).split([1, 3], -1)[::-1], -1)
            return self.o(joined @ torch.ones(4, 4))

    model = Mixed()
    found = trace(
        model, {n: p for n, p in maps_of(model).items() if n in ("a", "o")}, vectors(5, 3)
    )
    assert not found.links
    assert "no link a -> o: mm over channels keeps no channel identity" in found.notes


def test_channels_that_are_written_apart_stay_one_link() -> None:
    model = moving.ChannelsInPlace()
    (link,) = trace(model, maps_of(model), (vectors(1, 1, 5, 5),)).links
    assert link.shared == 4


@pytest.mark.parametrize("read", [Tensor.tolist, Tensor.numpy])
def test_numbers_that_are_read_are_those_of_the_input(read: Callable[[Tensor], Any]) -> None:
    class Read(moving.Branches):
        def forward(self, x: Tensor) -> Tensor:
            out = torch.zeros(len(x), 4)
            out.copy_(self.a(x))
            assert any(read(out)[0])
            return self.o(out)

    model = Read()
    found = trace(model, maps_of(model), (vectors(5, 3),))
    assert found.method == "forward pass"
    assert [(link.producer, link.consumer) for link in found.links] == [("a", "o")]


@pytest.mark.parametrize("seed", range(40))
def test_random_networks(seed: int) -> None:
    torch.manual_seed(seed)
    model, inputs = RandomNetwork(seed), (images(2, 4, 4),)
    model(*inputs)
    found = trace(model, maps_of(model), inputs)
    wanted, got = oracle(model, maps_of(model), inputs), traced_pairs(found)
    assert got <= wanted
    assert explained(wanted - got, found)


@pytest.mark.slow
@pytest.mark.parametrize("name", LANGUAGE)
def test_transformers(name: str) -> None:
    torch.manual_seed(0)
    model, inputs = LANGUAGE[name]()
    found = trace(model, maps_of(model), inputs)
    assert traced_pairs(found) == oracle(model, maps_of(model), (), inputs)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["torch.export", "forward pass"])
@pytest.mark.parametrize(
    "name", ["LeNet, channels last", "ShuffleNet", "ViT", "autoencoder", "Llama"]
)
def test_every_method_finds_the_same(
    method: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(0)
    inputs: Any
    if name in MODELS:
        build, inputs = MODELS[name]
        model = build()
    else:
        model, inputs = LANGUAGE[name]()
    first = trace(model, maps_of(model), inputs)
    assert first.method == "torch dispatch"
    monkeypatch.setattr(trace_model, "METHODS", {method: trace_model.METHODS[method]})
    second = trace(model, maps_of(model), inputs)
    assert second.method == method
    assert second.order == first.order
    assert traced_pairs(second) == traced_pairs(first)
    assert sorted((link.producer, link.consumer, link.backward) for link in second.links) == sorted(
        (link.producer, link.consumer, link.backward) for link in first.links
    )
    for mine, theirs in (
        (first.input_layouts, second.input_layouts),
        (first.output_layouts, second.output_layouts),
    ):
        assert {k: v.kernel for k, v in mine.items()} == {k: v.kernel for k, v in theirs.items()}
        assert all(torch.equal(v.index, theirs[k].index) for k, v in mine.items())


def test_oracle_tells_the_orders_of_flattening_apart() -> None:
    first, last = chains.LeNet(), chains.LeNet(channels_last=True)
    inputs = (images(1, 20, 20),)
    assert oracle(first, maps_of(first), inputs) != oracle(last, maps_of(last), inputs)
