"""Parameters and multiply-adds, counted by hand."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from svr_widget.engine.compression.footprint import footprint
from svr_widget.engine.model.example_inputs import given_example
from svr_widget.svr import SVR


class Net(nn.Module):
    """Every kind of layer that multiplies, one of them called twice, one of them tied."""

    def __init__(self):
        super().__init__()
        self.plain = nn.Conv2d(3, 8, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(8)
        self.depthwise = nn.Conv2d(8, 8, 3, groups=8)
        self.wider = nn.ConvTranspose2d(8, 4, 2, stride=2, groups=2)
        self.head = nn.Linear(4 * 12 * 12, 5)
        self.tail = nn.Sequential(nn.Linear(5, 5), nn.ReLU(), nn.Linear(5, 5))
        self.tail[2].weight = self.tail[0].weight

    def forward(self, x):
        x = self.wider(self.depthwise(self.norm(self.plain(x)))).flatten(1)
        return self.tail(self.tail[0](self.head(x)))


def test_counted_by_hand():
    net = Net()
    taken = footprint(net, given_example(net, torch.zeros(2, 3, 8, 8)))
    by_hand = {
        "plain": 2 * 64 * 8 * 27,
        "depthwise": 2 * 36 * 8 * 9,
        "wider": 2 * 36 * 8 * 2 * 4,
        "head": 2 * 576 * 5,
        "tail.0": 2 * 2 * 25,
        "tail.2": 2 * 25,
    }
    assert {name: taken.multiply_adds_of[name] for name in by_hand} == by_hand
    assert taken.multiply_adds == sum(by_hand.values()) == taken.multiply_adds_of[""]
    assert taken.parameters == 8 * 27 + 16 + 80 + 4 * 4 * 4 + 4 + 576 * 5 + 5 + 25 + 5 + 5
    assert taken.parameters_of["tail"] == 25 + 5 + 5
    assert taken.parameters_of["norm"] == 16


def test_the_example_that_the_links_were_read_off():
    net = Net()
    given = torch.randn(2, 3, 8, 8)
    assert SVR(net, given).example.args[0] is given
    tried = SVR(net).example
    assert tuple(tried.args[0].shape) == (1, 3, 8, 8)
    assert (
        footprint(net, tried).multiply_adds * 2
        == footprint(net, given_example(net, given)).multiply_adds
    )
    assert SVR(net, links=[("plain", "depthwise")]).example is None
    assert SVR(net, given, links=[("plain", "depthwise")]).example.args[0] is given
    assert SVR([torch.eye(3)]).example is None


BATCH, STEPS, WIDTH = 2, 5, 8
SCORES = BATCH * 2 * STEPS * STEPS * WIDTH  # queries with keys, and weights with values


class Fused(nn.Module):
    def forward(self, x):
        return functional.scaled_dot_product_attention(x, x, x)


class Attended(nn.Module):
    def __init__(self):
        super().__init__()
        self.attention = nn.MultiheadAttention(WIDTH, 2, batch_first=True)

    def forward(self, x):
        return self.attention(x, x, x)


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (Fused(), SCORES),
        (Attended(), SCORES + 4 * BATCH * STEPS * WIDTH * WIDTH),
        (nn.LSTM(WIDTH, 4), BATCH * STEPS * 16 * (WIDTH + 4)),
        (nn.GRU(WIDTH, 4), BATCH * STEPS * 12 * (WIDTH + 4)),
    ],
    ids=["fused", "module", "lstm", "gru"],
)
def test_kernels_that_do_several_products_at_once(model, expected):
    example = given_example(model, torch.randn(BATCH, STEPS, WIDTH))
    assert footprint(model, example).multiply_adds == expected
