"""The edges of noise, against noise."""

from __future__ import annotations

import pytest
import torch

from svr_widget.engine.decompose import decompose
from svr_widget.engine.decompose.marchenko_pastur import marchenko_pastur_edges


@pytest.mark.parametrize(
    ("shape", "groups"), [((400, 600), 1), ((300, 40, 3, 3), 1), ((500, 500), 1), ((600, 250), 2)]
)
def test_noise_fills_the_range_between_its_edges(shape: tuple[int, ...], groups: int) -> None:
    generator = torch.Generator().manual_seed(2)
    weight = 3.7 * torch.randn(*shape, generator=generator)
    neurons = decompose(weight, groups)
    low, high = marchenko_pastur_edges(neurons)
    spread = high - low
    assert float(neurons.S[0]) == pytest.approx(high, abs=0.03 * spread)
    assert float(neurons.S[-1]) == pytest.approx(low, abs=0.03 * spread)
    # The density, not only its ends: the mean square is the energy's.
    assert float((neurons.S**2).mean()) * len(neurons) == pytest.approx(neurons.energy)
    assert low < float(neurons.S.median()) < high


def test_a_planted_direction_stands_above_the_edge() -> None:
    generator = torch.Generator().manual_seed(3)
    weight = torch.randn(200, 300, generator=generator)
    u, v = torch.randn(200, generator=generator), torch.randn(300, generator=generator)
    neurons = decompose(weight + 60 * torch.outer(u / u.norm(), v / v.norm()))
    _, high = marchenko_pastur_edges(neurons)
    assert int((1.02 * high < neurons.S).sum()) == 1
