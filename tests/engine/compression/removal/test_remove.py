"""Removed channels: the same function with smaller weights, by every way that channels take."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812 - PyTorch's own name for it

from svr_widget.svr import SVR
from tests.engine.support.planted import (
    generator,
    inputs_like,
    kept,
    largest_change,
    randomised,
    remove,
    removed,
    silence,
)
from tests.engine.support.zoo.attention import GatedMLP
from tests.engine.support.zoo.convolutional import (
    ConvNeXt,
    DenseNet,
    Inception,
    MobileNet,
    PatchMerging,
    PixelShuffle,
    ShuffleNet,
    UNet,
    resnet,
)


def image(*shape):
    return torch.randn(shape, generator=generator(7), dtype=torch.float64)


class Chain(nn.Module):
    """Convolution, batch norm, an activation, convolution, flattened into a linear head."""

    def __init__(self, activation=F.relu, bias=True, last=False):
        super().__init__()
        torch.manual_seed(0)
        self.activation, self.last = activation, last
        self.first = nn.Conv2d(3, 12, 3, bias=bias)
        self.norm = nn.BatchNorm2d(12)
        self.second = nn.Conv2d(12, 8, 3, bias=bias)
        self.head = nn.Linear(8 * 4, 5, bias=bias)
        randomised(self)

    def forward(self, x):
        x = self.activation(self.norm(self.first(x)))
        x = self.activation(self.second(x))
        return self.head((x.permute(0, 2, 3, 1) if self.last else x).flatten(1))


ACTIVATIONS = {
    "relu": F.relu,
    "gelu": F.gelu,
    "sigmoid": torch.sigmoid,
    "hardswish": F.hardswish,
    "own": lambda x: torch.sin(3 * x) + x.square() / (1 + x.abs()),
}


class TestChain:
    @pytest.mark.parametrize("last", [False, True])
    @pytest.mark.parametrize("bias", [False, True])
    @pytest.mark.parametrize("activation", ACTIVATIONS)
    def test_each_way_to_be_dead(self, activation, bias, last):
        net = Chain(ACTIVATIONS[activation], bias, last)
        with torch.no_grad():
            net.first.weight[[1, 4]] *= 1e-12
            net.norm.weight[5] = 0
            net.second.weight[:, 9] = 0
            net.second.weight[3] *= 1e-12
        smaller, report = remove(net, image(2, 3, 6, 6))
        assert removed(report, "first") == [1, 4, 5, 9]
        assert removed(report, "second") == [3]
        assert report.kept.empty
        left = [k for k in range(12) if k not in (1, 4, 5, 9)]
        rows = [k for k in range(8) if k != 3]
        assert torch.equal(smaller.first.weight, net.first.weight[left])
        assert torch.equal(smaller.norm.running_var, net.norm.running_var[left])
        assert torch.equal(smaller.second.weight, net.second.weight[rows][:, left])
        flat = torch.arange(32).view(4, 8).T if last else torch.arange(32).view(8, 4)
        columns = flat[rows].flatten().sort().values
        assert torch.equal(smaller.head.weight, net.head.weight[:, columns])
        sizes = smaller.first.out_channels, smaller.norm.num_features, smaller.second.in_channels
        assert sizes == (8, 8, 8)
        assert (smaller.second.out_channels, smaller.head.in_features) == (7, 28)

    def test_what_dead_channels_emit_moves_into_the_next_bias(self):
        net = Chain(torch.sigmoid)
        silence(net.first, [2, 7])
        with torch.no_grad():
            net.first.bias[[2, 7]] = torch.tensor([0.3, -0.4], dtype=torch.float64)
        smaller, report = remove(net, image(2, 3, 6, 6))
        norm = net.norm
        scale = norm.weight / (norm.running_var + norm.eps).sqrt()
        emitted = torch.sigmoid(norm.bias + scale * (net.first.bias - norm.running_mean))[[2, 7]]
        rows = report.moved[report.moved["map"] == "second"]
        assert rows["channel"].tolist() == [2, 7]
        assert not rows["padded"].any()
        assert rows["constant"].tolist() == pytest.approx(emitted.tolist(), abs=1e-12)
        expected = net.second.bias + net.second.weight[:, [2, 7]].sum((2, 3)) @ emitted
        torch.testing.assert_close(smaller.second.bias, expected, rtol=0, atol=1e-12)

    def test_a_bias_is_added_only_where_something_is_emitted(self):
        for activation, there in ((F.relu, False), (torch.sigmoid, True)):
            net = Chain(activation, bias=False)
            silence(net.second, [1])
            smaller, _ = remove(net, image(2, 3, 6, 6))
            assert (smaller.head.bias is not None) is there
            assert smaller.second.bias is None

    def test_the_report_counts(self):
        net = Chain()
        silence(net.first, [1, 4])
        smaller, report = remove(net, image(2, 3, 6, 6))
        assert report.parameters == tuple(
            sum(p.numel() for p in model.parameters()) for model in (net, smaller)
        )
        rows = report.maps.set_index("map")
        assert rows.loc["first", ["outputs", "outputs_after"]].tolist() == [12, 10]
        assert rows.loc["second", ["inputs", "inputs_after"]].tolist() == [12, 10]
        adds = rows.loc["second", ["multiply_adds", "multiply_adds_after"]].tolist()
        assert adds == [2 * 4 * 8 * 12 * 9, 2 * 4 * 8 * 10 * 9]
        assert rows.loc["first", "parameters_after"] == 10 * 27 + 10
        assert report.rounds == 1
        assert "2x3x6x6" in report.checked
        text = repr(report)
        assert "removed 2 output channels of 1 map in 1 round" in text
        assert ["first", "12", "10"] in [line.split()[:3] for line in text.splitlines()]

    def test_removing_one_can_leave_another_unread(self):
        net = Chain()
        with torch.no_grad():
            net.second.weight[:, 6] = 0
            net.second.weight[2, 6] = 1  # read by a channel only that nothing reads
            net.head.weight[:, 8:12] = 0
        _, report = remove(net, image(2, 3, 6, 6))
        assert report.rounds == 2
        rows = report.removed.set_index("map")
        assert rows.loc["second", ["channel", "round"]].tolist() == [2, 1]
        assert rows.loc["first", ["channel", "round"]].tolist() == [6, 2]

    def test_nothing_dead(self):
        net = Chain()
        smaller, report = remove(net, image(2, 3, 6, 6), tolerance=0)
        assert report.removed.empty
        assert report.kept.empty
        assert (report.change, report.rounds) == (0, 0)
        assert "nothing removed" in repr(report)
        for name, value in net.state_dict().items():
            assert torch.equal(value, smaller.state_dict()[name])

    def test_only_the_chosen_maps_and_influence(self):
        net = Chain()
        silence(net.first, [1])
        silence(net.second, [2])
        with torch.no_grad():
            net.first.weight[5] *= 1e-3
        _, report = remove(net, image(2, 3, 6, 6), maps="second")
        assert (removed(report, "first"), removed(report, "second")) == ([], [2])
        _, report = remove(net, image(2, 3, 6, 6), 10.0, influence=1e-2)
        assert removed(report, "first") == [1, 5]
        assert 1e-6 < report.relative_change < 1e-2

    def test_the_graph_of_what_is_left_is_the_same(self):
        net = Chain()
        with torch.no_grad():  # one strong direction through the network
            unit = torch.zeros(12, dtype=torch.float64)
            unit[[0, 3, 6, 10]] = 0.5
            net.first.weight += 3 * unit.view(-1, 1, 1, 1)
            net.second.weight += 3 * unit.view(1, -1, 1, 1)
        silence(net.first, [1, 4])
        with torch.no_grad():
            net.second.weight[:, [1, 4]] *= 1e-12
        smaller, _ = remove(net, image(2, 3, 6, 6))
        found = []
        for model in (net, smaller):
            svr = SVR(model, image(2, 3, 6, 6))
            edges = svr.edges(p=1e-5)[["producer", "m", "consumer", "n"]]
            found.append((set(edges.itertuples(index=False, name=None)), svr))
        (before, old), (after, new) = found
        assert before == after
        assert ("first", 0, "second", 0) in before
        old_matrix = old.adjacency(("first", "second")).dense()[:, :10]
        new_matrix = new.adjacency(("first", "second")).dense()
        torch.testing.assert_close(
            torch.as_tensor(old_matrix), torch.as_tensor(new_matrix), rtol=1e-6, atol=1e-9
        )


class TestBranches:
    @pytest.mark.slow
    def test_a_residual_stream_goes_where_every_branch_is_dead(self):
        net = randomised(resnet())
        stream = [(net[0], net[1]), (net[4].conv2, net[4].bn2), (net[5].conv2, net[5].bn2)]
        for layer, norm in stream:
            silence(layer, [2], norm)
        silence(stream[1][0], [3], stream[1][1])
        silence(net[6].conv1, [0, 5], net[6].bn1)
        smaller, report = remove(net, image(2, 3, 16, 16))
        assert removed(report, "0") == removed(report, "5.conv2") == [2]
        assert removed(report, "4.conv2") == [2]
        assert removed(report, "6.conv1") == [0, 5]
        assert "'0', '5.conv2' that are alive" in kept(report, "4.conv2")[3]
        assert smaller[6].downsample[0].in_channels == 3

    @pytest.mark.slow
    def test_bottlenecks(self):
        net = randomised(resnet(bottleneck=True))
        silence(net[4].conv1, [1], net[4].bn1)
        silence(net[7].conv2, [0], net[7].bn2)
        _, report = remove(net, image(2, 3, 16, 16))
        assert (removed(report, "4.conv1"), removed(report, "7.conv2")) == ([1], [0])

    @pytest.mark.slow
    def test_a_norm_behind_every_concatenation(self):
        net = randomised(DenseNet())
        with torch.no_grad():
            net.stem.weight[1] *= 1e-14
            net.block1[0][5].weight[0] *= 1e-14
            for at in (0, 1, 2):
                net.block1[at][0].bias[1] = -20
            net.transition[0].bias[[1, 4]] = -20
            net.block1[1][0].bias[4] = net.block1[2][0].bias[4] = -20
        silence(net.block1[1][2], [2], net.block1[1][3])
        smaller, report = remove(net, image(2, 3, 8, 8))
        assert (removed(report, "stem"), removed(report, "block1.0.5")) == ([1], [0])
        assert removed(report, "block1.1.2") == [2]
        left = [k for k in range(13) if k not in (1, 4)]
        assert torch.equal(smaller.transition[0].bias, net.transition[0].bias[left])
        assert torch.equal(smaller.transition[2].weight, net.transition[2].weight[:, left])

    @pytest.mark.parametrize("version", [2, 3])
    def test_depthwise_convolutions_before_and_behind(self, version):
        net = randomised(MobileNet(version))
        silence(net.expand[0], [1, 3], net.expand[1])
        silence(net.depthwise[0], [6], net.depthwise[1])
        with torch.no_grad():  # what the depthwise map makes of a constant has to be off as well
            net.depthwise[1].bias[[1, 3]] = -20
        smaller, report = remove(net, image(2, 3, 8, 8))
        assert removed(report, "expand.0") == removed(report, "depthwise.0") == [1, 3, 6]
        assert smaller.depthwise[0].groups == smaller.depthwise[0].in_channels == 5
        why = report.removed.set_index(["map", "channel"])["why"]
        assert why["depthwise.0", 1] == "belongs to one"
        if version == 3:  # gates multiply what is 0 anyway
            assert removed(report, "gate.expand") == [1, 3, 6]

    def test_gates_keep_what_they_make_vary(self):
        net = randomised(MobileNet(3))
        silence(net.expand[0], [1])
        _, report = remove(net, image(2, 3, 8, 8))
        assert "'gate.expand' that are alive" in kept(report, "expand.0")[1]

    def test_inception_unet_patches_and_sub_pixels(self):
        net = randomised(Inception())
        silence(net.stem, [1])
        silence(net.three[0], [0])
        with torch.no_grad():
            net.three[0].weight[0], net.rows.bias[1] = 0, 0
        silence(net.rows, [1])
        _, report = remove(net, image(2, 3, 8, 8))
        assert [removed(report, name) for name in ("stem", "three.0", "rows")] == [[1], [0], [1]]

        net = randomised(UNet())
        with torch.no_grad():
            net.down[0].weight[1] = 0
        silence(net.up, [1])
        silence(net.merge, [0])
        _, report = remove(net, image(2, 1, 8, 8))
        assert (removed(report, "up"), removed(report, "merge")) == ([1], [0])
        assert "group_norm (down.1) takes its statistics" in kept(report, "down.0")[1]

        net = randomised(PatchMerging())
        silence(net.stem, [1])
        silence(net.merge, [0])
        smaller, _ = remove(net, image(2, 1, 8, 8))
        left = [k for k in range(12) if k % 3 != 1]
        rows = [1, 2, 3, 4]
        assert torch.equal(smaller.merge.weight, net.merge.weight[rows][:, left])

        net = randomised(PixelShuffle())
        silence(net.first, [4, 5, 6, 7])
        smaller, report = remove(net, image(2, 1, 4, 4))
        assert removed(report, "first") == [4, 5, 6, 7]
        assert smaller.second.in_channels == 2

    def test_whole_groups(self):
        net = nn.Sequential(nn.Conv2d(2, 8, 1), nn.Conv2d(8, 12, 3, groups=4), nn.Conv2d(12, 3, 1))
        net = randomised(net)
        silence(net[1], [3, 4, 5])  # all that the second group writes
        silence(net[0], [6])  # one of two that the last reads
        smaller, report = remove(net, image(2, 2, 5, 5))
        assert removed(report, "0") == [2, 3]
        assert removed(report, "1") == [3, 4, 5]
        assert (smaller[1].groups, tuple(smaller[1].weight.shape)) == (3, (9, 2, 3, 3))
        assert "'0', '1' that are alive" in kept(report, "0")[6]

    def test_layer_scale_slopes_instance_norm_and_gated_mlps(self):
        net = randomised(ConvNeXt())
        silence(net.wide, [3, 7])
        silence(net.narrow, [0])
        smaller, report = remove(net, image(2, 3, 16, 16))
        assert removed(report, "wide") == [3, 7]
        assert "layer_norm (norm)" in kept(report, "narrow")[0]
        assert smaller.scale.shape == (4,)

        layers = (nn.Conv2d(2, 6, 1), nn.PReLU(6), nn.InstanceNorm2d(6), nn.Conv2d(6, 2, 1))
        net = randomised(nn.Sequential(*layers))
        with torch.no_grad():
            net[0].weight[1], net[0].bias[1] = 0, 0
        smaller, _ = remove(net, image(2, 2, 5, 5))
        sizes = smaller[1].num_parameters, smaller[1].weight.numel(), smaller[2].num_features
        assert sizes == (5, 5, 5)

        net = randomised(GatedMLP())
        assert remove(net, next(iter([gated_example(net)])))[1].removed.empty

    def test_shuffled_channels_stay_where_they_were(self):
        net = randomised(ShuffleNet())
        silence(net.units[0][0], [2])
        silence(net.stem, [1])
        _, report = remove(net, image(2, 3, 8, 8))
        assert removed(report, "units.0.0") == removed(report, "units.0.2") == [2]
        assert 1 in kept(report, "stem")


def gated_example(net):
    first = next(module for module in net.modules() if isinstance(module, nn.Linear))
    return image(2, 3, first.in_features)


class TestPadding:
    """A bias stands for a constant away from the borders only."""

    def nets(self, **padding):
        torch.manual_seed(1)
        layers = nn.Conv2d(2, 6, 3), nn.Sigmoid(), nn.Conv2d(6, 3, 3, padding=1, **padding)
        net = randomised(nn.Sequential(*layers))
        silence(net[0], [4])
        return net

    def test_the_inside_is_exact_and_the_report_says_what_the_border_loses(self):
        net, example = self.nets(), image(2, 2, 9, 9)
        smaller, report = remove(net, example, tolerance=1.0)
        [x] = inputs_like(example, 1)
        change = (net(x) - smaller(x)).abs()
        assert change[..., 1:-1, 1:-1].max() < 1e-12
        assert change.max() > 1e-2
        assert report.moved["padded"].tolist() == [True]
        assert report.moved["constant"].tolist() == pytest.approx([0.5], abs=1e-9)
        by_hand = largest_change(net, smaller, [x])
        assert 0.3 < report.relative_change / by_hand < 3

    def test_the_change_is_that_on_the_inputs_given(self):
        net, example = self.nets(), image(2, 2, 9, 9)
        given = inputs_like(example, 3)
        smaller, report = remove(net, example, 1.0, check_inputs=given[0])
        assert report.relative_change == pytest.approx(largest_change(net, smaller, given[:1]))
        assert report.checked == "the given inputs"
        smaller, report = remove(net, example, 1.0, check_inputs=given)
        assert report.relative_change == pytest.approx(largest_change(net, smaller, given))
        assert report.checked == "the given inputs (3 batches)"

    @pytest.mark.parametrize("mode", ["circular", "reflect", "replicate"])
    def test_padding_with_what_is_there_is_exact(self, mode):
        _, report = remove(self.nets(padding_mode=mode), image(2, 2, 9, 9))
        assert removed(report, "0") == [4]
        assert not report.moved["padded"].any()

    def test_transposed_convolutions(self):
        torch.manual_seed(1)
        layers = nn.Conv2d(2, 6, 1), nn.Sigmoid(), nn.ConvTranspose2d(6, 3, 2, stride=2)
        net = randomised(nn.Sequential(*layers))
        silence(net[0], [4])
        with torch.no_grad():  # every output sees the same sum of the kernel
            net[2].weight[4] = net[2].weight[4].mean((1, 2), keepdim=True)
        _, report = remove(net, image(2, 2, 5, 5))
        assert removed(report, "0") == [4]
