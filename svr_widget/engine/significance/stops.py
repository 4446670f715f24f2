"""The stops of a threshold slider: a table of cuts with exact counts, from strict to loose."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from svr_widget.engine.significance.entries import Counts
from svr_widget.engine.significance.multiple_testing import Mode, Thresholds, check_level
from svr_widget.engine.significance.nulls import LOG_10
from svr_widget.engine.significance.tails import Floats

_POWERS = [float(f"1e-{k}") for k in (*range(3, 20), *range(20, 301, 10))]
ROUND: dict[Mode, list[float]] = {
    "fdr": [0.5, 0.4, 0.3, 0.25, 0.2, 0.15, 0.1, 0.05, 0.02, 0.01, 0.005, *_POWERS],
    "p": [0.5, 0.4, 0.3, 0.25, 0.2, 0.15, 0.1, 0.05, 0.02, 0.01, 0.005, *_POWERS],
    "bonferroni": [1.0, 0.5, 0.2, 0.15, 0.1, 0.05, 0.02, 0.01, 0.005, *_POWERS],
    "sigma": [k / 2 for k in range(75)],
}
_LOOSEST: dict[Mode, float] = {"fdr": 0.5, "p": 0.5, "bonferroni": 1.0, "sigma": 0.0}
# A slider starts here where the strongest edge is weaker still, and at most there.
_MODERATE: dict[Mode, float] = {"fdr": 1e-6, "p": 1e-9, "bonferroni": 1e-6, "sigma": 6.0}
_STRICTEST: dict[Mode, float] = {"fdr": 1e-300, "p": 1e-300, "bonferroni": 1e-300, "sigma": 37.0}


@dataclass(frozen=True, eq=False)
class Stops:
    """Cuts at ``k`` levels of one mode, over the whole graph.

    Attributes:
        mode: what the levels are of.
        level: float64 ``[k]``, strict to loose.
        log10_p: float64 ``[k]``, the largest significant p-value, as a decimal logarithm.
        significant: int64 ``[k]``, how many entries of the graph are.
        expected: float64 ``[k]``, how many of them chance accounts for (``Cut.expected``).
    """

    mode: Mode
    level: Floats
    log10_p: Floats
    significant: Counts
    expected: Floats


def lay_out(tests: Thresholds, mode: Mode, count: int = 400) -> Stops:
    """The stops of a threshold slider: about ``count`` levels over the graph, round ones too.

    Half of the levels are even in the logarithm of the number of significant edges, so that
    the picture changes steadily; half are even in ``sqrt(-log(level))`` or sigma, so that no
    stretch of levels is skipped. They run from one that leaves the strongest edge (but at
    least 1e-300, or sigma 37) to 0.5 (``fdr``, ``p``), 1 (``bonferroni``) or 0 (``sigma``),
    have three significant digits (``sigma``: two decimals), and hold the round levels of that
    range exactly, 0.05 among them. Where not all entries are in memory, the others are those
    levels at which the number of significant ones is known without looking for it.

    Raises:
        ThresholdError: the mode is unknown.
    """
    check_level(mode, 0.5)
    cuts, significant = tests.curve
    own = tests.levels(mode, cuts, significant)
    of_curve = own
    if mode == "fdr":  # a looser cut may have a lower rate: the level reaches the looser one
        of_curve = np.minimum.accumulate(own[::-1])[::-1]
    loosest, moderate, strictest = (
        float(_position(mode, np.array(end[mode]))) for end in (_LOOSEST, _MODERATE, _STRICTEST)
    )
    positions = _position(mode, of_curve)
    inside = (positions >= loosest) & (positions <= strictest)
    first = float(positions[inside].max(initial=moderate))
    even = np.linspace(first, loosest, count // 2)
    steady = even
    if inside.any():
        log_counts = np.log(np.maximum(significant[inside], 1))
        wanted = np.linspace(log_counts[0], log_counts[-1], count // 2)
        steady = np.interp(wanted, log_counts, positions[inside])
    chosen = np.concatenate([even, steady])
    # Beyond what is known at every cut, places of the curve are: all but the round levels go there.
    last_known = int(np.searchsorted(cuts, tests.known_up_to, side="right")) - 1
    beyond = chosen < positions[max(last_known, 0)] if last_known + 1 < len(cuts) else chosen < 0
    places = np.unique(np.searchsorted(-positions, -chosen[beyond]).clip(0, len(cuts) - 1))
    places = places[(own == of_curve)[places]]
    standard = np.array(ROUND[mode])
    standard = standard[_position(mode, standard) <= first]
    solved = np.concatenate([_rounded(mode, _level(mode, chosen[~beyond])), standard])
    levels = np.concatenate([solved, own[places]])
    log_p = np.concatenate([tests.log_cuts(mode, solved), cuts[places]])
    levels, once = np.unique(levels, return_index=True)
    log_p = log_p[once]
    if mode == "sigma":
        levels, log_p = levels[::-1].copy(), log_p[::-1].copy()
    # A false discovery rate between two of the curve may reach further than the second one's cut.
    rising = log_p >= np.maximum.accumulate(log_p)
    levels, log_p = levels[rising], log_p[rising]
    counts = tests.totals(log_p)
    expected = tests.expected(mode, levels, log_p, counts)
    return Stops(mode, levels, log_p / LOG_10, counts, expected)


def _position(mode: Mode, levels: Floats) -> Floats:
    """Where levels lie along the slider: sigma, or what grows with it as sigma does."""
    return levels if mode == "sigma" else np.sqrt(-np.log10(levels))


def _level(mode: Mode, positions: Floats) -> Floats:
    """The inverse of ``_position``."""
    return positions if mode == "sigma" else 10.0 ** -(positions**2)


def _rounded(mode: Mode, levels: Floats) -> Floats:
    """Three significant digits, or two decimals of a sigma, within the ends of the slider."""
    if mode == "sigma":
        rounded = np.round(levels, 2)
    else:
        rounded = np.array([float(f"{level:.2e}") for level in levels])
    low, high = sorted((_LOOSEST[mode], _STRICTEST[mode]))
    return rounded.clip(low, high)
