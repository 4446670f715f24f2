"""The printed graph of a deep network: folded as the widget is, brackets beneath what is open."""

from __future__ import annotations

from itertools import pairwise
from typing import TypeVar

import numpy as np
import pytest
import torch
from matplotlib.axes import Axes
from matplotlib.collections import Collection, LineCollection, PathCollection
from matplotlib.figure import Figure

from svr_widget import SVR
from svr_widget.engine.errors import SVRError
from svr_widget.plot.edges import BANDS, LOOPS

C = TypeVar("C", bound=Collection)

DEPTH = 30
RANGES = [(at, at + 3) for at in range(0, DEPTH, 3)]


@pytest.fixture(scope="module")
def svr() -> SVR:
    """Thirty layers in a row, named by a number each."""
    generator = torch.Generator().manual_seed(2)
    weights = {f"fc{i}": torch.randn(5, 5, generator=generator) for i in range(DEPTH)}
    return SVR(weights, links="chain")


def names(figure: Figure) -> list[str]:
    return [label.get_text().split("\n")[0] for label in figure.axes[0].get_xticklabels()]


def lines(figure: Figure) -> LineCollection:
    return of(figure, LineCollection)


def of(figure: Figure, kind: type[C], gid: str | None = None) -> C:
    [found] = (
        each
        for each in figure.axes[0].collections
        if isinstance(each, kind) and each.get_gid() == gid
    )
    return found


def brackets(axes: Axes) -> list[str]:
    return [text.get_text() for text in axes.texts]


def test_a_deep_network_is_printed_folded(svr: SVR) -> None:
    figure = svr.plot(p=0.2)
    assert names(figure) == [f"fc{first}-fc{end - 1}" for first, end in RANGES]
    dots = of(figure, PathCollection)
    places = np.asarray(dots.get_offsets())
    for at, (first, end) in enumerate(RANGES):
        held = np.sort(places[places[:, 0] == at, 1])
        expected = np.concatenate([svr[f"fc{i}"].S for i in range(first, end)])
        np.testing.assert_allclose(held, np.sort(expected))


def test_who_feeds_whom_is_seen_as_bands_and_loops(svr: SVR) -> None:
    """A band from range to range, as wide as what is found on its link; above each range a loop."""
    figure = svr.plot(p=0.2)
    edges = svr.edges(p=0.2)
    bands, loops = of(figure, LineCollection, BANDS), of(figure, PathCollection, LOOPS)
    ends = [(course[0], course[-1]) for course in map(np.asarray, bands.get_segments())]
    assert [(a[0], b[0]) for a, b in ends] == list(pairwise(range(len(RANGES))))
    held = [np.concatenate([svr[f"fc{i}"].S for i in range(*each)]) for each in RANGES]
    means = np.array([values.mean() for values in held])
    np.testing.assert_allclose([a[1] for a, _ in ends], means[:-1])
    np.testing.assert_allclose([b[1] for _, b in ends], means[1:])
    sent, read = (edges[end].str[2:].astype(int) // 3 for end in ("producer", "consumer"))
    found = edges.groupby([sent, read]).size()
    between = [found.get((at, at + 1), 0) for at in range(len(RANGES) - 1)]
    assert len(set(between)) > 2
    wide = np.asarray(bands.get_linewidths())
    np.testing.assert_allclose(((wide - 1.5) / 7.5) ** 2, np.array(between) / found.max())
    tops = np.asarray(loops.get_offsets())
    np.testing.assert_allclose(tops[:, 0], range(len(RANGES)))
    np.testing.assert_allclose(tops[:, 1], [values.max() for values in held])
    axes = figure.axes[0]
    height = axes.get_window_extent().height * 72 / figure.dpi
    room = (axes.get_ylim()[1] - tops[:, 1].max()) / np.ptp(axes.get_ylim()) * height
    assert room > 13, "points: the loop is not cut"


def test_only_edges_between_columns_are_drawn_and_the_others_are_counted(svr: SVR) -> None:
    figure = svr.plot(p=0.2)
    edges = svr.edges(p=0.2)
    group = {f"fc{i}": at for at, (first, end) in enumerate(RANGES) for i in range(first, end)}
    inside = (edges.producer.map(group) == edges.consumer.map(group)).sum()
    assert 0 < inside < len(edges)
    assert len(lines(figure).get_segments()) == len(edges) - inside
    said = figure.axes[0].get_title(loc="right")
    assert said.startswith(f"{len(edges)} edges")
    assert f"{inside} within modules" in said


def test_what_is_open_has_a_bracket_beneath_its_columns(svr: SVR) -> None:
    folded = [f"fc{first}-fc{end - 1}" for first, end in RANGES if first != 6]
    figure = svr.plot(p=0.2, folded=folded)
    shown = names(figure)
    assert shown[2:5] == ["fc6", "fc7", "fc8"]
    assert brackets(figure.axes[0]) == ["fc6-fc8"]
    figure.canvas.draw()
    axes = figure.axes[0]
    label = axes.texts[0].get_window_extent()
    middle = axes.transData.transform((3.0, 0.0))[0]
    assert (label.x0 + label.x1) / 2 == pytest.approx(middle, abs=1)
    columns = [text for text in axes.get_xticklabels() if text.get_text()]
    assert label.y1 <= min(text.get_window_extent().y0 for text in columns) + 1
    assert label.y0 >= figure.bbox.y0


def test_nothing_is_folded_where_nothing_is_to_be(svr: SVR) -> None:
    figure = svr.plot(p=0.2, folded=[], size=(4, 3))
    assert len(lines(figure).get_segments()) == len(svr.edges(p=0.2))
    # Of thirty names side by side those that would lie on others are left out.
    seen = [text for text in figure.axes[0].get_xticklabels() if text.get_visible()]
    assert 8 <= len(seen) < DEPTH
    figure.canvas.draw()
    at = [text.get_window_extent().x1 for text in seen]
    line = seen[0].get_fontsize() * figure.dpi / 72 * 2**0.5
    assert min(b - a for a, b in pairwise(at)) >= line


def test_counts_that_meet_the_title_stand_beneath_it(svr: SVR) -> None:
    figure = svr.plot(p=0.2, size=(4, 3), title="A title as long as that of many a network")
    figure.canvas.draw()
    named, said = figure.axes[0]._left_title, figure.axes[0]._right_title
    first_line = named.get_window_extent()
    assert first_line.y1 > said.get_window_extent().y1
    assert named.get_text().endswith("\n")
    assert not svr.plot(p=0.2, title="Short").axes[0].get_title(loc="left").endswith("\n")


def test_a_module_that_is_not_there_is_refused(svr: SVR) -> None:
    with pytest.raises(SVRError, match="folded: no module 'fc1-fc9'; did you mean 'fc"):
        svr.plot(folded=["fc1-fc9"])
