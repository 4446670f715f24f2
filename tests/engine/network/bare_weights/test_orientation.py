"""How weights are kept: what biases and widths tell, and that nothing is taken for granted else."""

import pytest
import torch
from torch import nn

from svr_widget import SVR
from tests.engine.support.gaussian import gaussian

SAYS_NOTHING = "nothing tells how"


def models():
    torch.manual_seed(0)
    return {
        "transposed": nn.Sequential(nn.ConvTranspose2d(6, 4, 3), nn.ConvTranspose2d(4, 7, 2)),
        "groups": nn.Sequential(nn.ConvTranspose2d(8, 6, 3, groups=2), nn.Conv2d(6, 3, 1)),
        "plain": nn.Sequential(nn.Conv1d(3, 5, 3), nn.Conv1d(5, 4, 1)),
        "linear": nn.Sequential(nn.Linear(4, 6), nn.Linear(6, 5)),
    }


@pytest.mark.parametrize("kind", list(models()))
def test_a_bias_tells(kind):
    """The oracle is the model, whose layers say how they keep their weights."""
    model = models()[kind]
    whole = SVR(model, links=[("0", "1")])
    svr = SVR(model.state_dict(), links=[("0", "1")])
    for name, linear in whole.maps.items():
        assert torch.equal(svr.maps[name].weight, linear.weight)
        assert (svr.maps[name].groups, svr.maps[name].kind) == (linear.groups, linear.kind)
    torch.testing.assert_close(
        svr.adjacency(("0", "1")).dense(), whole.adjacency(("0", "1")).dense()
    )
    turned = [note for note in svr.notes if "as the lengths of their biases tell" in note]
    assert bool(turned) == (kind in ("transposed", "groups"))


def test_matrices_that_are_kept_inputs_first():
    """The perceptron of a transformer with transformers' Conv1D: both ways round it fits."""
    state = {
        "c_fc.weight": gaussian(4, 16),
        "c_fc.bias": torch.zeros(16),
        "c_proj.weight": gaussian(16, 4),
        "c_proj.bias": torch.zeros(4),
    }
    svr = SVR(state, links="chain")
    assert torch.equal(svr.maps["c_fc"].weight, state["c_fc.weight"].T)
    assert svr.adjacency(("c_fc", "c_proj")).dense().shape == (4, 4)
    assert svr.links["c_fc", "c_proj"].shared == 16
    weights = {name: each for name, each in state.items() if each.ndim > 1}
    [note] = SVR(weights, links="chain").notes
    assert SAYS_NOTHING in note
    assert "'c_fc', 'c_proj' are kept" in note


def test_a_bias_that_fits_no_way_round():
    """Kernels as Keras keeps them: [*kernel, in, out]."""
    state = {"conv.kernel": gaussian(3, 3, 5, 7), "conv.bias": torch.zeros(7)}
    fc = {"fc.kernel": gaussian(7, 4), "fc.bias": torch.zeros(4)}
    svr = SVR({**state, **fc})
    assert list(svr.maps) == ["fc.kernel"]
    assert svr.maps["fc.kernel"].weight.shape == (4, 7)
    assert any("'conv.kernel' (3x3x5x7, with a bias of 7)" in note for note in svr.notes)


@pytest.mark.parametrize(
    ("shapes", "uncertain"),
    [
        (((4, 3), (5, 4)), False),  # fits one way only
        (((4, 4), (5, 4)), True),  # the first may be kept either way
        (((4, 3), (3, 4)), True),  # fits also where both are turned
        (((4, 3, 3, 3), (5, 16)), False),
        (((4, 4, 3, 3), (4, 4, 3, 3)), True),
    ],
)
def test_the_widths_of_a_link_tell_where_they_fit_one_way_only(shapes, uncertain):
    first, second = (gaussian(*shape) for shape in shapes)
    svr = SVR({"first": first, "second": second}, links="chain")
    assert any(SAYS_NOTHING in note for note in svr.notes) == uncertain
    assert SVR([first, second]).notes == (), "a list is [out, in, *kernel]"


def test_square_weights_say_so_in_the_notice():
    up = nn.Sequential(nn.ConvTranspose2d(4, 4, 3), nn.ConvTranspose2d(4, 4, 3))
    [notice] = SVR(up.state_dict()).notes
    assert "ConvTranspose, Embedding and Conv1D keep [in, out, *kernel]" in notice
    chained = SVR(up.state_dict(), links="chain").notes
    assert any(SAYS_NOTHING in note and "'0', '1' are kept" in note for note in chained)
