"""The widget's picture without the widget: a file, and a small one for the notebook."""

from __future__ import annotations

import io
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from svr_widget.engine.errors import SVRError
from svr_widget.svr import SVR
from svr_widget.widget.cells.pictures import packed

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FORMATS = ("png", "svg")

_SIZE = (8.0, 4.2)  # inches
_DOTS_PER_INCH = 100
_MOST_EDGES = 2_000  # more would be a grey haze at this size, and slow to draw


def format_of(path: str | os.PathLike[str]) -> str:
    """``"png"`` or ``"svg"``, by the suffix of a file's name.

    Raises:
        SVRError: another suffix, or none.
    """
    suffix = Path(path).suffix
    if (name := suffix.lower().removeprefix(".")) not in FORMATS:
        raise SVRError(f"save_image writes .png and .svg files, not {Path(path).name!r}")
    return name


def image_file(svr: SVR, look: Mapping[str, Any], image_format: str) -> bytes:
    """The graph for print, as PNG or SVG.

    Args:
        svr: whose graph it is.
        look: options of ``SVR.plot``: threshold, null, y scale, theme.
        image_format: ``"png"`` or ``"svg"``.
    """
    return _saved(svr.plot(size=_SIZE, **look), image_format)


def images_file(drawn: Sequence[tuple[SVR, Mapping[str, Any]]], image_format: str) -> bytes:
    """Several graphs beside each other for print, on the same axis; see ``image_file``."""
    from svr_widget.plot.canvas import row_of_axes

    width, height = _SIZE
    theme = drawn[0][1]["theme"]
    figure, axes = row_of_axes(len(drawn), theme, (width * len(drawn), height))
    for at, (svr, look) in zip(axes, drawn, strict=True):
        svr.plot(ax=at, **look)
    lows, highs = zip(*(at.get_ylim() for at in axes), strict=True)
    for at in axes:
        at.set_ylim(min(lows), max(highs))
    return _saved(figure, image_format)


def small_picture(svr: SVR, look: Mapping[str, Any]) -> str:
    """The graph as a small PNG in base64, as notebooks hold it; ``look`` as in ``image_file``.

    The caller's own settings of matplotlib do not count: a style for papers may need LaTeX.
    """
    from matplotlib import style
    from PIL import Image

    with style.context("default"):
        figure = svr.plot(size=_SIZE, max_edges=_MOST_EDGES, **look)
        drawn = _saved(figure, "png", dpi=_DOTS_PER_INCH)
    return packed(Image.open(io.BytesIO(drawn)))


def _saved(figure: Figure, image_format: str, **options: Any) -> bytes:
    content = io.BytesIO()
    figure.savefig(content, format=image_format, **options)
    return content.getvalue()
