"""The table of edges and neurons in a real JupyterLab, linked with the graph."""

from __future__ import annotations

import io

import pandas as pd
from playwright.sync_api import Locator, expect

from tests.browser.lab import WIDGET, Notebook


def opened(planted: Notebook) -> Locator:
    """The pane of the table, alone."""
    planted.execute("widget.panes = ['table']")
    pane = planted.page.locator('[data-pane="table"]')
    expect(pane).to_be_visible()
    return pane


def column(pane: Locator, number: int) -> list[str]:
    """The texts of a column, as far as it is drawn."""
    return pane.locator(f".svr-rows .svr-row > :nth-child({number})").all_inner_texts()


def test_the_edges_are_pythons_and_follow_the_threshold(planted: Notebook) -> None:
    planted.execute("widget.set_threshold(p=0.02)")
    pane = opened(planted)
    edges = "len(widget.edges())"
    expect(pane.locator('[data-svr="rows"]')).to_have_text(f"{planted.python(edges)} edges")
    first = planted.python(
        "widget.edges().iloc[0][['producer', 'm', 'consumer', 'n']].map(str).tolist()"
    )
    row = pane.locator(".svr-rows .svr-row").first
    expect(row).to_contain_text(f"{first[0]} · {first[1]}")
    expect(row).to_contain_text(f"{first[2]} · {first[3]}")
    planted.execute("widget.set_threshold(p=1e-6)")
    expect(pane.locator('[data-svr="rows"]')).to_have_text(f"{planted.python(edges)} edges")


def test_headers_sort_and_only_what_is_seen_is_drawn(planted: Notebook) -> None:
    pane = opened(planted)
    pane.get_by_role("button", name="Neurons").click()
    table = pane.get_by_role("grid", name="neurons")
    total = planted.python("len(widget.neurons())")
    expect(table).to_have_attribute("aria-rowcount", str(total + 1))
    assert 5 < pane.locator(".svr-rows .svr-row").count() < total
    header = pane.get_by_role("columnheader", name="σ")
    header.get_by_role("button").click()
    expect(header).to_have_attribute("aria-sort", "descending")
    largest = planted.python("widget.neurons().singular_value.nlargest(5).tolist()")
    shown = [float(text) for text in column(pane, 2)[:5]]
    assert all(abs(a - b) <= 0.006 for a, b in zip(shown, largest, strict=True))
    header.get_by_role("button").click()
    expect(header).to_have_attribute("aria-sort", "ascending")
    smallest = planted.python("widget.neurons().singular_value.min()")
    assert abs(float(column(pane, 2)[0]) - smallest) <= 0.006
    pane.get_by_label("map").select_option("2")
    expect(table).to_have_attribute("aria-rowcount", "11")


def test_the_keyboard_reaches_every_row(planted: Notebook) -> None:
    pane = opened(planted)
    pane.get_by_role("button", name="Neurons").click()
    table = pane.get_by_role("grid", name="neurons")
    table.focus()
    table.press("End")
    active = pane.locator(".svr-active")
    expect(active).to_contain_text("4 · 9")
    assert table.get_attribute("aria-activedescendant") == active.get_attribute("id")
    expect(planted.page.locator('[data-svr="tooltip"]')).to_contain_text("Linear 3 · 9")
    table.press("Enter")
    planted.wait_for_python("widget.selected == [('4', 9)]")
    table.press("Home")
    expect(active).to_contain_text("0 · 0")


def test_rows_and_the_graph_are_linked(planted: Notebook) -> None:
    pane = opened(planted)
    rows = pane.locator(".svr-rows .svr-row")
    rows.nth(1).hover()
    title = planted.page.locator('[data-svr="tooltip"] .svr-tip-title')
    producer, m, consumer, n, *_ = rows.nth(1).inner_text().replace(" · ", "").split("\n")
    assert (producer, consumer) == ("0", "2")
    expect(title).to_have_text(f"Linear 1 · {m} → Linear 2 · {n}")
    rows.nth(1).click()
    planted.wait_for_python("len(widget.selected) == 2")
    expect(rows.nth(1)).to_have_attribute("aria-selected", "true")
    planted.execute("widget.selected = [('2', 3)]")
    pane.get_by_role("button", name="selected").click()
    touching = (
        'len(widget.edges().query(\'producer == "2" and m == 3 or consumer == "2" and n == 3\'))'
    )
    expect(pane.locator('[data-svr="rows"]')).to_have_text(f"{planted.python(touching)} edges")
    planted.execute("widget.panes = ['table', 'adjacency']")
    matrix = planted.page.locator('[data-pane="adjacency"]')
    expect(matrix).to_be_visible()
    boxes = [one.bounding_box() for one in (pane, matrix)]
    assert boxes[0] is not None
    assert boxes[1] is not None
    assert boxes[0]["y"] < boxes[1]["y"]  # in the order of the trait


def test_a_click_outlives_a_redraw_between_press_and_release(planted: Notebook) -> None:
    pane = opened(planted)
    row = pane.locator(".svr-rows .svr-row").nth(1)
    row.hover()
    pressed = row.locator("[role=gridcell]").nth(2)
    pressed.evaluate("(cell) => { cell.dataset.pressed = 'true'; }")
    planted.page.mouse.down()
    planted.execute("widget.selected = [('0', 1), ('2', 1)]")
    expect(pane.locator('[aria-selected="true"]')).not_to_have_count(0)
    expect(pressed).to_have_attribute("data-pressed", "true")  # not another in its place
    planted.page.mouse.up()
    ends = row.locator("[role=gridcell]").all_inner_texts()[:2]
    wanted = [end.split(" · ") for end in ends]
    assert wanted != [["0", "1"], ["2", "1"]]
    wanted = [(name.strip(), int(k)) for name, k in wanted]
    planted.wait_for_python(f"sorted(widget.selected) == {sorted(wanted)}")


def test_the_table_is_copied(planted: Notebook) -> None:
    pane = opened(planted)
    planted.page.evaluate(
        """() => {
          window.copied = null;
          const write = (text) => { window.copied = text; return Promise.resolve(); };
          Object.defineProperty(navigator, "clipboard",
            { value: { writeText: write }, configurable: true });
        }"""
    )
    pane.get_by_role("button", name="copy").click()
    planted.page.wait_for_function("() => window.copied !== null")
    copied = pd.read_csv(io.StringIO(planted.page.evaluate("window.copied")), sep="\t")
    edges = pd.DataFrame(planted.python("widget.edges().to_dict('list')"))
    assert list(copied.columns) == list(edges.columns)
    assert len(copied) == len(edges)
    assert abs(copied.weight.to_numpy() - edges.weight.to_numpy()).max() < 1e-6
    assert (copied.m == edges.m).all()
    expect(planted.page.locator(WIDGET).locator('[data-svr="rows"]')).to_contain_text("copied")
