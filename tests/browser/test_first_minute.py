"""What a newcomer meets: names, long paths in words, the whole in small, the offer of the tour."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from playwright.sync_api import Browser, Page, expect

from svr_widget import SVRWidget
from tests.browser.lab import REPOSITORY, WIDGET, Notebook
from tests.browser.networks import PLANTED

AXE = REPOSITORY / "js" / "node_modules" / "axe-core" / "axe.min.js"
DRAWN = '[data-svr="graph"][data-painted="true"]'
BLOCK = ("attn.c_attn", "attn.c_proj", "mlp.c_fc", "mlp.c_proj")
NAMES = [f"h.{block}.{part}" for block in range(3) for part in BLOCK] + ["lm_head"]
WIDTH = 24


def chain() -> dict[str, torch.Tensor]:
    """Weights through which one direction runs from the first map to the last."""
    generator = torch.Generator().manual_seed(0)
    weights = {}
    into = torch.nn.functional.normalize(torch.randn(WIDTH, generator=generator), dim=0)
    for name in NAMES:
        out = torch.nn.functional.normalize(torch.randn(WIDTH, generator=generator), dim=0)
        noise = torch.randn(WIDTH, WIDTH, generator=generator) / WIDTH**0.5
        weights[name] = noise + 4 * torch.outer(out, into)
        into = out
    return weights


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("first") / "page.html"
    SVRWidget(chain(), panes=[], links="chain", selected=[("h.1.mlp.c_fc", 0)]).to_html(path)
    return path


@pytest.fixture
def page(exported: Path, browser: Browser) -> Iterator[Page]:
    size = {"width": 952, "height": 800}
    context = browser.new_context(viewport=size, offline=True, bypass_csp=True)
    opened = context.new_page()
    problems: list[str] = []
    opened.on("pageerror", lambda error: problems.append(str(error)))
    opened.goto(exported.as_uri())
    opened.wait_for_selector(DRAWN)
    yield opened
    assert violations(opened) == []
    context.close()
    assert problems == []


def violations(page: Page) -> list[str]:
    page.add_script_tag(path=AXE)
    return [each["id"] for each in page.evaluate("(root) => axe.run(root)", WIDGET)["violations"]]


@pytest.mark.parametrize("width", [500, 920, 1300, 1900])
def test_names_are_whole_at_every_width(page: Page, width: int) -> None:
    page.set_viewport_size({"width": width + 32, "height": 800})
    names = page.locator(".svr-column-names")
    expect(names).to_have_attribute("data-angle", "45" if width == 500 else "0")
    words = names.locator("[data-column] > bdi").all_inner_texts()
    ends = [part.rsplit(".", 1)[-1] for part in BLOCK]
    assert words == [*ends * 3, "lm_head"]


def test_a_long_path_unfolds_in_the_words_of_the_selection(page: Page) -> None:
    words = page.locator('[data-svr="selection"]')
    more = words.get_by_role("button", name=f"{len(NAMES) - 4} more")
    expect(words).to_contain_text(f"h.0.mlp.c_fc\u00a00, {len(NAMES) - 4} more, lm_head\u00a00")
    more.focus()
    page.keyboard.press("Enter")
    whole = ", ".join(f"{name}\u00a00" for name in NAMES)
    expect(words).to_contain_text(f"the path {whole} at p")
    assert violations(page) == []
    less = words.get_by_role("button", name="less")
    expect(less).to_be_focused()
    page.keyboard.press("Enter")
    expect(more).to_be_focused()


def seen(page: Page) -> list[str]:
    return page.locator(".svr-column-names [data-column] > bdi").all_inner_texts()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_zoomed_in_the_whole_stands_in_a_corner_and_its_window_is_dragged(
    page: Page, theme: str
) -> None:
    page.emulate_media(color_scheme="dark" if theme == "dark" else "light")
    expect(page.locator(WIDGET)).to_have_attribute("data-theme", theme)
    small = page.locator('[data-svr="minimap"]')
    expect(small).to_be_hidden()
    page.locator('[data-svr="graph"]').focus()
    for _ in range(6):
        page.keyboard.press("+")
    expect(small).to_be_visible()
    page.wait_for_selector(DRAWN)
    box, legend = small.bounding_box(), page.locator(".svr-legend").bounding_box()
    pane = small.locator(".svr-window").bounding_box()
    assert box
    assert legend
    assert pane
    assert box["y"] >= legend["y"] + legend["height"]
    assert pane["width"] < box["width"] / 2
    assert pane["height"] < box["height"]
    colours = small.locator("canvas").evaluate(
        """(canvas) => { const { width, height } = canvas;
             const { data } = canvas.getContext("2d").getImageData(0, 0, width, height);
             return new Set(new Uint32Array(data.buffer)).size; }"""
    )
    assert colours > 5
    before = seen(page)
    page.mouse.move(pane["x"] + pane["width"] / 2, pane["y"] + pane["height"] / 2)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"], pane["y"], steps=4)
    page.mouse.up()
    expect(page.locator('[data-svr="graph"]')).to_be_focused()
    page.wait_for_selector(DRAWN)
    assert seen(page)[-1] == "lm_head"
    assert before[-1] != "lm_head"
    page.keyboard.press("0")
    expect(small).to_be_hidden()


def test_of_several_widgets_one_offers_the_tour(
    desk: Notebook, open_notebook: Callable[..., Notebook]
) -> None:
    pretend = (
        "(value) => Object.defineProperty(navigator, 'webdriver', { value, configurable: true })"
    )
    desk.page.evaluate(pretend, False)
    two = "from IPython.display import display\ndisplay(SVRWidget(model), SVRWidget(model))"
    try:
        notebook = open_notebook(PLANTED, two)
        expect(notebook.page.locator(f"{WIDGET} {DRAWN}")).to_have_count(2)
        offers = notebook.page.locator('[data-svr="tour-offer"]:visible')
        expect(offers).to_have_count(1)
        offers.get_by_role("button", name="no, thanks").click()
        expect(offers).to_have_count(0)
    finally:
        desk.page.evaluate(pretend, True)
        desk.page.evaluate("() => localStorage.removeItem('svr-widget-tour')")
