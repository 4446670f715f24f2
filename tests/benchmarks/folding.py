"""Modules that fold, in networks of 315 and of some 2,000 columns, in Chromium without a GPU.

Run with ``python -m tests.benchmarks.folding``. By the clock: from the click to the first frame
that answers it, to the last change of the picture, and the longest time in between that the page
answered nothing else, its longest task. In time of a processor, which a machine that others keep
busy changes little: what the page's thread does at the click itself, which is one task, and all
until the picture stands. Motion is reduced: what is timed is work, not the quarter of a second in
which columns come together.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
import transformers
from playwright.sync_api import Browser, CDPSession, Page
from torch import nn

from svr_widget import SVRWidget
from tests.benchmarks.painting import WATCH
from tests.browser import plain_page
from tests.browser.lab import chromium

ROUNDS = 5
"""Each fold is timed so often, and each unfold."""
DRAWN = '[data-svr="graph"][data-painted="true"]'
OUT, IN = (f'[data-svr="levels"] button:{place}-child' for place in ("first", "last"))
BANDS = '[data-svr="bands"]'
MILLISECONDS = 1000.0
LONGEST = 300 * MILLISECONDS

TIME_A_CLICK = (
    """async (target) => {
  const graph = document.querySelector('[data-svr="graph"]');
  const bands = document.querySelector('[data-svr="bands"]');
  const stands = () => graph.dataset.painted === "true" && bands.dataset.painted === "true";
"""
    + WATCH
    + """  const start = performance.now();
  document.querySelector(target).click();
  await painted();
  const first = performance.now() - start;
  // Bands are drawn some a frame. What makes one begin anew may come a frame later.
  let [whole, calm] = [first, 0];
  while (calm < 2) {
    await painted();
    calm = stands() ? calm + 1 : 0;
    if (calm === 0) whole = performance.now() - start;
  }
  pulse.port1.close();
  return [first, whole, longest];
}"""
)

CLICK = "(target) => document.querySelector(target).click()"
# The same without asking all the time whether the page answers, which is work too.
STANDS = """async () => {
  const graph = document.querySelector('[data-svr="graph"]');
  const bands = document.querySelector('[data-svr="bands"]');
  const stands = () => graph.dataset.painted === "true" && bands.dataset.painted === "true";
  for (let calm = 0; calm < 2; calm = stands() ? calm + 1 : 0) {
    await new Promise(requestAnimationFrame);
  }
}"""


@dataclass(frozen=True)
class Click:
    """Milliseconds that one fold or unfold took."""

    first: float
    whole: float
    longest: float
    at_click: float
    """Of a processor, by the page's thread."""
    work: float


def gpt2() -> nn.Module:
    """315 columns and 32,948 links, as GPT-2 small has, of maps an eighth as wide."""
    config = transformers.GPT2Config(
        n_layer=12, n_head=12, n_embd=96, vocab_size=500, n_positions=32,
        bos_token_id=None, eos_token_id=None,
    )  # fmt: skip
    torch.manual_seed(0)
    return transformers.GPT2LMHeadModel(config).eval()


def llama() -> nn.Module:
    """2,018 columns and 1.4 million links: a link for every two heads that follow each other."""
    config = transformers.LlamaConfig(
        num_hidden_layers=32, num_attention_heads=30, num_key_value_heads=30, hidden_size=120,
        intermediate_size=240, vocab_size=200, max_position_embeddings=32,
        bos_token_id=None, eos_token_id=None,
    )  # fmt: skip
    torch.manual_seed(0)
    return transformers.LlamaForCausalLM(config).eval()


def own_work(session: CDPSession) -> float:
    """Milliseconds of a processor that the page's thread has taken."""
    metrics = session.send("Performance.getMetrics")["metrics"]
    return MILLISECONDS * next(m["value"] for m in metrics if m["name"] == "ThreadTime")


def opened(browser: Browser, url: str) -> tuple[Page, CDPSession, float]:
    """A page once its graph is drawn, and the milliseconds of a processor that this took it."""
    size = {"width": 1232, "height": 760}
    page = browser.new_page(viewport=size, reduced_motion="reduce")
    page.set_default_timeout(LONGEST)
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable", {"timeDomain": "threadTicks"})
    page.goto(url)
    page.wait_for_selector(DRAWN)
    return page, session, own_work(session)


def timed(page: Page, session: CDPSession, fold: str, unfold: str) -> list[Click]:
    """Fold and unfold, by the clock, then the same for its work."""
    by_clock = [page.evaluate(TIME_A_CLICK, target) for target in (fold, unfold)]
    clicks = []
    for target, times in zip((fold, unfold), by_clock, strict=True):
        before = own_work(session)
        page.evaluate(CLICK, target)
        at_click = own_work(session) - before
        page.evaluate(STANDS)
        clicks.append(Click(*times, at_click, own_work(session) - before))
    return clicks


def folds(page: Page, session: CDPSession) -> Iterator[tuple[str, list[Click]]]:
    """What is folded and unfolded: a layer, then all of them at once, one level and two."""
    while page.locator(OUT).is_enabled():
        page.evaluate(CLICK, OUT)
        page.evaluate(STANDS)
    page.evaluate(CLICK, IN)
    page.evaluate(STANDS)
    folded = page.locator('.svr-column-names [data-fold][aria-expanded="false"]')
    found = folded.evaluate_all("all => all.map((each) => Number(each.dataset.fold))")
    layer = f'[data-fold="{sorted(found)[len(found) // 2]}"]'
    rounds = range(ROUNDS)
    yield "a module", [click for _ in rounds for click in timed(page, session, layer, layer)]
    while page.locator(IN).is_enabled():
        clicks = [click for _ in rounds for click in timed(page, session, IN, OUT)]
        page.evaluate(CLICK, IN)
        page.evaluate(STANDS)
        yield f"all, {page.locator(BANDS).get_attribute('data-bands')} bands", clicks


def main() -> None:
    """Print medians and the longest in milliseconds."""
    write = sys.stdout.write
    measured = ("first", "whole", "longest", "at_click", "work")
    named = ("first answer, ms", "whole", "longest task", "work at the click", "work")
    write("| columns | links | page, MB | opened: work, ms | folded and unfolded ")
    write("".join(f"| {name} | at most " for name in named) + "|\n")
    write("| --- " * 15 + "|\n")
    with chromium() as browser, tempfile.TemporaryDirectory() as folder:
        for make in (gpt2, llama):
            widget = SVRWidget(make(), {"input_ids": torch.arange(5)[None]})
            widget.wait()
            path = Path(folder) / f"{make.__name__}.html"
            url = plain_page.write(path, plain_page.widget_state(widget))
            columns, links = len(widget.svr.columns), len(widget.svr.links)
            widget.close()
            page, session, work = opened(browser, url)
            size = path.stat().st_size / 1e6
            for what, clicks in folds(page, session):
                write(f"| {columns:,} | {links:,} | {size:.0f} | {work:.0f} | {what} ")
                for name in measured:
                    times = [getattr(click, name) for click in clicks]
                    write(f"| {statistics.median(times):.0f} | {max(times):.0f} ")
                write("|\n")
                sys.stdout.flush()
            page.close()


if __name__ == "__main__":
    main()
