"""What a notebook keeps of the widget: a picture beside the live view, and the saved state."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from playwright.sync_api import expect

from tests.browser.lab import WIDGET, Notebook
from tests.browser.networks import PLANTED, SHOW
from tests.browser.picture import Picture
from tests.browser.test_states import SLOW

Open = Callable[..., Notebook]
VIEW = "application/vnd.jupyter.widget-view+json"
RENDERED_IMAGES = ".jp-RenderedImage img"


def bundles(notebook: Notebook) -> list[dict[str, Any]]:
    """What would be saved of every output that is shown."""
    return notebook.page.evaluate(
        """() => [...lab.panel().content.model.cells]
          .flatMap((cell) => cell.toJSON().outputs ?? [])
          .flatMap((output) => (output.data ? [output.data] : []))"""
    )


def kinds(notebook: Notebook) -> list[str]:
    return [
        "view" if VIEW in bundle else "picture" if "image/png" in bundle else "other"
        for bundle in bundles(notebook)
    ]


def test_the_live_widget_is_shown_and_the_picture_saved(planted: Notebook) -> None:
    assert Picture(planted.page.locator(WIDGET)).ink() > 1000
    assert kinds(planted) == ["view", "picture"]
    expect(planted.page.locator(RENDERED_IMAGES)).to_have_count(1)
    expect(planted.page.locator(RENDERED_IMAGES)).to_be_hidden()


def test_a_late_picture_leaves_the_live_view_alone(open_notebook: Open) -> None:
    notebook = open_notebook(SLOW, PLANTED, SHOW)
    root = notebook.page.locator(WIDGET)
    root.evaluate("(root) => { root.dataset.mine = 'kept'; }")
    outputs = notebook.page.locator(".jp-OutputArea-output:visible")
    expect(outputs).to_have_count(1)
    notebook.execute("gate.set(); widget.wait(60)")
    notebook.page.evaluate(
        """(seconds) => lab.until(() => [...lab.panel().content.model.cells].some((cell) =>
             (cell.toJSON().outputs ?? []).some((o) => o.data?.["image/png"])), seconds)""",
        30,
    )
    expect(root).to_have_attribute("data-mine", "kept")
    assert Picture(root).ink() > 1000
    expect(outputs).to_have_count(1)
    expect(notebook.page.locator(RENDERED_IMAGES)).to_be_hidden()
    assert kinds(notebook) == ["view", "picture"]


def test_a_notebook_saved_without_its_widgets_shows_the_picture(open_notebook: Open) -> None:
    notebook = open_notebook(PLANTED, SHOW)
    expect(notebook.page.locator(RENDERED_IMAGES)).to_be_hidden()
    notebook.page.evaluate(
        """async () => {
          await lab.command("docmanager:save");
          await lab.panel().sessionContext.shutdown();
        }"""
    )
    notebook.open()  # with a kernel that knows nothing of the widget, nor does the file
    expect(notebook.page.locator(RENDERED_IMAGES)).to_be_visible()


def test_a_notebook_saved_with_its_widgets_draws_without_python(open_notebook: Open) -> None:
    network = PLANTED + "widget.set_threshold(p=0.01)"
    notebook = open_notebook(network, SHOW, kernel="python3")
    picture = Picture(notebook.page.locator(WIDGET))
    shown = picture.count("significant")
    notebook.page.evaluate(
        """async () => {
          await lab.command("@jupyter-widgets/jupyterlab-manager:saveWidgetState");
          await lab.command("docmanager:save");
          await lab.panel().sessionContext.shutdown();
        }"""
    )
    notebook.open()  # with a kernel that knows nothing of the widget
    picture = Picture(notebook.page.locator(WIDGET))
    assert picture.ink() > 1000
    assert picture.count("significant") == shown
    picture.set_slider(0.97)
    assert picture.count("significant") > shown
    pane = picture.root.locator('[data-pane="adjacency"]')
    expect(pane).to_contain_text(
        "Only the edges that were sent are shown. This needs Python, which is gone."
    )
    expect(picture.root.locator(".svr-message:visible")).to_have_count(0)
