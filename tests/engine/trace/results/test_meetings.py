"""Which parameters channels meet, against planted layouts, and what holds channels back."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812 - PyTorch's own name for it

from svr_widget.engine.trace import trace
from tests.engine.support.zoo import maps_of
from tests.engine.support.zoo.convolutional import ConvNeXt, DenseNet, UNet


class Net(nn.Module):
    """Two maps whose channels a function of the caller's unites."""

    def __init__(self, between, left=4, right=4, **modules):
        super().__init__()
        self.left, self.right = nn.Conv2d(3, left, 1), nn.Conv2d(3, right, 1)
        self.between = between
        for name, module in modules.items():
            setattr(self, name, module)

    def forward(self, x):
        return self.between(self, self.left(x), self.right(x))


def meetings(model, shape=(1, 3, 5, 5)):
    return trace(model, maps_of(model), torch.randn(shape), meetings=True).meetings


def met(model, shape=(1, 3, 5, 5)):
    """``(producer, tensor, dim) -> pairs``, of parameters and buffers alone."""
    return {
        (m.producer, m.tensor, m.dim): [tuple(pair) for pair in m.pairs.tolist()]
        for m in meetings(model, shape).met
    }


def held(model, shape=(1, 3, 5, 5)):
    found = {}
    for hold in meetings(model, shape).holds:
        found[hold.producer] = "; ".join([*filter(None, [found.get(hold.producer)]), hold.why])
    return found


def straight(count, offset=0):
    return [(k, k + offset) for k in range(count)]


NORM = ("weight", "bias", "running_mean", "running_var", "num_features")


def test_a_norm_behind_a_concatenation():
    found = met(DenseNet(), (1, 3, 8, 8))
    for tensor in NORM:
        assert found["stem", f"block1.2.0.{tensor}", 0] == straight(4)
        assert found["block1.0.5", f"block1.2.0.{tensor}", 0] == straight(3, 4)
        assert found["block1.1.5", f"block1.2.0.{tensor}", 0] == straight(3, 7)
        assert found["block1.1.2", f"block1.1.3.{tensor}", 0] == straight(5)


def test_channels_in_another_order():
    def flipped(net, left, right):
        return net.norm(torch.cat([right.flip(1), left[:, [2, 0]]], 1)).mean((2, 3))

    found = met(Net(flipped, norm=nn.BatchNorm2d(6)))
    assert found["right", "norm.weight", 0] == [(0, 3), (1, 2), (2, 1), (3, 0)]
    assert found["left", "norm.running_var", 0] == [(0, 5), (2, 4)]


def test_a_sum_meets_with_both():
    found = met(Net(lambda net, a, b: net.norm(a + b).mean((2, 3)), norm=nn.BatchNorm2d(4)))
    assert found["left", "norm.bias", 0] == found["right", "norm.bias", 0] == straight(4)


@pytest.mark.parametrize("batch", [1, 3])
def test_instance_norm_of_several_images(batch):
    norm = nn.InstanceNorm2d(4, affine=True)
    found = met(Net(lambda net, a, b: net.norm(a) * b, norm=norm), (batch, 3, 5, 5))
    for tensor in ("weight", "bias", "num_features"):
        assert found["left", f"norm.{tensor}", 0] == straight(4)
    bare = met(Net(lambda net, a, b: net.norm(a), norm=nn.InstanceNorm2d(4)), (batch, 3, 5, 5))
    assert bare == {("left", "norm.num_features", 0): straight(4)}


def test_slopes_scales_and_positions():
    def between(net, a, b):
        a = net.slopes(a) * net.scale.exp()[:, None, None]
        return net.one(a) + net.place

    net = Net(between, slopes=nn.PReLU(4), one=nn.PReLU())
    net.scale = nn.Parameter(torch.ones(4))
    net.place = nn.Parameter(torch.ones(1, 4, 1, 5))
    assert met(net) == {
        ("left", "slopes.weight", 0): straight(4),
        ("left", "scale", 0): straight(4),
        ("left", "place", 1): straight(4),
    }


def test_a_norm_over_flattened_channels():
    net = nn.Sequential(nn.Conv2d(3, 2, 1), nn.Flatten(), nn.BatchNorm1d(8), nn.Linear(8, 2))
    found = met(net, (1, 3, 2, 2))
    assert sorted(found["0", "2.weight", 0]) == [(k, 4 * k + z) for k in range(2) for z in range(4)]


def test_an_unflattened_output_meets_by_position():
    net = nn.Sequential(nn.Linear(3, 8), nn.Unflatten(1, (2, 2, 2)), nn.BatchNorm2d(2))
    net.append(nn.Conv2d(2, 1, 1))
    assert met(net, (1, 3))["0", "2.weight", 0] == [(feature, feature // 4) for feature in range(8)]


class TestHeld:
    def test_norms_over_several_channels(self):
        found = held(ConvNeXt(), (1, 3, 16, 16))
        assert "layer_norm (norm)" in found["depthwise"]
        assert "layer_norm (head_norm)" in found["stem"]
        assert found["head"] == "the network returns it"
        assert "wide" not in found
        assert "group_norm (down.1)" in held(UNet(), (1, 1, 8, 8))["down.0"]

    @pytest.mark.parametrize(
        ("between", "words"),
        [
            (lambda net, a, b: a.mean(1, keepdim=True) * b.amax(), "mean over channels"),
            (lambda net, a, b: net.tail(a.softmax(1)), "softmax weighs it"),
            (
                lambda net, a, b: net.tail(b * a.flatten(2).softmax(1).view(a.shape)),
                "softmax weighs",
            ),
            (lambda net, a, b: a / a.norm(dim=1, keepdim=True), "norm"),
            (lambda net, a, b: a * torch.linspace(0, 1, 4)[:, None, None], "no parameter"),
            (lambda net, a, b: torch.einsum("nchw,cd->ndhw", a, net.mixed), "mixed"),
        ],
    )
    def test_what_depends_on_all(self, between, words):
        net = Net(between, tail=nn.Conv2d(4, 2, 1))
        net.mixed = nn.Parameter(torch.ones(4, 2))
        assert words in held(net)["left"]

    def test_the_networks_own_input(self):
        class Added(nn.Module):
            def __init__(self):
                super().__init__()
                self.map = nn.Conv2d(3, 3, 1)

            def forward(self, x):
                return F.relu(self.map(x) + x).mean()

        assert "the network's input" in held(Added())["map"]

    def test_a_map_that_is_applied_twice(self):
        net = Net(lambda net, a, b: net.both(a) + net.both(b), both=nn.Conv2d(4, 2, 1))
        assert meetings(net).repeated == {"both"}


def test_nothing_is_noted_unless_asked_for():
    net = DenseNet()
    assert trace(net, maps_of(net), torch.randn(1, 3, 8, 8)).meetings is None
