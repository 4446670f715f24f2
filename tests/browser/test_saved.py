"""What a notebook keeps of the widget: a picture beside the live view, and the saved state."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import nbformat
import pytest
from playwright.sync_api import expect

from tests.browser.lab import WIDGET, Notebook
from tests.browser.networks import PLANTED, SHOW
from tests.browser.picture import Picture
from tests.browser.test_states import SLOW

Open = Callable[..., Notebook]
VIEW = "application/vnd.jupyter.widget-view+json"
PICTURE = ".jp-RenderedImage img"


def bundles(notebook: Notebook) -> list[dict[str, Any]]:
    """What would be saved of every output that is shown."""
    return notebook.page.evaluate(
        """() => [...lab.panel().content.model.cells]
          .flatMap((cell) => cell.toJSON().outputs ?? [])
          .flatMap((output) => (output.data ? [output.data] : []))"""
    )


def picture_is_seen(notebook: Notebook) -> None:
    """The picture is there, whole, in the place of the widget."""
    picture = notebook.page.locator(PICTURE)
    expect(picture).to_be_visible()
    notebook.page.wait_for_function(
        "(selector) => document.querySelector(selector).naturalWidth > 500", arg=PICTURE
    )
    expect(notebook.page.locator(WIDGET)).to_have_count(0)


def test_the_picture_is_saved_and_seen_once_the_view_is_gone(planted: Notebook) -> None:
    assert Picture(planted.page.locator(WIDGET)).ink() > 1000
    picture = planted.page.locator(PICTURE)
    expect(picture).to_have_count(1)
    expect(picture).to_be_hidden()
    view, still = bundles(planted)
    assert VIEW in view
    assert "image/png" not in view
    assert "image/png" in still
    planted.execute("widget.close()")
    picture_is_seen(planted)


def test_other_pictures_of_the_cell_are_left_alone(open_notebook: Open) -> None:
    drawn = "from IPython.display import Image, HTML, display\nimport ipywidgets, matplotlib\n"
    drawn += "from matplotlib.figure import Figure\nimport io\nfile = io.BytesIO()\n"
    drawn += "Figure().savefig(file)\nout = ipywidgets.Output()\nout.append_display_data(widget)\n"
    shown = "display(Image(file.getvalue()), HTML('<b id=mine>words</b>'), widget, out)"
    notebook = open_notebook(PLANTED, drawn + shown)
    expect(notebook.page.locator(WIDGET)).to_have_count(2)
    for view in notebook.page.locator(WIDGET).all():
        expect(view).to_be_visible()
    pictures = notebook.page.locator(PICTURE)
    expect(pictures).to_have_count(2)
    expect(pictures.nth(0)).to_be_visible()
    expect(pictures.nth(1)).to_be_hidden()
    expect(notebook.page.locator("#mine")).to_be_visible()


def test_a_late_picture_leaves_the_live_view_alone(open_notebook: Open) -> None:
    notebook = open_notebook(SLOW, PLANTED, SHOW)
    root = notebook.page.locator(WIDGET)
    root.evaluate("(root) => { root.dataset.mine = 'kept'; }")
    outputs = notebook.page.locator(".jp-OutputArea-output:visible")
    expect(outputs).to_have_count(1)  # not where the picture will be
    notebook.execute("gate.set(); widget.wait(60)")
    picture = notebook.page.locator(PICTURE)
    expect(picture).to_have_count(1)
    expect(picture).to_be_hidden()
    expect(root).to_have_attribute("data-mine", "kept")
    assert Picture(root).ink() > 1000
    expect(outputs).to_have_count(1)
    assert ["image/png" in bundle for bundle in bundles(notebook)] == [False, True]


@pytest.mark.parametrize("trusted", [True, False])
def test_a_notebook_saved_with_the_defaults_shows_the_picture(
    open_notebook: Open, trusted: bool
) -> None:
    notebook = open_notebook(PLANTED, SHOW)
    notebook.page.locator(WIDGET).wait_for()
    notebook.page.evaluate(
        """async () => {
          await lab.command("docmanager:save");
          await lab.panel().sessionContext.shutdown();
        }"""
    )
    if not trusted:  # as it comes from somebody else: this server has not signed it
        file = notebook.lab.notebooks / notebook.name
        sent = nbformat.read(file, nbformat.NO_CONVERT)
        sent.metadata["sent"] = "by another"
        nbformat.write(sent, file)
    notebook.open()
    picture_is_seen(notebook)
    instead = "model not found" if trusted else "SVRWidget"
    expect(notebook.page.locator(".jp-OutputArea-output").first).to_contain_text(instead)
    # ipywidgets' own word on a trusted notebook whose widgets were not saved.
    notebook.problems[:] = [said for said in notebook.problems if "model not found" not in said]


def test_a_notebook_saved_with_its_widgets_draws_without_python(open_notebook: Open) -> None:
    network = PLANTED + "widget.set_threshold(p=0.01)"
    notebook = open_notebook(network, SHOW)
    picture = Picture(notebook.page.locator(WIDGET))
    shown = picture.count("significant")
    notebook.page.evaluate(
        """async (seconds) => {
          const command = "@jupyter-widgets/jupyterlab-manager:saveWidgetState";
          // The page reads its settings some time after it is loaded, and they switch this off.
          await lab.until(async () => {
            if (!jupyterapp.commands.isToggled(command)) await lab.command(command);
            await lab.command("docmanager:save");
            const saved = lab.panel().context.model.getMetadata("widgets");
            return Object.keys(Object.values(saved ?? {})[0]?.state ?? {}).length > 0;
          }, seconds);
          await lab.panel().sessionContext.shutdown();
        }""",
        30,
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
