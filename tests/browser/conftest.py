"""One JupyterLab and one Chromium a worker; every page must end without a problem."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.kernels import Kernels
from tests.browser.lab import TIMEOUT, Lab, Notebook, chromium
from tests.browser.networks import PLANTED, SHOW

# Playwright's own five seconds are not enough for a page that loads beside another worker's.
expect.set_options(timeout=1000 * TIMEOUT)


@pytest.fixture(scope="session")
def lab() -> Iterator[Lab]:
    server = Lab(forks=True)
    yield server
    server.stop()


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


@pytest.fixture(scope="session")
def desk(lab: Lab, browser: Browser) -> Iterator[Notebook]:
    """A page of JupyterLab that shows one notebook after another: loading it is what takes long."""
    page = Notebook(lab, browser, lab.write("desk.ipynb", [], Kernels.NAME))
    page.end()
    yield page
    page.close()


@pytest.fixture
def open_notebook(desk: Notebook) -> Iterator[Callable[..., Notebook]]:
    """Open code cells as a notebook and run them; afterwards the page may have met no problem.

    Where a test is about a kernel that starts anew, it asks for a plain one: ``kernel="python3"``.
    """
    desk.problems.clear()

    def open_(*cells: str, kernel: str = Kernels.NAME) -> Notebook:
        number = len(list(desk.lab.notebooks.iterdir()))
        desk.show(desk.lab.write(f"test-{number}.ipynb", list(cells), kernel))
        desk.run()
        return desk

    yield open_
    problems = list(desk.problems)
    desk.end()
    assert problems == []


@pytest.fixture(scope="session")
def planted_page(lab: Lab, browser: Browser) -> Iterator[Notebook]:
    notebook = Notebook(lab, browser, lab.write("planted.ipynb", [PLANTED, SHOW], Kernels.NAME))
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
