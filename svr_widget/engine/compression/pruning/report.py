"""What pruning did: neurons, parameters, multiply-adds, and what the caller measured."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import pandas as pd
from torch import nn

from svr_widget.engine.compression.footprint import Change
from svr_widget.engine.errors import SVRError

Evaluate = Callable[[nn.Module], float]
"""Scores a model, by its accuracy on held-out data for instance."""


def score(evaluate: Evaluate, model: nn.Module) -> float:
    """What ``evaluate`` gives for a model.

    Raises:
        SVRError: it is no number.
    """
    given = evaluate(model)
    try:
        return float(given)
    except (TypeError, ValueError) as error:
        raise SVRError(
            f"evaluate has to return a number, the score of the model, and returned {given!r}"
        ) from error


class Scores(NamedTuple):
    """What the caller's evaluation gave.

    Attributes:
        before: of the model as it was.
        after: of the pruned one.
        control: of one in which every map keeps as many neurons, but those of the smallest singular
            values: a cut that should hurt.
    """

    before: float
    after: float
    control: float


@dataclass(frozen=True, eq=False)
class PruningReport:
    """What pruning did.

    Attributes:
        rule: how the neurons were chosen.
        maps: a row for each map: map, form (``"whole"``, ``"low rank"``: the same layer with
            another weight, or ``"factored"``: two layers), neurons (before), kept, energy (the
            share of the squared singular values that is kept), error (``||W - W'|| / ||W||`` as
            written), parameters and parameters_after (of the weight; those of the two layers where
            it is factored), multiply_adds and multiply_adds_after (of the module for the example
            input; missing where the map is not all of its module, or nothing is known), remark.
        parameters: of the whole model.
        multiply_adds: of the whole model for the example input, all its batch; None where the model
            was not run.
        scores: what ``evaluate`` gave; None without it.
        squared_error: what a budget made of the sum over the weights of ``(||W - W'|| / ||W||)^2``;
            None without a budget.
        bound: no choice within the budget has a smaller sum.

    Examples:
        >>> smaller, report = svr.prune(2, factored=True)
        >>> print(report.parameters)
        592 -> 192
        >>> report.maps[["map", "kept", "parameters", "parameters_after"]]
          map  kept  parameters  parameters_after
        0   0     2         320                72
        1   2     2         192                56
        2   4     2          48                32
    """

    rule: str
    maps: pd.DataFrame
    parameters: Change
    multiply_adds: Change | None
    scores: Scores | None
    squared_error: float | None = None
    bound: float | None = None

    def __repr__(self) -> str:
        neurons = Change(int(self.maps.neurons.sum()), int(self.maps.kept.sum()))
        lines = [f"pruned by {self.rule}: {neurons} neurons, {self.parameters} parameters"]
        if self.multiply_adds is not None:
            lines[0] += f", {self.multiply_adds} multiply-adds"
        if self.scores is not None:
            before, after, control = (f"{score:.4g}" for score in self.scores)
            lines.append(f"score {before} -> {after}; as many cut from the top instead: {control}")
        if self.bound is not None:
            least = f"at best to {self.bound:.4g}"
            lines.append(f"squared relative errors add up to {self.squared_error:.4g}, {least}")
        known = self.maps.dropna(axis=1, how="all").assign(remark=self.maps.remark.map(_first))
        table = known.to_string(index=False, max_rows=40, float_format="{:.4g}".format)
        return "\n".join([*lines, table])


def _first(remark: str) -> str:
    """The first of the remarks on a map, and how many more ``maps`` has."""
    first, *others = remark.split("; ")
    return f"{first}; {len(others)} more in .maps" if others else first
