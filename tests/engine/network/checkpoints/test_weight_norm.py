"""Directions and lengths, against the weights that PyTorch computes of them."""

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations

from svr_widget import SVR
from svr_widget.engine.errors import UnsupportedLayerError


def plain():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv1d(3, 4, 2), nn.Flatten(), nn.Linear(4 * 9, 5))


def parametrised(dim=0):
    model = plain()
    parametrizations.weight_norm(model[0], dim=dim)
    with torch.no_grad():
        model[0].parametrizations.weight.original0.mul_(3)
    return model


def hooked(dim=0):
    model = plain()
    with pytest.warns(FutureWarning):
        nn.utils.weight_norm(model[0], dim=dim)
    with torch.no_grad():
        model[0].weight_g.mul_(3)
    return model


X = torch.zeros(1, 3, 10)


@pytest.mark.parametrize("made", [parametrised, hooked])
@pytest.mark.parametrize("dim", [0, 2, None])
def test_a_mapping_shows_the_product(made, dim):
    model = made(dim)
    model(X)  # hooks compute the weight here
    svr = SVR(model.state_dict())
    assert list(svr.maps) == ["0", "2"]
    torch.testing.assert_close(svr.maps["0"].weight, model[0].weight.detach())


@pytest.mark.parametrize("made", [parametrised, hooked])
@pytest.mark.parametrize("before", ["", "module.", "net."])
def test_a_skeleton_takes_either_form(made, before):
    model = made()
    model(X)
    kept = {before + name: each for name, each in model.state_dict().items()}
    whole = {name: each for name, each in kept.items() if "weight_" not in name}
    whole = {name: each for name, each in whole.items() if "original" not in name}
    whole[f"{before}0.weight"] = model[0].weight.detach().clone()
    for skeleton, given in ((plain(), kept), (model, whole), (model, kept)):
        svr = SVR(skeleton.to("meta"), X, weights=given)
        torch.testing.assert_close(svr.maps["0"].weight, whole[f"{before}0.weight"])
        assert list(svr.links) == [("0", "2")]
        assert not any("not in" in note for note in svr.notes)


def test_parts_that_are_no_product_are_refused_at_once_and_can_be_left_out():
    model = nn.Sequential(*(parametrizations.spectral_norm(nn.Linear(4, 4)) for _ in range(2)))
    given = {**model.state_dict(), "other.weight": torch.eye(3)}
    with pytest.raises(UnsupportedLayerError, match="spectral norm") as refused:
        SVR(given)
    advice = str(refused.value).rpartition("exclude=")[2]
    assert advice == "['*original']"
    assert list(SVR(given, exclude=["*original"]).maps) == ["other"]


def test_names_alone_make_no_norm():
    gate = {"a.weight_v": torch.rand(4, 4), "a.weight_g": torch.rand(4, 4)}
    with pytest.raises(UnsupportedLayerError, match=r"a\.weight_v"):
        SVR(gate)
