"""What an SVR does with the maps that a module's own code makes of its parameters."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - PyTorch's own name for it

from svr_widget import SVR
from svr_widget.engine.errors import SVRError
from tests.engine.support.zoo.own import CHOSEN, STATIC, Own

X = torch.randn(9, 4, generator=torch.Generator().manual_seed(0))


class OwnLinear(nn.Module):
    """A library's own layer."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs))
        self.bias = nn.Parameter(torch.randn(outputs))

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight, self.bias)


class Doubled(OwnLinear):
    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x.relu(), self.weight)


class OwnConvolution(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(6, 2, 3, 3))

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.weight, groups=2)


class Table(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.table, self.o = nn.Parameter(torch.randn(7, 4)), nn.Linear(4, 2)

    def forward(self, tokens: Tensor) -> Tensor:
        return self.o(F.embedding(tokens, self.table))


@pytest.fixture
def experts() -> Own:
    torch.manual_seed(0)
    return Own(CHOSEN["experts that are gathered"]).eval()


def test_a_weight_goes_by_its_modules_name_and_others_by_their_own() -> None:
    assert list(SVR(nn.Sequential(OwnLinear(4, 3), nn.Linear(3, 2)), X).maps) == ["0", "1"]
    assert list(SVR(Own(STATIC["a projection"]), X).maps) == ["a", "p", "o"]


def test_an_input_is_tried_that_fits_the_first_parameter() -> None:
    svr = SVR(nn.Sequential(OwnLinear(4, 3), nn.ReLU(), OwnLinear(3, 2)))
    assert list(svr.links) == [("0", "2")]
    assert list(SVR(nn.Sequential(OwnLinear(4, 3), nn.Linear(3, 2))).links) == [("0", "1")]


def test_convolutions_and_tables() -> None:
    svr = SVR(nn.Sequential(nn.Conv2d(3, 4, 1), OwnConvolution()), torch.randn(1, 3, 5, 5))
    assert svr.maps["1"].shape == (6, 2, 3, 3)
    assert svr.maps["1"].groups == 2
    assert list(svr.links) == [("0", "1")]
    svr = SVR(Table(), torch.tensor([[1, 2, 3]]))
    assert svr.maps["table"].kind == "embedding"
    assert svr.maps["table"].shape == (4, 7)
    assert list(svr.links) == [("table", "o")]


def test_weights_are_canonical(experts: Own) -> None:
    svr = SVR(experts, X)
    assert torch.equal(svr.maps["up[1]"].weight, experts.up[1])
    assert torch.equal(svr.maps["router"].weight, experts.router)
    flat = Own(STATIC["an einsum over heads that lie the other way"])
    assert torch.equal(SVR(flat, X).maps["p"].weight, flat.p.flatten(0, 1).T)


def test_experts_that_were_not_reached_have_the_links_of_the_others() -> None:
    torch.manual_seed(0)
    model = Own(CHOSEN["experts that were chosen"]).eval()
    few, many = SVR(model, X[:1]), SVR(model, X)
    assert set(few.links) == set(many.links)
    assert list(few.maps) == list(many.maps)
    (note,) = [note for note in few.notes if "did not reach" in note]
    assert "2 of 3 of 'up'" in note or "2 of 3 of 'down'" in note


def test_single_experts_are_left_out_and_taken_by_name(experts: Own) -> None:
    svr = SVR(experts, X, exclude="up[1]")
    assert "up[1]" not in svr.maps
    assert {"up[0]", "up[2]", "down[1]"} <= set(svr.maps)
    assert not [pair for pair in svr.links if "up[1]" in pair]
    assert list(SVR(experts, X, include=["a", "up[2]"]).maps) == ["a", "up[2]"]
    with pytest.raises(SVRError, match=r"up\[3\]"):
        SVR(experts, X, exclude="up[3]")


def test_pruning_cuts_them_where_they_are_kept(experts: Own) -> None:
    before = copy.deepcopy(experts.state_dict())
    model, _ = SVR(experts, X).prune({"up[1]": 1, "down[0]": 2})
    assert torch.linalg.matrix_rank(model.up[1]) == 1
    assert torch.linalg.matrix_rank(model.down[0]) == 2
    assert torch.equal(model.up[0], experts.up[0])
    assert all(torch.equal(value, before[name]) for name, value in experts.state_dict().items())
    flat = Own(STATIC["an einsum over heads that lie the other way"])
    model, _ = SVR(flat, X).prune({"p": 1})
    assert torch.linalg.matrix_rank(model.p.flatten(0, 1)) == 1


def test_dead_channels_around_them_stay_and_it_is_said_why(experts: Own) -> None:
    with torch.no_grad():
        experts.a.weight[2], experts.a.bias[2] = 0, 0
    model, report = SVR(experts, X).remove_dead_channels()
    assert model.a.out_features == 6
    assert "kept 1 dead channel of 'a': 'router' is one of the maps of the Own" in str(report)


def test_activations_where_the_module_is_the_map() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(OwnLinear(4, 3), nn.ReLU(), OwnLinear(3, 2)).eval()
    svr = SVR(model, X)
    found = svr.spectral_activations(X)
    hidden = (X @ model[0].weight.T + model[0].bias).relu()
    wanted = hidden.double() @ svr["2"].V.double()
    torch.testing.assert_close(found["2"].double(), wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["router", "up[1]"])
def test_activations_inside_a_modules_own_code_are_not_guessed(experts: Own, name: str) -> None:
    svr = SVR(experts, X)
    with pytest.warns(UserWarning, match=r"left out: 'router', 'up\[0\]' and 5 more: its module"):
        assert set(svr.spectral_activations(X)) == {"a", "o"}
    with pytest.raises(SVRError, match="own code multiplies with it"):
        svr.spectral_activations(X, maps=name)


def test_activations_of_a_module_that_does_more_are_not_guessed() -> None:
    svr = SVR(nn.Sequential(Doubled(4, 3), nn.Linear(3, 2)), X)
    with pytest.warns(UserWarning, match="left out: '0': its module's own code"):
        assert set(svr.spectral_activations(X)) == {"1"}


def test_they_are_saved_and_read_again_as_they_are_trained(experts: Own, tmp_path) -> None:
    svr = SVR(experts, X)
    svr.save(tmp_path / "own.svr")
    loaded = SVR.load(tmp_path / "own.svr")
    assert list(loaded.maps) == list(svr.maps)
    assert set(loaded.links) == set(svr.links)
    version = svr.parts["up[1]"].versions
    with torch.no_grad():
        experts.up[1].add_(1)
    assert svr.parts["up[1]"].versions != version


def test_what_is_not_finite_is_left_out() -> None:
    model = Own(STATIC["a projection"])
    with torch.no_grad():
        model.p[0, 0] = torch.nan
    with pytest.raises(SVRError, match="'p' has 1 NaN"):
        SVR(model, X)
    svr = SVR(model, X, non_finite="leave out")
    assert list(svr.maps) == ["a", "o"]
    assert any("'p' has 1 NaN" in note for note in svr.notes)
