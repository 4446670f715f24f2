"""Exported files: a page opened from disk without a network, and what the export menu saves."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from playwright.sync_api import Browser, Page
from torch import nn

from svr_widget import SVRWidget
from tests.browser.networks import PLANTED

TILE = {"law": "exact", "steps": [1, 1], "tile": [0, 0]}
DRAWN = '[data-svr="graph"][data-painted="true"]'


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made: dict[str, object] = {}
    exec(PLANTED, made)  # the same network as in the notebooks
    path = tmp_path_factory.mktemp("exported") / "page.html"
    SVRWidget(made["model"], p=0.01).to_html(path)
    return path


@pytest.fixture(scope="module")
def pictured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page of a network with inputs, of which a view has asked for |U| and nothing else."""
    torch.manual_seed(5)
    layers = [nn.Conv2d(1, 6, 3), nn.ReLU(), nn.Conv2d(6, 8, 3), nn.Flatten(), nn.Linear(512, 5)]
    widget = SVRWidget(nn.Sequential(*layers), inputs=torch.rand(2, 1, 12, 12), p=0.5)
    widget.panes = ["adjacency", "images", "filters"]
    widget.selected_link = ("0", "2")
    for kind in ("matrix", "tile"):
        widget._answer(widget, {"kind": kind, "link": 0, "matrix": "output", **TILE}, [])
    path = tmp_path_factory.mktemp("pictured") / "page.html"
    widget.to_html(path)
    return path


@pytest.fixture
def page(exported: Path, browser: Browser) -> Iterator[Page]:
    yield from opened_offline(exported, browser)


@pytest.fixture
def pictured_page(pictured: Path, browser: Browser) -> Iterator[Page]:
    yield from opened_offline(pictured, browser)


def opened_offline(path: Path, browser: Browser) -> Iterator[Page]:
    context = browser.new_context(offline=True, viewport={"width": 1100, "height": 760})
    opened = context.new_page()
    problems: list[str] = []
    opened.on("pageerror", lambda error: problems.append(str(error)))
    opened.on("console", lambda said: problems.append(said.text) if said.type == "error" else None)
    opened.goto(path.as_uri())
    opened.wait_for_selector(DRAWN)
    yield opened
    context.close()
    assert problems == []


def significant(page: Page) -> str:
    return page.locator('[data-svr="significant"]').inner_text()


def test_the_page_draws_offline_and_its_threshold_is_alive(page: Page) -> None:
    ink = page.evaluate(
        """() => { const c = document.querySelector('[data-svr="graph"]');
          const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;
          let n = 0; for (let i = 3; i < d.length; i += 4) n += d[i] > 0; return n; }"""
    )
    assert ink > 1000
    before = significant(page)
    page.locator('[data-svr="graph"]').focus()
    page.keyboard.press("[")
    page.wait_for_function(
        "(old) => document.querySelector('[data-svr=\"significant\"]').textContent !== old",
        arg=before,
    )


def test_the_page_shows_a_matrix_with_its_internal_dimensions(page: Page) -> None:
    pane = page.locator('[data-pane="adjacency"]')
    pane.get_by_text("internal 4 × 4, p < 0.001").wait_for()
    canvas = pane.locator("canvas")
    page.wait_for_selector('[data-pane="adjacency"] canvas[data-painted="true"]')
    canvas.press("ArrowRight")
    pane.get_by_text("Linear 1 · 0 → Linear 2 · 0: 1.00").wait_for()
    pane.get_by_role("button", name="|U|", exact=True).click()
    pane.get_by_text("works without Python").wait_for()


def test_the_page_shows_filters_and_images_and_names_those_it_lacks(pictured_page: Page) -> None:
    page = pictured_page
    filters = page.locator('[data-pane="filters"]')
    assert filters.locator('[data-svr="effective"] canvas').count() == 16
    assert filters.locator('[data-svr="vectors"] canvas').count() > 0
    images = page.locator('[data-pane="images"] [data-svr="images"]')
    page.get_by_role("tab", name="Images").click()
    images.locator("canvas").nth(6).wait_for()  # the input, three neurons of two convolutions
    page.get_by_role("combobox", name="input").select_option("1")
    page.get_by_role("button", name="cosine").click()
    page.get_by_text("Beneath each image its cosine with").wait_for()
    assert page.get_by_text("works without Python").count() == 0
    page.get_by_role("button", name="Inputs", exact=True).click()
    page.locator('[data-pane="images"]').get_by_text("works without Python").wait_for()


def test_the_page_shows_the_matrix_that_was_asked_for(pictured_page: Page) -> None:
    page = pictured_page
    pane = page.locator('[data-pane="adjacency"]')
    page.get_by_role("tab", name="Adjacency").click()
    pane.get_by_role("button", name="|U|", exact=True).click()
    page.wait_for_selector('[data-pane="adjacency"] canvas[data-painted="true"]')
    pane.locator("canvas").press("ArrowRight")
    assert pane.get_by_text("works without Python").count() == 0
    pane.get_by_role("button", name="|ṼᵀU|", exact=True).click()
    pane.get_by_text("works without Python").wait_for()


def test_the_menu_saves_the_picture(page: Page) -> None:
    page.get_by_role("button", name="Export").click()
    with page.expect_download() as download:
        page.get_by_role("menuitem", name="PNG").click()
    picture = np.asarray(Image.open(io.BytesIO(Path(download.value.path()).read_bytes())))
    shown = page.locator('[data-svr="graph"]').bounding_box()
    assert shown
    assert picture.shape[1] == round(2 * shown["width"])
    assert len(np.unique(picture.reshape(-1, picture.shape[2]), axis=0)) > 20
    page.get_by_role("button", name="Export").click()
    with page.expect_download() as download:
        page.get_by_role("menuitem", name="SVG").click()
    text = Path(download.value.path()).read_text("utf-8")
    drawn = int(page.locator('[data-svr="shown"]').inner_text().replace(",", ""))
    assert text.count("stroke-opacity=") == drawn


def test_the_menu_works_by_keyboard_and_says_what_needs_python(page: Page) -> None:
    button = page.get_by_role("button", name="Export")
    button.focus()
    page.keyboard.press("Enter")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Enter")
    page.get_by_role("status").filter(has_text="works without Python").wait_for()
    page.keyboard.press("Enter")
    page.keyboard.press("Escape")
    assert page.get_by_role("menu").is_hidden()
    assert button.evaluate("(element) => element === document.activeElement")
