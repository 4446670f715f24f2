"""The figures that the pictures are drawn on: outside pyplot, so nothing is kept or shown."""

from __future__ import annotations

from io import BytesIO

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from svr_widget.plot.themes import Theme

DPI = 200


class Picture(Figure):
    """A figure that notebooks show as it is; pyplot knows nothing of it."""

    def _repr_png_(self) -> bytes:
        image = BytesIO()
        self.savefig(image, format="png")
        return image.getvalue()


def axes_on(ax: Axes | None, theme: Theme, size: tuple[float, float]) -> Axes:
    """The caller's axes, or those of a new picture of this size in inches."""
    if ax is None:
        picture = Picture(figsize=size, dpi=DPI, facecolor=theme.paper, layout="constrained")
        FigureCanvasAgg(picture)
        ax = picture.add_subplot()
    theme.dress(ax)
    return ax


def figure_of(ax: Axes) -> Figure:
    """The whole figure that axes belong to."""
    figure = ax.get_figure(root=True)
    assert isinstance(figure, Figure)
    return figure
