"""A deep network: columns that stay apart, an overview to move along, labels that never overlap."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from playwright.sync_api import Browser, Page, expect

from svr_widget import SVRWidget

DRAWN = '[data-svr="graph"][data-painted="true"]'
DEPTH = 90


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    generator = torch.Generator().manual_seed(3)
    weights = {f"blocks.{i}.conv": torch.randn(12, 12, generator=generator) for i in range(DEPTH)}
    path = tmp_path_factory.mktemp("deep") / "page.html"
    SVRWidget(weights, p=0.01, panes=[], links="chain").to_html(path)
    return path


@pytest.fixture
def page(exported: Path, browser: Browser) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 900, "height": 700})
    opened = context.new_page()
    problems: list[str] = []
    opened.on("pageerror", lambda error: problems.append(str(error)))
    opened.goto(exported.as_uri())
    opened.wait_for_selector(DRAWN)
    yield opened
    context.close()
    assert problems == []


def labels(page: Page) -> list[tuple[int, float]]:
    """Map of every column's label, and where on the page its column is, from left to right."""
    found = page.evaluate(
        """() => [...document.querySelectorAll(".svr-columns [data-map]")].map((label) => {
             const { left } = label.closest(".svr-columns").getBoundingClientRect();
             return [Number(label.dataset.map), left + parseFloat(label.style.left)]; })"""
    )
    return sorted((tuple(item) for item in found), key=lambda item: item[1])


def test_every_column_in_sight_has_a_name_and_they_are_apart(page: Page) -> None:
    shown = labels(page)
    assert len(shown) >= 20
    assert [index for index, _ in shown] == list(range(shown[0][0], shown[-1][0] + 1))
    angle = page.locator(".svr-column-names").get_attribute("data-angle")
    line = {"45": 14 * 2**0.5, "90": 14.0}[str(angle)]
    for (_, left), (_, right) in pairwise(shown):
        assert right - left >= line


def test_it_opens_where_most_was_found_and_leads_there(page: Page) -> None:
    most = page.locator('[data-svr="most"]')
    words = most.inner_text()
    seen = {page.locator(f'[data-map="{index}"]').inner_text() for index, _ in labels(page)}
    assert any(name in words for name in seen)
    window = page.get_by_role("scrollbar", name="part of the network")
    window.focus()
    page.keyboard.press("Home")
    page.wait_for_selector(DRAWN)
    most.press("Enter")
    page.wait_for_selector(DRAWN)
    seen = {page.locator(f'[data-map="{index}"]').inner_text() for index, _ in labels(page)}
    assert any(name in words for name in seen)


def test_the_place_of_the_pointer_says_the_whole_name(page: Page) -> None:
    index, x = labels(page)[3]
    strip = page.locator(".svr-columns").bounding_box()
    assert strip
    page.mouse.move(x, strip["y"] + strip["height"] / 2)
    expect(page.locator('[data-svr="column"]')).to_contain_text(f"blocks.{index}.conv")


def test_the_window_moves_by_keyboard_to_the_last_column_and_back(page: Page) -> None:
    window = page.get_by_role("scrollbar", name="part of the network")
    window.focus()
    page.keyboard.press("Home")
    assert window.get_attribute("aria-valuenow") == "0"
    page.keyboard.press("End")
    page.wait_for_selector(DRAWN)
    assert labels(page)[-1][0] == DEPTH - 1
    assert window.get_attribute("aria-valuenow") == "100"
    assert str(window.get_attribute("aria-valuetext")).endswith(f"blocks.{DEPTH - 1}.conv")
    page.keyboard.press("Home")
    page.wait_for_selector(DRAWN)
    assert labels(page)[0][0] == 0


def test_the_window_is_dragged_with_the_pointer(page: Page) -> None:
    page.get_by_role("scrollbar", name="part of the network").press("Home")
    box = page.get_by_role("scrollbar", name="part of the network").bounding_box()
    assert box
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 200, y, steps=4)
    page.mouse.up()
    moved = page.get_by_role("scrollbar", name="part of the network").bounding_box()
    assert moved
    assert moved["x"] == pytest.approx(box["x"] + 200, abs=3)
    page.wait_for_selector(DRAWN)
    assert labels(page)[0][0] > 10


def test_a_column_reached_by_keyboard_comes_into_view(page: Page) -> None:
    page.locator('[data-svr="graph"]').focus()
    for _ in range(DEPTH):
        page.keyboard.press("ArrowRight")
    page.wait_for_selector(DRAWN)
    assert any(name == DEPTH - 1 for name, _ in labels(page))


def test_what_is_searched_for_comes_into_sight_and_goes_again(page: Page) -> None:
    before = labels(page)
    away = 3 if before[0][0] > 10 else DEPTH - 10
    column = f"""document.querySelector('.svr-columns [data-map="{away}"]')"""
    field = page.get_by_label("search maps and neurons")
    field.fill(f"blocks.{away}.")
    page.wait_for_function(f"() => {column}")
    assert page.evaluate("() => document.activeElement.tagName") == "INPUT"
    field.press("Escape")
    page.wait_for_function(f"() => !{column}")
    assert labels(page) == before
