"""Widths matter where a link is claimed, and all that do not fit are told at once."""

import pytest

from svr_widget import SVR
from svr_widget.engine.errors import TraceError, WidthMismatchError
from tests.engine.support.gaussian import gaussian


def test_all_misfits_are_told_at_once():
    weights = {"a": gaussian(4, 3), "b": gaussian(5, 4), "c": gaussian(6, 9), "d": gaussian(2, 7)}
    assert len(SVR(weights).maps) == 4
    with pytest.raises(WidthMismatchError) as refused:
        SVR(weights, links="chain")
    said = str(refused.value)
    assert said.startswith("2 links do not fit:")
    assert "'b' 5x4 has 5 output channels, but 'c' 6x9 reads 9" in said
    assert "'c' 6x9 has 6 output channels, but 'd' 2x7 reads 7" in said
    assert "'a' 4x3" not in said
    many = {str(place): gaussian(2, 3) for place in range(40)}
    with pytest.raises(WidthMismatchError, match=r"^39 links do not fit:(?s:.)*and 19 more\n"):
        SVR(many, links="chain")


def test_producers_that_would_be_flattened_differently_whoever_comes_first():
    weights = [gaussian(4, 3, 3, 3), gaussian(9, 3, 3, 3), gaussian(5, 36), gaussian(36, 2)]
    pairs = [("0", "2"), ("1", "2"), ("3", "2")]
    for first in pairs:
        for second in pairs:
            if first != second:
                with pytest.raises(WidthMismatchError, match="would flatten differently"):
                    SVR(weights, links=[first, second])


def test_a_misfit_is_told_once():
    weights = [gaussian(7, 2), gaussian(4, 3, 3, 3), gaussian(5, 36)]
    with pytest.raises(WidthMismatchError, match=r"^'0' 7x2 has 7 output channels, but '2'"):
        SVR(weights, links=[("0", "2"), ("1", "2")])


def test_links_that_name_no_map():
    with pytest.raises(TraceError, match="no map is called 'fc3'; did you mean 'fc2'"):
        SVR({"fc1": gaussian(3, 3), "fc2": gaussian(3, 3)}, links=[("fc1", "fc3")])
