"""Outputs of a cell that hold the picture of a widget, for where the widget itself is not shown.

GitHub, nbconvert and every notebook that was saved without the state of its widgets (JupyterLab's
default) show the picture. It is an output of its own: beside a view in one output JupyterLab shows
"model not found" and no picture once the widget is gone. While a view is alive the style sheet
hides the pictures of its cell, which it knows by ``MARK`` in their bytes (js/src/styles/cells.css).
"""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from typing import Any

from IPython.display import display
from PIL import Image
from PIL.PngImagePlugin import PngInfo

MARK = "svr_widget"
"""Stands in the PNG as its "Software", before all data."""

PLACEHOLDER = '<span class="svr-widget-picture"></span>'
_COLOURS = 128  # an indexed image is a third of the size
_GAP = 16


def packed(drawn: Image.Image) -> str:
    """A picture as a small PNG with the mark, in base64, as notebooks hold it."""
    mark, small = PngInfo(), io.BytesIO()
    mark.add_text("Software", MARK)
    # Coverage of colours, for by counts of pixels the few of one kind of map would get another's.
    method, dither = Image.Quantize.MAXCOVERAGE, Image.Dither.NONE
    indexed = drawn.convert("RGB").quantize(_COLOURS, method, dither=dither)
    indexed.save(small, "png", pnginfo=mark)
    return base64.b64encode(small.getvalue()).decode()


def side_by_side(pictures: Sequence[str]) -> str:
    """Pictures that ``packed`` gave, as one."""
    parts = [
        Image.open(io.BytesIO(base64.b64decode(picture))).convert("RGB") for picture in pictures
    ]
    width = sum(part.width for part in parts) + _GAP * (len(parts) - 1)
    joined = Image.new(
        "RGB", (width, max(part.height for part in parts)), parts[0].getpixel((0, 0))
    )
    left = 0
    for part in parts:
        joined.paste(part, (left, 0))
        left += part.width + _GAP
    return packed(joined)


def show_picture(picture: str) -> None:
    """Put a picture, a PNG in base64, into an output of the cell."""
    _display(_bundle(picture))


class LatePicture:
    """An output for a picture that is not there yet when the cell ends."""

    def __init__(self) -> None:
        self._handle = _display({"text/html": PLACEHOLDER, "text/plain": ""}, display_id=True)

    def show(self, picture: str) -> None:
        """Put the picture, a PNG in base64, into the output."""
        self._handle.update(_bundle(picture), raw=True)


def _bundle(picture: str) -> dict[str, Any]:
    return {"image/png": picture, "text/plain": ""}


def _display(bundle: Mapping[str, Any], **options: Any) -> Any:
    return display(bundle, raw=True, **options)  # type: ignore[no-untyped-call]
