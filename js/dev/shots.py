"""Photographs the widget without Jupyter: every state, light and dark, at three widths.

Run `npm run dev` first, then `python dev/shots.py FOLDER [NAME...]`.
"""

from __future__ import annotations

import http.server
import math
import sys
import threading
from functools import partial
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

FLAGS = [
    "--no-sandbox",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-gpu",
    "--enable-unsafe-swiftshader",
]

FOUR = "scene=vgg&panes=adjacency,images,filters,table&inputs=1&height=900"

# name: (query, viewport width, device pixel ratio, what to do before the picture)
SHOTS = {
    "four-light-1900": ("scene=vgg&panes=adjacency,images,filters,table&inputs=1", 1900, 1, ""),
    "one-1900": ("scene=trained", 1900, 1, ""),
    "four-light-1300": ("scene=vgg&panes=adjacency,images,filters,table&inputs=1", 1300, 1, ""),
    "one-1300": ("scene=trained", 1300, 1, ""),
    "four-light-920": ("scene=vgg&panes=adjacency,images,filters,table&inputs=1", 920, 1, ""),
    "one-920": ("scene=trained", 920, 1, ""),
    "four-light-500": ("scene=vgg&panes=adjacency,images,filters,table&inputs=1", 500, 1, ""),
    "one-500": ("scene=trained", 500, 1, ""),
    "trained-light-1100": ("scene=trained&theme=light", 1100, 1, "hover"),
    "trained-dark-1100": ("scene=trained&theme=dark", 1100, 1, "hover"),
    "untrained-light-1100": ("scene=untrained&mode=p&threshold=0.15", 1100, 1, ""),
    "vgg-light-1100": ("scene=vgg&theme=light", 1100, 1, ""),
    "vgg-dark-1100": ("scene=vgg&theme=dark", 1100, 1, "select"),
    "vgg-light-1800": ("scene=vgg&theme=light", 1800, 1, "hover"),
    "vgg-light-600": ("scene=vgg&theme=light", 600, 1, "hover"),
    "vgg-light-1100-2x": ("scene=vgg&theme=light", 1100, 2, ""),
    "vgg-log": ("scene=vgg&y=log", 1100, 1, "zoom"),
    "residual-light-1100": ("scene=residual&mode=p&threshold=0.002", 1100, 1, "edge"),
    "residual-dark-600": ("scene=residual&theme=dark", 600, 1, ""),
    "residual-log": ("scene=residual&y=log&panes=none", 1100, 1, ""),
    "residual-rank": ("scene=residual&y=rank&mode=p&threshold=0.01", 1100, 1, "cell"),
    "residual-relative": ("scene=residual&y=relative", 1100, 1, ""),
    "deep-60": ("scene=deep60", 1100, 1, ""),
    "deep-300-dark": ("scene=deep300&theme=dark&panes=none", 1100, 1, ""),
    "deep-300-600": ("scene=deep300", 600, 1, ""),
    "resnet-light-1100": ("scene=resnet&panes=none", 1100, 1, ""),
    "resnet-dark-2000": ("scene=resnet&theme=dark", 2000, 1, "hover"),
    "branches-light-1100": ("scene=branches&panes=none&mode=p&threshold=0.02", 1100, 1, ""),
    "unet-light-1100-2x": ("scene=unet&panes=none", 1100, 2, ""),
    "transformer-light-1100": ("scene=transformer&panes=none", 1100, 1, ""),
    "transformer-dark-600": ("scene=transformer&theme=dark&panes=none", 600, 1, ""),
    "transformer-hover": ("scene=transformer&panes=none", 2000, 1, "hover"),
    "dense-light-1100": ("scene=dense&panes=none&mode=p&threshold=0.9", 1100, 1, ""),
    "million-light-1100": ("scene=million&panes=none&mode=p&threshold=0.9", 1100, 1, ""),
    "recurrent-light-1100": ("scene=recurrent&panes=none", 1100, 1, ""),
    "recurrent-dark-600": ("scene=recurrent&panes=none&theme=dark", 600, 1, "hover"),
    "one-map": ("scene=one&panes=none", 1100, 1, ""),
    "three-maps": ("scene=three&panes=none", 1100, 1, ""),
    "box-light-1100": ("scene=vgg&theme=light", 1100, 1, "box"),
    "lasso-dark-1100": ("scene=vgg&theme=dark", 1100, 1, "lasso"),
    "drawing-light-600": ("scene=vgg&theme=light", 600, 1, "drawing"),
    "search-light-1100": ("scene=residual&theme=light", 1100, 1, "search"),
    "search-dark-600": ("scene=residual&theme=dark", 600, 1, "search"),
    "filter-light-1600": ("scene=vgg&theme=light", 1600, 1, "filter"),
    "help-light-1100": ("scene=vgg&theme=light", 1100, 1, "help"),
    "help-dark-600": ("scene=vgg&theme=dark", 600, 1, "help"),
    "link-curve-dark": ("scene=residual&theme=dark&mode=p&threshold=0.01", 1100, 1, "link"),
    "nothing": ("scene=nothing", 1100, 1, ""),
    "nothing-600-dark": ("scene=nothing&theme=dark", 600, 1, ""),
    "computing": ("scene=computing", 1100, 1, ""),
    "computing-dark": ("scene=computing&theme=dark", 1100, 1, ""),
    "failed": ("scene=failed", 1100, 1, ""),
    "notice": (
        "scene=trained&theme=dark&notice=fdr%20lies%20between%200%20and%201%2C%20not%202",
        1100,
        1,
        "typed",
    ),
    "matrix-wide": ("scene=wide", 1100, 1, "matrix-zoom"),
    "matrix-mask-dark": ("scene=vgg&theme=dark", 1100, 1, "matrix-mask"),
    "matrix-output": ("scene=vgg", 700, 1, "matrix-output"),
    "table": ("scene=vgg&panes=table,adjacency", 1100, 1, "table"),
    "table-residual-dark-600": ("scene=residual&theme=dark&panes=table", 600, 1, "neurons"),
    "table-nothing": ("scene=nothing&panes=table", 1100, 1, ""),
    "filters": ("scene=vgg&panes=filters", 1100, 1, ""),
    "filters-dark-600": ("scene=residual&panes=filters&theme=dark", 600, 1, ""),
    "filters-linear": ("scene=trained&panes=filters", 1100, 1, ""),
    "images": ("scene=vgg&panes=images&inputs=1", 1400, 1, "cosine"),
    "images-inputs": ("scene=residual&panes=images&inputs=1", 1100, 1, "inputs-cosine"),
    "panes-light-1100": (FOUR, 1100, 1, ""),
    "panes-dark-1800": (f"{FOUR}&theme=dark", 1800, 1, "select"),
    "images-dark-600": ("scene=vgg&panes=images&inputs=1&theme=dark", 600, 1, "inputs"),
    "images-empty": ("scene=trained&panes=images,filters&kernel=none", 1100, 1, ""),
    "refused": ("scene=vgg&panes=adjacency,images,filters&inputs=1&refusal=No.", 1100, 1, ""),
    "gone": ("scene=vgg&theme=dark&panes=adjacency,images&inputs=1&kernel=gone", 1100, 1, ""),
    "links-light-1100": ("scene=dense", 1100, 1, "links"),
    "links-parallel-dark-600": ("scene=parallel&theme=dark", 600, 1, "links"),
    "tools-light-600": ("scene=vgg&panes=adjacency,images,filters,table", 600, 1, "tools"),
    "tools-dark-1100": ("scene=vgg&panes=adjacency,table&theme=dark", 1100, 1, "tools"),
    "typed-between": ("scene=million&panes=none&mode=p&kernel=none", 1100, 1, "between"),
    "no-kernel": ("scene=trained&kernel=none", 1100, 1, "patience"),
}


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    """Serves files and says nothing."""

    def log_message(self, format: str, *values: object) -> None:  # noqa: A002 - the base's name
        """Leave the terminal to what matters."""


def act(page: Page, action: str) -> None:
    """Do with the pointer and the keyboard what the picture is to show."""
    graph = page.locator("[data-svr=graph]")
    box = graph.bounding_box()
    if action in ("hover", "select"):
        graph.focus()
        for key in ["ArrowRight"] * 4 if action == "select" else ["ArrowRight"] * 2:
            page.keyboard.press(key)
        if action == "select":
            page.keyboard.press("Home")
            page.keyboard.press("Enter")
    elif action == "edge" and box:
        page.mouse.move(box["x"] + box["width"] * 0.47, box["y"] + box["height"] * 0.55)
    elif action == "zoom" and box:
        page.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + box["height"] * 0.5)
        page.keyboard.down("Control")
        page.mouse.wheel(0, -300)
        page.keyboard.up("Control")
    elif action == "cell":
        matrix = page.locator(".svr-matrix").bounding_box()
        if matrix:
            page.mouse.move(matrix["x"] + 40, matrix["y"] + 30)
    elif action in ("box", "drawing") and box:
        page.keyboard.down("Shift")
        page.mouse.move(box["x"] + box["width"] * 0.3, box["y"] + box["height"] * 0.3)
        page.mouse.down()
        page.mouse.move(box["x"] + box["width"] * 0.7, box["y"] + box["height"] * 0.6, steps=5)
        if action == "box":
            page.mouse.up()
            page.keyboard.up("Shift")
            page.mouse.move(0, 0)
    elif action == "lasso" and box:
        page.get_by_role("button", name="lasso").click()
        for step in range(24):
            turn = 2 * math.pi * step / 24
            x = box["x"] + box["width"] * (0.6 + 0.2 * math.cos(turn))
            page.mouse.move(x, box["y"] + box["height"] * (0.3 + 0.2 * math.sin(turn)))
            if step == 0:
                page.mouse.down()
        page.mouse.up()
    elif action in ("search", "filter"):
        graph.press("/")
        page.keyboard.type("conv1 3" if action == "search" else "features.2")
        if action == "filter":
            page.keyboard.press("ArrowUp")
            page.keyboard.press("Enter")
    elif action == "help":
        graph.press("?")
    elif action == "link" and box:
        page.mouse.click(box["x"] + box["width"] * 0.33, box["y"] + box["height"] * 0.99)
        page.get_by_label("producer").select_option("1")
    elif action == "matrix-zoom":
        page.locator(".svr-matrix").focus()
        for key in ["ArrowRight"] * 3 + ["ArrowDown"] * 3 + ["+"] * 17:
            page.keyboard.press(key)
        page.wait_for_timeout(500)
    elif action == "matrix-mask":
        page.get_by_role("button", name="mask").click()
    elif action == "table":
        page.locator("[data-svr=table]").press("ArrowDown")
    elif action == "neurons":
        page.get_by_role("button", name="Neurons", exact=True).click()
        page.locator("[data-svr=table]").press("End")
    elif action == "cosine":
        page.get_by_role("button", name="cosine").click()
    elif action == "inputs":
        page.get_by_role("button", name="Inputs", exact=True).click()
    elif action == "inputs-cosine":
        page.get_by_role("button", name="Inputs", exact=True).click()
        page.get_by_role("button", name="cosine").click()
    elif action == "matrix-output":
        page.get_by_role("button", name="|U|", exact=True).click()
    elif action == "links":
        page.get_by_label("consumer", exact=True).click()
    elif action == "tools":
        page.get_by_role("button", name="more tools").click()
    elif action == "between":
        page.get_by_label("significance level").fill("0.4567")
        page.keyboard.press("Enter")
    elif action == "typed":
        page.get_by_label("significance level").fill("7")
        page.keyboard.press("Enter")
    elif action == "patience":
        page.wait_for_function("document.body.innerText.includes('does not answer')")


def main(folder: Path, names: list[str]) -> None:
    """Write one PNG a shot into the folder; fail on any console error."""
    folder.mkdir(parents=True, exist_ok=True)
    handler = partial(QuietHandler, directory=Path(__file__).parent)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    errors: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=FLAGS)
        for name, (query, width, ratio, action) in SHOTS.items():
            if names and not any(part in name for part in names):
                continue
            viewport = {"width": width, "height": 620}
            page = browser.new_page(viewport=viewport, device_scale_factor=ratio)
            page.on(
                "console",
                lambda m, name=name: m.type == "error" and errors.append(f"{name}: {m.text}"),
            )
            page.on("pageerror", lambda e, name=name: errors.append(f"{name}: {e}"))
            page.goto(f"http://127.0.0.1:{server.server_port}/index.html?{query}")
            page.locator("[data-svr=root]").wait_for()
            page.wait_for_function("() => new Promise(r => setTimeout(() => r(true), 400))")
            page.locator("[data-svr=graph][data-painted=true]").wait_for()
            act(page, action)
            page.wait_for_function("() => new Promise(r => setTimeout(() => r(true), 200))")
            page.screenshot(path=folder / f"{name}.png", full_page=True)
            page.close()
        browser.close()
    server.shutdown()
    if errors:
        sys.exit("\n".join(errors))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
