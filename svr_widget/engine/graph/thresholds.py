"""The keywords that choose a threshold, alike wherever edges are asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypedDict

from svr_widget.engine.errors import nearest_name
from svr_widget.engine.graph.spectral_graph import SpectralGraph
from svr_widget.engine.graph.streaming.graph_tests import GraphTests
from svr_widget.engine.maps.links import TestKey
from svr_widget.engine.significance.multiple_testing import (
    LEVELS,
    MODES,
    Cut,
    FdrMethod,
    Key,
    Scope,
    Significance,
)
from svr_widget.engine.significance.nulls import Kind


class _Cuttable(Protocol[Key]):
    """Tests in which a level makes a cut."""

    @property
    def cut(self) -> Callable[..., Cut[Key]]: ...


class Threshold(TypedDict, total=False):
    """The keywords of ``SVR.edges``, which says what they mean."""

    p: float | None
    sigma: float | None
    fdr: float | None
    bonferroni: float | None
    fdr_method: FdrMethod
    scope: Scope
    null: Kind | None


def cut_of(
    graph: SpectralGraph, threshold: Threshold, *, by_construction: bool = False
) -> tuple[GraphTests, Cut[TestKey]]:
    """The tests of a graph and the cut that a threshold makes in them; errors as in ``cut_at``.

    With ``by_construction`` the entries of the links that are by construction, by themselves.
    """
    check_keywords(threshold)
    tests = graph.significance(threshold.get("null"), by_construction=by_construction)
    return tests, _cut(tests, threshold)


def cut_at(tests: Significance[Key], threshold: Threshold) -> Cut[Key]:
    """The cut that a threshold makes in tests; ``fdr=0.05`` where no level is given.

    Raises:
        ThresholdError: the level is out of range, or more than one is given.
        TypeError: an unknown keyword.
    """
    check_keywords(threshold)
    return _cut(tests, threshold)


def _cut(tests: _Cuttable[Key], threshold: Threshold) -> Cut[Key]:
    if all(threshold.get(mode) is None for mode in MODES):
        threshold = {**threshold, "fdr": LEVELS["fdr"].default}
    level = {name: value for name, value in threshold.items() if name != "null"}
    return tests.cut(**level)


def check_keywords(threshold: Threshold) -> None:
    """Raise ``TypeError`` with the nearest name for a keyword that is none of a threshold."""
    known = Threshold.__annotations__
    for name in threshold:
        if name not in known:
            raise TypeError(f"unexpected keyword {name!r}{nearest_name(name, known)}")
