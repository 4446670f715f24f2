"""bqplot figures that keep the widget company, linked with it both ways."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import ipywidgets

from svr_widget.engine.keys import LinkKey
from svr_widget.widget.charts.dimensions import Dimensions
from svr_widget.widget.charts.spectrum import Spectrum
from svr_widget.widget.charts.survival import Survival

if TYPE_CHECKING:
    from svr_widget.widget.widget import SVRWidget

__all__ = ["Charts"]


class Charts(ipywidgets.VBox):  # type: ignore[misc]  # ipywidgets is untyped
    """Spectrum, survival function and internal dimensions of what a widget shows.

    Which map and which link is chosen at the top, or in the widget: the map of the neuron that was
    selected last, and ``selected_link``. Brushing the spectrum selects neurons in the widget; a
    click on a bar of internal dimensions chooses its link.

    Args:
        widget: its computation is waited for.
    """

    def __init__(self, widget: SVRWidget) -> None:
        widget.wait()
        self._widget = widget
        self._maps = ipywidgets.Dropdown(description="map")
        self._links = ipywidgets.Dropdown(description="link")
        self.spectrum = Spectrum(self._select)
        self.survival = Survival()
        self.dimensions = Dimensions(self._choose_link)
        self._choices = ipywidgets.HBox([self._maps, self._links])
        super().__init__()
        self._renew(None)
        self._maps.observe(self._show_map, "value")
        self._links.observe(self._show_link, "value")
        widget.observe(self._follow, ["selected", "selected_link"])
        widget.observe(self._renew, "_scene")

    def close(self) -> None:
        """Take the figures off every page and let go of the widget."""
        if hasattr(self, "dimensions"):
            self._widget.unobserve(self._follow, ["selected", "selected_link"])
            self._widget.unobserve(self._renew, "_scene")
            for part in (self.spectrum, self.survival, self.dimensions, self._maps, self._links):
                part.close()
        super().close()

    def _renew(self, _: Any) -> None:
        """Show another graph: the widget's method changed."""
        svr = self._svr = self._widget.svr
        for part in (self.spectrum, self.survival, self.dimensions):
            part.forget()
        _offer(self._maps, {name: name for name in svr.columns})
        _offer(self._links, {" → ".join(map(str, key)): key for key in svr.links})
        self._links.disabled = not svr.links
        figures = [self.spectrum.figure]
        if svr.links:
            figures += [self.survival.figure, self.dimensions.figure]
        self.children = [self._choices, *figures]
        self._follow(None)
        self._show_map(None)
        self._show_link(None)

    def _follow(self, _: Any) -> None:
        """Show what the widget has selected."""
        chosen = self._widget.selected
        if chosen:
            self._maps.value = chosen[-1][0]
        wanted = self._widget.selected_link
        if wanted is not None and wanted != list(self._links.value or ()):
            self._links.value = tuple(wanted)
        self._mark()

    def _show_map(self, _: Any) -> None:
        self.spectrum.show(self._svr, self._maps.value)
        self._mark()

    def _show_link(self, change: Any) -> None:
        link = self._links.value
        if link is None:
            return
        self.survival.show(self._svr, link)
        self.dimensions.show(self._svr, link)
        if change is not None and self._widget.selected_link != list(link):
            self._widget.selected_link = list(link)

    def _mark(self) -> None:
        self.spectrum.mark([k for name, k in self._widget.selected if name == self.spectrum.map])

    def _select(self, neurons: list[tuple[str, int]]) -> None:
        self._widget.selected = neurons

    def _choose_link(self, link: LinkKey) -> None:
        self._links.value = link


def _offer(choice: ipywidgets.Dropdown, values: Mapping[str, object]) -> None:
    """Offer values by their words; the one that was chosen stays, else the first is."""
    before = choice.value
    choice.options = values
    kept = [value for value in values.values() if value == before]
    choice.value = next(iter(kept or values.values()), None)
