"""Attention as products: the maps are what a forward pass computes, and what a basis cannot move."""

import numpy as np
import pytest
import torch
from torch import nn

from svr_widget.engine import SVR
from tests.engine.zoo import heads


def recomputed(svr, x, y):
    """The attention's output from its products alone: sum over heads of ``softmax(x QK y) y OV``."""
    names = [name.removesuffix("]").rpartition("[QK.")[::2] for name in svr.maps if "[QK." in name]
    total = torch.zeros(x.shape)
    for module, head in names:
        query_key = svr.maps[f"{module}[QK.{head}]"]
        output_value = svr.maps[f"{module}[OV.{head}]"]
        inner = query_key.factors[0].shape[1]
        scores = (x @ query_key.weight @ y.transpose(1, 2)) / inner**0.5
        total += scores.softmax(-1) @ y @ output_value.weight.T
    return total


@pytest.mark.parametrize("batch", [1, 2])
@pytest.mark.parametrize("name", heads.ATTENTIONS)
def test_the_products_are_what_the_attention_computes(name, batch):
    torch.manual_seed(0)
    model = heads.ATTENTIONS[name]()
    x, y = torch.randn(batch, 3, 8), torch.randn(batch, 5, 8)
    svr = SVR(model, (x, y))
    every = name not in ("convolutions",)
    expected = {f"attention[{kind}.{h}]" for kind in ("QK", "OV") for h in range(4 if every else 1)}
    assert {n for n in svr.maps if n != "bias"} == expected
    with torch.no_grad():
        wanted = model.eval()(x, y)
    if name.startswith("fused"):
        y = x
    torch.testing.assert_close(recomputed(svr, x, y), wanted, rtol=0, atol=1e-5)
