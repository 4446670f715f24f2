"""Learned tensors of no known layer: added, put beside, or refused as possible maps."""

import pytest
import torch
from torch import nn
from torch.nn.functional import interpolate, linear, scaled_dot_product_attention

from svr_widget import SVR


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


OTHERS = {
    "a gain": lambda net, x, p: net.second(net.first(x) * p),
    "a table that positions look up": lambda net, x, p: net.second(
        net.first(x) + p[torch.zeros(x.shape[:-1], dtype=torch.long)]
    ),
    "not met": lambda net, x, p: net.second(net.first(x)),
}

MAPS = {
    "a matrix": lambda net, x, p: net.second((net.first(x) @ p.T) @ p),
    "a matrix before the first map": lambda net, x, p: net.second(net.first(linear(x, p) @ p)),
}

PARTS = {
    "a low-rank update": lambda net, x, p: (
        net.second(net.first(x)) + linear(net.first(x), net.second.weight + p.T @ p)
    ),
    "all that is used of a weight": lambda net, x, p: linear(
        net.first(x), net.second.weight + p.T @ p
    ),
}

UNKNOWN = {
    "positions and a matrix": lambda net, x, p: net.second((net.first(x) + p) @ (p.T @ p)),
}


@pytest.mark.parametrize("name", {**CONSTANTS, **OTHERS})
def test_what_is_never_multiplied_is_no_map(name):
    svr = SVR(Network({**CONSTANTS, **OTHERS}[name]), X)
    assert list(svr.maps) == ["first", "second"]
    assert ("first", "second") in svr.links
    assert [note for note in svr.notes if "'inner.learned'" in note] == [
        "no maps, for no channels are multiplied with them: 'inner.learned'"
    ]


@pytest.mark.parametrize("name", MAPS)
def test_what_multiplies_both_ways_is_two_maps_of_one_weight(name):
    svr = SVR(Network(MAPS[name]), X)
    assert set(svr.maps) == {"first", "second", "inner.learned", "inner.learned[T]"}
    assert svr.maps["inner.learned[T]"].tied_to == "inner.learned"
    assert torch.equal(svr.maps["inner.learned[T]"].weight, svr.maps["inner.learned"].weight.T)


@pytest.mark.parametrize("name", PARTS)
def test_what_the_weight_of_a_layer_is_computed_from_is_in_that(name):
    network = Network(PARTS[name])
    svr = SVR(network, X)
    assert list(svr.maps) == ["first", "second"]
    assert not [note for note in svr.notes if "'inner.learned'" in note]
    with torch.no_grad():
        weight = network.second.weight + network.inner.learned.T @ network.inner.learned
    if name != "a low-rank update":  # there, both are used
        torch.testing.assert_close(svr.maps["second"].weight, weight)


@pytest.mark.parametrize("name", UNKNOWN)
def test_what_multiplies_in_an_unknown_way_is_said(name):
    svr = SVR(Network(UNKNOWN[name]), X)
    assert list(svr.maps) == ["first", "second"]
    assert not svr.links
    notes = " ".join(svr.notes)
    assert "multiplied in a way that is not known here: 'inner.learned'" in notes
    assert "no link first -> second" in notes


def test_links_by_hand_tell_nothing_of_constants():
    svr = SVR(Network(CONSTANTS["positions"]), links=[("first", "second")])
    assert list(svr.maps) == ["first", "second"]
    (note,) = svr.notes
    assert note.startswith("links by hand")
    assert note.endswith("'inner.learned'")


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
        note.endswith("'layers.0.inner.learned', 'layers.1.inner.learned' and 4 more")
        for note in SVR(Deep(), X).notes
    )
