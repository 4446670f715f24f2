"""One JupyterLab and one Chromium for the whole suite; every page must end without a problem."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser

from tests.browser.lab import Lab, Notebook, chromium
from tests.browser.networks import PLANTED, SHOW


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

    def open_(*cells: str) -> Notebook:
        name = lab.write(f"test-{len(list(lab.notebooks.iterdir()))}.ipynb", list(cells))
        notebook = Notebook(lab, browser, name)
        opened.append(notebook)
        notebook.run()
        return notebook

    yield open_
    problems = [problem for notebook in opened for problem in notebook.problems]
    for notebook in opened:
        notebook.close()
    assert problems == []


@pytest.fixture(scope="session")
def planted_page(lab: Lab, browser: Browser) -> Iterator[Notebook]:
    notebook = Notebook(lab, browser, lab.write("planted.ipynb", [PLANTED, SHOW]))
    yield notebook
    notebook.close()


@pytest.fixture
def planted(planted_page: Notebook) -> Iterator[Notebook]:
    """The planted network's widget, made anew on a page that most tests share."""
    planted_page.problems.clear()
    planted_page.page.mouse.move(0, 0)
    planted_page.run()
    yield planted_page
    assert planted_page.problems == []
