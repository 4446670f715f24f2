"""Colours and type of the printed pictures: those of the widget, light and dark.

Nothing here touches matplotlib's global settings; every artist is given its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from types import MappingProxyType
from typing import Any

import numpy as np
from matplotlib import font_manager
from matplotlib.axes import Axes
from matplotlib.colors import Colormap, LinearSegmentedColormap, to_rgb
from matplotlib.ticker import NullLocator
from numpy.typing import ArrayLike, NDArray

from svr_widget.engine.errors import SVRError, nearest_name

LARGE, MEDIUM, SMALL = 9.0, 7.5, 6.5
"""Sizes of type in points: titles, words on axes, numbers."""

RULE = 0.5
"""Width of rules in points."""

_FAMILIES = (
    "Inter",
    "Helvetica Neue",
    "Helvetica",
    "Arial",
    "Liberation Sans",
    "Nimbus Sans",
    "Noto Sans",
    "DejaVu Sans",
)


@dataclass(frozen=True)
class Theme:
    """What the pictures are drawn in.

    Attributes:
        paper: the ground.
        ink: words and the strongest entries.
        soft: words that stand back.
        rule: thin lines.
        accent: what is pointed out.
        neutral: a neuron whose column looks random.
        kinds: hues of the kinds of maps; ``"other"`` for the rest.
    """

    paper: str
    ink: str
    soft: str
    rule: str
    accent: str
    neutral: str
    kinds: Mapping[str, str]

    def hue(self, kind: str) -> str:
        """The colour of a kind of map."""
        return self.kinds.get(kind.removeprefix("transposed "), self.kinds["other"])

    def shades(self, kind: str, intensity: ArrayLike) -> NDArray[np.float64]:
        """Colours ``[M, 3]`` of neurons, from ``neutral`` at intensity 0 to the hue at 1."""
        share = np.asarray(intensity, dtype=np.float64)[:, None]
        low, high = np.array(to_rgb(self.neutral)), np.array(to_rgb(self.hue(kind)))
        return np.asarray(low + share * (high - low))

    @cached_property
    def ramp(self) -> Colormap:
        """From the paper to the ink, for matrices."""
        return LinearSegmentedColormap.from_list("svr", [self.paper, self.ink])

    @cached_property
    def signed(self) -> Colormap:
        """From negative over the paper to positive numbers, which all kinds of sight keep apart."""
        ends = self.hue("linear"), self.paper, self.hue("convolution")
        return LinearSegmentedColormap.from_list("svr signed", ends)

    def text(
        self, size: float = MEDIUM, *, soft: bool = False, math: bool = False
    ) -> dict[str, Any]:
        """Keywords of a piece of text; without ``math`` a dollar in a map's name is a dollar."""
        return {
            "parse_math": math,
            "color": self.soft if soft else self.ink,
            "fontsize": size,
            "fontfamily": family(),
        }

    def dress(self, axes: Axes) -> None:
        """Axes on this theme's paper, without a frame and with numbers that stand back."""
        axes.set_facecolor(self.paper)
        axes.tick_params(
            which="both",
            length=0,
            pad=4,
            labelsize=SMALL,
            labelcolor=self.soft,
            labelfontfamily=family(),
        )
        for spine in axes.spines.values():
            spine.set_visible(False)
        axes.xaxis.set_minor_locator(NullLocator())
        axes.yaxis.set_minor_locator(NullLocator())

    def frame(self, axes: Axes) -> None:
        """A thin rule around the axes."""
        for spine in axes.spines.values():
            spine.set(visible=True, color=self.rule, linewidth=RULE)


def _kinds(**hues: str) -> Mapping[str, str]:
    return MappingProxyType(hues)


LIGHT = Theme(
    paper="#ffffff",
    ink="#1c2127",
    soft="#5a646e",
    rule="#e3e6e9",
    accent="#1a66d9",
    neutral="#98a2ab",
    kinds=_kinds(
        convolution="#d55e00",
        linear="#0072b2",
        embedding="#b5548f",
        attention="#00835f",
        other="#6b5b95",
    ),
)
DARK = Theme(
    paper="#14171a",
    ink="#e7eaed",
    soft="#a2abb4",
    rule="#2c3237",
    accent="#6cb0ff",
    neutral="#666f78",
    kinds=_kinds(
        convolution="#ff8a3d",
        linear="#4aa8e8",
        embedding="#e79ac4",
        attention="#2fc79a",
        other="#b3a4dd",
    ),
)
THEMES: Mapping[str, Theme] = MappingProxyType({"light": LIGHT, "dark": DARK})


def theme_of(theme: str | Theme) -> Theme:
    """A theme by its name, or as it is.

    Raises:
        SVRError: there is none of that name.
    """
    if isinstance(theme, Theme):
        return theme
    if theme not in THEMES:
        raise SVRError(
            f"theme must be 'light', 'dark' or a Theme, got {theme!r}{nearest_name(theme, THEMES)}"
        )
    return THEMES[theme]


@lru_cache(maxsize=1)
def family() -> str:
    """The first of the wanted families that this machine has; matplotlib brings the last."""
    known = set(font_manager.get_font_names())
    return next(name for name in _FAMILIES if name in known)
