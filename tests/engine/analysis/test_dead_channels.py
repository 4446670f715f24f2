"""Dead channels: planted, by the formula, and by what freezing them does to the network."""

import numpy as np
import pytest
import torch
from torch import nn

from svr_widget.engine.errors import SVRError
from svr_widget.svr import SVR


def generator(seed):
    return torch.Generator().manual_seed(seed)


class Net(nn.Module):
    """Convolution, batch norm, ReLU, convolution, flattened into a linear head."""

    def __init__(self, norm=None, groups=1):
        super().__init__()
        torch.manual_seed(0)
        self.first = nn.Conv2d(3, 12, 3)
        self.norm = norm or nn.BatchNorm2d(12)
        self.second = nn.Conv2d(12, 8, 3, groups=groups)
        self.head = nn.Linear(8 * 4, 5)
        if norm is None:
            with torch.no_grad():
                self.norm.weight.uniform_(0.5, 1.5)
                self.norm.running_var.uniform_(0.5, 2)
                self.norm.running_mean.normal_()
                self.norm.bias.normal_()
        self.double().eval()

    def forward(self, x):
        x = self.norm(self.first(x)).relu()
        return self.head(self.second(x).relu().flatten(1))


EXAMPLE = torch.zeros(1, 3, 6, 6, dtype=torch.float64)


def dead(svr, name=None, **keywords):
    frame = svr.dead_channels(**keywords)
    return frame if name is None else frame[frame["map"] == name].set_index("channel")


def test_the_formula():
    net = Net()
    with torch.no_grad():
        rows = net.first.weight.square().sum((1, 2, 3)).sqrt()
        gain = net.norm.weight / (net.norm.running_var + net.norm.eps).sqrt()
        columns = net.second.weight.square().sum((0, 2, 3)).sqrt()
        flat = net.head.weight.view(5, 8, 4).square().sum((0, 2)).sqrt()
        rows2 = net.second.weight.square().sum((1, 2, 3)).sqrt()
    svr = SVR(net, EXAMPLE)
    found = dead(svr, "first", tolerance=1)
    assert found.index.tolist() == list(range(12))
    influence = (rows * gain * columns).numpy()
    np.testing.assert_allclose(found["ratio"], influence / influence.max())
    for name, values in (("row", rows), ("norm", gain), ("read", columns)):
        np.testing.assert_allclose(found[name], (values / values.max()).numpy())
    second = (rows2 * flat).numpy()
    np.testing.assert_allclose(dead(svr, "second", tolerance=1)["ratio"], second / second.max())
    head = net.head.weight.detach().norm(dim=1).numpy()
    np.testing.assert_allclose(dead(svr, "head", tolerance=1)["ratio"], head / head.max())
    assert dead(svr).empty


def test_folded_norms_count_the_same():
    ratios = [
        dead(SVR(Net(), EXAMPLE, norm=norm), tolerance=1)["ratio"] for norm in ("ignore", "fold")
    ]
    np.testing.assert_allclose(*ratios, rtol=1e-9)


class TestPlanted:
    def test_each_factor_by_itself(self):
        net = Net()
        with torch.no_grad():
            net.first.weight[[1, 4]] *= 1e-6
            net.norm.weight[5] = 1e-7
            net.norm.weight[6] = 0
            net.second.weight[:, 9] *= 1e-8
        found = dead(SVR(net, EXAMPLE))
        assert found["map"].eq("first").all()
        assert dict(zip(found["channel"], found["why"], strict=True)) == {
            1: "row",
            4: "row",
            5: "norm",
            6: "norm",
            9: "read",
        }

    def test_what_another_factor_makes_up_for_is_alive(self):
        net = Net()
        with torch.no_grad():
            net.norm.eps = 1e-30
            net.first.weight[2] *= 1e-6
            net.norm.running_var[2] *= 1e-12
            net.first.weight[3] *= 1e-6
            net.second.weight[:, 3] *= 1e6
        assert dead(SVR(net, EXAMPLE)).empty

    @pytest.mark.parametrize("seed", range(3))
    def test_scales_that_relu_lets_pass_change_nothing(self, seed):
        weights = [
            torch.randn(9, 7, generator=generator(seed)),
            torch.randn(6, 9, generator=generator(9)),
        ]
        weights = [weight.double() for weight in weights]
        scale = torch.exp(4 * torch.randn(9, generator=generator(seed + 5))).double()
        scaled = [weights[0] * scale[:, None], weights[1] / scale]
        ratios = [dead(SVR(each), "0", tolerance=1)["ratio"] for each in (weights, scaled)]
        np.testing.assert_allclose(*ratios, rtol=1e-9)

    def test_a_row_that_the_thin_svd_hides(self):
        weight = torch.randn(8, 2, generator=generator(0))
        weight[5] = 0
        svr = SVR([weight])
        assert svr.channel_blocks("0")[5] == -1
        found = dead(svr)
        assert (found["channel"].tolist(), found["ratio"].tolist()) == ([5], [0.0])
        assert (found["block"].tolist(), found["why"].tolist()) == ([-1], ["row"])

    def test_the_near_kernel_that_it_lies_in(self):
        weight = torch.randn(10, 20, generator=generator(0)).double()
        weight[[2, 7]] *= 1e-6
        found = dead(SVR([weight]))
        assert found["channel"].tolist() == [2, 7]
        assert found["block"].tolist() == [1, 1]

    @pytest.mark.parametrize("groups", [1, 2, 4])
    def test_a_grouped_consumer(self, groups):
        net = Net(groups=groups)
        with torch.no_grad():
            at = net.second.weight.view(groups, 8 // groups, 12 // groups, 3, 3)
            at[10 // (12 // groups), :, 10 % (12 // groups)] = 0
        assert dead(SVR(net, EXAMPLE))["channel"].tolist() == [10]


class Branches(nn.Module):
    """Two readers; channels 0 and 1 are unread by one, 1 and 2 by the other, 1 is also returned."""

    def __init__(self, returned):
        super().__init__()
        torch.manual_seed(0)
        self.returned = returned
        self.inlet = nn.Linear(6, 5)
        self.left, self.right = nn.Linear(5, 4), nn.Linear(5, 4)
        with torch.no_grad():
            self.left.weight[:, [0, 1]] = 0
            self.right.weight[:, [1, 2]] = 0

    def forward(self, x):
        x = self.inlet(x).relu()
        y = self.left(x) + self.right(x)
        return (y, x[:, :2]) if self.returned else y


def test_every_reader_counts_and_so_does_the_output():
    assert dead(SVR(Branches(False)))["channel"].tolist() == [1]
    assert dead(SVR(Branches(True))).empty


def test_norms_without_statistics_may_scale_a_small_row_up():
    net = Net(norm=nn.GroupNorm(12, 12))
    with torch.no_grad():
        net.first.weight[2] *= 1e-9
        net.first.weight[3] = 0
        net.second.weight[:, 4] = 0
    found = dead(SVR(net, EXAMPLE), "first")
    assert found.index.tolist() == [3]


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.inlet = nn.Linear(6, 8)
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)

    def forward(self, x):
        x = self.inlet(x)
        return self.attention(x, x, x, need_weights=False)[0]


@pytest.mark.parametrize("view", ["products", "plain"])
def test_queries_read_channels_too(view):
    net = Attention()
    with torch.no_grad():
        net.attention.in_proj_weight[:, 3] = 0
        net.attention.in_proj_weight[8:, 5] = 0
    svr = SVR(net, torch.zeros(1, 4, 6), attention=view)
    assert dead(svr, "inlet").index.tolist() == [3]


def frozen(net, channels):
    """The network with channels behind the norm and the ReLU held at what they emit for 0."""
    with torch.no_grad():
        constant = net.norm(net.first(EXAMPLE)).relu()

    def forward(x):
        x = net.norm(net.first(x)).relu()
        x[:, channels] = constant[:, channels].expand(len(x), -1, -1, -1)
        return net.head(net.second(x).relu().flatten(1))

    return forward


@pytest.mark.parametrize("seed", range(3))
def test_freezing_dead_channels_changes_what_the_tolerance_says(seed):
    """In units of the most that one channel could change, against inputs at random."""
    net = Net()
    with torch.no_grad():
        net.norm.bias += 20  # no channel is off whatever comes
        net.first.weight *= 10 ** (-8 * torch.rand(12, generator=generator(seed))).view(-1, 1, 1, 1)
        rows = net.first.weight.square().sum((1, 2, 3)).sqrt()
        gain = net.norm.weight / (net.norm.running_var + net.norm.eps).sqrt()
        columns = net.second.weight.square().sum((0, 2, 3)).sqrt()
        most = float((rows * gain * columns).max())
        tolerance = 1e-3
        channels = dead(SVR(net, EXAMPLE), "first", tolerance=tolerance).index.tolist()
        assert 2 <= len(channels) <= 10
        x = torch.randn(20, 3, 6, 6, generator=generator(seed), dtype=torch.float64)
        lipschitz = float(torch.linalg.matrix_norm(net.head.weight, 2))
        # An output position reads nine positions of the channel, each of a patch of x.
        bound = len(channels) * tolerance * most * 9 * x.flatten(1).norm(dim=1) * 2 * lipschitz
        change = (net(x) - frozen(net, channels)(x)).norm(dim=1)
        assert (change <= bound).all()
        strongest = int((rows * gain * columns).argmax())
        alive = (net(x) - frozen(net, [strongest])(x)).norm(dim=1)
        assert change.max() < 0.05 * alive.max()


def test_zero_maps_and_refusals(tmp_path):
    assert len(dead(SVR([torch.zeros(3, 4), torch.ones(2, 3)]), "0")) == 3
    for tolerance in (-1, 1.5, float("nan")):
        with pytest.raises(SVRError, match="tolerance"):
            SVR([torch.eye(3)]).dead_channels(tolerance=tolerance)
    net = Branches(True)
    svr = SVR(net)
    svr.save(tmp_path / "whole", weights=True)
    assert (
        SVR.load(tmp_path / "whole")
        .dead_channels(tolerance=1)
        .equals(svr.dead_channels(tolerance=1))
    )
    svr.save(tmp_path / "bare")
    with pytest.raises(SVRError, match="'inlet' is needed and was not saved"):
        SVR.load(tmp_path / "bare").dead_channels()
