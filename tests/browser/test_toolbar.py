"""The line of tools at every width: never two lines, never without a tool."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from svr_widget import SVRWidget
from tests.browser.networks import PLANTED

TOOLS = (
    "back", "forward", "whole graph", "SVR", "co-SVR", "cross", "y scale", "colour", "edge budget",
    "lasso",
    "Adjacency", "Images", "Filters", "Table", "Export", "full screen", "help",
    "search maps, modules and neurons",
)  # fmt: skip
WIDTHS = (400, 600, 800, 1100, 1400, 2000)

ON_THE_LINE = """(line) => {
  const boxes = [...line.children].map((part) => part.getBoundingClientRect());
  const shown = boxes.filter(({ width }) => width > 0).sort((a, b) => a.left - b.left);
  const { left, right } = line.getBoundingClientRect();
  return {
    height: line.offsetHeight,
    inside: shown.every((box) => box.left >= left && box.right <= right),
    apart: shown.every((box, at) => at === 0 || box.left >= shown[at - 1].right),
    middles: new Set(shown.map((box) => Math.round(box.top + box.height / 2))).size,
  };
}"""


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made: dict[str, object] = {}
    exec(PLANTED, made)
    path = tmp_path_factory.mktemp("toolbar") / "page.html"
    panes = ["adjacency", "images", "filters", "table"]
    SVRWidget(made["model"], panes=panes).to_html(path)
    return path


@pytest.fixture
def page(exported: Path, browser: Browser) -> Iterator[Page]:
    context = browser.new_context(offline=True)
    opened = context.new_page()
    opened.goto(exported.as_uri())
    opened.wait_for_selector('[data-svr="graph"][data-painted="true"]')
    yield opened
    context.close()


@pytest.mark.parametrize("width", WIDTHS)
def test_the_tools_stand_on_one_line_and_none_is_lost(page: Page, width: int) -> None:
    page.set_viewport_size({"width": width + 32, "height": 760})
    line, more = page.locator(".svr-toolbar"), page.get_by_role("button", name="more tools")
    expect(line).to_have_js_property("clientWidth", width)
    page.wait_for_function("() => new Promise(requestAnimationFrame)")
    found = line.evaluate(ON_THE_LINE)
    assert found == {"height": 40, "inside": True, "apart": True, "middles": 1}
    if width >= 1400:
        expect(more).to_be_hidden()
    elif width < 1100 or more.is_visible():
        more.click()
    for name in TOOLS:
        expect(line.get_by_label(name, exact=True).or_(
            line.get_by_role("button", name=name, exact=True)
        ).first).to_be_visible()  # fmt: skip


def test_a_tool_works_in_the_panel_and_comes_back_to_the_line(page: Page) -> None:
    page.set_viewport_size({"width": 632, "height": 760})
    more = page.get_by_role("button", name="more tools")
    budget = page.get_by_label("edge budget")
    method = page.get_by_role("button", name="co-SVR", exact=True)
    expect(budget).to_be_hidden()
    expect(method).to_be_hidden()
    expect(page.get_by_label("y scale")).to_be_visible()
    more.press("Enter")
    expect(more).to_have_attribute("aria-expanded", "true")
    lasso = page.get_by_role("button", name="lasso")
    lasso.click()
    expect(lasso).to_have_attribute("aria-pressed", "true")
    page.keyboard.press("Escape")
    expect(budget).to_be_hidden()
    expect(more).to_be_focused()
    page.set_viewport_size({"width": 1632, "height": 760})
    expect(budget).to_be_visible()
    expect(lasso).to_have_attribute("aria-pressed", "true")
    expect(more).to_be_hidden()
