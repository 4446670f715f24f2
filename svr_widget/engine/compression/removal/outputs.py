"""What a model gives for some inputs, and how far a changed one is from that."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from svr_widget.engine.environment.threads import uninterrupted
from svr_widget.engine.model.example_inputs import Example
from svr_widget.engine.model.user_model import running

MOST_ENTRIES = 2**14
"""Entries of all outputs whose change is kept, evenly spread where there are more."""


class Difference(NamedTuple):
    """How far one model's outputs are from another's.

    Attributes:
        change: the largest absolute change of an entry.
        largest: the largest absolute entry as it was.
        entries: float32 ``[n]``, changes of single entries relative to ``largest``, signed; of the
            calls that were looked at.
    """

    change: float
    largest: float
    entries: NDArray[np.float32]

    @property
    def relative(self) -> float:
        """The largest change relative to the largest entry; NaN where neither is finite."""
        return self.change / self.largest if self.largest else math.inf if self.change else 0.0


class Outputs:
    """The outputs of a model, which those of others are compared with.

    Args:
        model: it is run once for each call.
        calls: what it is called with.
        live: run the model itself.
    """

    def __init__(self, model: nn.Module, calls: Sequence[Example], live: bool) -> None:
        self._calls, self._live = calls, live
        self._before = [_outputs(model, call, live) for call in calls]
        every = [leaf for leaves in self._before for leaf in leaves if leaf.numel()]
        sizes = (float(leaf.double().abs().max()) for leaf in every)
        self._largest = max(map(_nan_first, sizes), default=0.0)
        self._step = max(1, math.ceil(sum(leaf.numel() for leaf in every) / MOST_ENTRIES))

    def difference(
        self, model: nn.Module, enough: float = math.inf, most: int | None = None
    ) -> Difference:
        """How far another model's outputs are from these.

        Args:
            model: it is run once for each call.
            enough: no further call is looked at once the relative change is more than this.
            most: how many calls are looked at; None for all.
        """
        change, entries = 0.0, [np.empty(0, np.float32)]
        for call, before in list(zip(self._calls, self._before, strict=True))[:most]:
            for old, new in zip(before, _outputs(model, call, self._live), strict=True):
                if not old.numel():
                    continue
                moved = (new.double() - old.double()).flatten()
                change = max(change, _nan_first(float(moved.abs().max())))
                share = moved[:: self._step] / (self._largest or 1.0)
                entries.append(share.float().cpu().numpy())
            if change > enough * self._largest:
                break
        return Difference(change, self._largest, np.concatenate(entries))


@uninterrupted
def _outputs(model: nn.Module, call: Example, live: bool) -> list[Tensor]:
    with running(model, live=live) as run:
        leaves = tree_leaves(run(*call.args, **call.kwargs))
    floating = (leaf for leaf in leaves if isinstance(leaf, Tensor) and leaf.is_floating_point())
    return [leaf.detach().clone() for leaf in floating]


def _nan_first(value: float) -> float:
    return math.inf if math.isnan(value) else value
