"""bqplot figures that keep the widget company, linked with it both ways."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import ipywidgets

from svr_widget.engine.maps.links import LinkKey
from svr_widget.widget.cells.closing import close_parts
from svr_widget.widget.charts.dimensions import Dimensions
from svr_widget.widget.charts.spectrum import Spectrum
from svr_widget.widget.charts.style import CSS
from svr_widget.widget.charts.survival import Survival
from svr_widget.widget.traits import Traits

__all__ = ["Charts"]


class Charts(ipywidgets.Box):  # type: ignore[misc]  # ipywidgets is untyped
    """Spectrum, survival function and internal dimensions of what a widget shows.

    Which map and which link is chosen above the figures, or in the widget: the map of the neuron
    that was selected last, and ``selected_link``. Brushing the spectrum selects neurons in the
    widget; a click on a dot of internal dimensions chooses its link. A link by construction is no
    test, and so has no charts.

    Args:
        widget: its computation is waited for.
    """

    _open = False

    def __init__(self, widget: Traits) -> None:
        widget.wait()
        self._widget = widget
        self._maps = _menu("map of the spectrum")
        self._producers = _menu("producer of the link")
        self._links = _menu("consumer of the link")
        self.spectrum = Spectrum(self._select, self._maps)
        self.survival = Survival([self._producers, "→", self._links])
        self.dimensions = Dimensions(self._choose_link)
        self._heard = True
        self._style = ipywidgets.HTML(f"<style>{CSS}</style>", layout={"display": "none"})
        super().__init__(
            layout={
                "display": "grid",
                "grid_template_columns": "repeat(auto-fit, minmax(260px, 1fr))",
            }
        )
        self.add_class("svr-charts")
        self._renew(None)
        self._maps.observe(self._show_map, "value")
        self._producers.observe(self._offer_links, "value")
        self._links.observe(self._show_link, "value")
        widget.observe(self._follow, ["selected", "selected_link"])
        widget.observe(self._renew, "_scene")
        self._open = True

    def close(self) -> None:
        """Take the figures off every page and let go of the widget."""
        if self._open:
            self._open = False
            self._widget.unobserve(self._follow, ["selected", "selected_link"])
            self._widget.unobserve(self._renew, "_scene")
            for part in (self.spectrum, self.survival, self.dimensions):
                part.close()
        close_parts(self)
        super().close()

    def _renew(self, _: Any) -> None:
        """Show another graph: the widget's method changed."""
        svr = self._svr = self._widget.svr
        for part in (self.spectrum, self.survival, self.dimensions):
            part.forget()
        _offer(self._maps, {name: name for name in svr.columns})
        before = self._links.value
        self._tested = [key for key, link in svr.links.items() if not link.by_construction]
        with self._unheard():
            _offer(self._producers, {key[0]: key[0] for key in self._tested})
        self._name_link(before if before in self._tested else next(iter(self._tested), None))
        self._producers.disabled = self._links.disabled = not self._tested
        charts = [self.spectrum.chart]
        if self._tested:
            charts += [self.survival.chart, self.dimensions.chart]
        self.children = [self._style, *charts]
        self._follow(None)
        self._show_map(None)
        self._show_link(None)

    def _follow(self, _: Any) -> None:
        """Show what the widget has selected."""
        chosen = self._widget.selected
        if chosen:
            self._maps.value = chosen[-1][0]
        wanted = tuple(self._widget.selected_link or ())
        if wanted in self._tested and wanted != self._links.value:
            self._choose_link(wanted)
        self._mark()

    def _show_map(self, _: Any) -> None:
        self.spectrum.show(self._svr, self._maps.value)
        self._mark()

    def _show_link(self, change: Any) -> None:
        link = self._links.value
        if link is None or not self._heard:
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
        self._name_link(link)
        self._show_link(link)

    def _name_link(self, link: LinkKey | None) -> None:
        """Let the menus name a link."""
        with self._unheard():
            if link is not None:
                self._producers.value = link[0]
            self._offer_links(None)
            self._links.value = link

    def _offer_links(self, change: Any) -> None:
        """Offer the links that leave the chosen map."""
        leaving = [key for key in self._tested if key[0] == self._producers.value]
        if change is None or self._heard:
            _offer(self._links, {_consumer(key): key for key in leaving})

    @contextmanager
    def _unheard(self) -> Iterator[None]:
        """What changes in the menus of links is no choice of the user's."""
        self._heard = False
        try:
            yield
        finally:
            self._heard = True


def _menu(words: str) -> ipywidgets.Dropdown:
    """A menu as wide as what is chosen."""
    return ipywidgets.Dropdown(tooltip=words, layout={"width": "auto", "min_width": "0"})


def _consumer(link: LinkKey) -> str:
    """The map that a link enters, and which of several links between the two it is."""
    return link[1] if len(link) == 2 else f"{link[1]} ({link[2]})"


def _offer(choice: ipywidgets.Dropdown, values: Mapping[str, object]) -> None:
    """Offer values by their words; the one that was chosen stays, else the first is."""
    before = choice.value
    choice.options = values
    kept = [value for value in values.values() if value == before]
    choice.value = next(iter(kept or values.values()), None)
