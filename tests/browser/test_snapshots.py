"""What the widget looks like, in both themes; and that a picture is neither blind nor fussy."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser

from tests.browser import snapshots
from tests.browser.snapshots import SNAPSHOTS, expected, explain, is_same, take


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with snapshots.scenes() as served:
        yield served


@pytest.mark.parametrize("name", SNAPSHOTS)
def test_it_looks_as_it_did(browser: Browser, url: str, name: str) -> None:
    actual = take(browser, url, SNAPSHOTS[name])
    assert is_same(actual, expected(name)), explain(name, actual)


@pytest.mark.parametrize(
    ("name", "family"),
    [
        ("graph-light", "DejaVu Serif"),
        ("residual-dark", "DejaVu Sans Mono"),
        ("adjacency-light", "DejaVu Sans Mono"),
        ("filters-light", "DejaVu Serif"),
        ("images-light", "DejaVu Sans Mono"),
    ],
)
def test_another_font_changes_nothing(browser: Browser, url: str, name: str, family: str) -> None:
    fonts = f".svr {{ --jp-ui-font-family: '{family}' }}"
    actual = take(browser, url, SNAPSHOTS[name], fonts)
    assert is_same(actual, expected(name)), explain(name, actual)


@pytest.mark.parametrize(
    ("name", "style"),
    [
        ("vgg-light", ".svr { --svr-convolution: #b3261e !important }"),
        ("residual-dark", ".svr { --svr-paper: #22262a !important }"),
        ("adjacency-light", ".svr { --svr-ink: #55606c !important }"),
        ("filters-light", ".svr-effective { border-spacing: 6px !important }"),
        ("table-light", ".svr-row { height: 28px !important }"),
    ],
)
def test_a_change_of_style_is_seen(browser: Browser, url: str, name: str, style: str) -> None:
    assert not is_same(take(browser, url, SNAPSHOTS[name], style), expected(name))


def test_a_column_that_moves_by_three_pixels_is_seen(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    picture = expected("vgg-light")
    strip = slice(544, 640)  # around one of sixteen columns
    moved = picture.copy()
    moved[:, strip] = np.roll(picture[:, strip], 3, axis=1)
    assert not is_same(moved, picture)

    monkeypatch.setattr(snapshots, "FAILED", tmp_path)
    assert "vgg-light looks different" in explain("vgg-light", moved)
    found = {path.stem.rsplit("-", 1)[1]: path for path in tmp_path.iterdir()}
    assert found.keys() == {"expected", "actual", "difference"}
    assert np.array_equal(np.asarray(Image.open(found["actual"])), moved)
    marked = np.nonzero((np.asarray(Image.open(found["difference"])) < 255).any(0))[0]
    assert 544 <= marked.min() < marked.max() < 640


def test_edges_that_are_missing_are_seen() -> None:
    picture = expected("recurrent-light")
    without = picture.copy()
    without[40:200, 120:320] = 255
    assert not is_same(without, picture)


def test_the_noise_of_rounding_is_not_seen() -> None:
    picture = expected("vgg-light")
    noise = np.random.default_rng(3).integers(-6, 7, picture.shape)
    noisy = np.clip(picture.astype(int) + noise, 0, 255).astype(np.uint8)
    assert is_same(noisy, picture)
