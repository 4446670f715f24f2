"""One JupyterLab and one Chromium for the whole suite; every page must end without a problem."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser

from tests.browser.lab import Lab, Notebook, chromium


@pytest.fixture(scope="session")
def lab() -> Iterator[Lab]:
    server = Lab()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


@pytest.fixture
def open_notebook(lab: Lab, browser: Browser) -> Iterator[Callable[..., Notebook]]:
    """Open code cells as a notebook and run them; afterwards no page may have met a problem."""
    opened: list[Notebook] = []

    def open_(*cells: str, theme: str = "light", width: int = 1280, run: bool = True) -> Notebook:
        lab.set_theme(theme)
        name = lab.write(f"test-{len(list(lab.notebooks.iterdir()))}.ipynb", list(cells))
        notebook = Notebook(lab, browser, name, width=width)
        opened.append(notebook)
        if run:
            notebook.run()
        return notebook

    yield open_
    problems = [problem for notebook in opened for problem in notebook.problems]
    for notebook in opened:
        notebook.close()
    assert problems == []
