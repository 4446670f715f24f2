"""Links of every shape in a browser: arcs above and below, loops; with and without a worker."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from playwright.sync_api import Browser, Page, expect

from svr_widget import SVRWidget
from tests.browser import plain_page
from tests.browser.lab import WIDGET
from tests.browser.picture import Picture

SIZE = 24
FORBID_WORKERS = (
    "<meta http-equiv='Content-Security-Policy' content=\"worker-src 'none'\">"
    "<title>svr_widget</title>"
)
Show = Callable[..., Page]


@pytest.fixture
def show(browser: Browser, tmp_path: Path) -> Iterator[Show]:
    """Open a widget's front end on a page of its own."""
    problems: list[str] = []
    context = browser.new_context(viewport={"width": 1100, "height": 700})

    def open_(widget: SVRWidget, title: str = "<title>svr_widget</title>") -> Page:
        path = tmp_path / f"{len(context.pages)}.html"
        url = plain_page.write(path, plain_page.widget_state(widget))
        path.write_text(path.read_text().replace("<title>svr_widget</title>", title))
        page = context.new_page()
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.add_init_script(
            "addEventListener('securitypolicyviolation', (event) => {"
            "  window.forbidden = event.effectiveDirective; });"
        )
        page.goto(url)
        return page

    yield open_
    context.close()
    assert problems == []


def rotation(seed: int, size: int = SIZE) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.linalg.qr(torch.randn(size, size, generator=generator))[0]


def linked_to(source: torch.Tensor, seed: int) -> torch.Tensor:
    """A map that reads the strongest direction that `source` writes, apart from all others."""
    written = torch.linalg.svd(source)[0]
    read = written @ torch.block_diag(torch.eye(1), rotation(seed, SIZE - 1))
    return rotation(seed + 1) * torch.linspace(3, 0.5, SIZE) @ read.T


def ink_between(page: Page, left: int, right: int) -> np.ndarray:
    """Rows with ink halfway between two columns, in CSS pixels from the top."""
    picture = Picture(page.locator(WIDGET))
    pixels = picture.pixels()
    columns = picture.axes().columns
    middle = round((columns[left] + columns[right]) / 2)
    return np.flatnonzero(pixels[:, middle - 1 : middle + 2, 3].max(axis=1) > 20)


def neuron_height(page: Page, widget: SVRWidget, name: str, column: int) -> float:
    value = float(widget.svr[name].S[0])
    return Picture(page.locator(WIDGET)).axes().point(column, value)[1]


def skipping() -> dict[str, torch.Tensor]:
    first = rotation(1) * torch.linspace(3, 0.5, SIZE) @ rotation(2).T
    return {"a": first, "b": rotation(7) * 2.0, "c": linked_to(first, 11)}


def test_a_skip_is_an_arc_above_the_line_between_its_neurons(show: Show) -> None:
    links = [("a", "b"), ("b", "c"), ("a", "c")]
    widget = SVRWidget(skipping(), links=links, fdr=1e-6, panes=[])
    edges = widget.edges()
    assert edges[["producer", "consumer"]].drop_duplicates().values.tolist() == [["a", "c"]]
    page = show(widget)
    rows = ink_between(page, 0, 2)
    rows = rows[rows < neuron_height(page, widget, "b", 1) - 8]  # the middle column's own neurons
    straight = (neuron_height(page, widget, "a", 0) + neuron_height(page, widget, "c", 2)) / 2
    assert len(rows) > 0
    assert rows.max() < straight - 10


def test_a_link_backwards_is_a_dashed_arc_below(show: Show) -> None:
    weights = skipping()
    links = [("a", "b"), ("b", "c"), ("c", "a")]
    widget = SVRWidget(
        {**weights, "a": linked_to(weights["c"], 5)}, links=links, fdr=1e-6, panes=[]
    )
    assert ["c", "a"] in widget.edges()[["producer", "consumer"]].values.tolist()
    page = show(widget)
    picture = Picture(page.locator(WIDGET))
    pixels, columns = picture.pixels(), picture.axes().columns
    straight = (neuron_height(page, widget, "a", 0) + neuron_height(page, widget, "c", 2)) / 2
    # Along the arc, where no column stands, ink and gaps take turns below the straight line.
    left, right = round(columns[0] + 12), round(columns[1] - 12)
    below = pixels[round(straight) + 4 :, left:right, 3].max(axis=0) > 40
    changes = np.count_nonzero(below[1:] != below[:-1])
    assert changes >= 10
    assert 0.3 < below.mean() < 0.95


def test_a_map_linked_to_itself_has_a_loop_at_its_right(show: Show) -> None:
    weight = rotation(1) * torch.linspace(3, 0.5, SIZE) @ rotation(1).T
    widget = SVRWidget({"a": weight}, links=[("a", "a")], fdr=1e-6, panes=[])
    assert len(widget.edges()) == SIZE
    page = show(widget)
    picture = Picture(page.locator(WIDGET))
    pixels, x = picture.pixels(), round(picture.axes().columns[0])
    assert (pixels[:, x + 10 : x + 40, 3] > 20).any()
    assert not (pixels[:, x - 40 : x - 10, 3] > 20).any()


def test_a_worker_paints_what_the_page_paints_where_workers_are_forbidden(show: Show) -> None:
    generator = torch.Generator().manual_seed(0)
    weights = [torch.randn(160, 160, generator=generator) for _ in range(3)]
    widget = SVRWidget(weights, p=0.5, panes=[])
    pictures = {}
    for title in ("<title>svr_widget</title>", FORBID_WORKERS):
        page = show(widget, title)
        picture = Picture(page.locator(WIDGET))
        assert picture.count("shown") > 20_000
        pictures[title] = picture.pixels()
        # The slider takes edges away and brings them back, to the bit.
        share = picture.slider.evaluate("(slider) => slider.value / slider.max")
        picture.set_slider(share - 0.1)
        assert not np.array_equal(picture.pixels(), pictures[title])
        picture.set_slider(share)
        assert np.array_equal(picture.pixels(), pictures[title])
        forbidden = page.evaluate("window.forbidden ?? null")
        assert forbidden == ("worker-src" if title == FORBID_WORKERS else None)
        cores = min(4, page.evaluate("navigator.hardwareConcurrency"))
        assert len(page.workers) == (0 if title == FORBID_WORKERS else cores)
    by_worker, by_page = pictures.values()
    assert np.array_equal(by_worker, by_page)


def test_maps_without_links_are_hollow_beneath_a_notice_of_what_gives_some(show: Show) -> None:
    weights = {
        name: rotation(seed) * torch.linspace(3, 0.5, SIZE) for seed, name in enumerate("ab")
    }
    page = show(SVRWidget(weights, panes=["adjacency", "table"]))
    notice = page.locator('[data-svr="unlinked"]')
    for quoted in (
        'links="chain"',
        "links=[(producer, consumer), ...]",
        "SVR(model, weights=path)",
    ):
        expect(notice).to_contain_text(quoted)
    expect(page.locator(".svr-legend")).to_contain_text("no link is known")
    expect(page.locator(".svr-footer")).to_contain_text("it is not known which map feeds which")
    expect(page.get_by_text("Which map feeds which is not known.")).to_be_visible()
    picture = Picture(page.locator(WIDGET))
    pixels, x = picture.pixels(), round(picture.axes().columns[0])
    first = int(np.flatnonzero(pixels[:, x - 4 : x + 5, 3].max(axis=1) > 200)[0])
    dot = pixels[first : first + 6, x - 4 : x + 5, :3].astype(int)
    assert np.ptp(dot, axis=2).max() > 60, "a rim in the hue of linear maps"
    assert (dot[2:4, 3:6].min(axis=2) > 200).any(), "and paper within"
    page.get_by_role("button", name="dismiss").click()
    expect(notice).to_have_count(0)
