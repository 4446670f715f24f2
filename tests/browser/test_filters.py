"""The pane of filters in a real JupyterLab: pixels and bars against the engine's numbers."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from playwright.sync_api import Locator, expect

from tests.browser.lab import Notebook

CONVOLUTIONS = """
import torch
from torch import nn
from svr_widget import SVRWidget

torch.manual_seed(1)
model = nn.Sequential(nn.Conv2d(3, 80, 3), nn.ReLU(), nn.Conv2d(80, 6, 5))
widget = SVRWidget(model, panes=["filters"])
"""

# A canvas as signed numbers: red above blue where they are positive.
READ_SIGNS = """(canvas) => {
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  return Array.from({ length: data.length / 4 }, (_, i) => data[4 * i] - data[4 * i + 2]);
}"""


def signs(canvas: Locator) -> np.ndarray:
    return np.array(canvas.evaluate(READ_SIGNS))


def test_filters_have_the_engines_signs_and_order(
    open_notebook: Callable[..., Notebook],
) -> None:
    notebook = open_notebook(CONVOLUTIONS, "widget")
    pane = notebook.page.locator('[data-pane="filters"]')
    effective = pane.locator('[data-svr="effective"] canvas')
    expect(effective).to_have_count(16)
    found = "widget.svr.adjacency(('0', '2')).effective_filters([1], [2]).flatten().tolist()"
    values = np.array(notebook.python(found))
    shown = signs(effective.nth(4 + 2))
    large = abs(values) > 0.2 * abs(values).max()
    assert (np.sign(shown[large]) == np.sign(values[large])).all()
    assert np.corrcoef(shown, values)[0, 1] > 0.95

    notebook.execute("widget.selected = [('2', 3)]")
    vectors = pane.locator('[data-svr="vectors"]')
    expect(vectors).to_contain_text("2 · 3")
    expect(vectors).to_contain_text("64 of 80 channels, strongest first")
    canvases = vectors.locator("canvas")
    expect(canvases).to_have_count(64)
    order = "widget.svr['2'].V[..., 3].flatten(1).norm(dim=1).argsort(descending=True).tolist()"
    strongest = notebook.python(order)[:64]
    titles = canvases.evaluate_all("(all) => all.map((one) => one.title)")
    assert [int(title.split()[1].rstrip(":")) for title in titles] == strongest
    first = np.array(
        notebook.python(f"widget.svr['2'].V[{strongest[0]}, ..., 3].flatten().tolist()")
    )
    assert np.corrcoef(signs(canvases.first), first)[0, 1] > 0.95


def test_linear_maps_have_numbers_and_cells_light_their_edge(planted: Notebook) -> None:
    planted.execute("widget.panes = ['filters']")
    pane = planted.page.locator('[data-pane="filters"]')
    table = pane.locator('[data-svr="effective"]')
    cells = table.locator("td", has=planted.page.locator("canvas"))
    expect(cells).to_have_count(16)
    entries = planted.python("widget.svr.adjacency(('0', '2')).signed()[:4, :4].flatten().tolist()")
    shown = [float(text.replace("−", "-")) for text in cells.all_inner_texts()]
    assert np.allclose(shown, entries, atol=0.051 * max(map(abs, entries)))
    assert np.sign(shown[0]) == np.sign(entries[0])
    expect(table.locator("th[scope=colgroup]")).to_have_text("neurons of 0")
    expect(table.locator("th[scope=rowgroup]")).to_have_text("neurons of 2")
    cells.nth(4 + 1).hover()
    title = planted.page.locator('[data-svr="tooltip"] .svr-tip-title')
    expect(title).to_have_text("Linear 1 · 1 → Linear 2 · 1")
