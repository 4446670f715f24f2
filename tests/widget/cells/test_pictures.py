"""The picture of a widget, and how the page knows it."""

from __future__ import annotations

import re

from PIL import Image

from svr_widget.widget.cells.pictures import PLACEHOLDER, packed, side_by_side
from svr_widget.widget.wire import front_end


def test_the_page_hides_what_python_shows_as_a_picture() -> None:
    """The style sheet knows pictures of any size and number of colours by the same text."""
    styles = front_end.read("widget.css")
    (mark,) = re.findall(r'img\[src\*="?(\w+)"?\]', styles)
    plain = packed(Image.new("RGB", (640, 400), "white"))
    gradient = packed(Image.linear_gradient("L").resize((1921, 7)))
    for picture in (plain, gradient, side_by_side([plain, gradient])):
        assert picture.index(mark) == 44  # four characters for three bytes: after the header
    (name,) = re.findall(r'class="([\w-]+)"', PLACEHOLDER)
    assert f".{name}" in styles
