"""What is closed is gone: fifty lives of each kind of widget leave nothing behind."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from typing import Any

import comm
import ipywidgets
import pytest
import torch
from ipywidgets.widgets.widget import _instances

from svr_widget import SVR, SVRTimeline, SVRWidget
from tests.amounts import amount

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # bqplot on numpy 2

LIVES = amount(50, 500)


@pytest.fixture(scope="module")
def svr() -> SVR:
    generator = torch.Generator().manual_seed(0)
    return SVR([torch.randn(5, 4, generator=generator), torch.randn(3, 5, generator=generator)])


def widget(svr: SVR) -> list[Any]:
    return [SVRWidget(svr)]


def widget_with_layout(svr: SVR) -> list[Any]:
    return [SVRWidget(svr, layout={"width": "400px"})]


def charts(svr: SVR) -> list[Any]:
    made = SVRWidget(svr)
    return [made.charts(), made]


def dashboard(svr: SVR) -> list[Any]:
    made = SVRWidget(svr)
    return [made.dashboard(), made]


def dashboard_of_a_closed_widget(svr: SVR) -> list[Any]:
    made = SVRWidget(svr)
    return [made, made.dashboard()]


def comparison(svr: SVR) -> list[Any]:
    return [SVRWidget.compare(svr, svr)]


def timeline(svr: SVR) -> list[Any]:
    made = SVRTimeline([svr, svr])
    made.wait()
    return [made]


KINDS = [
    *(widget, widget_with_layout, charts, dashboard, dashboard_of_a_closed_widget),
    *(comparison, timeline),
]


@pytest.mark.slow
@pytest.mark.parametrize("make", KINDS)
def test_fifty_lives_leave_nothing(make: Callable[[SVR], list[Any]], svr: SVR) -> None:
    def life() -> list[weakref.ref[Any]]:
        made = make(svr)
        references = [weakref.ref(each) for each in made]
        for each in made:
            each.close()
        return references

    life()
    before = len(_instances), len(comm.get_comm_manager().comms)
    references = [each for _ in range(LIVES) for each in life()]
    gc.collect()
    assert (len(_instances), len(comm.get_comm_manager().comms)) == before
    assert [each for each in references if each() is not None] == []


def test_a_page_that_keeps_a_closed_widget_keeps_no_graph(svr: SVR) -> None:
    (made,) = timeline(svr)
    made.close()
    assert (made._scene, made._frames, made._timeline) == (b"", b"", b"")


def test_a_dashboard_leaves_its_widget_alone(svr: SVR) -> None:
    made = SVRWidget(svr)
    made.dashboard().close()
    assert made.comm is not None
    assert _instances[made.layout.model_id] is made.layout
    made.close()


def test_a_layout_that_another_widget_has_stays(svr: SVR) -> None:
    layout = ipywidgets.Layout(width="400px")
    one, other = SVRWidget(svr, layout=layout), SVRWidget(svr, layout=layout)
    one.close()
    assert _instances[layout.model_id] is layout
    other.close()
    assert layout.comm is None


def test_closing_twice_is_closing(svr: SVR) -> None:
    for make in KINDS:
        for each in make(svr):
            each.close()
            each.close()
