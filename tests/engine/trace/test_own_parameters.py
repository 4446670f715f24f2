"""Parameters with which a module's own code multiplies: which are maps, and what feeds them."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from svr_widget.engine.maps.layer_kinds import parts_of
from svr_widget.engine.model.find_maps import find_parts
from svr_widget.engine.trace import Trace, trace
from tests.engine.support.oracle import oracle, traced_pairs
from tests.engine.support.zoo.own import CHOSEN, STATIC, Own, Twin

IDIOMS = {**STATIC, **CHOSEN}


def traced(model: nn.Module, x: Tensor) -> Trace:
    found = find_parts(model)
    return trace(model, found.parts, (x,), own=found.own)


def layer(weight: Tensor) -> nn.Linear:
    made = nn.Linear(weight.shape[1], weight.shape[0], bias=False)
    made.weight = nn.Parameter(weight.clone())
    return made


@pytest.mark.parametrize("name", IDIOMS)
def test_links_are_those_of_a_twin_of_layers(name: str) -> None:
    torch.manual_seed(0)
    idiom = IDIOMS[name]
    model = Own(idiom).eval()
    x = torch.randn(idiom.inputs)
    found = traced(model, x)
    computed = {n: p.weight(found.computed.get(n)) for n, p in found.own.items()}
    layers = {n: layer(weight) for n, weight in computed.items()}
    layers |= {n: copy.deepcopy(getattr(model, n)) for n in ("a", "o")}
    twin = Twin(layers, idiom.twin).eval()
    if name in STATIC:
        torch.testing.assert_close(twin(x), model(x))
    parts = {n: parts_of(module, n)[0] for n, module in layers.items()}
    wanted = oracle(twin, parts, (x,))
    assert wanted
    assert traced_pairs(found) == wanted
