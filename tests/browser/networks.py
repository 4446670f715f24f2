"""Code cells that make the networks of the browser tests."""

from __future__ import annotations

# A chain whose first link has planted edges: neuron m of "0" meets neuron m of "2", for m < 4,
# and nothing else is joined beyond chance.
PLANTED = """
import torch
from torch import nn
from svr_widget import SVR, SVRWidget

generator = torch.Generator().manual_seed(5)

def frame(rows, columns):
    return torch.linalg.qr(torch.randn(rows, columns, generator=generator))[0]

first, second = nn.Linear(48, 32, bias=False), nn.Linear(32, 24, bias=False)
third = nn.Linear(24, 10, bias=False)
U = frame(32, 32)
V = torch.cat([U[:, :4], U[:, 4:] @ frame(28, 28)], 1)[:, :24]
sizes = torch.cat([torch.tensor([4.0, 3.5, 3.0, 2.5]), torch.linspace(1, 0.2, 28)])
with torch.no_grad():
    first.weight.copy_(U * sizes @ frame(48, 32).T)
    second.weight.copy_(frame(24, 24) * sizes[:24] @ V.T)
    third.weight.copy_(torch.randn(10, 24, generator=generator))
model = nn.Sequential(first, nn.ReLU(), second, nn.ReLU(), third)
widget = SVRWidget(model, fdr=0.01)
"""
SHOW = "widget"
