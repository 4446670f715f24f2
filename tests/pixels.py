"""What stands in a picture."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image


def pixels(image: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(image)).convert("RGB"))


def is_drawn(image: bytes) -> bool:
    """Whether it has the planted network's orange-free picture: blue dots, black edges."""
    red, _, blue = np.moveaxis(pixels(image).astype(int), 2, 0)
    blue_dots = (blue - red > 100).sum()
    ink = (pixels(image).max(axis=2) < 90).sum()
    return bool(blue_dots > 100 and ink > 100)
