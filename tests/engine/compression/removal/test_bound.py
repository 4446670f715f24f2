"""As many dead channels as the tolerance allows, against all subsets tried by hand."""

import copy
import itertools
import math

import numpy as np
import pytest
import torch
from torch import nn

from svr_widget.engine.compression.removal import bound
from svr_widget.engine.compression.removal.report import _above
from svr_widget.svr import SVR
from tests.engine.support.planted import generator, kept, randomised, removed, silence


class Padded(nn.Module):
    """Three convolutions; what dead channels emit meets padded zeros in the second and third."""

    def __init__(self, seed, widths=(7, 5)):
        super().__init__()
        torch.manual_seed(seed)
        self.first = nn.Conv2d(2, widths[0], 3)
        self.second = nn.Conv2d(widths[0], widths[1], 3, padding=1)
        self.third = nn.Conv2d(widths[1], 3, 3, padding=1)
        randomised(self, seed)

    def forward(self, x):
        return self.third(torch.sigmoid(self.second(torch.sigmoid(self.first(x)))))


def planted(seed, dead=((1, 2, 4, 6), (0, 3)), spread=2.0):
    """A network with dead channels whose constants are of different sizes, and an input."""
    net, draw = Padded(seed), generator(seed)
    for name, channels in zip(("first", "second"), dead, strict=True):
        layer = getattr(net, name)
        silence(layer, channels)
        after = {"first": net.second, "second": net.third}[name]
        with torch.no_grad():
            for channel in channels:  # sigmoid(0) times what the next map makes of it
                after.weight[:, channel] *= float(10 ** -(spread * torch.rand(1, generator=draw)))
    return net, torch.randn(1, 2, 6, 6, generator=draw, dtype=torch.float64)


def without(net, gone):
    """By hand: no map reads these channels, and the bias after them has their 0.5."""
    smaller = copy.deepcopy(net)
    with torch.no_grad():
        for name, channel in gone:
            after = {"first": smaller.second, "second": smaller.third}[name]
            constant = torch.sigmoid(getattr(net, name).bias[channel])
            after.bias += constant * after.weight[:, channel].sum((1, 2))
            after.weight[:, channel] = 0
    return smaller


def change(net, smaller, inputs):
    with torch.no_grad():
        pairs = [(net(x), smaller(x)) for x in inputs]
    largest = max(float(old.abs().max()) for old, _ in pairs)
    return max(float((old - new).abs().max()) for old, new in pairs) / largest


def changes_of_all_subsets(net, channels, inputs):
    return {
        subset: change(net, without(net, subset), inputs)
        for size in range(len(channels) + 1)
        for subset in itertools.combinations(channels, size)
    }


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(5))
def test_as_many_as_the_best_of_all_subsets(seed):
    net, example = planted(seed)
    channels = [*(("first", k) for k in (1, 2, 4, 6)), *(("second", k) for k in (0, 3))]
    inputs = [example, torch.randn(1, 2, 6, 6, generator=generator(50), dtype=torch.float64)]
    every = changes_of_all_subsets(net, channels, inputs)
    svr = SVR(net, example)
    for share in (0.1, 0.3, 0.7):
        tolerance = share * every[tuple(channels)]
        best = max(len(subset) for subset, found in every.items() if found <= tolerance)
        smaller, report = svr.remove_dead_channels(tolerance, check_inputs=inputs)
        gone = [("first", k) for k in removed(report, "first")]
        gone += [("second", k) for k in removed(report, "second")]
        assert len(gone) == best
        assert change(net, smaller, inputs) <= tolerance
        assert report.relative_change == pytest.approx(every[tuple(gone)], rel=1e-6, abs=1e-13)
        assert report.change_of_all == pytest.approx(every[tuple(channels)])
        back = report.kept.set_index(["map", "channel"])["change"]
        assert set(back.index) == set(channels) - set(gone)
        for at, alone in back.items():
            assert alone == pytest.approx(every[at,], rel=1e-4)


def test_the_report_leads_on():
    net, example = planted(3, spread=6)
    told = []
    svr = SVR(net, example, progress=lambda *step: told.append(step))
    _, report = svr.remove_dead_channels(1e-3)
    assert told == sorted(told, key=lambda each: each[1])
    assert told[-1] == ("", told[0][2], told[0][2])
    words = repr(report)
    assert "of its largest entry, for which tolerance=0.001 leaves no room: 'second' pads" in words
    assert "(up to 0.5)" in words
    assert 0 < len(report.removed) < 6
    tolerance = float(words.rsplit("tolerance=", 1)[1])
    _, report = svr.remove_dead_channels(tolerance)
    assert (len(report.removed), len(report.kept)) == (6, 0)
    assert report.relative_change == report.change_of_all <= tolerance
    assert "goes with" not in repr(report)


@pytest.mark.slow
def test_one_map_stays_and_all_others_go():
    """Most maps change next to nothing, and are not taken apart to find that out."""
    net = nn.Sequential()
    torch.manual_seed(0)
    for place in range(4):
        net.append(nn.Conv2d(2 if place == 0 else 8, 8, 3, padding=1))
        net.append(nn.BatchNorm2d(8))
        net.append(nn.ReLU())
    net.append(nn.Conv2d(8, 3, 1))
    net = randomised(net)
    for at in (0, 3, 6):
        silence(net[at], [1, 5, 6], net[at + 1])
    with torch.no_grad():
        net[4].bias[[1, 5]] = 0.4  # behind its norm the fourth module emits what it pads beside
        net[4].running_mean[[1, 5]] = 0
        net[3].bias[[1, 5]] = 0
        net[6].weight[:, 5] *= 1e-3
    example = torch.randn(2, 2, 6, 6, generator=generator(1), dtype=torch.float64)
    _, whole = SVR(net, example).remove_dead_channels(math.inf)
    tolerance = whole.relative_change / 3
    _, report = SVR(net, example).remove_dead_channels(tolerance)
    assert [removed(report, str(at)) for at in (0, 3, 6)] == [[1, 5, 6], [5, 6], [1, 5, 6]]
    assert list(kept(report, "3")) == [1]
    assert report.kept["change"].iloc[0] > tolerance >= report.relative_change


def test_sums_and_gates_go_as_a_whole():
    class Residual(nn.Module):
        def __init__(self):
            super().__init__()
            torch.manual_seed(2)
            self.stem, self.inner = nn.Conv2d(2, 6, 1), nn.Conv2d(6, 6, 1)
            self.out = nn.Conv2d(6, 2, 3, padding=1)
            randomised(self)

        def forward(self, x):
            x = self.stem(x)
            return self.out(torch.sigmoid(x + self.inner(torch.relu(x))))

    net = Residual()
    for channels in ([2], [4]):
        silence(net.stem, channels)
        silence(net.inner, channels)
    with torch.no_grad():
        net.out.weight[:, 4] *= 1e-2
    example = torch.randn(1, 2, 5, 5, generator=generator(1), dtype=torch.float64)
    svr = SVR(net, example)
    _, whole = svr.remove_dead_channels(math.inf)
    _, report = svr.remove_dead_channels(whole.relative_change / 2)
    assert removed(report, "stem") == removed(report, "inner") == [4]
    assert list(kept(report, "stem")) == list(kept(report, "inner")) == [2]


def test_what_a_later_round_finds_counts_against_the_same_bound():
    net = Padded(4)
    silence(net.first, [1])
    with torch.no_grad():  # read by a channel only that nothing reads
        net.second.weight[:, 5] = 0
        net.second.weight[2, 5] = 1
        net.third.weight[:, 2] = 0
    example = torch.randn(1, 2, 6, 6, generator=generator(4), dtype=torch.float64)
    _, report = SVR(net, example).remove_dead_channels(1e-9)
    assert report.rounds == 2
    assert (removed(report, "first"), removed(report, "second")) == ([5], [2])
    assert list(kept(report, "first")) == [1]


def test_no_room_at_all():
    net, example = planted(5)
    smaller, report = SVR(net, example).remove_dead_channels(0)
    assert report.removed.empty
    assert report.relative_change == 0
    assert len(report.kept) == 6
    assert "nothing removed" in repr(report)
    for name, value in net.state_dict().items():
        assert torch.equal(value, smaller.state_dict()[name])


@pytest.mark.slow
def test_the_same_each_time_and_in_groups_where_there_are_many(monkeypatch):
    net, example = planted(6)
    tolerance = SVR(net, example).remove_dead_channels(math.inf)[1].relative_change / 3
    reports = [SVR(net, example).remove_dead_channels(tolerance)[1] for _ in range(2)]
    assert reports[0].removed.equals(reports[1].removed)
    assert reports[0].kept.equals(reports[1].kept)
    monkeypatch.setattr(bound, "MOST_CANDIDATES", 3)
    _, coarse = SVR(net, example).remove_dead_channels(tolerance)
    assert coarse.relative_change <= tolerance
    assert len(coarse.removed) <= len(reports[0].removed)


def test_single_precision_is_bounded_as_well():
    net, example = planted(1)
    net, example = net.float(), example.float()
    whole = SVR(net, example).remove_dead_channels(math.inf)[1].relative_change
    smaller, report = SVR(net, example).remove_dead_channels(whole / 4, check_inputs=example)
    assert 0 < len(report.removed) < 6
    assert change(net, smaller, [example]) <= whole / 4


def test_numbers_in_messages_are_not_below_what_they_stand_for():
    for value in (1e-9, 0.0022, 0.0999, 1.0, 37.2, *np.geomspace(1e-12, 1e3, 40)):
        assert value <= float(_above(float(value))) <= 1.11 * value
