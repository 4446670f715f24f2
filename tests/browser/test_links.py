"""Choosing a link among many and among parallel ones, in a real JupyterLab and in a page."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from playwright.sync_api import Browser, Locator, expect

from svr_widget import SVRWidget
from tests.browser.lab import WIDGET, Notebook
from tests.browser.networks import SHOW
from tests.browser.test_states import violations

# 90 maps that feed one: more links than a list has room for. Two of them are parallel.
MANY = """
import torch
from svr_widget import SVRWidget
from svr_widget.engine.maps.links import Link

generator = torch.Generator().manual_seed(3)
weights = {f"reader.{k}": torch.randn(4, 4, generator=generator) for k in range(90)}
weights["head"] = torch.randn(5, 4, generator=generator)
every, turned = torch.arange(4), torch.tensor([3, 2, 1, 0])
links = [Link(f"reader.{k}", "head", every, every) for k in range(90)]
links.append(Link("reader.7", "head", turned, every))
widget = SVRWidget(weights, links=links)
"""
LARGEST = "f'largest entry {widget.svr.adjacency(tuple(widget.selected_link)).dense().max():.2g}'"


def chooser(root: Locator, name: str) -> Locator:
    return root.get_by_role("combobox", name=name, exact=True)


def test_a_link_is_found_by_typing_and_by_keyboard(
    open_notebook: Callable[..., Notebook],
) -> None:
    notebook = open_notebook(MANY, SHOW)
    root = notebook.page.locator(WIDGET)
    producer, options = chooser(root, "producer"), root.locator("[role=option]:visible")
    # With nothing beyond chance it opens on the link with the strongest edge.
    first = notebook.python("widget.svr.edges(p=1.0)['producer'].iloc[0]")
    expect(producer).to_have_value(first)
    producer.press("ArrowDown")
    expect(producer).to_have_attribute("aria-expanded", "true")
    expect(options.first).to_have_attribute("aria-setsize", "90")
    assert options.count() < 20, "only what is seen is there"
    assert violations(notebook) == []
    producer.press("Escape")
    producer.fill("reader")
    producer.press("ArrowUp")
    last = root.locator("[role=option][aria-selected=true]:visible")
    expect(last).to_contain_text("reader.89")
    expect(producer).to_have_attribute("aria-activedescendant", last.get_attribute("id") or "")
    expect(last).to_be_in_viewport(ratio=1)
    producer.press("Escape")
    expect(producer).to_have_attribute("aria-expanded", "false")
    producer.fill("nowhere")
    expect(root.get_by_text("No producer has that name.")).to_be_visible()
    producer.press("Escape")
    expect(producer).to_have_value(first)
    assert notebook.python("widget.selected_link") is None
    producer.fill("42")
    expect(options).to_have_count(1)
    producer.press("Enter")
    notebook.wait_for_python("widget.selected_link == ['reader.42', 'head']")


def test_parallel_links_are_apart_in_the_list_in_python_and_in_the_matrix(
    open_notebook: Callable[..., Notebook],
) -> None:
    notebook = open_notebook(MANY, SHOW)
    root = notebook.page.locator(WIDGET)
    consumer, options = chooser(root, "consumer"), root.locator("[role=option]:visible")
    words = root.locator('[data-pane="adjacency"] [data-svr="cell"]')
    notebook.execute("widget.selected_link = ('reader.7', 'head')")
    expect(consumer).to_have_value("head, link 0")
    expect(words).to_have_text(notebook.python(LARGEST))
    consumer.click()
    expect(options).to_have_count(2)
    options.last.click()
    notebook.wait_for_python("widget.selected_link == ['reader.7', 'head', 1]")
    expect(consumer).to_have_value("head, link 1")
    expect(words).to_have_text(notebook.python(LARGEST))
    root.get_by_role("button", name="Table").click()
    heads = root.locator('[data-svr="table"] [role=columnheader]')
    expect(heads).to_have_text(["producer", "consumer", "weight↓", "p", "link"])


def test_a_page_keeps_the_parallel_link_and_its_matrix(browser: Browser, tmp_path: Path) -> None:
    made: dict[str, object] = {}
    exec(MANY, made)
    widget = made["widget"]
    assert isinstance(widget, SVRWidget)
    widget.selected_link = ("reader.7", "head", 1)
    widget.to_html(tmp_path / "page.html")
    context = browser.new_context(offline=True)
    page = context.new_page()
    page.goto((tmp_path / "page.html").as_uri())
    expect(chooser(page.locator("body"), "consumer")).to_have_value("head, link 1")
    largest = widget.svr.adjacency(("reader.7", "head", 1)).dense().max()
    words = page.locator('[data-pane="adjacency"] [data-svr="cell"]')
    expect(words).to_have_text(f"largest entry {largest:.2g}")
    context.close()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_link_by_construction_is_a_band_with_words(
    browser: Browser, tmp_path: Path, theme: str
) -> None:
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(20, 30, generator=generator)
    reader = torch.randn(12, 30, generator=generator)
    weights = {"embed": weight, "head": weight.T.clone(), "reader": reader}
    widget = SVRWidget(weights, links="chain")
    widget.theme = theme
    widget.to_html(tmp_path / "page.html")
    context = browser.new_context(offline=True)
    page = context.new_page()
    page.goto((tmp_path / "page.html").as_uri())
    root = page.locator("body")
    expect(chooser(root, "producer")).to_have_value("head")
    band = page.locator('[data-svr="ribbons"] path')
    expect(band).to_have_count(1)
    expect(page.locator('[data-svr="ribbon-words"] text')).to_have_text("tied weights")
    expect(page.locator(".svr-legend")).to_contain_text("tied weights")
    expect(page.locator('[data-svr="by-construction"]')).to_have_text("1 link by construction")
    box = band.bounding_box()
    assert box is not None
    inner = page.locator('[data-svr="ribbon-words"] text').bounding_box()
    assert inner is not None
    middle = inner["x"] + inner["width"] / 2, inner["y"] + inner["height"] + 8
    shot = np.array(Image.open(io.BytesIO(page.screenshot())).convert("RGB")).astype(int)
    inside, paper = shot[int(middle[1]), int(middle[0])], shot[int(box["y"]) - 5, int(middle[0])]
    assert 8 < np.abs(inside - paper).max() < 60, "seen, and soft"
    assert (paper.mean() > 128) == (theme == "light")
    words = "one tensor at both ends: the identity by construction; outside the tests"
    page.mouse.move(*middle)
    expect(page.locator('[data-svr="tooltip"]')).to_contain_text(words)
    expect(page.locator('[data-svr="live"]')).to_have_text(f"link from embed to head: {words}")
    page.mouse.click(*middle)
    expect(chooser(root, "producer")).to_have_value("embed")
    pane = page.locator('[data-pane="adjacency"]')
    expect(pane.get_by_role("status").filter(has_text=words)).to_contain_text(
        'svr.adjacency(("embed", "head"))'
    )
    expect(pane.locator("canvas:visible")).to_have_count(0)
    context.close()
