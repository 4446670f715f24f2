"""``make soak``: what 3,000 events leave in the heap of a page that shows a widget."""

from __future__ import annotations

import base64
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch
from playwright.sync_api import Page

from svr_widget import SVRWidget
from tests.browser import plain_page
from tests.browser.lab import WIDGET, chromium

EVENTS = 3000
ROUND = 500
MOST_GROWTH = 1_000_000
"""Bytes from the end of the first round, when caches are full, to the end of the last."""

_KEYS = ("ArrowRight", "ArrowDown", "Enter", "]", "[", "ArrowLeft", "ArrowUp", "Escape")


def heap(page: Page) -> int:
    """Bytes of the page's heap that are in use after the garbage is collected."""
    session = page.context.new_cdp_session(page)
    session.send("HeapProfiler.collectGarbage")
    used: int = session.send("Runtime.getHeapUsage")["usedSize"]
    session.detach()
    return used


_ANSWER = """([content, buffers]) => model.emit("msg:custom", content, buffers.map((text) =>
    new DataView(Uint8Array.from(atob(text), (c) => c.charCodeAt(0)).buffer)))"""


def answer(page: Page, widget: SVRWidget) -> None:
    """Answer what the page has asked: it keeps a question without an answer, and who asked it."""
    asked: list[dict[str, Any]] = page.evaluate("sent.splice(0)")
    replies: list[Any] = []
    widget.send = lambda content, buffers=None: replies.append((content, buffers or []))  # type: ignore[method-assign]
    for question in asked:
        widget._answer(widget, question, [])
    for content, buffers in replies:
        page.evaluate(_ANSWER, [content, [base64.b64encode(each).decode() for each in buffers]])


def play(page: Page, widget: SVRWidget, first: int) -> None:
    """A round of events: the pointer over the graph, clicks, keys, the threshold."""
    box = page.locator(WIDGET).bounding_box()
    assert box is not None
    for number in range(first, first + ROUND):
        x = box["x"] + (0.05 + 0.6 * ((number * 0.618) % 1)) * box["width"]
        y = box["y"] + (0.2 + 0.5 * ((number * 0.414) % 1)) * box["height"]
        match number % 4:
            case 0 | 1:
                page.mouse.move(x, y)
            case 2:
                page.mouse.click(x, y)
            case 3:
                page.keyboard.press(_KEYS[number // 4 % len(_KEYS)])
                answer(page, widget)


def main() -> int:
    """Print the heap after each round; the exit status is 1 where it grows."""
    torch.manual_seed(0)
    widget = SVRWidget([torch.randn(60, 40), torch.randn(50, 60), torch.randn(10, 50)], p=0.05)
    used: list[int] = []
    with tempfile.TemporaryDirectory() as folder, chromium() as browser:
        page = browser.new_page(viewport={"width": 1300, "height": 800})
        page.goto(plain_page.write(Path(folder) / "page.html", plain_page.widget_state(widget)))
        page.wait_for_function("window.ready")
        for first in range(0, EVENTS, ROUND):
            play(page, widget, first)
            used.append(heap(page))
    growth = used[-1] - used[0]
    sys.stdout.write(f"heap after each {ROUND} events, bytes: {used}; growth {growth:,}\n")
    return 0 if growth <= MOST_GROWTH else 1


if __name__ == "__main__":
    sys.exit(main())
