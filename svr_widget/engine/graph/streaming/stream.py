"""One pass over every entry of a graph, and what is kept of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from svr_widget.engine.environment.settings import with_own_settings
from svr_widget.engine.graph.streaming.digests import Digests
from svr_widget.engine.graph.streaming.products import Bus, Ends, Product, Tile, products_of
from svr_widget.engine.graph.streaming.tally import KINDS, Kept, Numbers, Tally, grid
from svr_widget.engine.graph.streaming.tiles import Pack, Span
from svr_widget.engine.maps.bundles import KeyedLinks
from svr_widget.engine.maps.links import Link, LinkKey, TestKey
from svr_widget.engine.significance.entries import Counts
from svr_widget.engine.significance.nulls import Kind, NullLaw

KEPT = 4_000_000
"""Entries that are kept with their places: those with the smallest p-values."""
COUNTED = 512
"""Up to so many test keys are counted on the grid one by one."""
_SLACK = 1.25
Report = Callable[[LinkKey, int], object]
"""Called before each tile with its first link and the number of links that are done."""


class Stream:
    """The entries of links, tile by tile: counted, the strongest kept, the others let go.

    Args:
        links: all links of a graph.
        passing: whether the entries of links like one are tests here.
        ends: gives the neurons at both ends of a link.
        kept: how many entries are kept at most, unless there are no more anyway; ``KEPT``.
        counted: up to so many test keys are counted one by one; ``COUNTED``.

    Attributes:
        keys: the test keys of all links, in their order.
        first_key: the number of each link's first key, and of all of them.
        laws: the different laws of keys, exact ones, and
        law_places: which of them each key follows.
        tallies: one for each law and precision.
        digests: what is known of each key and link.
        done: whether the pass is over.
    """

    def __init__(
        self,
        links: KeyedLinks,
        passing: Callable[[Link], bool],
        ends: Ends,
        *,
        kept: int | None = None,
        counted: int | None = None,
    ) -> None:
        kept = KEPT if kept is None else kept
        counted = COUNTED if counted is None else counted
        self._most_kept, self._links = kept, links
        self.products, others = products_of(links, passing, ends)
        laws = np.zeros(len(links), np.intp)
        for product in (*self.products, *others):
            laws[product.links] = len(product.laws)
        self.first_key = np.concatenate([np.zeros(1, np.intp), np.cumsum(laws)])
        self.keys: tuple[TestKey, ...] = tuple(
            (key, part) for key, of in zip(links, laws.tolist(), strict=True) for part in range(of)
        )
        self.laws, self.law_places = self._laws((*self.products, *others))
        entries = sum(product.size for product in self.products)
        self.tallies: list[Tally] = []
        self.tally_of: Numbers = np.full(len(self.keys), -1, np.int32)
        self._sort_by_law(counted=entries > kept)
        self.key_counts: dict[Kind, Counts] = {}
        if entries > kept and len(self.keys) <= counted:
            shape = len(self.keys), len(grid())
            self.key_counts = {kind: np.zeros(shape, np.int64) for kind in KINDS}
        if entries > kept:
            # By chance so many reach it: what is beyond is cut off as soon as it is too much.
            place = int(np.searchsorted(grid(), np.log(kept / entries)))
            for tally in self.tallies:
                tally.keep_from(place)
        self.digests = Digests(self.products, self.first_key)
        self._steps = [
            (at, rows, columns)
            for at, product in enumerate(self.products)
            for columns in product.column_packs
            for rows in product.row_packs
        ]
        self._next, self.done = 0, False

    def _laws(self, products: Sequence[Product]) -> tuple[list[NullLaw], NDArray[np.intp]]:
        """The exact laws in the order in which keys follow them, and the place of each key's."""
        found: dict[NullLaw, int] = {}
        places = np.zeros(len(self.keys), np.intp)
        for product in products:
            for part, law in enumerate(product.laws):
                place = found.setdefault(replace(law, kind="exact"), len(found))
                places[self.first_key[product.links] + part] = place
        _, first, place_of_key = np.unique(places, return_index=True, return_inverse=True)
        order = np.argsort(first)
        laws = list(found)
        return [laws[at] for at in order], np.argsort(order)[place_of_key]

    def _sort_by_law(self, *, counted: bool) -> None:
        kinds: dict[tuple[int, np.dtype[np.floating]], list[NDArray[np.intp]]] = {}
        for product in self.products:
            for part in range(len(product.laws)):
                keys = self.first_key[product.links].ravel() + part
                kinds.setdefault((int(self.law_places[keys[0]]), product.dtype), []).append(keys)
        for (place, dtype), each in sorted(kinds.items(), key=lambda of: min(map(np.min, of[1]))):
            self.tally_of[np.concatenate(each)] = len(self.tallies)
            self.tallies.append(Tally(self.laws[place], dtype, counted=counted))

    @property
    def links_of_keys(self) -> NDArray[np.intp]:
        """The number of each key's link."""
        return np.repeat(np.arange(len(self._links)), np.diff(self.first_key))

    # The pass.

    @property
    def tiles_left(self) -> int:
        """How many there are to come."""
        return len(self._steps) - self._next

    def run(self, report: Report) -> None:
        """Go through the tiles that are left; what ``report`` raises stops it between two."""
        links_done, first_step = 0, self._next
        # The product of the next tile is made while another thread counts the one before.
        with ThreadPoolExecutor(1, "svr_widget") as other:
            counting: Future[None] | None = None
            for step, (at, rows, columns) in enumerate(self._steps):
                product = self.products[at]
                if step >= first_step:
                    first = int(product.links[rows[0].end, columns[0].end])
                    report(self._links.key(first), links_done)
                    tile = product.tile(rows, columns)
                    if counting is not None:
                        counting.result()
                    counting = other.submit(self._add, tile, at, step)
                if step + 1 == len(self._steps) or self._steps[step + 1][0] > at:
                    links_done += product.links.size
            if counting is not None:
                counting.result()
        if not self.done:
            self._cut_off(self._most_kept)
            for tally in self.tallies:
                tally.end()
            self.done = True

    @with_own_settings
    def _add(self, tile: Tile, at: int, step: int) -> None:
        self.digests.add(tile, at)
        if tile.parts is not None:
            tile.entries[tile.parts < 0] = -1
        first = int(self.first_key[tile.links[0, 0]])
        for part, place in enumerate(self._tallies(at)):
            tally = self.tallies[place]
            tested = tile.entries if tile.parts is None else tile.entries[tile.parts == part]
            self._count(tally, tested, first + part, tile)
            tally.keep(_places(tile, self.first_key, part, float(tally.kept_from)))
        if sum(tally.kept_size for tally in self.tallies) > _SLACK * self._most_kept:
            self._cut_off(self._most_kept)
        self._next = step + 1

    def _count(self, tally: Tally, entries: Tensor, key: int, tile: Tile) -> None:
        """Count a tile's tested entries of one law; one by one where keys are few."""
        if not self.key_counts:
            tally.add(entries)
        elif tile.links.size == 1:
            for kind, added in tally.add(entries).items():
                self.key_counts[kind][key] += added
        else:
            for row in tile.rows:
                for column in tile.columns:
                    block = tile.entries[row.places, column.places]
                    key = int(self.first_key[tile.links[row.end, column.end]])
                    for kind, added in tally.add(block[block >= 0]).items():
                        self.key_counts[kind][key] += added

    def _tallies(self, at: int) -> list[int]:
        """The tallies of a product, law by law."""
        product = self.products[at]
        first = int(self.first_key[product.links[0, 0]])
        return [int(self.tally_of[first + part]) for part in range(len(product.laws))]

    def _cut_off(self, most: int) -> None:
        """Keep no more than ``most``: those with the smallest p-values, by a cut for all laws."""
        counted = [tally for tally in self.tallies if tally.counted]
        if not counted or sum(tally.kept_size for tally in counted) <= most:
            return
        kept: Counts = np.sum([tally.kept_at() for tally in counted], axis=0)
        place = max(int(np.searchsorted(kept, most, side="right")) - 1, 0)
        for tally in counted:
            tally.keep_from(place)

    # What is asked later.

    def above(self, least: Sequence[float], below: Sequence[float] | None = None) -> Iterator[Kept]:
        """All tested entries that reach a weight for their tally (and lie below another)."""
        for at, rows, columns in self._steps:
            tallies = self._tallies(at)
            if all(least[place] == np.inf for place in tallies):
                continue
            tile = self.products[at].tile(rows, columns)
            for part, place in enumerate(tallies):
                found = _places(tile, self.first_key, part, least[place])
                if below is not None:
                    found = found.chosen(found.weight < below[place])
                yield found

    def resolve(self, kind: Kind, log_p: NDArray[np.float64]) -> None:
        """Collect the entries in each bracket of the grid that one of these cuts lies in."""
        open_ = [tally.unresolved(kind, log_p) for tally in self.tallies]
        places = np.unique(np.concatenate([np.empty(0, np.intp), *open_])).tolist()
        if not places:
            return
        ends = [[tally.bracket(kind, place) for place in places] for tally in self.tallies]
        parts: list[list[list[Kept]]] = [[[] for _ in places] for _ in self.tallies]
        # All of them in one pass: its products are what costs.
        least = [min(low for low, _ in of_tally) for of_tally in ends]
        below = [max(high for _, high in of_tally) for of_tally in ends]
        for found in self.above(least, below):
            if found.key.size:
                at = self.tally_of[found.key[0]]
                for part, (low, high) in zip(parts[at], ends[at], strict=True):
                    part.append(found.chosen((found.weight >= low) & (found.weight < high)))
        for tally, of_tally in zip(self.tallies, parts, strict=True):
            for place, part in zip(places, of_tally, strict=True):
                entries = Kept.joined(part, tally.dtype)
                ascending = entries.chosen(np.argsort(entries.weight, kind="stable"))
                tally.brackets[kind][place] = ascending

    def key_number(self, key: TestKey) -> int:
        """The place of a key among ``keys``; raises ``KeyError`` for one that is not."""
        link, part = key
        first, end = self.first_key[self._links.number(link) :][:2].tolist()
        if not 0 <= part < end - first:
            raise KeyError(key)
        return int(first + part)

    def link(self, number: int) -> LinkKey:
        """The key of a link by its number."""
        return self._links.key(number)

    def intensities(self) -> Iterator[tuple[Product, NDArray[np.float64], NDArray[np.intp]]]:
        """Products, the intensities on their links, and where each producer's begin.

        Those are ``[consumers, neurons]``, the neurons of all producers beside each other.
        """
        return zip(self.products, *self.digests.intensities, strict=True)

    def intensity(self, link: LinkKey) -> NDArray[np.float64] | None:
        """As ``Adjacency.intensity``; None of a link that does not pass here."""
        return self.digests.intensity(self._links.number(link))

    def entries(self, link: LinkKey) -> Tensor | None:
        """The matrix of a link of a bus, from the tiles that were counted; None of another link."""
        product, consumer, producer = self.digests.place(self._links.number(link))
        if not isinstance(product, Bus):
            return None
        made = torch.empty(product.consumers[consumer], product.producers[producer])
        for rows, row in _holding(product.row_packs, consumer):
            for columns, column in _holding(product.column_packs, producer):
                tile = product.tile(rows, columns).entries.cpu()
                made = made.to(tile.dtype)
                made[row.neurons, column.neurons] = tile[row.places, column.places]
        return made


def _holding(packs: Sequence[Pack], end: int) -> list[tuple[Pack, Span]]:
    """The packs that hold neurons of a map, and where."""
    return [(pack, span) for pack in packs for span in pack if span.end == end]


def _places(tile: Tile, first_key: NDArray[np.intp], part: int, least: float) -> Kept:
    """The tested entries of one law that reach a weight, with their places."""
    width = tile.entries.shape[1]
    if tile.entries.device.type == "cpu":
        entries = tile.entries.numpy()
        chosen = entries >= least
        if tile.parts is not None:
            chosen &= tile.parts.numpy() == part
        at = np.flatnonzero(chosen)
        weight = entries.reshape(-1)[at]
    else:
        strong = tile.entries >= least
        if tile.parts is not None:
            strong &= tile.parts == part
        places = strong.flatten().nonzero().flatten()
        at, weight = places.cpu().numpy(), tile.entries.flatten()[places].cpu().numpy()
    row, column = np.divmod(at, width)
    n, consumer = _neurons(tile.rows)
    m, producer = _neurons(tile.columns)
    keys = (first_key[tile.links] + part).astype(np.int32)
    return Kept(weight, keys[consumer[row], producer[column]], n[row], m[column])


def _neurons(pack: Pack) -> tuple[Numbers, Numbers]:
    """The place of each neuron along a side in its map, and which of the maps that is."""
    places = [np.arange(span.neurons.start, span.neurons.stop, dtype=np.int32) for span in pack]
    ends = [np.full(len(each), span.end, np.int32) for span, each in zip(pack, places, strict=True)]
    return np.concatenate(places), np.concatenate(ends)
