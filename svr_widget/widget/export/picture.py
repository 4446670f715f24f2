"""The widget's picture without the widget: a file, and a part of the output in the notebook.

GitHub, nbconvert and every notebook that was saved without the state of its widgets (JupyterLab's
default) show an ``image/png`` in the output where they cannot show the widget. Hosts that can show
the widget leave the image alone.
"""

from __future__ import annotations

import base64
import io
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from IPython.display import display

from svr_widget.engine.errors import SVRError
from svr_widget.svr import SVR

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FORMATS = ("png", "svg")
WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"

_SIZE = (8.0, 4.2)  # inches
_DOTS_PER_INCH = 100
_MOST_EDGES = 2_000  # more would be a grey haze at this size, and slow to draw
_COLOURS = 128  # an indexed image is a third of the size


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


def small_picture(svr: SVR, look: Mapping[str, Any]) -> str:
    """The graph as a small PNG in base64, as notebooks hold it; ``look`` as in ``image_file``."""
    from PIL import Image

    figure = svr.plot(size=_SIZE, max_edges=_MOST_EDGES, **look)
    drawn = Image.open(io.BytesIO(_saved(figure, "png", dpi=_DOTS_PER_INCH)))
    small = io.BytesIO()
    # Coverage of colours, for by counts of pixels the few of one kind of map would get another's.
    method, dither = Image.Quantize.MAXCOVERAGE, Image.Dither.NONE
    drawn.convert("RGB").quantize(_COLOURS, method, dither=dither).save(small, "png")
    return base64.b64encode(small.getvalue()).decode()


def _saved(figure: Figure, image_format: str, **options: Any) -> bytes:
    content = io.BytesIO()
    figure.savefig(content, format=image_format, **options)
    return content.getvalue()


def show_bundle(bundle: Mapping[str, Any], **options: Any) -> Any:
    """Display an output as it is; returns its handle where a ``display_id`` is asked for."""
    return display(bundle, raw=True, **options)  # type: ignore[no-untyped-call]


class LatePicture:
    """An output of its own for a picture that is not there yet when the widget is shown.

    To put the image into the output of the widget itself, by ``update_display``, would make
    JupyterLab tear the live view down and build a new one. This output names a view without a
    model, which JupyterLab takes for one that was closed, and hides.
    """

    def __init__(self) -> None:
        self._handle = show_bundle(self._bundle(), display_id=True)

    def show(self, image: str) -> None:
        """Put the picture, a PNG in base64, into the output."""
        if self._handle is not None:  # outside IPython nothing is displayed
            self._handle.update({**self._bundle(), "image/png": image}, raw=True)

    def _bundle(self) -> dict[str, Any]:
        no_view = {"version_major": 2, "version_minor": 0, "model_id": ""}
        return {WIDGET_VIEW: no_view, "text/plain": ""}
