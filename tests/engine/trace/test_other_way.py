"""A layer's weight that other code uses the other way round, as tied decoders and heads do."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812 - PyTorch's own name for it

from svr_widget.svr import SVR


class Tied(nn.Module):
    """An encoder, a decoder by hand, and a layer that reads it."""

    def __init__(self, encoder, decode, last):
        super().__init__()
        self.encoder, self.decode, self.last = encoder, decode, last
        self.scale = nn.Parameter(torch.tensor(2.0))

    def forward(self, x):
        return self.last(self.decode(self.encoder(x).tanh(), self.encoder.weight, self.scale))


def linear(decode):
    return Tied(nn.Linear(9, 6), decode, nn.Linear(9, 4)), torch.rand(2, 9)


def square(decode):
    return Tied(nn.Linear(6, 6), decode, nn.Linear(6, 4)), torch.rand(2, 6)


def embedding(decode):
    return Tied(nn.Embedding(9, 6), decode, nn.Linear(9, 4)), torch.zeros(1, 3, dtype=torch.long)


def convolution(decode):
    return Tied(nn.Conv2d(3, 5, 3), decode, nn.Conv2d(3, 2, 1)), torch.rand(1, 3, 6, 6)


def transposed(decode):
    return Tied(nn.ConvTranspose2d(3, 5, 3), decode, nn.Conv2d(3, 2, 1)), torch.rand(1, 3, 6, 6)


DECODERS = {
    "F.linear": (linear, lambda h, w, s: F.linear(h, w.t()), 1),
    "product": (linear, lambda h, w, s: h @ w, 1),
    "vector": (linear, lambda h, w, s: (w.T @ h.unsqueeze(-1)).squeeze(-1), 1),
    "copied": (linear, lambda h, w, s: F.linear(h, w.clone().t().contiguous()), 1),
    "cast": (linear, lambda h, w, s: F.linear(h, w.bfloat16().float().t()), 1),
    "scaled": (linear, lambda h, w, s: F.linear(h, w.t() * s), 2),
    "square": (square, lambda h, w, s: F.linear(h, w.t()), 1),
    "head": (embedding, lambda h, w, s: F.linear(h, w), 1),
    "scaled head": (embedding, lambda h, w, s: h @ (w * s).T, 2),
    "convolution": (convolution, lambda h, w, s: F.conv_transpose2d(h, w), 1),
    "transposed convolution": (transposed, lambda h, w, s: F.conv2d(h, w), 1),
}


@pytest.mark.parametrize("name", DECODERS)
def test_it_is_a_map_by_the_name_of_the_parameter_and_no_discovery(name):
    made, decode, scale = DECODERS[name]
    model, x = made(decode)
    svr = SVR(model, x)
    assert set(svr.links) == {("encoder", "encoder.weight[T]"), ("encoder.weight[T]", "last")}
    tied = svr.links["encoder", "encoder.weight[T]"]
    assert tied.by_construction
    assert not svr.links["encoder.weight[T]", "last"].by_construction
    own, other = svr.maps["encoder"].weight, svr.maps["encoder.weight[T]"].weight
    torch.testing.assert_close(other, scale * own.transpose(0, 1), rtol=0.01, atol=0.01)
    assert "encoder" not in set(svr.edges(p=0.5)["producer"])


def test_what_is_normalised_is_another_matrix():
    model, x = embedding(lambda h, w, s: F.linear(h, F.normalize(w * torch.arange(1, 10)[:, None])))
    assert not any(link.by_construction for link in SVR(model, x).links.values())


def test_what_reads_some_channels_is_the_map_with_these_alone():
    model, x = linear(lambda h, w, s: F.linear(h[:, :3], w[:3].t()))
    svr = SVR(model, x)
    assert list(svr.links) == [("encoder", "encoder.weight[T]"), ("encoder.weight[T]", "last")]
    link = svr.links["encoder", "encoder.weight[T]"]
    assert link.producer_channels.tolist() == link.consumer_channels.tolist() == [0, 1, 2]
    assert link.by_construction


def test_the_same_way_round_is_the_layer_again():
    model, x = square(lambda h, w, s: F.linear(h, w))
    svr = SVR(model, x)
    assert set(svr.links) == {("encoder", "encoder"), ("encoder", "last")}


def test_it_can_be_chosen_and_left_out_by_its_name():
    model, x = linear(lambda h, w, s: h @ w)
    assert set(SVR(model, x, exclude="encoder.weight[T]").maps) == {"encoder", "last"}
    names = ["encoder", "encoder.weight[T]", "last"]
    assert set(SVR(model, x, include=names).maps) == set(names)


def test_it_is_cut_as_the_layer_is():
    model, x = linear(lambda h, w, s: h @ w)
    smaller, _ = SVR(model, x).prune(3)
    assert torch.linalg.matrix_rank(smaller.encoder.weight) == 3
    hidden = (x @ smaller.encoder.weight.T + smaller.encoder.bias).tanh()
    torch.testing.assert_close(smaller(x), smaller.last(hidden @ smaller.encoder.weight))


def test_its_channels_are_not_removed_from_under_it():
    model, x = linear(lambda h, w, s: h @ w)
    nn.init.zeros_(model.encoder.weight[2])
    nn.init.zeros_(model.encoder.bias)
    smaller, report = SVR(model, x).remove_dead_channels()
    assert report.kept["why"].str.contains("encoder.weight.T. are one tensor").all()
    torch.testing.assert_close(smaller(x), model(x))
