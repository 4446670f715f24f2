"""Many edges on a graphics card, here one in software that goes by another name."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from playwright.sync_api import Browser, Page
from torch import Tensor, nn

from svr_widget import SVR, SVRWidget
from tests.browser import plain_page
from tests.browser.lab import WIDGET
from tests.browser.picture import Picture

# The page's clock runs slower or faster by a factor, so that the card counts as quick or as slow.
CARD = """
const kept = performance.now.bind(performance);
performance.now = () => kept() * %s;
Object.assign(window, { contexts: [], strokes: 0 });
const context = WebGL2RenderingContext.prototype;
const { getParameter, drawArraysInstanced } = context;
const NAMES = [context.RENDERER, 0x9246];
context.getParameter = function (name) {
  return NAMES.includes(name) ? "A graphics card" : getParameter.call(this, name);
};
context.drawArraysInstanced = function (...given) {
  window.strokes += 1;
  return drawArraysInstanced.apply(this, given);
};
const { getContext } = HTMLCanvasElement.prototype;
HTMLCanvasElement.prototype.getContext = function (kind, ...options) {
  const made = getContext.call(this, kind, ...options);
  if (kind === "webgl2" && made) window.contexts.push(made);
  return made;
};
"""
QUICK, SLOW = CARD % "1e-3", CARD % "1e3"
WIDE, NARROW = 112, 12


class Entangled(nn.Module):
    """Many lines between wide maps; arcs above and below and a loop between narrow ones."""

    def __init__(self) -> None:
        super().__init__()
        self.wide = nn.Sequential(*(nn.Linear(WIDE, WIDE) for _ in range(3)))
        self.neck = nn.Linear(WIDE, NARROW)
        self.first, self.second = nn.Linear(NARROW, NARROW), nn.Linear(NARROW, NARROW)
        self.third = nn.Linear(NARROW, NARROW)

    def forward(self, x: Tensor) -> Tensor:
        """Skip a map, apply one twice, and go back to one."""
        neck = self.neck(self.wide(x))
        second = self.second(neck + self.first(neck))
        third = self.third(self.third(second))
        return self.third(self.second(self.first(third)))


@pytest.fixture(scope="module")
def state() -> dict[str, object]:
    torch.manual_seed(0)
    widget = SVRWidget(SVR(Entangled(), torch.zeros(1, WIDE)), panes=[])
    widget.set_threshold(p=0.9)
    shapes = [(link.backward, link.producer == link.consumer) for link in widget.svr.links.values()]
    assert {(False, False), (True, False), (True, True)} <= set(shapes)
    assert widget.svr.edges(p=0.9).shape[0] > 21_000
    return plain_page.widget_state(widget)


Show = Callable[..., Page]


@pytest.fixture
def show(browser: Browser, tmp_path: Path, state: dict[str, object]) -> Iterator[Show]:
    """Open the widget where the page has a card, or where it has none."""
    problems: list[str] = []
    contexts = []

    def open_(card: str = "", ratio: float = 1) -> Page:
        context = browser.new_context(
            viewport={"width": 1000, "height": 700}, device_scale_factor=ratio
        )
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: problems.append(str(error)))
        if card:
            page.add_init_script(card)
        page.goto(plain_page.write(tmp_path / "page.html", state))
        page.wait_for_selector('[data-svr="graph"]')
        return page

    yield open_
    for context in contexts:
        context.close()
    assert problems == []


def pixels(page: Page) -> np.ndarray:
    """The picture; a card in software takes its time."""
    page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    page.wait_for_selector('[data-svr="graph"][data-painted="true"]', timeout=60_000)
    return Picture(page.locator(WIDGET)).pixels()


def assert_workers_paint(page: Page, beside: Page) -> None:
    """From now on the page's pictures are those of another one, and no card's."""
    drawn = page.evaluate("strokes")
    for opened in (beside, page):
        opened.evaluate("model.set('threshold', 0.84)")
    np.testing.assert_array_equal(pixels(page), pixels(beside))
    assert page.evaluate("strokes") == drawn


def is_lost(page: Page) -> bool:
    return bool(page.evaluate("contexts[0].isContextLost()"))


@pytest.mark.parametrize("ratio", [1, 2])
def test_a_card_paints_what_workers_paint(show: Show, ratio: float) -> None:
    workers, card = show(ratio=ratio), show(QUICK, ratio)
    wanted, got = pixels(workers).astype(int), pixels(card).astype(int)
    assert card.evaluate("strokes") > 0
    assert not is_lost(card)
    apart = np.abs(wanted - got)[..., 3]
    assert (wanted[..., 3] > 0).mean() > 0.2
    assert apart.mean() < 0.25
    assert (apart > 24).mean() < 3e-4

    drawn = card.evaluate("strokes")
    card.evaluate("model.set('threshold', 0.86)")
    fewer = pixels(card)
    assert card.evaluate("strokes") > drawn
    assert fewer[..., 3].sum() < got[..., 3].sum()
    card.evaluate("unmount()")
    assert is_lost(card), "a page has room for 16 contexts"


def test_workers_go_on_where_the_card_is_lost(show: Show) -> None:
    plain, page = show(), show(QUICK)
    pixels(page)
    page.evaluate("contexts[0].getExtension('WEBGL_lose_context').loseContext()")
    page.wait_for_function("contexts[0].isContextLost()")
    assert_workers_paint(page, beside=plain)


def test_a_slow_card_is_left_to_others(show: Show) -> None:
    plain, page = show(), show(SLOW)
    pixels(page)
    page.evaluate("model.set('threshold', 0.86)")
    pixels(page)
    assert is_lost(page)
    assert_workers_paint(page, beside=plain)


def test_software_is_no_card(show: Show) -> None:
    page = show(CARD.replace('"A graphics card"', '"Google SwiftShader"') % "1")
    pixels(page)
    assert page.evaluate("strokes") == 0
    assert is_lost(page)
