"""Visual snapshots: what parts of the widget look like, apart from the fonts of the machine.

Made-up networks are drawn on the page of ``js/dev``, without Jupyter. Words are made invisible,
the cells of tables become bars, and what is left is compared block by block with the pictures in
``tests/browser/recorded``. After a change that is meant to show, record them anew and look at
them: ``make snapshots``, or ``python -m tests.browser.snapshots NAME...`` for some.
"""

from __future__ import annotations

import contextlib
import functools
import http.server
import io
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from tests.browser.lab import REPOSITORY, chromium

Pixels = np.ndarray[Any, np.dtype[np.uint8]]

RECORDED = Path(__file__).with_name("recorded")
FAILED = Path(__file__).with_name("pictures")
BLOCK = 8  # pixels a side: what is blurred by less than that is the same
DIFFERENT = 8.0  # of 255, in a block's mean colour
MOST_DIFFERENT = 0.001  # share of the blocks

_MASK = """
.svr * { color: transparent !important; caret-color: transparent !important; }
.svr-tip, .svr-scale { visibility: hidden; }
.svr *, .svr *::before, .svr *::after { transition: none !important; }
.svr [role="gridcell"], .svr [role="columnheader"] {
  background: var(--svr-soft); background-clip: content-box; padding-block: 8px;
}
"""

_ADD_STYLE = """addEventListener("DOMContentLoaded", () => {
  const style = document.createElement("style");
  style.textContent = %s;
  document.head.append(style);
});"""


@dataclass(frozen=True)
class Snapshot:
    """A part of the widget to look at.

    Attributes:
        query: which network, theme and panes (``js/dev/dev.ts``).
        part: a selector.
        press: what to press, as (a selector or the name of a button, keys); no keys for a click.
    """

    query: str
    part: str
    press: tuple[tuple[str, str], ...] = ()


GRAPH = '[data-svr="graph"]'
SNAPSHOTS = {
    "graph-light": Snapshot("scene=trained", ".svr-plot"),
    "graph-dark": Snapshot("scene=trained&theme=dark", ".svr-plot"),
    "vgg-light": Snapshot("scene=vgg&panes=none", ".svr-plot"),
    "selection-dark": Snapshot(
        "scene=vgg&panes=none&theme=dark",
        ".svr-plot",
        tuple((GRAPH, key) for key in ("ArrowRight", "ArrowRight", "Enter")),
    ),
    "recurrent-light": Snapshot("scene=recurrent&panes=none", ".svr-plot"),
    "residual-dark": Snapshot("scene=residual&panes=none&theme=dark", ".svr-plot"),
    "adjacency-light": Snapshot("scene=trained", ".svr-matrix-frame"),
    "adjacency-dark": Snapshot("scene=vgg&theme=dark", ".svr-matrix-frame", (("mask", ""),)),
    "filters-light": Snapshot("scene=vgg&panes=filters", ".svr-filters"),
    "filters-dark": Snapshot("scene=vgg&panes=filters&theme=dark", ".svr-filters"),
    "images-light": Snapshot(
        "scene=vgg&panes=images&inputs=1", ".svr-image-grid", (("cosine", ""),)
    ),
    "images-dark": Snapshot("scene=vgg&panes=images&inputs=1&theme=dark", ".svr-image-grid"),
    "table-light": Snapshot("scene=vgg&panes=table", ".svr-grid-table"),
    "table-dark": Snapshot("scene=residual&panes=table&theme=dark", ".svr-grid-table"),
}


@contextlib.contextmanager
def scenes() -> Iterator[str]:
    """Build the page of ``js/dev`` where it is older than its sources, and serve it; its URL."""
    build = [sys.executable, "js/hatch_build.py", "scenes"]
    subprocess.run(build, cwd=REPOSITORY, check=True, capture_output=True)
    handler = functools.partial(_Quiet, directory=REPOSITORY / "js" / "dev")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/index.html"
    finally:
        server.shutdown()
        server.server_close()


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *values: object) -> None:  # noqa: A002 - the base's name
        """Leave the terminal to the tests."""


def take(browser: Browser, url: str, snapshot: Snapshot, style: str = "") -> Pixels:
    """Draw a part of the widget, uint8 ``[height, width, 3]``; ``style`` is CSS to add."""
    page = browser.new_page(viewport={"width": 1132, "height": 800}, device_scale_factor=1)
    try:
        page.add_init_script(_ADD_STYLE % json.dumps(style))
        page.goto(f"{url}?{snapshot.query}")
        _settle(page)
        for what, keys in snapshot.press:
            if keys:
                page.locator(what).press(keys)
            else:
                page.get_by_role("button", name=what, exact=True).click()
        page.mouse.move(0, 0)
        _settle(page)
        page.add_style_tag(content=_MASK)
        shot = page.locator(snapshot.part).screenshot(animations="disabled")
    finally:
        page.close()
    return np.asarray(Image.open(io.BytesIO(shot)).convert("RGB"))


def _settle(page: Page) -> None:
    """Wait until every canvas has drawn what it was asked for, and panes have their answers."""
    for canvas in page.locator("[data-painted]").all():
        expect(canvas).to_have_attribute("data-painted", "true")
    for status in page.locator(".svr-status").all():
        expect(status).to_be_empty()
    page.evaluate(
        "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"
    )
    expect(page.locator(GRAPH)).to_have_attribute("data-painted", "true")


def differences(actual: Pixels, expected: Pixels) -> np.ndarray:
    """Of the mean colour of each block, in 0 to 255: the largest of red, green and blue.

    A part that is a few pixels wider or higher than it was is compared as far as both go.
    """
    height, width = (min(a, b) for a, b in zip(actual.shape[:2], expected.shape[:2], strict=True))
    rows, columns = height // BLOCK, width // BLOCK
    means = [
        pixels[: rows * BLOCK, : columns * BLOCK]
        .reshape(rows, BLOCK, columns, BLOCK, 3)
        .mean((1, 3))
        for pixels in (actual, expected)
    ]
    return np.abs(means[0] - means[1]).max(2)


def is_same(actual: Pixels, expected: Pixels) -> bool:
    """Whether two pictures show the same, but for what an eye would not see."""
    sizes = np.abs(np.subtract(actual.shape[:2], expected.shape[:2]))
    different = differences(actual, expected) > DIFFERENT
    return bool(sizes.max() <= BLOCK and different.mean() <= MOST_DIFFERENT)


def expected(name: str) -> Pixels:
    """The recorded picture."""
    return np.asarray(Image.open(RECORDED / f"{name}.png").convert("RGB"))


def explain(name: str, actual: Pixels) -> str:
    """Write the two pictures and where they differ, and say where they are."""
    FAILED.mkdir(exist_ok=True)
    recorded = expected(name)
    blocks = np.clip(differences(actual, recorded) / DIFFERENT, 0, 1)
    marks = (255 * (1 - blocks)).astype(np.uint8).repeat(BLOCK, 0).repeat(BLOCK, 1)
    pictures = {"expected": recorded, "actual": actual, "difference": marks}
    for kind, pixels in pictures.items():
        Image.fromarray(pixels).save(FAILED / f"{name}-{kind}.png")
    files = f"{FAILED}/{name}-{{{','.join(pictures)}}}.png"
    return f"{name} looks different: {files}; if it is meant to, `make snapshots` records it"


def record(names: list[str]) -> None:
    """Write the pictures of some snapshots, or of all."""
    RECORDED.mkdir(exist_ok=True)
    with scenes() as url, chromium() as browser:
        for name, snapshot in SNAPSHOTS.items():
            if not names or name in names:
                image = Image.fromarray(take(browser, url, snapshot))
                image.save(RECORDED / f"{name}.png", optimize=True)


if __name__ == "__main__":
    record(sys.argv[1:])
