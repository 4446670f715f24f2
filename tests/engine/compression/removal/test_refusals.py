"""What removal leaves alone, and when it refuses: by name, with advice, and without a trace."""

import math

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations

from svr_widget.engine.errors import OutputChangeError, SVRError
from svr_widget.svr import SVR
from tests.engine.support.planted import kept, largest_change, randomised, remove, removed, silence
from tests.engine.support.zoo.random_networks import RandomNetwork


def image(*shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(7), dtype=torch.float64)


def padded(width=6):
    """Two maps whose dead channels emit 0.5 beside padded zeros, one of them where nothing pads."""
    torch.manual_seed(1)
    layers = nn.Conv2d(2, width, 3), nn.Sigmoid(), nn.Conv2d(width, 4, 3, padding=1)
    net = randomised(nn.Sequential(*layers, nn.Sigmoid(), nn.Conv2d(4, 3, 1)))
    silence(net[0], [4])
    silence(net[2], [1])
    return net


class TestTooLargeAChange:
    def test_what_changes_too_much_stays_and_the_rest_goes(self):
        net, example = padded(), image(2, 2, 7, 7)
        _, report = remove(net, example, 1e-10)
        assert (removed(report, "0"), removed(report, "2")) == ([], [1])
        why = kept(report, "0")[4]
        assert "'2' pads zeros beside the constants that it reads there (up to 0.5)" in why
        whole = SVR(net, example).remove_dead_channels(1.0)[1]
        assert report.change_of_all == whole.relative_change
        assert report.kept["change"].tolist() == pytest.approx([whole.relative_change])
        assert "the traced example and 8 random normal inputs (2x2x7x7)" in repr(report)

    def test_an_output_that_is_nowhere_finite_is_never_accepted(self):
        net = padded()
        with torch.no_grad():
            net[4].bias.fill_(torch.nan)
        with pytest.raises(OutputChangeError, match="NaN or infinite entries on the traced"):
            SVR(net, image(2, 2, 7, 7)).remove_dead_channels(1e9)

    def test_inputs_on_which_it_is_finite_lead_on(self):
        svr, finite = SVR(padded(), image(2, 2, 7, 7)), image(2, 2, 7, 7)
        spoilt = finite.clone()
        spoilt[0, 0] = torch.nan
        with pytest.raises(OutputChangeError, match="Give check_inputs= on which it is finite"):
            svr.remove_dead_channels(1.0, spoilt)
        assert len(svr.remove_dead_channels(1.0, finite)[1].removed) == 2

    def test_any_change_may_be_allowed(self):
        report = SVR(padded(), image(2, 2, 7, 7)).remove_dead_channels(math.inf)[1]
        assert 1e-3 < report.relative_change < 1


class Twice(nn.Module):
    """A map that is applied twice between two others."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.inlet, self.middle, self.out = nn.Linear(3, 6), nn.Linear(6, 6), nn.Linear(6, 2)
        self.double()

    def forward(self, x):
        return self.out(self.middle(self.middle(self.inlet(x).relu()).relu()).relu())


class Functional(Twice):
    """A map whose weight other code uses."""

    def forward(self, x):
        x = self.middle(self.inlet(x).relu()).relu()
        return nn.functional.linear(x, self.out.weight, self.out.bias)


class Tied(Twice):
    """Two maps of one weight."""

    def __init__(self):
        super().__init__()
        self.other = nn.Linear(6, 6).double()
        self.other.weight = self.middle.weight

    def forward(self, x):
        return self.out(self.other(self.middle(self.inlet(x).relu()).relu()).relu())


class Fixed(Twice):
    """Code that knows the width of a map."""

    def forward(self, x):
        x = self.inlet(x).relu()
        first, second = x[:, :3], x[:, 3:]
        return self.out(self.middle(torch.cat([first + second, first * second], 1)).relu())


class Head(Twice):
    """A width that a reshape spells out."""

    def forward(self, x):
        x = self.inlet(x).view(-1, 2, 3).transpose(1, 2).reshape(-1, 6).relu()
        return self.out(self.middle(x).relu())


class Swapped(Twice):
    """The same widths with any channel less, and other channels in them."""

    def forward(self, x):
        x = self.inlet(x).relu()
        return self.out(self.middle(torch.cat([x[:, 3:], x[:, :3]], 1)).relu())


class Off(Twice):
    """A dead channel that a sum joins with one that only data of another kind switches on."""

    def __init__(self):
        super().__init__()
        self.rare = nn.Linear(3, 6).double()
        with torch.no_grad():
            self.rare.bias[1] = -50

    def forward(self, x):
        return self.out(self.middle(self.inlet(x) + self.rare(x).relu()).relu())


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.inlet, self.lstm, self.out = nn.Linear(3, 6), nn.LSTM(6, 5), nn.Linear(5, 2)
        self.double()

    def forward(self, x):
        return self.out(self.lstm(self.inlet(x))[0])


class Attending(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.inlet = nn.Linear(3, 6)
        self.attention = nn.MultiheadAttention(6, 2, batch_first=True)
        self.wide, self.out = nn.Linear(6, 9), nn.Linear(9, 2)
        self.double()

    def forward(self, x):
        x = self.inlet(x)
        x = self.attention(x, x, x, need_weights=False)[0]
        return self.out(self.wide(x).relu())


class TestKept:
    @pytest.mark.parametrize(
        ("make", "layer", "words"),
        [
            (Twice, "inlet", "'middle' is applied more than once"),
            (Twice, "middle", "'middle' is applied more than once"),
            (Functional, "middle", "'out' is not applied by calling its module"),
            (Tied, "inlet", "middle.weight and other.weight are one tensor"),
            (Tied, "other", "middle.weight and other.weight are one tensor"),
            (Fixed, "inlet", "the model's own code"),
            (Swapped, "inlet", "others would change places"),
            (Off, "inlet", "joined with channels of 'rare' that are alive"),
            (Head, "inlet", "the model's own code fixes the width (RuntimeError"),
            (Recurrent, "inlet", "is one of the maps of the LSTM 'lstm'"),
            (Attending, "inlet", "of the MultiheadAttention 'attention'"),
            (Twice, "out", "the network returns it"),
        ],
    )
    def test_by_name(self, make, layer, words):
        net = make().eval()
        silence(net.get_submodule(layer), [1, 4] if make is Fixed else [1])
        if make is Tied:  # of two maps of one weight only one was told
            with torch.no_grad():
                net.other.bias[1] = net.middle.bias[1] = 0
        _, report = remove(net, image(2, 4, 3) if make in (Recurrent, Attending) else image(4, 3))
        assert removed(report, layer) == []
        assert words in kept(report, layer)[1]

    def test_other_channels_still_go(self):
        net, example = Attending().eval(), image(2, 4, 3)
        silence(net.inlet, [1])
        silence(net.wide, [3, 4])
        _, report = remove(net, example)
        assert (removed(report, "wide"), list(kept(report, "inlet"))) == ([3, 4], [1])

    def test_what_does_not_fit_keeps_only_its_own(self):
        class Both(Fixed):
            def __init__(self):
                super().__init__()
                self.tail = nn.Linear(2, 7).double()
                self.last = nn.Linear(7, 2).double()

            def forward(self, x):
                return self.last(self.tail(super().forward(x)).relu())

        net = Both().eval()
        silence(net.inlet, [1, 4])
        silence(net.tail, [2])
        silence(net.middle, [5])
        _, report = remove(net, image(4, 3))
        assert (removed(report, "tail"), removed(report, "middle")) == ([2], [5])
        assert "the model's own code" in kept(report, "inlet")[1]

    def test_parametrised_weights(self):
        layers = nn.Linear(3, 6), nn.ReLU(), parametrizations.weight_norm(nn.Linear(6, 2))
        net = nn.Sequential(*layers).double().eval()
        silence(net[0], [1])
        _, report = remove(net, image(4, 3))
        assert "'2' is computed from others" in kept(report, "0")[1]

    def test_a_layer_keeps_a_channel(self):
        net = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)).double()
        with torch.no_grad():
            net[0].weight[:] = 0
        smaller, report = remove(net, image(4, 3))
        assert smaller[0].out_features == 1
        assert list(kept(report, "0").values()) == ["a layer needs at least one channel"]


class TestWhatIsKeptOfTheModel:
    def test_modes_hooks_gradients_and_precision(self):
        net = nn.Sequential(nn.Conv2d(2, 5, 1, bias=False), nn.BatchNorm2d(5), nn.Tanh())
        net.append(nn.Conv2d(5, 3, 1, bias=False))
        net = randomised(net).float()
        silence(net[0], [2])
        net.train()
        net[1].eval()
        net[0].weight.requires_grad_(False)
        net[3].weight.requires_grad_(False)
        seen = []
        net[3].register_forward_hook(lambda *_: seen.append("called"))
        example = image(2, 2, 4, 4).float()
        statistics = net[1].running_mean.clone()
        smaller, report = SVR(net, example).remove_dead_channels(1e-5)
        assert removed(report, "0") == [2]
        assert [m.training for m in smaller.modules()] == [m.training for m in net.modules()]
        assert net[0].training
        assert torch.equal(net[1].running_mean, statistics)
        assert not smaller[0].weight.requires_grad
        assert smaller[1].weight.requires_grad
        assert not smaller[3].bias.requires_grad  # it has to be made, beside a weight that is fixed
        assert {p.dtype for p in smaller.parameters()} == {torch.float32}
        seen.clear()
        smaller(example)
        assert seen == ["called"]

    def test_it_trains_on(self):
        net = nn.Sequential(nn.Linear(3, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Linear(6, 2))
        silence(net[0], [1])
        net[1].bias.data[1] = -5
        smaller, _ = SVR(net.eval(), torch.randn(8, 3)).remove_dead_channels()
        smaller.train()
        before = smaller[0].weight.clone()
        optimiser = torch.optim.SGD(smaller.parameters(), lr=0.1)
        smaller(torch.randn(8, 3)).square().sum().backward()
        optimiser.step()
        assert not torch.equal(smaller[0].weight, before)


class TestBadInput:
    def test_named_in_the_error(self):
        net, example = padded(), image(2, 2, 7, 7)
        svr = SVR(net, example)
        for tolerance in (-1, math.nan):
            with pytest.raises(SVRError, match="tolerance = "):
                svr.remove_dead_channels(tolerance)
        with pytest.raises(SVRError, match="tolerance = 2"):
            svr.remove_dead_channels(influence=2)
        with pytest.raises(SVRError, match="no map '5'"):
            svr.remove_dead_channels(maps=["5"])
        with pytest.raises(SVRError, match="holds no batch"):
            svr.remove_dead_channels(check_inputs=[])
        with pytest.raises(SVRError, match="bare weights"):
            SVR([torch.eye(3), torch.eye(3)]).remove_dead_channels()
        with pytest.raises(SVRError, match="give it example_inputs"):
            SVR(net, links=[("0", "2")]).remove_dead_channels()

    def test_a_model_that_cannot_be_copied(self):
        net = padded()
        svr = SVR(net, image(2, 2, 7, 7))
        net.held = (line for line in "a generator")
        with pytest.raises(SVRError, match="Sequential cannot be copied"):
            svr.remove_dead_channels()


@pytest.mark.parametrize("seed", [3, 7, 10, 25, 39, 47, 59, 61, 79, 107, 110, 143])
def test_random_networks_stay_the_same_function(seed):
    """Everything that moves, joins, splits and mixes channels, in code that looks at widths."""
    example = image(1, 2, 4, 4)
    torch.manual_seed(seed)
    net = RandomNetwork(seed)
    net(example.float())
    net = net.double().eval()
    draw = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, layer in net.maps.items():
            if name != "head":
                dead = torch.rand(len(layer.weight), generator=draw) < 0.35
                layer.weight[dead] = 0
                layer.bias[dead] = 0
    smaller, report = SVR(net, example).remove_dead_channels(math.inf)
    assert largest_change(net, smaller, [image(1, 2, 4, 4), example + 1]) < 1e-12
    assert len(report.removed) or report.kept["why"].str.contains("own code").any()
