"""The adjacency pane in a real JupyterLab, linked with the graph."""

from __future__ import annotations

import numpy as np
import pytest
from playwright.sync_api import expect

from tests.browser.lab import WIDGET, Notebook
from tests.browser.picture import Picture

PANE = '[data-pane="adjacency"]'


def test_cells_are_as_dark_as_the_entries_are_large(planted: Notebook) -> None:
    pane = planted.page.locator(PANE)
    expect(pane.locator('[data-svr="internal"]')).not_to_have_text("")
    dense = np.array(planted.python("widget.svr.adjacency(('0', '2')).dense().tolist()"))
    cells = np.array(pane.locator("canvas").first.evaluate(READ_CELLS, list(dense.shape)))
    strong, weak = dense > 0.9, dense < 0.01
    assert strong.sum() == 4
    assert cells[strong].max() < 90  # ink on paper
    assert cells[weak].min() > 200
    order = np.corrcoef(np.argsort(np.argsort(dense.ravel())), cells.ravel())[0, 1]
    assert order < -0.8


READ_CELLS = """(canvas, [rows, columns]) => {
  const copy = document.createElement("canvas");
  [copy.width, copy.height] = [canvas.width, canvas.height];
  const context = copy.getContext("2d");
  context.fillStyle = "white";
  context.fillRect(0, 0, copy.width, copy.height);
  context.drawImage(canvas, 0, 0);
  const { data } = context.getImageData(0, 0, copy.width, copy.height);
  const at = (i, n, length) => Math.floor(((i + 0.5) * length) / n);
  return Array.from({ length: rows }, (_, i) => Array.from({ length: columns }, (_, j) =>
    data[4 * (at(i, rows, copy.height) * copy.width + at(j, columns, copy.width))]));
}"""


def test_the_cross_is_the_engines(planted: Notebook) -> None:
    found = planted.python(
        "(lambda d: [d.d_out, d.d_in])(widget.svr.internal_dimensions(('0', '2')))"
    )
    assert found == [4, 4]
    caption = planted.page.locator(PANE).locator('[data-svr="internal"]')
    expect(caption).to_have_text("internal 4 × 4, p < 0.001")


def test_the_link_is_chosen_in_the_pane_the_graph_and_python(planted: Notebook) -> None:
    choice = planted.page.locator(PANE).get_by_label("link", exact=True)
    expect(choice).to_have_value("0")
    choice.select_option("1")
    planted.wait_for_python("widget.selected_link == ['2', '4']")
    picture = Picture(planted.page.locator(WIDGET))
    columns = picture.axes().columns
    picture.canvas.click(position={"x": (columns[0] + columns[1]) / 2, "y": 4})
    expect(choice).to_have_value("0")
    planted.wait_for_python("widget.selected_link == ['0', '2']")
    planted.execute("widget.selected_link = ('2', '4')")
    expect(choice).to_have_value("1")


def test_a_cell_names_its_edge_and_lights_it(planted: Notebook) -> None:
    pane = planted.page.locator(PANE)
    expect(pane.locator('[data-svr="internal"]')).not_to_have_text("")
    canvas = pane.locator("canvas").first
    box = canvas.bounding_box()
    canvas.hover(position={"x": 2.5 * box["width"] / 32, "y": 2.5 * box["height"] / 24})
    cell = pane.locator('[data-svr="cell"]')
    expect(cell).to_contain_text("0 · 2 → 2 · 2")
    value = float(cell.inner_text().rsplit(":", 1)[1])
    entry = planted.python("float(widget.svr.adjacency(('0', '2')).dense()[2, 2])")
    assert value == pytest.approx(entry, rel=0.02)
    tooltip = planted.page.locator('[data-svr="tooltip"] .svr-tip-title')
    expect(tooltip).to_have_text("0 · 2 → 2 · 2")
