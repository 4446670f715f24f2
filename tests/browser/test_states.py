"""Themes, computing, failing and refusing in a real JupyterLab; and the page without Jupyter."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from playwright.sync_api import Browser, Page, expect
from torch import nn

from svr_widget import SVRWidget, compare
from tests.browser import plain_page
from tests.browser.lab import REPOSITORY, WIDGET, Notebook
from tests.browser.networks import PLANTED, SHOW
from tests.browser.picture import Picture, axes_of, decoded

Open = Callable[..., Notebook]
AXE = REPOSITORY / "js" / "node_modules" / "axe-core" / "axe.min.js"
SLOW = """
import threading
from svr_widget import SVR as Engine
from svr_widget.widget.computing import shown_graph

shown_graph.AT_ONCE_SECONDS = 0
gate, compute = threading.Event(), Engine.compute

def gated(self, progress=None):
    if progress is None:  # the engine's own calls
        return compute(self)
    progress("layer<b>1</b>", 1, 4)
    gate.wait(60)
    progress("layer2", 2, 4)
    compute(self, progress)

Engine.compute = gated
"""


def violations(notebook: Notebook) -> list[str]:
    """What axe finds wrong with the widget: contrast, names, roles."""
    notebook.page.add_script_tag(path=AXE)
    found = notebook.page.evaluate("(root) => axe.run(root)", WIDGET)["violations"]
    return [f"{v['id']}: {node['html'][:120]}" for v in found for node in v["nodes"]]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_both_themes_are_readable(planted: Notebook, theme: str) -> None:
    planted.set_theme(theme)
    picture = Picture(planted.page.locator(WIDGET))
    expect(picture.root).to_have_attribute("data-theme", theme)
    pixels = picture.pixels()
    solid = pixels[pixels[..., 3] > 200][:, :3].mean()
    assert solid < 128 if theme == "light" else solid > 128
    assert violations(planted) == []
    planted.set_theme("light")


def test_a_theme_of_its_own_does_not_follow_the_host(planted: Notebook) -> None:
    root = planted.page.locator(WIDGET)
    planted.execute("widget.theme = 'dark'")
    expect(root).to_have_attribute("data-theme", "dark")
    planted.set_theme("dark")
    planted.execute("widget.theme = 'light'")
    expect(root).to_have_attribute("data-theme", "light")
    planted.set_theme("light")


def test_a_long_computation_shows_how_far_it_is(open_notebook: Open) -> None:
    notebook = open_notebook(SLOW, PLANTED, SHOW)
    root = notebook.page.locator(WIDGET)
    status = root.locator('[data-svr="status"]')
    expect(status).to_contain_text("layer<b>1</b>")
    expect(status).to_contain_text("1 of 3 maps, then 1 link")
    tools = [root.get_by_label("y scale"), root.get_by_role("button", name="Links", exact=True)]
    for tool in tools:
        expect(tool).to_be_disabled()
    notebook.execute("gate.set(); widget.wait(60)")
    expect(status).to_be_hidden()
    for tool in tools:
        expect(tool).to_be_enabled()
    assert Picture(root).ink() > 1000


EARLY = """
import threading
from svr_widget.engine.graph import cost
from svr_widget.engine.work.decomposer import Decomposer
from svr_widget.widget.computing import shown_graph

shown_graph.AT_ONCE_SECONDS = cost.SLOW_SECONDS = cost.WORTH_WHILE = 0
gate, decomposition = threading.Event(), Decomposer.decomposition

def held(self, task, *rest, **keywords):
    if task.name == "2":
        gate.wait(300)
    return decomposition(self, task, *rest, **keywords)

Decomposer.decomposition = held
"""


def around(pixels: np.ndarray, x: float, y: float, radius: float) -> np.ndarray:
    """The pixels on a circle."""
    angles = np.linspace(0, 2 * np.pi, 48, endpoint=False)
    places = np.stack([y + radius * np.sin(angles), x + radius * np.cos(angles)])
    rows, columns = np.floor(places).astype(int)
    return pixels[rows, columns].astype(int)


def test_maps_are_seen_as_they_are_done_slow_ones_before(open_notebook: Open) -> None:
    notebook = open_notebook(EARLY, PLANTED, SHOW)
    root = notebook.page.locator(WIDGET)
    early = root.locator('[data-svr="preview"]')
    expect(root.locator('[data-svr="status"]')).to_contain_text("preview, 1 of 3 exact")
    expect(early).to_have_attribute("aria-label", re.compile("preview, 1 of 3 exact$"))
    expect(early).to_have_attribute("data-exact", "1")
    expect(root.locator(".svr-columns [data-map]")).to_have_count(3)
    axes = axes_of(root)
    data = early.evaluate("(canvas) => canvas.toDataURL('image/png').split(',')[1]")
    pixels = decoded(data)
    exact, preview = (axes.point(column, 4.0) for column in (0, 1))
    ink = around(pixels, *exact, 0)[0]
    assert np.ptp(ink[:3]) < 40  # a grey

    def inked(place: tuple[float, float], radius: float) -> float:
        apart = np.abs(around(pixels, *place, radius) - ink).max(axis=1)
        return float((apart < 90).mean())

    assert inked(exact, 2) == 1  # a disc is full, a circle is not
    assert inked(preview, 0.5) == 0
    assert 0.2 < inked(preview, 3) < 0.9
    assert violations(notebook) == []
    root.get_by_role("button", name="Cancel").click()
    notebook.wait_for_python("widget._shown._computation.cancelled")
    notebook.execute("gate.set()")
    status = root.locator('[data-svr="status"]')
    expect(status).to_contain_text("Computation cancelled")
    expect(status).to_contain_text("preview, 2 of 3 exact")
    expect(early).to_have_attribute("data-exact", "2")
    status.get_by_role("button", name="Go on").click()
    # An empty canvas is painted, too.
    notebook.wait_for_python("len(widget._shown.asked.decomposed) == 3")
    expect(early).to_have_count(0)
    expect(root.locator('[data-svr="graph"]')).to_have_attribute("data-painted", "true")


def test_the_picture_takes_the_previews_place(open_notebook: Open) -> None:
    notebook = open_notebook(EARLY, PLANTED, SHOW)
    root = notebook.page.locator(WIDGET)
    expect(root.locator('[data-svr="preview"]')).to_have_attribute("data-exact", "1")
    before = axes_of(root)
    notebook.execute("gate.set(); widget.wait(60)")
    assert Picture(root).ink() > 1000
    assert root.locator('[data-svr="preview"]').count() == 0
    after = axes_of(root)
    assert after.columns == pytest.approx(before.columns, abs=1)
    assert after.point(0, 4.0) == pytest.approx(before.point(0, 4.0), abs=1)


def test_cancel_stops_a_long_computation(open_notebook: Open) -> None:
    notebook = open_notebook(SLOW, PLANTED, SHOW)
    root = notebook.page.locator(WIDGET)
    root.get_by_role("button", name="Cancel").click()
    notebook.wait_for_python("widget._shown._computation.cancelled")
    notebook.execute("gate.set()")
    expect(root.locator('[data-svr="status"]')).to_contain_text("cancelled")


def test_a_failed_computation_says_why(open_notebook: Open) -> None:
    fail = "def failing(self, progress=None):\n    raise ValueError('the map <i>x</i> broke')\n"
    notebook = open_notebook(SLOW + fail + "Engine.compute = failing", PLANTED, SHOW)
    status = notebook.page.locator(WIDGET).locator('[data-svr="status"]')
    expect(status).to_contain_text("the map <i>x</i> broke")
    for name in ("Adjacency", "Table", "lasso"):
        tool = notebook.page.locator(WIDGET).get_by_role("button", name=name, exact=True)
        expect(tool).to_be_disabled()


def test_what_python_refuses_is_shown(planted: Notebook) -> None:
    planted.execute("try:\n    widget.threshold = 7\nexcept Exception as error:\n    print(error)")
    notice = planted.page.locator('[data-svr="notice"]')
    expect(notice).to_contain_text("fdr = 7")
    planted.page.get_by_role("button", name="dismiss").click()
    expect(notice).to_be_hidden()
    assert planted.python("widget.threshold") == 0.01


def test_a_level_that_is_none_is_refused_in_the_page(planted: Notebook) -> None:
    field = planted.page.get_by_label("significance level")
    before = field.input_value()
    for wrong in ("7", "-1", "many"):
        field.fill(wrong)
        field.press("Enter")
        expect(field).to_have_value(before)
        expect(planted.page.locator(".svr-message")).to_contain_text("above 0 and below 1")
    field.fill("0.2")
    field.press("Enter")
    planted.wait_for_python("widget.threshold == 0.2")


def test_widgets_share_one_implementation(open_notebook: Open) -> None:
    """A page never forgets a module, and every widget brings its own: one of them is evaluated."""
    notebook = open_notebook(PLANTED, SHOW, "another = SVRWidget(model)\nanother")
    roots = notebook.page.locator(WIDGET)
    expect(roots).to_have_count(2)
    assert all(Picture(roots.nth(at)).ink() > 1000 for at in range(2))
    made = """() => Object.getOwnPropertySymbols(globalThis)
      .filter(({ description }) => /^svr_widget [0-9a-f]{64}$/.test(description)).length"""
    assert notebook.page.evaluate(made) == 1
    assert notebook.python("widget._esm.isascii()")  # a byte a character in the page


HOSTILE = ["<img src=x onerror=alert(1)>", "أهلا", "x" * 300, "🦆 duck"]


def hostile_widget() -> SVRWidget:
    generator = torch.Generator().manual_seed(2)
    weights = {name: torch.randn(16, 16, generator=generator) for name in HOSTILE}
    return SVRWidget(weights, p=0.3, links="chain")


def test_the_page_without_jupyter(browser: Browser, tmp_path: Path) -> None:
    """The same bundle draws with a host of fifteen lines, hostile names and no network."""
    page = browser.new_page(viewport={"width": 1000, "height": 700}, offline=True)
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("dialog", lambda dialog: problems.append(f"dialog {dialog.message}"))
    state = plain_page.widget_state(hostile_widget())
    page.goto(plain_page.write(tmp_path / "page.html", state))
    picture = Picture(page.locator(WIDGET))
    assert picture.ink() > 1000
    assert page.locator(f"{WIDGET} img").count() == 0
    picture.root.get_by_role("combobox", name="producer").press("ArrowDown")
    expect(picture.root.get_by_role("listbox")).to_contain_text(HOSTILE[0])
    assert page.locator(f"{WIDGET} img").count() == 0
    width = page.evaluate("document.documentElement.scrollWidth")
    assert width <= 1000
    assert problems == []
    page.close()


def test_unmounting_leaves_no_listener(browser: Browser, tmp_path: Path) -> None:
    page = browser.new_page()
    widget = SVRWidget(nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 4)))
    page.goto(plain_page.write(tmp_path / "page.html", plain_page.widget_state(widget)))
    page.wait_for_function("() => window.ready")
    listeners = "() => [...window.listeners.values()].flat().length"
    assert page.evaluate(listeners) > 5
    page.evaluate("() => window.unmount()")
    assert page.evaluate(listeners) == 0
    assert page.locator(WIDGET).count() == 0
    page.close()


COMPARED = """
import copy
from svr_widget import compare

tuned = copy.deepcopy(model)
out, into = frame(32, 1), frame(48, 1)
with torch.no_grad():  # a direction that was not there
    tuned[0].weight.add_(9 * out @ into.T)
both = compare(model, tuned, names=("base", "tuned"), fdr=0.01)
both
"""


def test_networks_are_compared_beside_each_other_and_by_their_difference(
    open_notebook: Open,
) -> None:
    notebook = open_notebook(PLANTED, COMPARED)
    root = notebook.page.locator(WIDGET)
    expect(root.locator('[data-svr="network"]')).to_have_count(2)
    expect(root.locator(".svr-toolbar")).to_have_count(1)
    expect(root.locator(".svr-legends")).to_have_text(re.compile("new or gone$"))
    rows = root.get_by_role("grid", name="changes").locator("[data-row]")
    expect(rows.first).to_have_text(
        re.compile(r"^new\(Linear 1\s·\s\d+\)Linear 1\s·\s0–9\.\d+\+9\.\d+0\.\d+")
    )
    rows.first.click()
    notebook.wait_for_python("both.right.selected == [('0', 0)]")
    selected = root.locator('[data-svr="network"] [data-svr="selection"]')
    expect(selected.nth(1)).to_contain_text("1 selected: Linear 1\u00a00")
    # One threshold for all, at once.
    field = root.get_by_label("significance level")
    field.fill("0.2")
    field.press("Enter")
    notebook.wait_for_python("[w.threshold for w in both.sides] == [0.2, 0.2]")
    root.get_by_role("button", name="Difference").click()
    canvas = root.locator('[data-svr="difference"]')
    words = root.locator(".svr-selections > :visible")
    expect(words.last).to_contain_text("tuned: 1 selected: Linear 1\u00a00")
    canvas.focus()
    canvas.press("ArrowUp")
    expect(root.locator(".svr-said")).to_contain_text("Linear 1 · 0 only in tuned")
    notebook.wait_for_python("both.view == 'difference'")
    # Tools for how the graph is drawn have nothing to do here.
    expect(root.get_by_label("y scale")).to_be_hidden()
    # A curve a network, and which is whose.
    expect(root.locator(".svr-curve polyline.svr-line:not(.svr-chance)")).to_have_count(2)
    expect(root.locator(".svr-key")).to_have_text(["base", "tuned", "by chance"])
    assert violations(notebook) == []
    root.get_by_role("button", name="Export").press("Enter")
    assert violations(notebook) == []
    saved = [saved_from(notebook.page, item) for item in ("Picture, PNG", "Page without")]
    assert [name for name, _ in saved] == ["base-tuned.png", "base-tuned.html"]
    assert saved[0][1].startswith(b"\x89PNG")
    page = notebook.page.context.new_page()
    page.set_content(saved[1][1].decode())
    expect(page.locator('[data-svr="difference"]')).to_be_visible()
    page.close()


def saved_from(page: Page, item: str) -> tuple[str, bytes]:
    """The name and the content of the file that an item of the export menu saves."""
    entry = page.get_by_role("menuitem", name=item)
    if not entry.is_visible():
        page.get_by_role("button", name="Export").press("Enter")
    with page.expect_download() as download:
        entry.press("Enter")
    return download.value.suggested_filename, download.value.path().read_bytes()


def test_a_comparison_is_a_page_without_python(browser: Browser, tmp_path: Path) -> None:
    torch.manual_seed(3)
    model = nn.Sequential(nn.Linear(20, 16), nn.ReLU(), nn.Linear(16, 8))
    made = compare(model, copy.deepcopy(model), names=("base", "same"), p=0.2)
    made.to_html(tmp_path / "both.html")
    page = browser.new_page(offline=True)
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.goto((tmp_path / "both.html").as_uri())
    expect(page.locator('[data-svr="graph"][data-painted="true"]')).to_have_count(2)
    expect(page.get_by_role("button", name="Same 24")).to_be_visible()
    name, content = saved_from(page, "Picture, SVG")
    svg = content.decode()
    assert name == "base-same.svg"
    drawn = sum(len(widget.edges()) for widget in made.sides)
    assert svg.count("stroke-opacity=") == drawn
    assert svg.count(">base</text>") == svg.count(">same</text>") == 1
    page.locator("[data-row]").first.click()
    expect(page.locator('[data-svr="live"]')).to_contain_text("1 selected")
    expect(page.get_by_text("could not be shown")).to_have_count(0)
    heads = page.locator(".svr-network-head")
    before = heads.all_inner_texts()
    assert before[0].removeprefix("base") == before[1].removeprefix("same")
    field = page.get_by_label("significance level")
    field.fill("0.9")
    field.press("Enter")
    expect(heads.nth(1)).not_to_have_text(before[1])
    after = heads.all_inner_texts()
    assert after[0].removeprefix("base") == after[1].removeprefix("same")
    page.get_by_role("button", name="Difference").click()
    _, content = saved_from(page, "Picture, SVG")
    assert content.decode().count("<circle") == 24 + 3
    assert problems == []
    page.close()
