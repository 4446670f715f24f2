"""What pruning did: neurons, parameters, multiply-adds, and what the caller measured."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from torch import Tensor, nn

from svr_widget.engine.compression.footprint import Change
from svr_widget.engine.errors import SVRError, listed

Score = float | pd.Series
"""One number, or several by name: one a class, for instance."""

Evaluate = Callable[[nn.Module], Any]
"""Scores a model, by its accuracy on held-out data for instance: a number, or several."""


def score(evaluate: Evaluate, model: nn.Module, like: Score | None = None) -> Score:
    """What ``evaluate`` gives for a model.

    Args:
        evaluate: the caller's.
        model: what it scores.
        like: what it gave for another model.

    Raises:
        SVRError: it is neither a number, nor a mapping to numbers, nor a row of them; or scores of
            other names than before.
    """
    given = evaluate(model)
    try:
        found = _score(given)
    except (TypeError, ValueError) as error:
        raise SVRError(
            "evaluate has to return a number, the score of the model, or several: a mapping from "
            f"names to numbers or a row of numbers, one a class; it returned {given!r}"
        ) from error
    if like is not None and _names(found) != _names(like):
        raise SVRError(
            f"evaluate gave {_names(like)} for one model and {_names(found)} for another: it has "
            "to return the same scores for all of them"
        )
    return found


def _score(given: Any) -> Score:
    if isinstance(given, Mapping):
        given = pd.Series(dict(given), dtype=object)
    if isinstance(given, pd.Series):
        found = pd.Series([float(each) for each in given], given.index, dtype=float)
        if found.empty:
            raise ValueError("no score")
        return found
    if isinstance(given, Tensor):
        given = given.detach().cpu().double()
    row = np.asarray(given)
    if row.ndim == 1 and row.size > 1:
        return pd.Series([float(each) for each in row], dtype=float)
    return float(row[0] if row.shape == (1,) else given)


def _names(score: Score) -> str:
    if isinstance(score, pd.Series):
        return f"{len(score)} scores ({listed([str(each) for each in score.index])})"
    return "one score"


class Scores(NamedTuple):
    """What the caller's evaluation gave: numbers, or ``pandas.Series`` where it gives several.

    Attributes:
        before: of the model as it was.
        after: of the pruned one.
        control: of one in which every map keeps as many neurons, but those of the smallest singular
            values: a cut that should hurt. None where that would be the pruned model again, so that
            it would be no evidence; ``PruningReport.control`` says why.
    """

    before: Score
    after: Score
    control: Score | None


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
        control: what the negative control is, or why there is none; empty without ``evaluate``.
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
    control: str = ""
    squared_error: float | None = None
    bound: float | None = None

    def __repr__(self) -> str:
        neurons = Change(int(self.maps.neurons.sum()), int(self.maps.kept.sum()))
        lines = [f"pruned by {self.rule}: {neurons} neurons, {self.parameters} parameters"]
        if self.multiply_adds is not None:
            lines[0] += f", {self.multiply_adds} multiply-adds"
        if self.scores is not None:
            lines += _told(self.scores, self.control)
        if self.bound is not None:
            least = f"at best to {self.bound:.4g}"
            lines.append(f"squared relative errors add up to {self.squared_error:.4g}, {least}")
        known = self.maps.dropna(axis=1, how="all").assign(remark=self.maps.remark.map(_first))
        table = known.to_string(index=False, max_rows=40, float_format="{:.4g}".format)
        return "\n".join([*lines, table])


def _told(scores: Scores, control: str) -> list[str]:
    given = {"before": scores.before, "after": scores.after, "control": scores.control}
    if isinstance(scores.before, pd.Series):
        table = pd.DataFrame({name: each for name, each in given.items() if each is not None})
        return [
            f"scores; {control}",
            table.to_string(max_rows=20, float_format="{:.4g}".format),
        ]
    shown = "" if scores.control is None else f": {scores.control:.4g}"
    return [f"score {scores.before:.4g} -> {scores.after:.4g}; {control}{shown}"]


def _first(remark: str) -> str:
    """The first of the remarks on a map, and how many more ``maps`` has."""
    first, *others = remark.split("; ")
    return f"{first}; {len(others)} more in .maps" if others else first
