"""The caller's settings change no number and stop nothing."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor, nn

from svr_widget.engine.environment.settings import matrix_product, with_own_settings
from svr_widget.svr import SVR
from tests.engine.support.callers_settings import SETTINGS


def model() -> nn.Module:
    torch.manual_seed(0)
    made = nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.Conv2d(8, 8, 3, groups=2),
        nn.Flatten(),
        nn.Linear(8 * 36, 20),
        nn.ReLU(),
        nn.Linear(20, 4),
    )
    with torch.no_grad():
        made[5].weight += 3 * torch.outer(torch.randn(20), torch.randn(8 * 36))
        made[7].weight[:, 3] = 0
    return made


def everything(network: nn.Module, images: Tensor) -> dict[str, object]:
    svr = SVR(network, images)
    found: dict[str, object] = {
        "edges": svr.edges(p=0.1),
        "neurons": svr.neurons(),
        "super feature": svr.super_feature(p=0.1),
        "dead": svr.dead_channels(),
        "near-kernels": svr.near_kernels(),
        "null": svr.null_comparison(("5", "7"), draws=2),
        "similarity": svr.similarity(images),
        "match": svr.match(svr).pairs,
        "activations": svr.spectral_activations(images),
        "pruned": svr.prune(2)[0].state_dict(),
        "removed": svr.remove_dead_channels()[0].state_dict(),
        "report": svr.remove_dead_channels()[1].relative_change,
        "folded": svr.by_norm("fold").adjacency(("0", "3")).dense(),
        "weights": SVR([each.detach() for each in (network[5].weight, network[7].weight)]).edges(),
    }
    for key in svr.links:
        found[str(key)] = svr.adjacency(key).dense()
        found[f"{key} dimensions"] = tuple(svr.internal_dimensions(key))
    return found


def assert_equal(a: object, b: object, where: str) -> None:
    if isinstance(a, dict):
        assert isinstance(b, dict)
        for name in a:
            assert_equal(a[name], b[name], f"{where} {name}")
    elif isinstance(a, Tensor):
        assert isinstance(b, Tensor)
        assert (a.dtype, a.device) == (b.dtype, b.device), where
        assert torch.equal(a, b), where
        assert not b.is_inference(), where
    elif isinstance(a, pd.DataFrame):
        assert isinstance(b, pd.DataFrame)
        pd.testing.assert_frame_equal(a, b, check_exact=True, obj=where)
    else:
        assert a == b, where


def without_what_the_model_multiplies(found: dict[str, object]) -> dict[str, object]:
    activations = found["activations"]
    assert isinstance(activations, dict)
    known = {name: each for name, each in activations.items() if name != "7"}
    return {**found, "activations": known, "report": None}


@pytest.fixture(scope="module")
def plain() -> tuple[nn.Module, Tensor, dict[str, object]]:
    network, images = model(), torch.rand(2, 1, 8, 8)
    return network, images, everything(network, images)


@pytest.mark.slow
@pytest.mark.parametrize("name", SETTINGS)
def test_no_number_changes(name: str, plain: tuple[nn.Module, Tensor, dict[str, object]]) -> None:
    network, images, usual = plain
    with SETTINGS[name]():
        found = everything(network, images)
    if name == "matmul precision":  # what map 7 reads is a product of the model's own
        usual, found = (without_what_the_model_multiplies(each) for each in (usual, found))
    assert_equal(usual, found, name)


@with_own_settings
def fail_in_own_settings() -> None:
    assert torch.get_default_device().type == "cpu"
    assert not torch.is_autocast_enabled("cpu")
    raise RuntimeError("in the middle")


def test_the_callers_settings_are_theirs_again() -> None:
    with (
        np.errstate(all="raise"),
        torch.autocast("cpu", dtype=torch.bfloat16),
        torch.inference_mode(),
        SETTINGS["default device"](),
    ):
        before = np.geterr()
        with pytest.raises(RuntimeError, match="in the middle"):
            fail_in_own_settings()
        assert np.geterr() == before
        assert torch.get_default_device().type == "meta"
        assert torch.is_autocast_enabled("cpu")
        assert torch.is_inference_mode_enabled()


def test_the_model_still_runs_on_the_callers_default_device() -> None:
    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Linear(4, 4), nn.Linear(4, 4)
            self.devices: list[str] = []

        def forward(self, x: Tensor) -> Tensor:
            made.append(torch.zeros(1).device.type)
            return self.b(self.a(x))

    made: list[str] = []
    network, x = Model(), torch.ones(2, 4)
    with SETTINGS["default device"]():
        svr = SVR(network, x)
        svr.spectral_activations(x)
    assert set(made) == {"meta"}
    assert ("a", "b") in svr.links


def test_a_product_is_that_of_its_factors_precision() -> None:
    torch.manual_seed(0)
    left, right = torch.randn(30, 200), torch.randn(200, 40)
    exact = left.double() @ right.double()
    with SETTINGS["matmul precision"](), SETTINGS["autocast"]():
        found = matrix_product(left, right)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found.double(), exact, rtol=1e-5, atol=1e-5)
