"""What is written alike on several pictures."""

from __future__ import annotations

from matplotlib.axes import Axes

from svr_widget.engine.maps.links import LinkKey, TestKey
from svr_widget.engine.significance.multiple_testing import Cut
from svr_widget.plot.canvas import figure_of
from svr_widget.plot.themes import LARGE, SMALL, Theme

_MODES = {"fdr": "FDR", "p": "p =", "sigma": "σ =", "bonferroni": "Bonferroni"}


def arrow(link: LinkKey) -> str:
    """A link by its ends, with its number where several join them."""
    return f"{link[0]} → {link[1]}" + (f" ({link[2]})" if len(link) > 2 else "")


def level_of(cut: Cut[TestKey]) -> str:
    """A threshold: ``"FDR 0.05"``."""
    return f"{_MODES[cut.mode]} {cut.level:g}"


def titles(axes: Axes, theme: Theme, name: str, says: str, over: float = 0.0) -> None:
    """What is shown, and beneath it what it says.

    Args:
        axes: what they stand above.
        theme: of the words.
        name: what is shown.
        says: a line about it.
        over: the height of what stands between, as a share of the axes' height.
    """
    pad = 8 + 72 * over * axes.get_window_extent().height / figure_of(axes).dpi
    axes.set_title(name, loc="left", fontweight="bold", pad=pad + 12, **theme.text(LARGE))
    line = axes.annotate(
        says,
        (0, 1),
        (0, pad),
        xycoords="axes fraction",
        textcoords="offset points",
        **theme.text(SMALL, soft=True, math=True),
    )
    line.set_in_layout(False)  # the title above makes room; a long line must not narrow the axes
