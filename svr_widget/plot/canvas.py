"""The figures that the pictures are drawn on: outside pyplot, so nothing is kept or shown."""

from __future__ import annotations

from io import BytesIO

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from svr_widget.plot.themes import Theme, theme_of

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


def row_of_axes(count: int, theme: str, size: tuple[float, float]) -> tuple[Figure, list[Axes]]:
    """Axes beside each other in a new picture of this size in inches."""
    picture = Picture(figsize=size, dpi=DPI, facecolor=theme_of(theme).paper, layout="constrained")
    FigureCanvasAgg(picture)
    return picture, list(picture.subplots(1, count, squeeze=False)[0])


def figure_of(ax: Axes) -> Figure:
    """The whole figure that axes belong to."""
    figure = ax.get_figure(root=True)
    assert isinstance(figure, Figure)
    return figure
