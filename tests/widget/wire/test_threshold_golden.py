"""Cuts that the front end must find, too: js/test/golden/thresholds.json, checked on both sides.

``python -m tests.widget.wire.test_threshold_golden`` writes the file anew.
"""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from svr_widget.engine.significance.entries import LinkTests
from svr_widget.engine.significance.multiple_testing import MODES, Mode, Significance
from svr_widget.engine.significance.nulls import LOG_10, NullLaw
from svr_widget.engine.significance.stops import lay_out

GOLDEN = Path(__file__).parents[3] / "js" / "test" / "golden" / "thresholds.json"
LAWS = [NullLaw((40, 40), (1, 40)), NullLaw((64, 64), (9, 576), "chi2")]
SIZES = [80, 40]
STOPS = 12
# Shares of the entries that are strong, and shares of all that are sent to the page.
CASES = [(0.0, 1.0), (0.3, 1.0), (0.2, 0.5)]


def graph(seed: int, signal: float) -> Significance[int]:
    rng = np.random.default_rng(seed)
    tests = {}
    for key, (law, size) in enumerate(zip(LAWS, SIZES, strict=True)):
        weights = law.isf(rng.uniform(0, 1, size))
        strong = rng.random(size) < signal
        weights[strong] = rng.uniform(weights.max(), 1, strong.sum())
        tests[key] = LinkTests(law, np.sort(weights))
    return Significance(tests)


def levels_between(mode: Mode, levels: list[float]) -> list[float]:
    """Some that are no stop's, the first of them stricter than every stop."""
    inner = [(low + high) / 2 for low, high in list(pairwise(levels))[:: len(levels) // 8]]
    return [min(37.0, levels[0] + 0.1) if mode == "sigma" else levels[0] * 0.9, *inner]


def case(seed: int, signal: float, sent: float) -> dict[str, Any]:
    significance = graph(seed, signal)
    log10_p = {
        key: part.law.log10_p(part.weights[::-1]) for key, part in significance.tests.items()
    }
    least = np.quantile(np.concatenate([*log10_p.values()]), sent)
    links = [
        {"tests": values.size, "log10_p": values[values <= least].tolist()}
        for values in log10_p.values()
    ]
    stops, cuts, conversions = {}, [], []
    for mode in MODES:
        table = lay_out(significance, mode, STOPS)
        stops[mode] = {
            "level": table.level.tolist(),
            "log10_p": table.log10_p.tolist(),
            "counts": significance.counts(table.log10_p * LOG_10).tolist(),
            "expected": table.expected.tolist(),
        }
        for level in levels_between(mode, table.level.tolist()):
            cut = significance.cut(**{mode: level})
            found = {"mode": mode, "level": level, "log10_p": cut.log10_p[0]}
            cuts.append({**found, "counts": list(cut.counts.values()), "expected": cut.expected})
            for to in MODES:
                converted = significance.convert(mode, level, to)
                conversions.append({"mode": mode, "level": level, "to": to, "converted": converted})
    return {"links": links, "stops": stops, "cuts": cuts, "conversions": conversions}


def cases() -> list[dict[str, Any]]:
    return [case(seed, *shares) for seed, shares in enumerate(CASES)]


def numbers(value: Any) -> list[float]:
    """Every number in what JSON can hold, in its order."""
    if isinstance(value, dict):
        return [number for item in value.values() for number in numbers(item)]
    if isinstance(value, list):
        return [number for item in value for number in numbers(item)]
    return [] if isinstance(value, str) else [value]


def test_the_golden_cuts_are_the_engines() -> None:
    golden = json.loads(GOLDEN.read_text())
    assert numbers(golden) == pytest.approx(numbers(cases()), rel=1e-9)


if __name__ == "__main__":
    GOLDEN.write_text(json.dumps(cases(), separators=(",", ":")) + "\n")
