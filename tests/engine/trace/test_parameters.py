"""Learned tensors of no known layer: added, put beside, or refused as possible maps."""

import pytest
import torch
from torch import nn
from torch.nn.functional import interpolate, linear, scaled_dot_product_attention

from svr_widget import SVR
from svr_widget.engine.errors import UnsupportedLayerError


class Network(nn.Module):
    """Two matrices, a learned tensor ``[6, 4]``, and what a test does with it."""

    def __init__(self, course, of=None):
        super().__init__()
        self.first, self.second = nn.Linear(4, 4), nn.Linear(4, 4)
        self.inner = nn.Module()
        self.inner.learned = nn.Parameter(torch.randn(6, 4) if of is None else of)
        self.course = course

    def forward(self, x):
        return self.course(self, x, self.inner.learned)


X = torch.zeros(2, 6, 4)

CONSTANTS = {
    "positions": lambda net, x, p: net.second(net.first(x) + p),
    "positions before the first map": lambda net, x, p: net.second(net.first(x + p)),
    "taken off": lambda net, x, p: net.second(net.first(x) - p[:1]),
    "interpolated": lambda net, x, p: net.second(
        net.first(x) + interpolate(p.T[None, :, :3], size=6, mode="linear")[0].T
    ),
    "scaled and added": lambda net, x, p: net.second(net.first(x).add_(0.5 * p)),
    "tokens": lambda net, x, p: net.second(torch.cat([p.expand(2, -1, -1), net.first(x)], 1)),
    "written into a row": lambda net, x, p: net.second(_first_row(net.first(x), p)),
    "latents": lambda net, x, p: net.second(net.first(p)) + x,
    "where something is masked": lambda net, x, p: net.second(torch.where(MASK, p, net.first(x))),
    "a bias of attention scores": lambda net, x, p: net.second(
        scaled_dot_product_attention(x, x, net.first(x), attn_mask=p @ p.T)
    ),
}

MASK = torch.tensor([True, False] * 3)[:, None]


def _first_row(y, p):
    y[:, 0] = p[0]
    return y


MAPS = {
    "a matrix": lambda net, x, p: net.second((net.first(x) @ p.T) @ p),
    "a matrix before the first map": lambda net, x, p: net.second(net.first(linear(x, p) @ p)),
    "a gain": lambda net, x, p: net.second(net.first(x) * p),
    "a low-rank update": lambda net, x, p: net.second(
        linear(net.first(x), net.second.weight + p.T @ p)
    ),
    "a part of a map's weight": lambda net, x, p: linear(net.first(x), net.second.weight + p.T @ p),
    "positions and a matrix": lambda net, x, p: net.second((net.first(x) + p) @ (p.T @ p)),
    "a table that tokens look up": lambda net, x, p: net.second(
        net.first(x) + p[(x[..., 0] > 0).long()]
    ),
    "not met": lambda net, x, p: net.second(net.first(x)),
    "met behind the tracer's back": lambda net, x, p: net.second(net.first(x) @ p.data.T @ p.data),
}


@pytest.mark.parametrize("name", CONSTANTS)
def test_what_is_added_or_put_beside_is_left_out(name):
    svr = SVR(Network(CONSTANTS[name]), X)
    assert list(svr.maps) == ["first", "second"]
    assert ("first", "second") in svr.links
    assert [note for note in svr.notes if "'inner.learned'" in note] == [
        "no maps, for they are only added to channels or put beside them: 'inner.learned'"
    ]


@pytest.mark.parametrize("name", MAPS)
def test_what_may_be_a_map_is_refused(name):
    message = r"inner \(Module\) holds the weight 'learned'.*exclude='inner.learned'"
    with pytest.raises(UnsupportedLayerError, match=message):
        SVR(Network(MAPS[name]), X)


def test_links_by_hand_tell_nothing_of_constants():
    network = Network(CONSTANTS["positions"])
    with pytest.raises(UnsupportedLayerError, match="'learned'"):
        SVR(network, links=[("first", "second")])
    assert SVR(network, links=[("first", "second")], exclude="inner.learned").links


def test_many_are_counted():
    class Deep(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = nn.ModuleList(Network(CONSTANTS["positions"]) for _ in range(6))

        def forward(self, x):
            for layer in self.layers:
                x = layer(x)
            return x

    assert any(
        note.endswith("'layers.2.inner.learned', 'layers.3.inner.learned' and 2 more")
        for note in SVR(Deep(), X).notes
    )
