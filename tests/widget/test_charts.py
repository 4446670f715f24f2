"""bqplot figures: what they show, and the links between them and the widget."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from scipy import stats

from svr_widget import SVR, SVRWidget
from svr_widget.engine.maps.links import Link
from svr_widget.widget.charts import Charts
from svr_widget.widget.charts.style import round_ticks
from svr_widget.widget.charts.survival import by_chance, empirical

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # bqplot on numpy 2


@pytest.fixture(scope="module")
def svr() -> SVR:
    torch.manual_seed(4)
    weights = {"a": torch.randn(40, 30), "b": torch.randn(35, 40), "c": torch.randn(9, 35)}
    return SVR(weights, links="chain")


@pytest.fixture
def widget(svr: SVR) -> SVRWidget:
    return SVRWidget(svr)


@pytest.fixture
def charts(widget: SVRWidget) -> Iterator[Charts]:
    made = widget.charts()
    yield made
    made.close()


def test_the_spectrum_is_that_of_the_map(charts: Charts, svr: SVR) -> None:
    assert charts.spectrum.map == "a"
    points = charts.spectrum.figure.marks[1]
    assert np.array_equal(points.y, svr["a"].S.numpy())
    assert charts._maps.value == "a"


def test_links_have_names_that_fit_the_narrowest_figure() -> None:
    names = [f"model.layers.0.self_attn.{name}_proj" for name in "qkv"]
    made = SVRWidget({name: torch.eye(3) for name in names}, links="chain").charts()
    figure = made.dimensions.figure
    labels = figure.axes[1].tick_labels
    assert list(labels.values()) == ["…ttn.q_proj → …ttn.k_proj", "…ttn.k_proj → …ttn.v_proj"]
    assert figure.fig_margin["left"] < 180
    assert made.spectrum.figure.title == made.survival.figure.title == ""
    made.close()


def test_no_tick_lies_beyond_the_axes(charts: Charts) -> None:
    for part in charts.survival.figure.axes:
        assert part.scale.min < 0
        assert part.scale.min <= part.tick_values[0]
        assert part.tick_values[-1] <= 0
        assert 2 <= len(part.tick_values) <= 7
    ranks, sizes = charts.spectrum.figure.axes
    assert ranks.tick_values.tolist() == [0, 10, 20]
    assert sizes.tick_values[-1] <= sizes.scale.max


@pytest.mark.parametrize("last", [0.003, 0.7, 1, 4, 5, 29, 768, 50_257])
def test_ticks_are_round_and_few(last: float) -> None:
    ticks = round_ticks(last)
    assert ticks[0] == 0
    assert last / 2 < ticks[-1] <= last * 1.001
    assert 3 <= len(ticks) <= 6
    step = ticks[1]
    lead = step / 10.0 ** np.floor(np.log10(step) + 1e-9)
    assert min(abs(lead - round_one) for round_one in (1, 2, 5)) < 1e-6
    assert all(tick == int(tick) for tick in round_ticks(max(last, 1), whole=True))


@pytest.mark.slow
def test_many_links_are_shown_by_their_consumer() -> None:
    made = SVRWidget([torch.eye(3)] * 60).charts()
    assert made.dimensions.links == [("0", "1")]
    assert made.dimensions.figure.axes[1].tick_labels == {0: "0"}
    assert "into 1" in made.dimensions.chart._words.value
    made.close()


def test_charts_follow_the_widget(charts: Charts, widget: SVRWidget) -> None:
    widget.selected = [("a", 1), ("b", 3), ("b", 5)]
    assert charts.spectrum.map == "b"
    assert np.flatnonzero(charts.spectrum.figure.marks[1].color).tolist() == [3, 5]
    widget.selected_link = ["b", "c"]
    assert charts.survival.link == ("b", "c")
    widget.selected = []
    assert not charts.spectrum.figure.marks[1].color.any()


def test_the_widget_follows_the_charts(charts: Charts, widget: SVRWidget) -> None:
    assert widget.selected_link is None, "making charts is no choice"
    brush = charts.spectrum.figure.interaction
    brush.selected = np.array([1.6, 4.2])
    assert widget.selected == [("a", 2), ("a", 3), ("a", 4)]
    brush.selected = None
    assert widget.selected == []
    charts.dimensions._clicked(None, {"data": {"index": 1}})
    assert widget.selected_link == ["b", "c"]


def test_a_link_is_chosen_by_its_two_ends() -> None:
    some = torch.tensor([0, 2]), torch.tensor([1, 0])
    links = [Link("0", "1", *some), Link("0", "2", *some), Link("1", "2", *some)]
    links.append(Link("1", "2", some[1], some[0]))
    widget = SVRWidget(SVR([torch.randn(4, 4) for _ in range(3)], links=links))
    made = widget.charts()
    producers, consumers = made._producers, made._links
    assert (list(producers.options), producers.value) == (["0", "1"], "0")
    assert list(consumers.options) == ["1", "2"]
    consumers.value = ("0", "2")
    assert widget.selected_link == ["0", "2"]
    producers.value = "1"
    assert list(consumers.options) == ["2", "2 (1)"]
    assert widget.selected_link == ["1", "2"]
    heard: list[object] = []
    widget.observe(lambda change: heard.append(change["new"]), "selected_link")
    widget.selected_link = ["0", "2"]
    assert (producers.value, consumers.value, made.survival.link) == ("0", ("0", "2"), ("0", "2"))
    widget.selected_link = ["1", "2", 1]
    widget.method = "cosvr"
    widget.wait(60)
    assert (producers.value, consumers.value) == ("1", ("1", "2", 1))
    assert heard == [["0", "2"], ["1", "2", 1]]
    made.close()
    widget.close()


def test_internal_dimensions_are_those_of_the_links(charts: Charts, svr: SVR) -> None:
    found = [svr.internal_dimensions(link) for link in svr.links]
    shown = charts.dimensions
    assert shown.d_in.x.tolist() == [one.d_in for one in found]
    assert shown.d_out.x.tolist() == [one.d_out for one in found]
    pale = [one.p_value >= 0.05 for one in found if one.p_value is not None]
    for dots in (shown.d_in, shown.d_out):
        assert [colour == "transparent" for colour in dots.colors] == pale


def test_the_survival_function_counts_entries(svr: SVR) -> None:
    tests = svr.adjacency(("a", "b")).tests()
    entries = svr.adjacency(("a", "b")).dense().numpy().ravel()
    weights, share = empirical(tests)
    assert share[0] == 1 / entries.size
    assert share[-1] == 1
    for weight, expected in zip(weights[::20], share[::20], strict=True):
        assert (entries >= weight).mean() == pytest.approx(expected)


def test_the_law_is_the_one_of_the_entries(svr: SVR) -> None:
    tests = svr.adjacency(("a", "b")).tests()
    weights, _ = empirical(tests)
    grid, share = by_chance(tests, weights, 1e-4)
    # One Beta law: no kernel, and all 40 channels travel.
    assert np.allclose(share, stats.beta(0.5, 39 / 2).sf(grid), rtol=1e-9)
    assert share.min() < 2e-4


def test_several_laws_are_weighted_by_their_entries() -> None:
    torch.manual_seed(0)
    from torch import nn

    # Groups of 6 and of 4 channels overlap by 4 and by 2 channels.
    model = nn.Sequential(nn.Conv2d(3, 12, 1, groups=1), nn.Conv2d(12, 12, 1, groups=2))
    mixed = nn.Sequential(*model, nn.Conv2d(12, 12, 1, groups=3))
    svr = SVR(mixed, torch.randn(1, 3, 8, 8))
    adjacency = svr.adjacency(("1", "2"))
    tests = adjacency.tests()
    assert len(tests) == 2
    weights, _ = empirical(tests)
    grid, share = by_chance(tests, weights, 1e-3)
    sizes = [part.weights.size for part in tests]
    brute = sum(n * np.exp(part.law.logsf(grid)) for n, part in zip(sizes, tests, strict=True))
    assert np.allclose(share, brute / sum(sizes))


def test_another_method_is_shown_when_it_is_there(widget: SVRWidget) -> None:
    charts = widget.charts()
    widget.method = "cosvr"
    widget.wait()
    assert charts._svr is widget.svr
    assert charts._svr.method == "cosvr"
    charts.close()


@pytest.mark.parametrize(
    ("before", "after", "gone", "kept"),
    [("svr", "cosvr", ("0", 11), ("0", 1)), ("cross", "svr", ("2~", 11), ("2", 3))],
)
def test_a_selection_that_another_method_lacks_is_let_go(
    before: str, after: str, gone: tuple[str, int], kept: tuple[str, int]
) -> None:
    torch.manual_seed(0)
    shapes = {"0": (12, 3, 3, 3), "2": (10, 12, 3, 3), "4": (8, 10, 3, 3)}
    weights = {name: torch.randn(shape) for name, shape in shapes.items()}
    widget = SVRWidget(weights, method=before, links="chain")
    charts = widget.charts()
    widget.selected = [kept, gone]
    widget.method = after
    widget.wait(60)
    assert widget._notice == ""
    assert widget.selected == [kept]
    assert charts.spectrum.map == kept[0]
    charts.close()
    widget.close()


def test_one_map_has_a_spectrum_and_no_links() -> None:
    charts = SVRWidget([torch.randn(5, 6)]).charts()
    assert charts.children[1:] == (charts.spectrum.chart,)
    charts.close()


def test_closed_charts_leave_the_widget_alone(widget: SVRWidget) -> None:
    charts = widget.charts()
    charts.close()
    widget.selected = [("c", 0)]
    assert charts.spectrum.map == "a"


def test_a_dashboard_holds_both(widget: SVRWidget) -> None:
    board = widget.dashboard()
    assert board.children[0] is widget
    assert isinstance(board.children[1], Charts)
    board.children[1].close()


def test_links_by_construction_have_no_charts() -> None:
    weight = torch.randn(6, 9, generator=torch.Generator().manual_seed(0))
    weights = {"in": weight, "out": weight.T.clone(), "next": torch.randn(5, 9)}
    widget = SVRWidget(weights, links="chain")
    made = widget.charts()
    assert list(made._producers.options) == ["out"]
    assert made.dimensions.links == [("out", "next")]
    widget.selected_link = ["in", "out"]
    assert made._links.value == ("out", "next")
    assert made.survival.link == ("out", "next")
    made.close()
