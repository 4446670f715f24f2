"""What removing dead channels did: what went, what stayed and why, and what that changed."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pandas as pd

from svr_widget.engine.compression.footprint import Change


@dataclass(frozen=True, eq=False)
class RemovalReport:
    """What removing dead channels did. Channels go by their numbers in the model as it was.

    Attributes:
        maps: a row for each map: map, outputs, outputs_after, inputs, inputs_after (features that
            its layer writes and reads), parameters and parameters_after (of its layer),
            multiply_adds and multiply_adds_after (of its module for the example input; missing
            where the map is not all of its module).
        removed: a row for each output feature that is gone: map, channel, round (the search is
            repeated until it finds no more), ratio (its share of the largest influence) and why, as
            in ``SVR.dead_channels``; where it was itself no dead channel, ratio is missing and why
            is ``"belongs to one"``.
        kept: a row for each channel that is dead and still there: map, channel, ratio, change, and
            why. Where it stays for what the output would change, ``change`` is its share of that:
            by it alone, relative to the largest entry (of more than twelve candidates on the first
            two of the inputs, at least so much on all); elsewhere missing.
        moved: a row for each input feature of a map whose constant went into the map's bias:
            map, channel, constant, and padded, whether zeros are padded to it or a border made it
            uneven, so that the bias stands for it only away from the borders.
        parameters: of the whole model.
        multiply_adds: of the whole model for the example input, all its batch.
        change: the largest absolute change of an entry of the output.
        relative_change: the same divided by the largest absolute entry of the output.
        change_of_all: what ``relative_change`` would be if no channel stayed for that.
        tolerance: what ``relative_change`` was allowed to be.
        checked: the inputs on which that was measured, in words.
        rounds: how many searches found channels that could go.

    Examples:
        >>> smaller, report = svr.remove_dead_channels()
        >>> report.rounds, len(report.removed), len(report.kept)
        (1, 1, 0)
        >>> print(report.parameters)
        592 -> 559
    """

    maps: pd.DataFrame
    removed: pd.DataFrame
    kept: pd.DataFrame
    moved: pd.DataFrame
    parameters: Change
    multiply_adds: Change
    change: float
    relative_change: float
    change_of_all: float
    tolerance: float
    checked: str
    rounds: int

    def __repr__(self) -> str:
        if self.removed.empty:
            lines = [f"nothing removed: the model is a copy; {self.parameters.before:,} parameters"]
        else:
            maps = self.removed["map"].nunique()
            lines = [
                f"removed {_counted(len(self.removed), 'output channel')} of "
                f"{_counted(maps, 'map')} in {_counted(self.rounds, 'round')}: "
                f"{self.parameters} parameters, {self.multiply_adds} multiply-adds",
                f"largest change of the output {self.change:.3g}, relative to its largest entry "
                f"{self.relative_change:.3g} (allowed {self.tolerance:g}), on {self.checked}",
            ]
            changed = self.maps[
                (self.maps["outputs"] != self.maps["outputs_after"])
                | (self.maps["inputs"] != self.maps["inputs_after"])
            ]
            lines.append(changed.to_string(index=False))
        for (name, why), rows in self.kept.groupby(["map", "why"], sort=False):
            lines.append(f"kept {_counted(len(rows), 'dead channel')} of {name!r}: {why}")
        if self.change_of_all > self.tolerance:
            lines.append(
                "all that was kept for what the output would change goes with "
                f"tolerance={_above(self.change_of_all)}"
            )
        return "\n".join(lines)


def _above(value: float) -> str:
    """A number of two digits that is not below ``value``."""
    if not 0 < value < math.inf:
        return f"{value:g}"
    unit = 10.0 ** (math.floor(math.log10(value)) - 1)
    return f"{(math.floor(value / unit) + 1) * unit:.2g}"


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
