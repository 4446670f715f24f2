"""The pane of a link's matrices in a real JupyterLab, linked with the graph."""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np
import pytest
from playwright.sync_api import Locator, expect

from tests.browser.lab import WIDGET, Notebook
from tests.browser.picture import Picture

PANE = '[data-pane="adjacency"]'
MARGIN = 26  # room of the singular values, in CSS pixels

READ_CELLS = """(canvas, [rows, columns, left, top]) => {
  const copy = document.createElement("canvas");
  [copy.width, copy.height] = [canvas.width, canvas.height];
  const context = copy.getContext("2d");
  context.fillStyle = "white";
  context.fillRect(0, 0, copy.width, copy.height);
  context.drawImage(canvas, 0, 0);
  const { data } = context.getImageData(0, 0, copy.width, copy.height);
  const [wide, tall] = [copy.width - left, copy.height - top];
  const at = (i, n, length) => Math.floor(((i + 0.5) * length) / n);
  return Array.from({ length: rows }, (_, i) => Array.from({ length: columns }, (_, j) =>
    data[4 * ((top + at(i, rows, tall)) * copy.width + left + at(j, columns, wide))]));
}"""


def matrix(page: Notebook) -> Locator:
    """The matrix's canvas, once its numbers are there."""
    pane = page.page.locator(PANE)
    expect(pane.locator('[data-svr="internal"]')).not_to_have_text("")
    canvas = pane.locator("canvas")
    expect(canvas).to_have_attribute("data-painted", "true")
    return canvas


def cells(canvas: Locator, shape: tuple[int, ...], left: int = MARGIN) -> np.ndarray:
    """The tone in the middle of each cell: 0 black, 255 white."""
    expect(canvas).to_have_attribute("data-painted", "true")
    return np.array(canvas.evaluate(READ_CELLS, [*shape, left, MARGIN]))


def hover_cell(canvas: Locator, row: int, column: int, shape: tuple[int, int]) -> None:
    """Move the pointer into the middle of a cell."""
    box = canvas.bounding_box()
    assert box is not None
    wide, tall = box["width"] - MARGIN, box["height"] - MARGIN
    canvas.hover(
        position={
            "x": MARGIN + (column + 0.5) * wide / shape[1],
            "y": MARGIN + (row + 0.5) * tall / shape[0],
        }
    )


def test_cells_are_as_dark_as_the_entries_are_large(planted: Notebook) -> None:
    dense = np.array(planted.python("widget.svr.adjacency(('0', '2')).dense().tolist()"))
    shown = cells(matrix(planted), dense.shape)
    strong, weak = dense > 0.9, dense < 0.01
    assert strong.sum() == 4
    assert shown[strong].max() < 90  # ink on paper
    assert shown[weak].min() > 200
    order = np.corrcoef(np.argsort(np.argsort(dense.ravel())), shown.ravel())[0, 1]
    assert order < -0.8


def test_the_mask_dims_what_is_not_significant(planted: Notebook) -> None:
    canvas = matrix(planted)
    before = cells(canvas, (24, 32))
    planted.page.locator(PANE).get_by_role("button", name="mask").click()
    after = cells(canvas, (24, 32))
    edges = planted.python("widget.edges().query('producer == \"0\"')[['n', 'm']].values.tolist()")
    significant = np.zeros((24, 32), dtype=bool)
    significant[tuple(np.array(edges).T)] = True
    assert np.array_equal(before[significant], after[significant])
    dark = ~significant & (before < 240)
    assert dark.sum() > 20
    assert (after[dark] > before[dark] + 5).all()


@pytest.mark.parametrize(
    ("name", "entries", "left"),
    [
        ("|ṼᵀU|", "widget.svr.adjacency(('0', '2'), 'cross').signed().abs()", MARGIN),
        ("|U|", "widget.svr['0'].U.abs()", 0),
    ],
)
def test_the_other_matrices(planted: Notebook, name: str, entries: str, left: int) -> None:
    matrix(planted)
    pane = planted.page.locator(PANE)
    pane.get_by_role("button", name=name, exact=True).click()
    values = np.array(planted.python(f"{entries}.tolist()"))
    largest = pane.locator('[data-svr="cell"]')
    between = " · through relu" if left else ""
    words = f"largest entry {values.max():.2g}".replace(" 1", " 1.0")
    expect(largest).to_have_text(words + between)
    shown = cells(pane.locator("canvas"), values.shape, left)
    order = np.corrcoef(np.argsort(np.argsort(values.ravel())), shown.ravel())[0, 1]
    assert order < -0.95


def test_the_cross_is_the_engines(planted: Notebook) -> None:
    found = planted.python(
        "(lambda d: [d.d_out, d.d_in])(widget.svr.internal_dimensions(('0', '2')))"
    )
    assert found == [4, 4]
    canvas = matrix(planted)
    caption = planted.page.locator(PANE).locator('[data-svr="internal"]')
    expect(caption).to_have_text("internal 4 × 4, p < 0.001")
    blue = """(canvas, [x, y]) => {
      const [r, , b] = canvas.getContext("2d").getImageData(x, y, 1, 1).data;
      return b - r;
    }"""
    box = canvas.bounding_box()
    assert box is not None
    wide, tall = box["width"] - MARGIN, box["height"] - MARGIN
    at = (round(MARGIN + wide * 4 / 32), round(MARGIN + tall * 0.8))
    assert canvas.evaluate(blue, at) > 100
    assert canvas.evaluate(blue, (at[0] + 3, at[1])) < 20


def test_the_link_is_chosen_in_the_pane_the_graph_and_python(planted: Notebook) -> None:
    pane = planted.page.locator(PANE)
    producer, consumer = (
        pane.get_by_role("combobox", name=name) for name in ("producer", "consumer")
    )
    expect(producer).to_have_value("Linear 1")
    producer.fill("2")
    producer.press("Enter")
    planted.wait_for_python("widget.selected_link == ['2', '4']")
    expect(consumer).to_have_value("Linear 3")
    picture = Picture(planted.page.locator(WIDGET))
    columns = picture.axes().columns
    picture.canvas.click(position={"x": (columns[0] + columns[1]) / 2, "y": 4})
    expect(producer).to_have_value("Linear 1")
    planted.wait_for_python("widget.selected_link == ['0', '2']")
    planted.execute("widget.selected_link = ('2', '4')")
    expect(producer).to_have_value("Linear 2")


def test_a_cell_names_its_edge_and_lights_it(planted: Notebook) -> None:
    canvas = matrix(planted)
    hover_cell(canvas, 2, 2, (24, 32))
    words = planted.page.locator(PANE).locator('[data-svr="cell"]')
    expect(words).to_contain_text("Linear 1 · 2 → Linear 2 · 2")
    value = float(words.inner_text().rsplit(":", 1)[1].split(",")[0])
    entry = planted.python("float(widget.svr.adjacency(('0', '2')).dense()[2, 2])")
    assert value == pytest.approx(entry, rel=0.005)
    tooltip = planted.page.locator('[data-svr="tooltip"] .svr-tip-title')
    expect(tooltip).to_have_text("Linear 1 · 2 → Linear 2 · 2")
    canvas.click(position={"x": 40, "y": MARGIN - 4})  # a bar of the top margin
    planted.wait_for_python("widget.selected == [('0', 1)]")


def test_the_keyboard_walks_the_cells(planted: Notebook) -> None:
    canvas = matrix(planted)
    canvas.focus()
    for key in ("ArrowRight", "ArrowRight", "ArrowDown"):
        canvas.press(key)
    words = planted.page.locator(PANE).locator('[data-svr="cell"]')
    expect(words).to_contain_text("Linear 1 · 1 → Linear 2 · 1")
    canvas.press("Enter")
    planted.wait_for_python("widget.selected == [('0', 1), ('2', 1)]")


def test_the_largest_entry_is_a_button(planted: Notebook) -> None:
    canvas = matrix(planted)
    pane = planted.page.locator(PANE)
    expect(pane.locator('[data-svr="internal"]')).to_have_attribute("title", re.compile("chance"))
    expect(pane.locator('[data-svr="scale"]')).to_contain_text("1.0")
    box = canvas.bounding_box()
    assert box is not None
    wide, tall = (box[side] - MARGIN for side in ("width", "height"))
    assert wide / 32 == pytest.approx(tall / 24, rel=0.02), "cells are square"
    pane.get_by_role("button", name="largest entry").click()
    planted.wait_for_python("len(widget.selected) == 2")
    (_, m), (_, n) = planted.python("widget.selected")
    dense = np.array(planted.python("widget.svr.adjacency(('0', '2')).dense().tolist()"))
    assert dense[n, m] == dense.max()


LARGE = """
import torch
from torch import nn
from svr_widget import SVRWidget

torch.manual_seed(0)
n = 1500
model = [torch.diag(torch.linspace(2, 1, n)), torch.roll(torch.diag(torch.linspace(2, 1, n)), 7, 1)]
model[1][700, 707] = 1.25
widget = SVRWidget(model, max_edges=100)
widget.wait()
asked = []
widget.on_msg(lambda _, content, buffers: asked.append(content))
"""


def test_a_large_matrix_is_refined_where_one_looks(
    open_notebook: Callable[..., Notebook],
) -> None:
    notebook = open_notebook(LARGE, "widget")
    canvas = matrix(notebook)
    tiles = "[c['tile'] + c['steps'] for c in asked if c['kind'] == 'tile']"
    assert all(step > 1 for tile in notebook.python(tiles) for step in tile[2:])
    canvas.focus()
    hover_cell(canvas, 755, 762, (1500, 1500))
    words = notebook.page.locator(PANE).locator('[data-svr="cell"]')
    expect(words).to_contain_text("at most")
    for _ in range(30):
        notebook.page.mouse.wheel(0, -120)
    expect(words).not_to_contain_text("at most")
    found = re.search(r"Linear 1 · ([\d,]+) → Linear 2 · ([\d,]+): ([\d.]+)", words.inner_text())
    assert found is not None
    m, n = (int(number.replace(",", "")) for number in found.groups()[:2])
    entry = notebook.python(f"float(widget.svr.adjacency(('0', '1')).dense()[{n}, {m}])")
    assert float(found[3]) == pytest.approx(entry, abs=5e-3)
    asked = notebook.python(tiles)
    assert [1, 1] in [tile[2:] for tile in asked]
    assert len({tuple(tile) for tile in asked}) == len(asked) < 36
    canvas.dblclick()
    notebook.page.mouse.move(0, 0)
    expect(words).to_contain_text("largest entry")
