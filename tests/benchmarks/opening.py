"""From ``SVRWidget(svr)`` to pixels, and a VGG16-sized graph as a saved notebook and as a page.

Run with ``python -m tests.benchmarks.opening``. The first is timed in a real JupyterLab: from the
call in the kernel to the first frame with the whole graph, the graph being computed before; the
page is opened from disk, without a network.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import torch
from playwright.sync_api import Browser

from svr_widget import SVR, SVRWidget
from tests.browser.lab import Lab, Notebook, chromium

ROUNDS = 5
# Channels of VGG16's 13 convolutions, and the places that they leave to the first linear layer.
VGG16 = (3, 64, 64, 128, 128, 256, 256, 256, *[512] * 6)
POSITIONS = 49
LINEAR = (4096, 4096, 1000)
SMALL = (64, 40, 40, 40, 10)

LOAD = """import time
from svr_widget import SVR, SVRWidget
svr = SVR.load({path!r})
svr.compute()
warm = SVRWidget(svr, p=0.15)  # everything is imported then
warm._repr_mimebundle_()
warm.close()
"""
SHOW = """start = time.time()
widget = SVRWidget(svr, p=0.15)
widget"""

# Both clocks are this machine's. A frame later the pixels are there.
WATCH = """() => {
  const drawn = '[data-svr="graph"][data-painted="true"]';
  const shown = () => Number(document.querySelector('[data-svr="shown"]')?.textContent[0]) > 0;
  window.firstPicture = new Promise((done) => {
    const watch = new MutationObserver(() => {
      if (!document.querySelector(drawn) || !shown()) return;
      watch.disconnect();
      requestAnimationFrame(() => setTimeout(() => done(Date.now())));
    });
    const all = { subtree: true, childList: true, attributes: true, characterData: true };
    watch.observe(document, all);
  });
}"""


SAVES_WIDGETS = "@jupyter-widgets/jupyterlab-manager/plugin", {"saveState": True}


def small() -> SVR:
    """As large as the network of the quickstart."""
    return random_network([torch.Size((out, into)) for into, out in pairwise(SMALL)])


def vgg16() -> SVR:
    """All spectral neurons of VGG16's shapes."""
    convolutions = [(out, into, 3, 3) for into, out in pairwise(VGG16)]
    sizes = (VGG16[-1] * POSITIONS, *LINEAR)
    linear = zip(LINEAR, sizes, strict=False)
    return random_network([torch.Size(shape) for shape in (*convolutions, *linear)])


def random_network(shapes: list[torch.Size]) -> SVR:
    generator = torch.Generator().manual_seed(0)
    return SVR([torch.randn(shape, generator=generator) for shape in shapes])


def in_a_notebook(lab: Lab, browser: Browser, name: str, graph: Path) -> tuple[float, float]:
    """Milliseconds from the call to the picture; megabytes of the notebook saved with widgets."""
    file = lab.write(f"{name}.ipynb", [SHOW])
    notebook = Notebook(lab, browser, file)
    notebook.execute(LOAD.format(path=str(graph)))
    spent = []
    for _ in range(ROUNDS):
        notebook.page.evaluate("() => lab.command('notebook:clear-all-cell-outputs')")
        notebook.execute("'widget' in globals() and widget.close()")
        notebook.page.evaluate(WATCH)
        notebook.run()
        drawn = float(notebook.page.evaluate("firstPicture"))
        spent.append(drawn - 1000 * float(notebook.python("start")))
    notebook.page.evaluate("() => lab.command('docmanager:save')")
    notebook.page.evaluate("() => lab.panel().sessionContext.shutdown()")
    notebook.close()
    return statistics.median(spent), (lab.notebooks / file).stat().st_size / 1e6


def page_opened(browser: Browser, path: Path) -> float:
    """Milliseconds until an exported page, opened from disk, has drawn its graph."""
    context = browser.new_context(offline=True, viewport={"width": 1232, "height": 760})
    page = context.new_page()
    page.add_init_script(f"({WATCH})()")
    page.goto(path.as_uri(), wait_until="commit")
    spent = page.evaluate("firstPicture.then((drawn) => drawn - performance.timeOrigin)")
    context.close()
    return float(spent)


def main() -> None:
    """Print medians in milliseconds, and sizes."""
    write = sys.stdout.write
    write("| graph | neurons | edges | SVRWidget(svr) to picture, ms | saved notebook, MB ")
    write("| page, MB | page opened and drawn, ms |\n")
    write("| --- " * 7 + "|\n")
    with tempfile.TemporaryDirectory() as folder, chromium() as browser, closing_lab() as lab:
        for name, make in {"64-40-40-40-10": small, "VGG16": vgg16}.items():
            svr = make()
            widget = SVRWidget(svr, p=0.15)
            widget.wait()
            graph, page = Path(folder) / f"{name}.safetensors", Path(folder) / f"{name}.html"
            svr.save(graph)
            widget.to_html(page)
            first, saved = in_a_notebook(lab, browser, name, graph)
            opened = statistics.median(page_opened(browser, page) for _ in range(ROUNDS))
            edges = min(len(widget.edges()), widget.max_edges)
            write(f"| {name} | {len(widget.neurons()):,} | {edges:,} | {first:.0f} | {saved:.2f} ")
            write(f"| {page.stat().st_size / 1e6:.2f} | {opened:.0f} |\n")
            sys.stdout.flush()


@contextmanager
def closing_lab() -> Iterator[Lab]:
    lab = Lab()
    lab._setting(*SAVES_WIDGETS)
    try:
        yield lab
    finally:
        lab.stop()


if __name__ == "__main__":
    main()
