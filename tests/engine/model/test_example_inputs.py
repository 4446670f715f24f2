"""Example inputs, models that resist, and models that come back as they were."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from svr_widget.engine.errors import TraceError
from svr_widget.engine.trace import trace
from tests.engine.support.zoo import chains, convolutional, language, maps_of


class Sized(nn.Module):
    """A network that takes one size of image only."""

    def __init__(self, positions: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 3, 3)
        self.head = nn.Linear(3 * positions**2, 4)

    def forward(self, image: Tensor) -> Tensor:
        return self.head(torch.max_pool2d(self.conv(image), 4).flatten(1))


class Strict(nn.Module):
    """Accepts three dimensions only."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(3, 4), nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        n, t, _ = x.shape
        return self.b(self.a(x)).view(n, t, 2)


class Choosing(nn.Module):
    """Its course depends on values."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(3, 4), nn.Linear(4, 2)
        self.register_buffer("calls", torch.zeros(()))
        self.seen: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        y = self.a(x)
        self.seen = y
        return self.b(y if y.sum() > -1e9 else -y)


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (chains.perceptron(), "1x6"),
        (convolutional.resnet(), "1x3x28x28"),
        (Sized(7), "1x2x32x32"),
        (Sized(5), "1x2x2"),
        (Strict(), "1x8x3"),
        (nn.Sequential(nn.Embedding(9, 3), nn.Linear(3, 2)), "1x8"),
        (nn.Sequential(nn.Conv1d(2, 3, 3), nn.ReLU(), nn.Conv1d(3, 2, 3)), "1x2x28"),
    ],
)
def test_an_example_is_found_and_said(model: nn.Module, words: str) -> None:
    found = trace(model, maps_of(model))
    assert len(found.links) > 0
    assert "tried from the first map" in found.notes[0]
    assert words in found.notes[0]


def test_the_models_own_example_is_taken() -> None:
    model, _ = language.bert()
    found = trace(model, maps_of(model))
    assert found.notes[0] == "example input: the model's own dummy_inputs"


def test_examples_may_be_tensors_tuples_or_mappings() -> None:
    model = chains.ImageAndVector()
    image, vector = torch.zeros(1, 1, 4, 4), torch.zeros(1, 3)
    by_position = trace(model, maps_of(model), (image, vector))
    by_name = trace(model, maps_of(model), {"vector": vector, "image": image})
    assert len(by_position.links) == len(by_name.links) == 3
    model = chains.perceptron()
    assert len(trace(model, maps_of(model), torch.zeros(2, 6)).links) == 2


def test_a_network_that_does_not_run_says_why() -> None:
    model = chains.perceptron()
    with pytest.raises(TraceError, match=r"Sequential could not be traced.*example_inputs"):
        trace(model, maps_of(model), torch.zeros(1, 5))


def test_maps_of_another_model_are_refused() -> None:
    with pytest.raises(TraceError, match="parts of this model"):
        trace(chains.perceptron(), maps_of(chains.perceptron()))


def test_a_course_that_depends_on_values_is_followed_and_said() -> None:
    model = Choosing()
    found = trace(model, maps_of(model), torch.ones(1, 3))
    assert found.method == "forward pass"
    assert [(link.producer, link.consumer) for link in found.links] == [("a", "b")]
    assert any("'Choosing' reads the values" in note for note in found.notes)


@pytest.mark.parametrize(
    ("model", "inputs"),
    [
        (convolutional.MobileNet(version=3), torch.zeros(2, 3, 8, 8)),
        (Choosing(), torch.ones(1, 3)),
        (convolutional.ShuffleNet(), None),
    ],
)
def test_the_model_comes_back_untouched(model: nn.Module, inputs: Tensor | None) -> None:
    model.train()
    for module in list(model.modules())[1::3]:
        module.eval()
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    model.register_forward_hook(lambda *_: None)
    before = copy.deepcopy(model)
    attributes = {name: set(vars(module)) for name, module in model.named_modules()}
    seed = torch.random.get_rng_state()
    trace(model, maps_of(model), inputs)
    assert torch.equal(torch.random.get_rng_state(), seed)
    theirs = dict(before.named_modules())
    for name, module in model.named_modules():
        assert module.training == theirs[name].training
        assert set(vars(module)) == attributes[name]
        assert len(module._forward_hooks) == len(theirs[name]._forward_hooks)
        assert not module._forward_pre_hooks
    for mine, other in zip(model.state_dict().values(), before.state_dict().values(), strict=True):
        assert torch.equal(mine, other)
    for mine, other in zip(model.parameters(), before.parameters(), strict=True):
        assert type(mine) is nn.Parameter
        assert mine.requires_grad == other.requires_grad
        assert mine.grad is not None
        assert torch.equal(mine.grad, torch.ones_like(mine))
    assert getattr(model, "seen", None) is None
    assert (
        model(torch.randn(2, 3) if inputs is not None and inputs.dim() == 2 else _batch())
        is not None
    )


def test_an_embedding_that_bounds_its_rows_keeps_them() -> None:
    model = nn.Sequential(nn.Embedding(9, 3, max_norm=0.1), nn.Linear(3, 2))
    before = model[0].weight.detach().clone()
    assert len(trace(model, maps_of(model)).links) == 1
    assert torch.equal(model[0].weight, before)


def _batch() -> Tensor:
    return torch.randn(2, 3, 8, 8)
