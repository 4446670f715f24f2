"""What a network takes: its parameters, and the multiply-adds of a forward pass."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from svr_widget.engine.model.example_inputs import Example
from svr_widget.engine.model.user_model import untouched


class Change(NamedTuple):
    """A number of a model as it was and as it is after something was taken from it."""

    before: int
    after: int

    def __str__(self) -> str:
        return f"{self.before:,} -> {self.after:,}"


@dataclass(frozen=True)
class Footprint:
    """Parameters and multiply-adds, of the whole and module by module.

    Attributes:
        parameters: how many numbers there are to train, tied ones once.
        multiply_adds: of the matrix products, convolutions and attention of one forward pass.
        parameters_of: the parameters of every module by its qualified name, what lies beneath it
            included.
        multiply_adds_of: the multiply-adds of every module that is called, likewise.
    """

    parameters: int
    multiply_adds: int
    parameters_of: Mapping[str, int] = field(repr=False)
    multiply_adds_of: Mapping[str, int] = field(repr=False)


def footprint(model: nn.Module, example: Example) -> Footprint:
    """Count the parameters of a model, and its multiply-adds for one call.

    Args:
        model: it is run once in evaluation mode and comes back untouched.
        example: the call.
    """
    counter = FlopCounterMode(
        display=False, custom_mapping={torch.ops.aten.mkldnn_rnn_layer: _recurrent_layer}
    )
    # The counter does not know every kernel of fused attention; written out it is products.
    with untouched(model), sdpa_kernel(SDPBackend.MATH), counter:
        model(*example.args, **example.kwargs)
    root = type(model).__name__
    operations = {
        name.removeprefix(root).removeprefix("."): sum(counts.values()) // 2
        for name, counts in counter.get_flop_counts().items()
        if name != "Global"
    }
    parameters = {
        name: sum(parameter.numel() for parameter in module.parameters())
        for name, module in model.named_modules(remove_duplicate=False)
    }
    return Footprint(parameters[""], counter.get_total_flops() // 2, parameters, operations)


def _recurrent_layer(
    inputs: torch.Size, of_input: torch.Size, of_state: torch.Size, *_: Any, **__: Any
) -> int:
    """Operations of one direction of a layer of an LSTM, all steps in one kernel."""
    return 2 * math.prod(inputs[:-1]) * (math.prod(of_input) + math.prod(of_state))
