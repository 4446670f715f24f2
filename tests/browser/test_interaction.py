"""Selecting, searching, going back, and all of it by keyboard, in a real JupyterLab."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
from playwright.sync_api import Locator, expect

from tests.browser.lab import WIDGET, Notebook
from tests.browser.networks import PLANTED, SHOW
from tests.browser.picture import Picture, neuron_places, picture_of

Open = Callable[..., Notebook]
Places = dict[str, list[tuple[float, float]]]
LIVE = '[data-svr="live"]'


def drag(notebook: Notebook, picture: Picture, points: list[tuple[float, float]]) -> None:
    """Press at the first of some places of the canvas, move along them and let go."""
    picture.canvas.evaluate("(canvas) => canvas.scrollIntoView({ block: 'center' })")
    box = picture.canvas.bounding_box()
    assert box is not None
    mouse = notebook.page.mouse
    for index, (x, y) in enumerate(points):
        mouse.move(box["x"] + x, box["y"] + y, steps=3)
        if index == 0:
            mouse.down()
    mouse.up()


def selected(notebook: Notebook) -> set[tuple[str, int]]:
    return {(name, k) for name, k in notebook.python("widget.selected")}


def box_of(places: Places, name: str, ks: range) -> list[tuple[float, float]]:
    """Opposite corners of a box around some neurons of a map and no other."""
    x, top = places[name][ks.start]
    bottom = places[name][ks.stop - 1][1]
    return [(x - 12, top - 4), (x + 12, bottom + 4)]


@pytest.fixture
def blue(planted: Notebook) -> Locator:
    """The canvas of what is selected."""
    return planted.page.locator('[data-svr="selected"]')


def ink(canvas: Locator) -> int:
    expect(canvas).to_have_attribute("data-painted", "true")
    count = """(canvas) => canvas.getContext("2d")
        .getImageData(0, 0, canvas.width, canvas.height).data
        .reduce((sum, value, index) => sum + (index % 4 === 3 && value > 0 ? 1 : 0), 0)"""
    return int(canvas.evaluate(count))


def test_a_box_selects_what_lies_in_it(planted: Notebook, blue: Locator) -> None:
    picture = picture_of(planted)
    places = neuron_places(planted, picture)
    keyboard = planted.page.keyboard
    keyboard.down("Shift")
    drag(planted, picture, box_of(places, "0", range(3)))
    planted.wait_for_python("len(widget.selected) == 3")
    assert selected(planted) == {("0", 0), ("0", 1), ("0", 2)}
    expect(picture.canvas).to_have_class("svr-picture svr-dimmed")
    few = ink(blue)
    keyboard.down("Control")
    drag(planted, picture, box_of(places, "2", range(1, 4)))
    keyboard.up("Control")
    planted.wait_for_python("len(widget.selected) == 6")
    assert selected(planted) == {*(("0", k) for k in range(3)), *(("2", k) for k in range(1, 4))}
    assert ink(blue) > few
    drag(planted, picture, box_of(places, "2", range(1)))
    keyboard.up("Shift")
    planted.wait_for_python("widget.selected == [('2', 0)]")
    picture.canvas.press("Escape")
    planted.wait_for_python("widget.selected == []")
    assert ink(blue) == 0


def test_a_lasso_selects_what_it_goes_around(planted: Notebook) -> None:
    picture = picture_of(planted)
    places = neuron_places(planted, picture)
    tool = picture.root.get_by_role("button", name="lasso")
    tool.click()
    expect(tool).to_have_attribute("aria-pressed", "true")
    # Around the second and third neuron of "0" only, in a line that runs back on itself.
    (x, second), (_, third) = places["0"][1], places["0"][2]
    first = [(x - 20, second), (x, second - 6), (x + 20, second), (x + 20, third)]
    drag(planted, picture, [*first, (x, third + 6), (x - 20, third)])
    planted.wait_for_python("len(widget.selected) == 2")
    assert selected(planted) == {("0", 1), ("0", 2)}
    planted.page.keyboard.down("Shift")
    corners = box_of(places, "2", range(1))
    (left, top), (right, bottom) = corners
    drag(planted, picture, [(left, top), (right, top), (right, bottom), (left, bottom)])
    planted.page.keyboard.up("Shift")
    planted.wait_for_python("len(widget.selected) == 3")
    picture.canvas.press("Escape")
    expect(tool).to_have_attribute("aria-pressed", "false")
    assert len(selected(planted)) == 3


def test_a_thousand_selected_neurons_travel_from_python(planted: Notebook, blue: Locator) -> None:
    picture = picture_of(planted)
    every = "[(m, k) for m in widget.svr.maps for k in range(len(widget.svr[m]))]"
    planted.execute(f"widget.selected = {every}")
    expect(picture.root.locator(LIVE)).to_contain_text("66 selected")
    assert ink(blue) > 3000


def test_the_strongest_path_is_the_engines(planted: Notebook, blue: Locator) -> None:
    picture = picture_of(planted)
    planted.execute("widget.set_threshold(p=0.05)")
    path = planted.python("widget.svr.super_feature(p=0.05)[['map', 'k']].values.tolist()")
    assert len(path) == 3
    places = neuron_places(planted, picture)
    name, k = path[1]
    picture.canvas.click(position=dict(zip("xy", places[name][k], strict=True)))
    expect(picture.root.locator(LIVE)).to_contain_text("strongest path through Linear 1")
    expect(blue).to_have_attribute("data-painted", "true")
    around = """(canvas, [x, y]) => {
      const ratio = canvas.width / canvas.clientWidth;
      const [left, top] = [(x - 2) * ratio, (y - 2) * ratio];
      return [...canvas.getContext("2d").getImageData(left, top, 5 * ratio, 5 * ratio).data];
    }"""
    for (map_a, a), (map_b, b) in pairwise(path):
        for share in (0.2, 0.4, 0.6, 0.8):
            at = np.array(places[map_a][a]) * (1 - share) + np.array(places[map_b][b]) * share
            pixels = np.array(blue.evaluate(around, at.round().tolist())).reshape(-1, 4)
            ink = (pixels[:, :3].max(axis=1) < 80) & (pixels[:, 3] == 255)
            assert ink.sum() >= 3
    said = picture.root.locator('[data-svr="selection"]')
    expect(said).to_contain_text(f"1 selected: Linear 2\u00a0{k}")
    names = ", ".join(f"Linear {at}\u00a0{k}" for at, (_, k) in enumerate(path, start=1))
    expect(said).to_contain_text(f"the path {names} at p")
    said.get_by_role("button", name="clear selection").click()
    planted.wait_for_python("widget.selected == []")


def test_a_double_click_shows_the_whole_graph_and_chooses_nothing(planted: Notebook) -> None:
    picture = picture_of(planted)
    columns = picture.axes().columns
    planted.execute("widget.selected_link = ('0', '2')")
    planted.wait_for_python("widget.selected_link == ['0', '2']")
    picture.canvas.focus()
    picture.canvas.press("+")
    planted.wait_for_python("widget.camera is not None")
    picture.settle()
    columns = picture.axes().columns
    picture.canvas.dblclick(position={"x": (columns[1] + 30), "y": 4})
    planted.wait_for_python("widget.camera is None")
    assert planted.python("widget.selected_link") == ["0", "2"]


def test_search_finds_selects_and_filters(planted: Notebook) -> None:
    picture = picture_of(planted)
    field = picture.root.get_by_role("combobox", name="search maps, modules and neurons")
    picture.canvas.press("/")
    expect(field).to_be_focused()
    field.press_sequentially("2 3")
    options = picture.root.locator("[role=option]")
    expect(options.first).to_contain_text("Linear 2 · 3")
    expect(field).to_have_attribute("aria-expanded", "true")
    active = field.get_attribute("aria-activedescendant")
    expect(options.first).to_have_attribute("id", active or "")
    field.press("Enter")
    planted.wait_for_python("widget.selected == [('2', 3)]")
    expect(picture.canvas).to_be_focused()
    expect(picture.tooltip.locator(".svr-tip-title")).to_have_text("Linear 2 · 3")
    picture.canvas.press("/")
    field.fill("4")
    field.press("Enter")
    chip = picture.root.locator('[data-svr="filter"]')
    expect(chip).to_contain_text("4")
    expect(chip).to_contain_text("1 column")
    assert "gradient" in picture.canvas.evaluate("(c) => getComputedStyle(c).maskImage")
    dimmed = picture.root.locator(".svr-columns .svr-dim")
    expect(dimmed).to_have_count(2)
    chip.get_by_role("button", name="clear filter").click()
    expect(chip).to_be_hidden()
    expect(dimmed).to_have_count(0)
    assert picture.canvas.evaluate("(c) => getComputedStyle(c).maskImage") == "none"
    field.fill("nowhere")
    expect(picture.root.get_by_text("Nothing has that name.")).to_be_visible()
    field.press("Escape")
    expect(field).to_have_value("")


def test_back_and_forward_go_through_what_was_seen(planted: Notebook) -> None:
    picture = picture_of(planted)
    back = picture.root.get_by_role("button", name="back")
    forward = picture.root.get_by_role("button", name="forward")
    expect(back).to_be_disabled()
    planted.execute("widget.y_scale = 'rank'")
    expect(back).to_be_enabled()
    picture.canvas.press("ArrowRight")
    picture.canvas.press("Enter")
    planted.wait_for_python("widget.selected == [('0', 0)]")
    picture.canvas.press("Alt+ArrowLeft")
    planted.wait_for_python("(widget.selected, widget.y_scale) == ([], 'rank')")
    picture.canvas.press("Alt+ArrowLeft")
    planted.wait_for_python("widget.y_scale == 'auto'")
    expect(back).to_be_disabled()
    forward.click()
    forward.click()
    planted.wait_for_python("(widget.selected, widget.y_scale) == ([('0', 0)], 'rank')")
    expect(forward).to_be_disabled()


def test_everything_by_keyboard(planted: Notebook) -> None:
    """Nothing but keys, from the page's first focus to a locked pair and another threshold."""
    picture = picture_of(planted)
    root, keyboard = picture.root, planted.page.keyboard
    root.get_by_role("combobox", name="search maps, modules and neurons").focus()
    names = []
    for _ in range(40):
        keyboard.press("Tab")
        focused = planted.page.evaluate(
            """() => {
              const at = document.activeElement;
              const name = at.getAttribute("aria-label") || at.textContent;
              const ring = getComputedStyle(at).outlineStyle !== "none";
              const inside = at.closest('[data-svr="root"]') !== null;
              // The graph and the rules between the parts mark their focus in their own ways.
              const own = at.dataset.svr === "graph" || at.getAttribute("role") === "separator";
              return [name, ring || own, inside];
            }"""
        )
        name, ring, inside = focused
        if not inside:
            break
        assert ring, name
        names.append(name)
    for name in ("SVR", "y scale", "help", "graph of spectral neurons", "height of the widget"):
        assert name in names
    for name in ("threshold", "mode", "significance level", "null law"):
        assert name in names
    picture.canvas.focus()
    for key in ("ArrowRight", "ArrowDown", "Enter", "ArrowRight", "Shift+Enter"):
        keyboard.press(key)
    planted.wait_for_python("len(widget.selected) == 2")
    assert selected(planted) >= {("0", 1)}
    before = planted.python("widget.threshold")
    keyboard.press("]")
    planted.wait_for_python(f"widget.threshold > {before}")
    keyboard.press("+")
    planted.wait_for_python("widget.camera is not None")
    keyboard.press("Home")
    planted.wait_for_python("widget.camera is None")
    keyboard.press("Control+a")
    planted.wait_for_python("len(widget.selected) == 24")
    keyboard.press("Escape")
    planted.wait_for_python("widget.selected == []")


def test_help_lists_the_keys_and_keeps_the_focus(planted: Notebook) -> None:
    picture = picture_of(planted)
    picture.canvas.press("?")
    dialog = picture.root.get_by_role("dialog", name="Pointer and keyboard")
    expect(dialog).to_be_visible()
    expect(dialog).to_contain_text("back to the view before")
    for _ in range(4):
        planted.page.keyboard.press("Tab")
        at = planted.page.evaluate(
            """() => [
              document.activeElement.closest("dialog") !== null,
              document.activeElement.tagName,
            ]"""
        )
        assert at in ([True, "BUTTON"], [False, "BODY"])  # the dialog, or the browser's own frame
    cells = "() => lab.panel().content.model.cells.length"
    before = planted.page.evaluate(cells)
    planted.page.keyboard.press("a")
    assert planted.page.evaluate(cells) == before
    planted.page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(picture.canvas).to_be_focused()


def test_what_happens_is_said(planted: Notebook) -> None:
    picture = picture_of(planted)
    live = picture.root.locator(LIVE)
    expect(live).to_have_attribute("role", "status")
    picture.canvas.press("ArrowRight")
    expect(live).to_contain_text("Linear 1, neuron 0 of 32: singular value 4.00")
    picture.canvas.press("Enter")
    expect(live).to_contain_text("1 selected")
    picture.canvas.press("]")
    expect(live).to_contain_text("significant edges")
    expect(live).to_contain_text("expected by chance")


def test_another_method_is_computed_and_shown(open_notebook: Open) -> None:
    network = """
import torch
from torch import nn
from svr_widget import SVRWidget
torch.manual_seed(1)
convolutions = [nn.Conv2d(2, 12, 3), nn.ReLU(), nn.Conv2d(12, 9, 3), nn.ReLU(), nn.Conv2d(9, 5, 3)]
model = nn.Sequential(*convolutions)
widget = SVRWidget(model, torch.zeros(1, 2, 9, 9), p=0.2)
"""
    notebook = open_notebook(network, SHOW)
    picture = picture_of(notebook)
    method = picture.root.get_by_role("group", name="method")
    before = picture.count("significant")
    for name, words in (("cosvr", "co-SVR"), ("cross", "cross")):
        method.get_by_role("button", name=words, exact=True).click()
        notebook.wait_for_python(f"widget.svr.method == {name!r}")
        cut = "widget.svr.significance().cut(p=0.2).significant"
        significant = notebook.python(cut)
        expect(picture.root.locator('[data-svr="significant"]')).to_have_attribute(
            "data-value", str(significant)
        )
        columns = notebook.python("list(widget.svr.columns)")
        expect(picture.root.locator(".svr-columns [data-map]")).to_have_count(len(columns))
    assert columns == ["0", "2~", "2", "4"]
    notebook.execute("widget.method = 'svr'")
    expect(method.get_by_role("button", name="SVR", exact=True)).to_have_attribute(
        "aria-pressed", "true"
    )
    expect(picture.root.locator('[data-svr="significant"]')).to_have_attribute(
        "data-value", str(int(before))
    )


def test_the_budget_is_chosen_in_the_page(planted: Notebook) -> None:
    picture = picture_of(planted)
    planted.execute("widget.max_edges = 200\nwidget.set_threshold(p=0.5)")
    shown = picture.root.locator('[data-svr="shown"]')
    significant = planted.python("len(widget.edges())")
    expect(shown).to_have_attribute("data-value", "200")
    assert 200 < significant == picture.count("significant") < 1000
    budget = picture.root.get_by_label("edge budget")
    if not budget.is_visible():
        picture.root.get_by_role("button", name="more tools").click()
    budget.select_option("1000")
    planted.wait_for_python("widget.max_edges == 1000")
    expect(shown).to_have_attribute("data-value", str(significant))


def test_the_survival_curve_says_what_the_engine_does(planted: Notebook) -> None:
    picture = picture_of(planted)
    curve = picture.root.locator('[data-svr="survival"]')
    image = curve.get_by_role("img")
    planted.execute("widget.set_threshold(p=0.01)")
    expect(picture.root.get_by_label("mode")).to_have_value("p")
    tests = planted.python("widget.svr.significance().total")
    found = planted.python("len(widget.edges())")
    words = f"{tests:,} entries: {found} reach the threshold, {0.01 * tests:.0f} would by chance"
    expect(image).to_have_attribute("aria-label", f"survival curve of {words}")
    # A link of its own: the weight at the cut is the law's.
    planted.execute("widget.selected_link = ['0', '2']")
    cut = picture.root.locator('[data-svr="cut-weight"]')
    weight = planted.python("widget.svr.adjacency(('0', '2')).isf(0.01)")
    expect(cut).to_have_text(f"weight ≥ {weight:#.2g}")
    # Dragging the line moves the threshold, without Python.
    marker = curve.locator("path.svr-cut").bounding_box()
    assert marker is not None
    mouse = planted.page.mouse
    before = picture.count("significant")
    mouse.move(marker["x"], marker["y"] + 20)
    mouse.down()
    mouse.move(marker["x"] - 60, marker["y"] + 20, steps=4)
    assert picture.count("significant") < before
    mouse.up()
    planted.wait_for_python("widget.threshold < 0.01")


def test_without_python_a_level_between_the_stops_says_what_it_shows(open_notebook: Open) -> None:
    """Below the edges that travelled the nearest stop stands in, and the page says so."""
    notebook = open_notebook(PLANTED + "widget.max_edges = 20\nwidget.set_threshold(p=0.01)", SHOW)
    picture = picture_of(notebook)
    notebook.page.evaluate("() => lab.kernel().restart()")
    expect(picture.root.locator('[data-svr="python"]')).to_contain_text("Python is gone")
    field = picture.root.get_by_label("significance level")
    expect(field).to_have_value("0.01")
    field.fill("0.1234")
    field.press("Enter")
    stand_in = picture.root.locator('[data-svr="stand-in"]')
    expect(stand_in).to_contain_text("the nearest level known without Python")


def test_a_restarted_kernel_is_noticed_and_the_graph_lives(open_notebook: Open) -> None:
    notebook = open_notebook(PLANTED, SHOW, kernel="python3")
    picture = picture_of(notebook)
    notice = picture.root.locator('[data-svr="python"]')
    expect(notice).to_have_count(0)
    notebook.page.evaluate("() => lab.kernel().restart()")
    expect(notice).to_contain_text("Python is gone")
    for control in ("SVR", "co-SVR", "cross"):
        expect(picture.root.get_by_role("button", name=control, exact=True)).to_be_disabled()
    expect(picture.root.get_by_label("edge budget")).to_be_disabled()
    picture.root.get_by_label("mode").select_option("p")
    picture.set_slider(0.1)
    before = picture.ink()
    picture.set_slider(0.97)
    assert picture.ink() > before
    picture.canvas.press("ArrowRight")
    expect(picture.tooltip).to_be_visible()
    notebook.page.evaluate("(seconds) => lab.until(lab.ready, seconds)", 30)
    notebook.run()
    fresh = picture_of(notebook)
    expect(fresh.root.locator('[data-svr="python"]')).to_have_count(0)
    assert notebook.page.locator(WIDGET).count() == 1


def test_a_typed_level_beyond_the_edges_that_were_sent_is_exact(planted: Notebook) -> None:
    picture = picture_of(planted)
    planted.execute("widget.max_edges = 40; widget.set_threshold(p=0.15)")
    level = picture.root.get_by_label("significance level")
    level.fill("0.4321")
    level.press("Enter")
    counted = picture.root.locator('[data-svr="significant"]')
    edges = planted.python("len(widget.svr.edges(p=0.4321))")
    expect(counted).to_have_attribute("data-value", str(edges))
    expect(picture.root.locator('[data-svr="stand-in"]')).to_have_text("")
    assert int(picture.root.locator('[data-svr="shown"]').inner_text()) <= 40
    expected = picture.root.locator('[data-svr="expected"]').get_attribute("data-value")
    assert float(expected or 0) == pytest.approx(0.4321 * planted.python("32 * 24 + 24 * 10"))
