"""The widget in other hosts than JupyterLab: drawn, alive, dark with the host."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.kernels import Kernels
from tests.browser.lab import REPOSITORY, TIMEOUT, WIDGET, Lab, Notebook, free_port, wait_until_up
from tests.browser.networks import PLANTED, SHOW
from tests.browser.picture import Picture

NETWORK = PLANTED + "widget.set_threshold(p=0.01)"
MARIMO_APP = """
import marimo

app = marimo.App()


@app.cell
def _():
    import marimo as mo
    namespace = {{}}
    exec({network!r}, namespace)
    shown = mo.ui.anywidget(namespace["widget"])
    shown
    return mo, shown


@app.cell
def _(mo, shown):
    mo.md(f"Python reads {{shown.value['threshold']:.6f}}")
    return


if __name__ == "__main__":
    app.run()
"""


def check_drawn_and_alive(page: Page) -> Picture:
    """There are pixels, and the slider changes them and their counts."""
    picture = Picture(page.locator(WIDGET))
    before, significant = picture.ink(), picture.count("significant")
    assert before > 1000
    picture.set_slider(0.97)
    assert picture.ink() > 1.2 * before
    assert picture.count("significant") > significant
    return picture


def brightness(picture: Picture) -> float:
    """Of what the widget stands on, 0 to 255."""
    colour = picture.root.evaluate("(root) => getComputedStyle(root).backgroundColor")
    red, green, blue = (float(part) for part in colour.strip("rgba()").split(",")[:3])
    return (red + green + blue) / 3


def test_notebook_7(lab: Lab, browser: Browser) -> None:
    name = lab.write("notebook-7.ipynb", [NETWORK, SHOW], Kernels.NAME)
    notebook = Notebook(lab, browser, name, app="notebooks")
    # Notebook 7 has page errors of its own while it starts ("Command 'filebrowser:open-path' not
    # registered"), now one, now another: those of the widget are thrown in its module, a blob.
    thrown: list[str] = []
    notebook.page.on("pageerror", lambda error: thrown.append(error.stack or str(error)))
    notebook.run()
    assert notebook.page.url.endswith("/notebooks/notebook-7.ipynb")
    picture = check_drawn_and_alive(notebook.page)
    still = notebook.page.locator(".jp-RenderedImage img")  # for where the widget is gone
    expect(still).to_have_count(1)
    expect(still).to_be_hidden()
    assert brightness(picture) > 200
    notebook.set_theme("dark")
    expect(picture.root).to_have_attribute("data-theme", "dark")
    assert brightness(picture) < 60
    notebook.set_theme("light")
    assert [stack for stack in thrown if "blob:" in stack] == []
    said = [problem for problem in notebook.problems if not problem.startswith("page error:")]
    assert said == []
    expect(notebook.page.locator(".svr-fault")).to_have_count(0)
    notebook.close()


@pytest.fixture
def marimo_url(tmp_path: Path) -> Iterator[str]:
    (tmp_path / "app.py").write_text(MARIMO_APP.format(network=NETWORK))
    (tmp_path / "pyproject.toml").write_text('[tool.marimo.display]\ntheme = "system"\n')
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    log = tmp_path / "server.log"
    with log.open("wb") as stream:
        server = subprocess.Popen(
            [
                *(sys.executable, "-m", "marimo", "run", "app.py"),
                *("--headless", "--no-token", "--port", str(port)),
            ],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(REPOSITORY), "XDG_CONFIG_HOME": str(tmp_path)},
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
        )
        try:
            wait_until_up(f"{url}/health", log)
            yield url
        finally:
            server.terminate()
            server.wait()


def test_marimo(marimo_url: str, browser: Browser) -> None:
    context = browser.new_context(viewport={"width": 1280, "height": 900}, color_scheme="light")
    page = context.new_page()
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("console", lambda said: problems.append(said.text) if said.type == "error" else None)
    page.goto(marimo_url, wait_until="domcontentloaded")
    page.locator(WIDGET).wait_for(timeout=3000 * TIMEOUT)  # Python has torch to load
    picture = check_drawn_and_alive(page)
    assert picture.root.evaluate("(root) => root.getRootNode() instanceof ShadowRoot")
    expect(page.get_by_text("Python reads")).not_to_contain_text("0.010000")
    assert brightness(picture) > 200
    page.emulate_media(color_scheme="dark")
    expect(picture.root).to_have_attribute("data-theme", "dark")
    assert brightness(picture) < 60
    context.close()
    assert problems == []
