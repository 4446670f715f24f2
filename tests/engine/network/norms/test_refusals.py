"""Norms that have no exact weight are refused by name."""

import copy

import pytest
import torch
from torch import nn

from svr_widget.engine.errors import SVRError, UnsupportedLayerError
from svr_widget.svr import SVR
from tests.engine.support.gaussian import gaussian
from tests.engine.support.trained_norms import IMAGE, Joined, PreActivation, conv_chain, trained
from tests.engine.support.zoo import language


class Both(nn.Module):
    """A norm on a branch of a sum, or of a part: the producer is read in two ways."""

    def __init__(self, part=4):
        super().__init__()
        self.a, self.norm, self.b = nn.Linear(4, 4), nn.BatchNorm1d(part), nn.Linear(4, 2)
        self.part = part

    def forward(self, x):
        x = self.a(x)
        if self.part == 4:
            return self.b(x + self.norm(x))
        return self.b(torch.cat([self.norm(x[:, : self.part]), x[:, self.part :]], 1))


class ByHand(nn.Module):
    """A layer norm that is written out."""

    def forward(self, x):
        x = x - x.mean(-1, keepdim=True)
        return x / x.var(-1, keepdim=True).sqrt()


def linear_chain(*between):
    return nn.Sequential(nn.Linear(3, 4), *between, nn.Linear(4, 2))


REFUSED = {
    "group norm": (conv_chain(nn.GroupNorm(2, 4)), IMAGE, r"group_norm \(1\).*parts of the"),
    "instance norm": (conv_chain(nn.InstanceNorm2d(4)), IMAGE, r"instance_norm \(1\).*no stored"),
    "batch norm without statistics": (
        conv_chain(nn.BatchNorm2d(4, track_running_stats=False)),
        IMAGE,
        r"batch_norm \(1\) on the link '0' -> '2' cannot be folded: it has no stored statistics",
    ),
    "local response norm": (conv_chain(nn.LocalResponseNorm(2)), IMAGE, r"'0' -> '2'.*parts"),
    "norm between activations": (
        conv_chain(nn.SiLU(), nn.BatchNorm2d(4), nn.SiLU()),
        IMAGE,
        r"batch_norm \(2\).*an activation separates it from '0'; and .* from '4'",
    ),
    "stream and another activation": (PreActivation(nn.SiLU), IMAGE, r"\(blocks.0.0\).*activation"),
    "two ways": (Both(), (4,), r"batch_norm \(norm\).*ways that differ"),
    "a part of the channels": (Both(part=2), (4,), r"batch_norm \(norm\).*ways that differ"),
    "layer norm of joined channels": (Joined(nn.LayerNorm(8)), (4,), "a part only, and the law"),
    "two layer norms": (
        nn.Sequential(
            *(nn.Linear(3, 4), nn.LayerNorm(4), nn.ReLU()),
            *(nn.LayerNorm(4), nn.Linear(4, 2)),
        ),
        (3,),
        "each by another layer norm",
    ),
    "written out": (linear_chain(ByHand()), (3,), r"ByHand \(1\).*shifts the channels"),
    "batch norm of positions": (
        nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.BatchNorm1d(144), nn.Linear(144, 2)),
        IMAGE,
        r"batch_norm \(2\).*several factors for one channel",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_has_no_exact_meaning_is_refused(name):
    torch.manual_seed(5)
    model, shape, message = REFUSED[name]
    model = trained(copy.deepcopy(model)).float()
    with pytest.raises(UnsupportedLayerError, match=message):
        SVR(model, gaussian(1, *shape), norm="fold")
    SVR(model, gaussian(1, *shape))


def test_norm_behind_the_sum_is_refused():
    model, inputs = language.bert()
    message = r"layer_norm \(encoder.layer.0.attention.output.LayerNorm\) on the link .*another way"
    with pytest.raises(UnsupportedLayerError, match=message):
        SVR(trained(model), inputs, norm="fold")


def test_bare_weights_and_own_links_are_refused():
    with pytest.raises(SVRError, match="norm='fold' reads the norms off a model"):
        SVR([torch.eye(2)], norm="fold")
    with pytest.raises(SVRError, match="without links="):
        SVR(linear_chain(), links=[("0", "1")], norm="fold")
    with pytest.raises(SVRError, match="norm must be one of 'ignore', 'fold', got 'folded'"):
        SVR(linear_chain(), norm="folded")
