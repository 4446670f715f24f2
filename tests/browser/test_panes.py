"""Side panes that open, close and share out the room; full screen."""

from __future__ import annotations

import pytest
from playwright.sync_api import Locator, expect

from tests.browser.lab import WIDGET, Notebook
from tests.browser.test_states import violations


def width(element: Locator) -> float:
    """Its width in CSS pixels."""
    box = element.bounding_box()
    assert box is not None
    return box["width"]


def test_a_pane_opens_and_closes_from_everywhere(planted: Notebook) -> None:
    root = planted.page.locator(WIDGET)
    pane = root.locator('[data-pane="adjacency"]')
    expect(pane).to_be_visible()
    wide = width(root.locator(".svr-graph"))
    pane.get_by_role("button", name="close adjacency").click()
    expect(pane).to_be_hidden()
    assert width(root.locator(".svr-graph")) > wide + 200
    planted.wait_for_python("widget.panes == []")
    root.get_by_role("button", name="Adjacency", exact=True).click()
    expect(pane).to_be_visible()
    planted.wait_for_python("widget.panes == ['adjacency']")
    planted.execute("widget.panes = []")
    expect(pane).to_be_hidden()


def test_the_rule_shares_out_the_room(planted: Notebook) -> None:
    root = planted.page.locator(WIDGET)
    rule = root.get_by_role("separator", name="width of the panes")
    pane, graph = root.locator('[data-pane="adjacency"]'), root.locator(".svr-graph")
    before, whole = width(pane), width(root.locator(".svr-body"))
    box = rule.bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + 40
    planted.page.mouse.move(x, y)
    planted.page.mouse.down()
    planted.page.mouse.move(x - 60, y, steps=3)
    planted.page.mouse.up()
    assert width(pane) == pytest.approx(before + 60, abs=1)
    planted.wait_for_python(f"abs(widget.panes_width - {before + 60}) <= 1")
    rule.press("ArrowRight")
    assert width(pane) == pytest.approx(before + 44, abs=1)
    rule.press("End")
    assert width(graph) >= 300
    assert width(graph) + width(pane) <= whole
    rule.dblclick()
    assert width(pane) == before
    planted.wait_for_python("widget.panes_width is None")


def test_panes_share_the_room_of_any_width(planted: Notebook) -> None:
    root = planted.page.locator(WIDGET)
    set_width = "(root, wide) => { root.parentElement.style.width = `${wide}px` }"
    planted.execute("widget.panes = ['adjacency', 'images', 'filters', 'table']")
    panes = root.locator("[data-pane]")
    expect(panes).to_have_count(4)
    root.evaluate(set_width, 1000)
    tabs = root.get_by_role("tablist", name="panes").get_by_role("tab")
    expect(tabs).to_have_text(["Adjacency", "Images", "Filters", "Table"])
    expect(root.locator("[data-pane]:visible")).to_have_count(1)
    tabs.first.click()
    tabs.first.press("ArrowLeft")
    expect(root.locator('[data-pane="table"]')).to_be_visible()
    expect(tabs.last).to_be_focused()
    root.evaluate(set_width, 1900)
    expect(tabs.first).to_be_hidden()
    boxes = [pane.bounding_box() for pane in panes.all()]
    assert len({round(box["x"]) for box in boxes}) == 2
    assert len({round(box["y"]) for box in boxes}) == 2
    planted.execute("widget.panes = ['adjacency']")
    expect(panes.locator("visible=true")).to_have_count(1)
    assert width(panes.first) > 1900 * 0.3
    root.evaluate("(root) => { root.parentElement.style.width = '' }")


def test_the_lower_edge_makes_the_widget_taller(planted: Notebook) -> None:
    root = planted.page.locator(WIDGET)
    grip = root.get_by_role("separator", name="height of the widget")
    for _ in range(5):
        grip.press("ArrowDown")
    planted.wait_for_python("widget.height == 700")
    tall = root.bounding_box()["height"]
    grip.dblclick()
    planted.wait_for_python("widget.height == 620")
    # What stood on a second line of tools before may have gone meanwhile: only this counts.
    expect(root).to_have_css("height", f"{tall - 80:g}px")


def test_panes_stand_below_where_it_is_narrow(planted: Notebook) -> None:
    root = planted.page.locator(WIDGET)
    graph, pane = root.locator(".svr-graph"), root.locator('[data-pane="adjacency"]')
    for wide in (900, 700):
        root.evaluate("(root, wide) => { root.parentElement.style.width = `${wide}px` }", wide)
        boxes = graph.bounding_box(), pane.bounding_box()
        assert boxes[0] is not None
        assert boxes[1] is not None
        below = boxes[1]["y"] >= boxes[0]["y"] + boxes[0]["height"]
        assert below == (wide == 700)
    assert width(pane) > 600


def fills_the_window(root: Locator) -> bool:
    """Whether the widget takes up all that the window has, and lies above everything."""
    return bool(
        root.evaluate("""(root) => {
          const { left, top, width, height } = root.getBoundingClientRect();
          const size = [innerWidth, innerHeight];
          const above = document.elementFromPoint(innerWidth - 40, 60);
          return left === 0 && top === 0 && width === size[0] && height === size[1]
            && root.contains(above);
        }""")
    )


def test_the_whole_screen(planted: Notebook) -> None:
    root = planted.page.locator(WIDGET)
    before = width(root)
    root.get_by_role("button", name="full screen", exact=True).click()
    expect(root).to_have_attribute("data-full", "true")
    assert fills_the_window(root)
    root.get_by_role("button", name="leave full screen").click()
    expect(root).to_have_attribute("data-full", "false")
    assert width(root) == before


def test_the_whole_window_where_full_screen_is_forbidden(planted: Notebook) -> None:
    root = planted.page.locator(WIDGET)
    before = width(root)
    root.evaluate("(root) => { root.requestFullscreen = () => Promise.reject(new Error('no')) }")
    root.get_by_role("button", name="full screen", exact=True).click()
    expect(root).to_have_attribute("data-full", "true")
    assert fills_the_window(root)
    planted.page.keyboard.press("Escape")
    expect(root).to_have_attribute("data-full", "false")
    assert width(root) == before


def test_a_pane_that_is_none_is_refused(planted: Notebook) -> None:
    planted.execute(
        "try:\n    widget.panes = ['tea']\nexcept Exception as error:\n    refused = str(error)"
    )
    assert "adjacency" in planted.python("refused")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_all_panes_are_readable_in_both_themes(planted: Notebook, theme: str) -> None:
    planted.set_theme(theme)
    root = planted.page.locator(WIDGET)
    planted.execute(
        "widget.inputs = torch.randn(2, 48)\n"
        "widget.panes = ['adjacency', 'images', 'filters', 'table']"
    )
    drawn = (".svr-matrix", ".svr-cell-button", '[data-svr="vectors"] .svr-bars', ".svr-row")
    for tab, part in zip(root.get_by_role("tab").all(), drawn, strict=True):
        tab.click()
        expect(root.locator(part).first).to_be_visible()
        assert violations(planted) == []
    planted.set_theme("light")
