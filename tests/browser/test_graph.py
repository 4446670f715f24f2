"""The graph in a real JupyterLab: what is drawn is what the engine found."""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np
import pytest
from playwright.sync_api import expect

from tests.browser.lab import WIDGET, Notebook
from tests.browser.networks import PLANTED, SHOW
from tests.browser.picture import darkness_along, neuron_places, picture_of

Open = Callable[..., Notebook]
EDGES = "widget.edges()[['producer', 'm', 'consumer', 'n', 'weight']].values.tolist()"


def test_edges_are_drawn_where_the_engine_says(planted: Notebook) -> None:
    picture = picture_of(planted)
    places = neuron_places(planted, picture)
    pixels = picture.pixels()
    edges = planted.python(EDGES)
    planted = {("0", m, "2", m) for m in range(4)}
    assert planted <= {tuple(edge[:4]) for edge in edges}
    for producer, m, consumer, n, weight in edges:
        along = darkness_along(pixels, places[producer][m], places[consumer][n])
        assert along.min() > (100 if weight > 0.9 else 10), (producer, m, consumer, n, weight)
    # Between the planted lines, which run level and far apart, there is nothing.
    for m in range(3):
        between = [
            tuple(np.mean([places[name][m], places[name][m + 1]], axis=0)) for name in ("0", "2")
        ]
        assert darkness_along(pixels, *between).max() == 0


def test_neurons_stand_at_their_singular_values(planted: Notebook) -> None:
    picture = picture_of(planted)
    pixels = picture.pixels()
    for places in neuron_places(planted, picture).values():
        for x, y in places:
            assert pixels[round(y), round(x), 3] == 255


def test_the_slider_needs_no_kernel_and_its_counts_are_the_engines(planted: Notebook) -> None:
    picture = picture_of(planted)
    planted.execute("widget.set_threshold(p=0.01)")
    expect(picture.root.get_by_label("mode")).to_have_value("p")
    inks = []
    for share in (0.05, 0.7, 0.97):
        before = planted.python("widget.threshold")
        picture.set_slider(share)
        drawn = {name: picture.count(name) for name in ("shown", "significant", "expected")}
        inks.append(picture.ink())
        planted.wait_for_python(f"widget.threshold != {before!r}")
        cut = "widget.svr.significance().cut(p=widget.threshold)"
        assert drawn["significant"] == planted.python(f"{cut}.significant")
        assert drawn["shown"] == len(planted.python(EDGES))
        assert drawn["expected"] == pytest.approx(planted.python(f"{cut}.expected"))
    assert inks[0] < inks[1] < inks[2]


@pytest.mark.parametrize("null", ["exact", "chi2"])
@pytest.mark.parametrize("level", ["p=0.15", "sigma=3.0", "fdr=0.05", "bonferroni=0.01"])
def test_every_threshold_counts_as_the_engine(planted: Notebook, level: str, null: str) -> None:
    planted.execute(f"widget.null = {null!r}\nwidget.set_threshold({level})")
    picture = picture_of(planted)
    mode, value = level.split("=")
    expect(picture.root.get_by_label("null law")).to_have_value(null)
    expect(picture.root.get_by_label("mode")).to_have_value(mode)
    expect(picture.root.get_by_label("significance level")).to_have_value(f"{float(value):g}")
    cut = f"widget.svr.significance({null!r}).cut({level})"
    assert picture.count("significant") == planted.python(f"{cut}.significant")
    assert picture.count("expected") == pytest.approx(planted.python(f"{cut}.expected"))


def test_hover_names_the_neuron(planted: Notebook) -> None:
    picture = picture_of(planted)
    places = neuron_places(planted, picture)
    for at, (name, k) in enumerate((("0", 0), ("2", 3), ("4", 1)), start=1):
        picture.hover(*places[name][k])
        expect(picture.tooltip).to_be_visible()
        expect(picture.tooltip.locator(".svr-tip-title")).to_have_text(f"Linear {at} · {k}")
        expect(picture.tooltip.locator(".svr-qualified")).to_have_text(name)


def test_hover_names_the_edge(planted: Notebook) -> None:
    picture = picture_of(planted)
    places = neuron_places(planted, picture)
    picture.hover(*np.mean([places["0"][0], places["2"][0]], axis=0))
    expect(picture.tooltip.locator(".svr-tip-title")).to_have_text("Linear 1 · 0 → Linear 2 · 0")


def test_selection_travels_both_ways(planted: Notebook) -> None:
    picture = picture_of(planted)
    places = neuron_places(planted, picture)
    for k, modifiers in ((1, []), (2, ["Shift"])):
        x, y = places["2"][k]
        picture.canvas.click(position={"x": x, "y": y}, modifiers=modifiers)
    planted.wait_for_python("len(widget.selected) == 2")
    assert planted.python("widget.selected") == [["2", 1], ["2", 2]]
    picture.canvas.press("Escape")
    planted.wait_for_python("widget.selected == []")
    before = picture.root.screenshot()
    planted.execute("widget.selected = [('0', 0)]")
    expect(picture.canvas).to_have_class("svr-picture svr-dimmed")
    assert picture.root.screenshot() != before


def test_the_wheel_scrolls_the_page_until_the_graph_is_clicked(open_notebook: Open) -> None:
    notebook = open_notebook(PLANTED, SHOW, "print('\\n' * 60)")
    picture = picture_of(notebook)
    picture.hover(300, 200)
    ticks = picture.axes()
    box = picture.canvas.bounding_box()
    notebook.page.mouse.wheel(0, 120)
    notebook.page.wait_for_function(
        "(top) => document.querySelector('[data-svr=graph]').getBoundingClientRect().top < top",
        arg=box["y"],
    )
    assert picture.axes() == ticks
    picture.canvas.click(position={"x": 120, "y": 30})
    top = picture.canvas.bounding_box()["y"]
    notebook.page.mouse.wheel(0, -240)
    picture.settle()
    assert picture.canvas.bounding_box()["y"] == top
    assert abs(picture.axes().slope) > 1.5 * abs(ticks.slope)
    picture.canvas.dblclick(position={"x": 120, "y": 30})
    picture.settle()
    assert picture.axes().slope == pytest.approx(ticks.slope)


def test_dragging_pans(planted: Notebook) -> None:
    picture = picture_of(planted)
    picture.canvas.focus()
    picture.canvas.press("+")
    picture.settle()
    before = picture.axes()
    box = picture.canvas.bounding_box()
    mouse = planted.page.mouse
    mouse.move(box["x"] + 200, box["y"] + 200)
    mouse.down()
    mouse.move(box["x"] + 240, box["y"] + 170, steps=4)
    mouse.up()
    picture.settle()
    after = picture.axes()
    assert after.columns[1] - before.columns[1] == pytest.approx(40, abs=2)
    assert after.offset - before.offset == pytest.approx(-30, abs=2)
    picture.canvas.press("Home")


def test_zoomed_in_the_plot_fills_the_frame_and_names_stay(planted: Notebook) -> None:
    picture = picture_of(planted)
    box = picture.canvas.bounding_box()
    picture.canvas.focus()
    for _ in range(4):
        picture.canvas.press("+")
    mouse = planted.page.mouse
    for _ in range(8):
        mouse.move(box["x"] + 80, box["y"] + box["height"] - 80)
        mouse.down()
        mouse.move(box["x"] + box["width"] - 20, box["y"] + 20, steps=3)
        mouse.up()
    picture.settle()
    # However far it was dragged, the first column is still at the left, with its lowest neurons.
    labels = picture.root.locator(".svr-columns [data-map], .svr-columns [data-pin]")
    expect(labels.first).to_have_text(re.compile("Linear 1"))
    expect(picture.root.locator(".svr-columns [data-pin]")).to_have_text(["Linear 2 →"])
    pixels = picture.pixels()[..., 3]
    columns = np.flatnonzero((pixels == 255).any(axis=0))
    assert columns.min() < 200
    picture.canvas.press("Home")


def test_two_views_of_one_widget_move_together(open_notebook: Open) -> None:
    notebook = open_notebook(PLANTED, SHOW, SHOW)
    one, other = picture_of(notebook), picture_of(notebook, 1)
    one.set_slider(0.9)
    level = one.root.get_by_label("significance level").input_value()
    expect(other.root.get_by_label("significance level")).to_have_value(level)
    assert one.count("significant") == other.count("significant")
    assert one.ink() == other.ink()


def test_running_a_cell_again_leaves_one_widget_that_works(planted: Notebook) -> None:
    for _ in range(3):
        planted.run()
    expect(planted.page.locator(WIDGET)).to_have_count(1)
    picture = picture_of(planted)
    picture.set_slider(0.95)
    assert picture.count("significant") > 0


def test_keys_do_not_leak_into_the_notebook(planted: Notebook) -> None:
    picture = picture_of(planted)
    cells = "() => lab.panel().content.model.cells.length"
    before = planted.page.evaluate(cells)
    picture.canvas.focus()
    # In the planted's command mode: new cell above, below, delete twice.
    for key in ("a", "b", "d", "d", "ArrowRight", "]"):
        picture.canvas.press(key)
    assert planted.page.evaluate(cells) == before


def test_y_scales(planted: Notebook) -> None:
    picture = picture_of(planted)
    seen = set()
    for scale in ("linear", "log", "relative", "rank"):
        planted.execute(f"widget.y_scale = {scale!r}")
        expect(planted.page.get_by_label("y scale")).to_have_value(scale)
        picture.settle()
        title = picture.root.locator(".svr-axis-title").inner_text()
        seen.add((title, picture.ink()))
    assert len(seen) == 4
