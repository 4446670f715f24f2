"""The course and the ink of the edges in the printed graph, and of links' bands behind them."""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import Collection, LineCollection, PathCollection, PolyCollection
from matplotlib.colors import to_rgb
from matplotlib.path import Path
from matplotlib.transforms import Affine2D
from numpy.typing import NDArray

from svr_widget.engine.analysis.tables import edges_by_link
from svr_widget.engine.graph.spectral_graph import SpectralGraph
from svr_widget.engine.graph.thresholds import Threshold, cut_of
from svr_widget.engine.maps.links import LinkKey, TestKey
from svr_widget.engine.significance.multiple_testing import Cut
from svr_widget.plot.columns import Heights, Places
from svr_widget.plot.themes import Theme

Floats = NDArray[np.float64]
Shape = Literal["line", "arc", "loop"]

FAINTEST, STRONGEST = 0.14, 0.96
"""Opacity of the weakest and of the strongest edge where they stand alone."""

_LEAST_FULL_WEIGHT = 0.5  # a network without strong edges looks paler than one that has them
_CROWD, _LEAST_SHARE = 0.22, 0.05
_THIN, _HEAVY = 0.45, 1.1  # widths in points
_PIECES = 20
_BAND, _HALF_BAND = 0.16, 0.005  # opacity; half the least height, as a share of the axis
_NARROWEST, _WIDEST, _FEW = 1.5, 9.0, 30  # of links' bands in points; more of them are narrower
_FAINT, _CLEAR = 0.22, 80  # opacity of links' bands; more of them are fainter
_LOOP = Path([(-1.5, 4), (-10, 17), (10, 17), (1.5, 4)], [1, 4, 4, 4])  # in points, above a column
BANDS, LOOPS = "bands of links", "loops of links"
"""How they are called in an SVG."""
LOOP_ROOM = 18.0
"""What the mark of a column's links to itself needs above it, in points."""
MANY = 2_000
"""From this many on the edges are pixels in a PDF or SVG, so that its size stays small."""


class DrawnEdges(NamedTuple):
    """Which edges are drawn.

    Attributes:
        links: for each link its edges: m, n, weight, by decreasing weight.
        drawn: their number.
        cut: what is significant.
    """

    links: dict[LinkKey, tuple[NDArray[np.int64], NDArray[np.int64], Floats]]
    drawn: int
    cut: Cut[TestKey]


def chosen(graph: SpectralGraph, threshold: Threshold, most: int) -> DrawnEdges:
    """The significant edges; if they are more than ``most``, those with the smallest p-values."""
    tests, cut = cut_of(graph, threshold)
    found = edges_by_link(graph, tests, cut)
    every = np.concatenate([np.empty(0), *(log10_p for _, log10_p in found.values())])
    last = np.sort(every)[most - 1] if 0 < most < every.size else np.inf
    links = {}
    for key, (edges, log10_p) in found.items():
        kept = log10_p <= last
        links[key] = edges.m[kept], edges.n[kept], edges.weight[kept].astype(np.float64)
    return DrawnEdges(links, sum(len(m) for m, _, _ in links.values()), cut)


def collection(
    graph: SpectralGraph,
    edges: DrawnEdges,
    places: Places,
    heights: Heights,
    theme: Theme,
    tall: float,
) -> LineCollection:
    """All edges but those within a folded module as one collection, strong ones on top.

    Args:
        graph: whose edges they are.
        edges: which.
        places: of the columns.
        heights: of the neurons.
        theme: the ink.
        tall: the height of the axes in points, for the room that a crowd has.
    """
    segments: list[Floats] = []
    opacity, width, dashed = [np.empty(0)], [np.empty(0)], [np.empty(0, bool)]
    for key, (m, n, weight) in edges.links.items():
        producer, consumer = graph.ends(key)
        if not len(m) or (shape := shape_of(places, producer, consumer)) is None:
            continue
        backward = graph.links[key].backward
        ends = heights.share(heights.y[producer][m]), heights.share(heights.y[consumer][n])
        x = places.x[places.of[producer]], places.x[places.of[consumer]]
        courses = _courses(x, ends, shape, places.x[-1], down=backward)
        courses[..., 1] = heights.at(courses[..., 1])
        segments.extend(courses)
        alone, full = opacity_of(graph, key, weight), _full_weight(graph, key, weight)
        opacity.append(_thinned(alone, tall * _band(ends)))
        width.append(_THIN + (_HEAVY - _THIN) * np.minimum(1, weight / full))
        dashed.append(np.full(len(m), backward))
    order = np.argsort(np.concatenate(opacity), kind="stable")
    colours = np.empty((len(order), 4))
    colours[:, :3] = to_rgb(theme.ink)
    colours[:, 3] = np.concatenate(opacity)[order]
    dashes = np.concatenate(dashed)[order]
    lines = LineCollection(
        [segments[edge] for edge in order],
        colors=colours,
        linewidths=np.concatenate(width)[order],
        linestyles=[(0, (3, 2)) if dash else "solid" for dash in dashes]
        if any(dashes)
        else "solid",
        capstyle="round",
        rasterized=len(order) > MANY,
        zorder=2,
    )
    lines.set_in_layout(False)  # inside the axes whatever it holds, and slow to measure
    return lines


def bands(
    graph: SpectralGraph, places: Places, heights: Heights, theme: Theme
) -> tuple[PolyCollection, list[tuple[float, float]]]:
    """Links by construction as soft bands, from the course of the first neuron to the last one's.

    Arguments as in ``collection``.

    Returns:
        The bands, and where a word stands beneath the middle of the upper edge of each.
    """
    outlines: list[Floats] = []
    words: list[tuple[float, float]] = []
    for key, link in graph.links.items():
        if not link.by_construction:
            continue
        names = graph.ends(key)
        if (shape := shape_of(places, *names)) is None:
            continue
        rows = [[0, max(0, int((~graph[name].null).sum()) - 1)] for name in names]
        sent, read = (
            heights.share(heights.y[name][of]) for name, of in zip(names, rows, strict=True)
        )
        x = places.x[places.of[names[0]]], places.x[places.of[names[1]]]
        upper, lower = _courses(x, (sent, read), shape, places.x[-1], down=link.backward)
        for course, shift in ((upper, _HALF_BAND), (lower, -_HALF_BAND)):
            course[:, 1] = heights.at(course[:, 1] + shift)
        outlines.append(np.concatenate([upper, lower[::-1]]))
        middle = (upper[(len(upper) - 1) // 2] + upper[len(upper) // 2]) / 2
        words.append((float(middle[0]), float(middle[1])))
    ink = (*to_rgb(theme.neutral), _BAND)
    drawn = PolyCollection(outlines, facecolors=[ink], linewidths=0, zorder=1)
    drawn.set_in_layout(False)
    return drawn, words


def linked(
    graph: SpectralGraph, edges: DrawnEdges, places: Places
) -> dict[tuple[int, int], tuple[Shape | None, int]]:
    """All links between two columns that are seen, or within one, but those by construction.

    Returns:
        By the places of the columns, producer first: the course, and the significant edges.
    """
    counts: dict[LinkKey, int] = {}
    for (tested, _), found in edges.cut.counts.items():
        counts[tested] = counts.get(tested, 0) + int(found)
    bundles: dict[tuple[int, int], tuple[Shape | None, int]] = {}
    for key, link in graph.links.items():
        if link.by_construction:
            continue
        ends = graph.ends(key)
        at = places.of[ends[0]], places.of[ends[1]]
        shape, before = bundles.get(at, (shape_of(places, *ends), 0))
        bundles[at] = shape, before + counts.get(key, 0)
    return bundles


def link_bands(
    graph: SpectralGraph,
    edges: DrawnEdges,
    places: Places,
    heights: Heights,
    theme: Theme,
    axes: Axes,
) -> list[Collection]:
    """Who feeds whom: a faint band a link, as wide as what was found on it; of folded modules all.

    As in the widget a band goes from the middle of a column to that of the next one, over the
    columns that it skips, or beneath them where it runs back.

    Args:
        graph: whose links they are.
        edges: what was found.
        places: of the columns.
        heights: of the neurons.
        theme: the ink.
        axes: where the loops are to stand.

    Returns:
        The bands, if there are any, and small loops above columns with links to themselves.
    """
    bundles = linked(graph, edges, places)
    most = max((found for _, found in bundles.values()), default=0)
    more = (_WIDEST - _NARROWEST) * min(1.0, float(np.sqrt(_FEW / max(1, len(bundles)))))
    top, middle, bottom = _reach(graph, places, heights)
    courses, widths, loops = [], [], []
    for (sent, read), (shape, found) in bundles.items():
        if sent == read:
            loops.append((places.x[sent], float(heights.at(top[sent]))))
            continue
        x, back = (places.x[sent], places.x[read]), read < sent
        ends = middle if shape == "line" else bottom if back else top
        y = ends[[sent]], ends[[read]]
        if shape == "line":
            half = (x[0] + x[1]) / 2
            [course] = _bezier(
                np.array([x[0], half, half, x[1]]), np.stack([y[0], y[0], y[1], y[1]], 1)
            )
        else:
            [course] = _courses(x, y, "arc", places.x[-1], down=back)
        course[:, 1] = heights.at(course[:, 1])
        courses.append(course)
        widths.append(_NARROWEST + (more * np.sqrt(found / most) if most else 0.0))
    ink = to_rgb(theme.neutral)
    faint = _FAINT * min(1.0, float(np.sqrt(_CLEAR / max(1, len(courses)))))
    lines = LineCollection(
        courses,
        colors=[(*ink, faint)],
        linewidths=widths,
        capstyle="butt",
        rasterized=len(courses) > MANY,
        zorder=1,
        gid=BANDS,
    )
    inner = PathCollection(
        [_LOOP],
        offsets=np.reshape(loops, (-1, 2)),
        offset_transform=axes.transData,
        facecolors="none",
        edgecolors=[(*ink, 0.8)],
        linewidths=_NARROWEST,
        zorder=1,
        gid=LOOPS,
    )
    inner.set_transform(Affine2D().scale(1 / 72) + axes.figure.dpi_scale_trans)
    drawn: list[Collection] = [lines] if courses else []
    drawn += [inner] if loops else []
    for each in drawn:
        each.set_in_layout(False)
    return drawn


def _reach(graph: SpectralGraph, places: Places, heights: Heights) -> tuple[Floats, Floats, Floats]:
    """The shares of the axis at which the neurons of what is seen end, and their mean."""
    found: list[list[Floats]] = [[] for _ in places.x]
    for name in graph.columns:
        found[places.of[name]].append(heights.share(heights.y[name]))
    every = [np.concatenate(each) for each in found]
    top, middle, bottom = (
        np.array([of(each) if each.size else 0.0 for each in every])
        for of in (np.max, np.mean, np.min)
    )
    return top, middle, bottom


def shape_of(places: Places, producer: str, consumer: str) -> Shape | None:
    """The course between two columns, or from one to itself; None within a folded module."""
    sent, read = places.of[producer], places.of[consumer]
    if sent == read:
        return None if places.seen.columns[sent].folded else "loop"
    return "line" if places.ranks[read] - places.ranks[sent] == 1 else "arc"


def _thinned(alone: Floats, band: float) -> Floats:
    """Opacities in a crowd, strong edges first: the deeper it is already, the less is added.

    The depth of ink then grows as a logarithm, so that a crowd of weak edges stays grey and the
    strong ones stand out of it; as in the widget.
    """
    depth = -np.log1p(-alone)
    before = (np.cumsum(depth) - depth) / max(band, 24.0)
    return np.asarray(-np.expm1(-depth * np.maximum(_LEAST_SHARE, _CROWD / (_CROWD + before))))


def opacity_of(
    graph: SpectralGraph, link: LinkKey, all_weights: Floats, weight: Floats | None = None
) -> Floats:
    """The opacity of edges of a link where they stand alone; by default of all that are drawn."""
    full = _full_weight(graph, link, all_weights)
    of = all_weights if weight is None else weight
    return np.asarray(FAINTEST + (STRONGEST - FAINTEST) * np.minimum(1, of / full) ** 0.8)


def _full_weight(graph: SpectralGraph, link: LinkKey, weight: Floats) -> float:
    """The weight from which a link's edges are as deep as any, as in the widget.

    That of its own strongest edge, whatever other links have, and not below 0.5, or, of wide maps,
    whose weights are all small, twice what the largest of so many entries has by chance.
    """
    tests = [part for part in graph.adjacency(link).tests() if part.weights.size]
    by_chance = (2 * part.law.mean * np.log(max(2, part.weights.size)) for part in tests)
    least = 2 * max(by_chance, default=0.0)
    return float(max(weight.max(), min(_LEAST_FULL_WEIGHT, least)))


def _band(ends: tuple[Floats, Floats]) -> float:
    """The share of the height that the middles of the edges spread over."""
    return float(np.sqrt(12 * np.var((ends[0] + ends[1]) / 2)))


def _courses(
    x: tuple[float, float], ends: tuple[Floats, Floats], shape: Shape, wide: float, *, down: bool
) -> Floats:
    """Polylines ``[k, points, 2]`` from one column to another, heights as shares of the axis.

    ``wide`` is from the first column to the last.
    """
    (x0, x1), (y0, y1) = x, ends
    if shape == "line":
        corners = [np.full_like(y0, x0), np.full_like(y0, x1)]
        return np.stack([np.stack(corners, 1), np.stack([y0, y1], 1)], axis=2)
    if shape == "loop":
        bulge = 0.45
        spread = np.where(np.abs(y1 - y0) < 0.04, 0.03, 0.0)
        xs = np.array([x0, x0 + bulge, x0 + bulge, x0])
        ys = np.stack([y0, y0 + spread, y1 - spread, y1], axis=1)
    else:
        # Over the columns between, or below them where it runs backward; less and less towards the
        # end of the axis, so that arcs of many spans are still told apart there.
        span = abs(x1 - x0)
        wanted = 0.03 + 0.3 * span / (span + max(3.0, wide / 2))
        room = np.minimum(y0, y1) if down else 1 - np.maximum(y0, y1)
        lift = wanted / np.hypot(1, wanted / np.maximum(0.02, room / 0.75)) * (-1 if down else 1)
        xs = x0 + (x1 - x0) * np.array([0, 1 / 3, 2 / 3, 1])
        ys = np.stack([y0, y0 + (y1 - y0) / 3 + lift, y1 - (y1 - y0) / 3 + lift, y1], axis=1)
    return _bezier(xs, ys)


def _bezier(xs: Floats, ys: Floats) -> Floats:
    """Cubic curves of common ``xs [4]`` and ``ys [k, 4]`` as polylines ``[k, points, 2]``."""
    t = np.linspace(0, 1, _PIECES + 1)
    basis = np.stack([(1 - t) ** 3, 3 * (1 - t) ** 2 * t, 3 * (1 - t) * t**2, t**3])
    return np.stack([np.broadcast_to(xs @ basis, (len(ys), len(t))), ys @ basis], axis=2)
