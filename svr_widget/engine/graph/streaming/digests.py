"""What is known of each link once its entries have passed: its strongest edge, its intensities."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from svr_widget.engine.graph.streaming.products import Product, Tile

Floats = NDArray[np.float64]


class StrongestEdge(NamedTuple):
    """The largest entry of a link that follows one law.

    Attributes:
        m, n: the producer's and the consumer's neuron.
        weight: the entry.
    """

    m: int
    n: int
    weight: float


class Digests:
    """What lasts of every link.

    Args:
        products: those whose tiles will come, column by column of tiles.
        first_key: the number of each link's first test key, and of all of them.

    Attributes:
        sizes: tested entries of each test key.
        largest: the largest of them; -1 where none is.
    """

    def __init__(self, products: Sequence[Product], first_key: NDArray[np.intp]) -> None:
        self._products, self._first_key = products, first_key
        count = int(first_key[-1])
        self.sizes = np.zeros(count, np.int64)
        self.largest = np.full(count, -1.0)
        self._n, self._m = (np.zeros(count, np.int32) for _ in range(2))
        self._place = np.full((len(first_key) - 1, 3), -1, np.int32)
        self._intensities: list[Floats] = []
        self._starts: list[NDArray[np.intp]] = []
        self._sums: dict[int, Floats] = {}
        for at, product in enumerate(products):
            consumers, producers = np.indices(product.links.shape)
            self._place[product.links] = np.stack(
                [np.full_like(consumers, at), consumers, producers], axis=-1
            )
            starts = np.cumsum([0, *product.producers])
            self._starts.append(starts)
            self._intensities.append(np.zeros((len(product.consumers), starts[-1])))

    def place(self, link: int) -> tuple[Product | None, int, int]:
        """The product of a link, and which of its consumers and producers it joins."""
        at, consumer, producer = self._place[link].tolist()
        return self._products[at] if at >= 0 else None, consumer, producer

    def intensity(self, link: int) -> Floats | None:
        """As ``Adjacency.intensity``; None of a link that is not in the pass."""
        at, consumer, producer = self._place[link].tolist()
        if at < 0:
            return None
        start, stop = self._starts[at][producer : producer + 2]
        found: Floats = self._intensities[at][consumer, start:stop]
        return found

    @property
    def strongest_edges(self) -> tuple[NDArray[np.int32], NDArray[np.int32], Floats]:
        """``m``, ``n`` and the weight of the largest entry of every key; 0 where none is tested."""
        tested = self.sizes > 0
        return self._m * tested, self._n * tested, np.where(tested, self.largest, 0.0)

    @property
    def intensities(self) -> tuple[list[Floats], list[NDArray[np.intp]]]:
        """Product by product those on its links, and where each producer's begin."""
        return self._intensities, self._starts

    def strongest(self, key: int) -> StrongestEdge | None:
        """The largest tested entry; None where nothing is tested."""
        if not self.sizes[key]:
            return None
        return StrongestEdge(int(self._m[key]), int(self._n[key]), float(self.largest[key]))

    def add(self, tile: Tile, product: int) -> None:
        """Take in a tile of a product; tiles of the same columns come from the first row on."""
        self._add_intensities(tile, product)
        for part in range(len(self._products[product].laws)):
            self._add_strongest(tile, part, None if tile.parts is None else tile.parts == part)

    def _add_intensities(self, tile: Tile, at: int) -> None:
        starts = self._starts[at]
        columns = slice(
            int(starts[tile.columns[0].end]) + tile.columns[0].neurons.start,
            int(starts[tile.columns[-1].end]) + tile.columns[-1].neurons.stop,
        )
        null_rows, null_columns = tile.null
        for span in tile.rows:
            mean = tile.mean if isinstance(tile.mean, float) else tile.mean[span.places]
            before = self._sums[span.end] if span.neurons.start else np.zeros(len(null_columns))
            entries = tile.entries[span.places]
            rise = _rise if entries.device.type == "cpu" else _rise_on_device
            sums, largest = rise(entries, mean, ~null_rows[span.places], before)
            self._sums[span.end] = sums
            largest[null_columns] = 0.0
            kept = self._intensities[at][span.end, columns]
            np.maximum(kept, largest, out=kept)

    def _add_strongest(self, tile: Tile, part: int, tested: Tensor | None) -> None:
        entries = tile.entries if tested is None else tile.entries.masked_fill(~tested, -1)
        width = entries.shape[1]
        starts = np.array([span.places.start for span in tile.columns])
        sizes = np.diff([*starts, width])
        columns = np.array([span.end for span in tile.columns])
        offsets = np.array([span.neurons.start for span in tile.columns])
        for row in tile.rows:
            block = entries[row.places]
            keys = self._first_key[tile.links[row.end, columns]] + part
            if tested is None:
                self.sizes[keys] += len(block) * sizes
            else:
                self.sizes[keys] += np.add.reduceat(tested[row.places].sum(0).cpu().numpy(), starts)
            in_columns = _largest(block)
            largest = np.maximum.reduceat(in_columns, starts)
            better = largest > self.largest[keys]
            if not better.any():
                continue
            # Of equal ones the first in the order of rows.
            risen = np.repeat(np.where(better, largest, np.nan), sizes)
            holding = np.flatnonzero(in_columns == risen)
            rows = _first_rows(block, holding, in_columns[holding])
            of_link = np.searchsorted(starts, holding, side="right") - 1
            order = np.lexsort((holding, rows, of_link))
            order = order[np.unique(of_link[order], return_index=True)[1]]
            n, m, keys = rows[order], holding[order], keys[better]
            self.largest[keys] = largest[better]
            self._n[keys] = n + row.neurons.start
            self._m[keys] = m + (offsets - starts)[better]


def _largest(block: Tensor) -> NDArray[np.floating]:
    """The largest entry of each column."""
    if block.device.type == "cpu":
        return np.asarray(block.numpy().max(0))
    return np.asarray(block.amax(0).cpu().numpy())


def _first_rows(
    block: Tensor, columns: NDArray[np.intp], values: NDArray[np.floating]
) -> NDArray[np.intp]:
    """The first row of some columns that holds a value."""
    if block.device.type == "cpu":
        return np.asarray((block.numpy()[:, columns] == values).argmax(0))
    there = torch.from_numpy(columns).to(block.device)
    held = block[:, there] == torch.from_numpy(values).to(block.device)
    return np.asarray(held.int().argmax(0).cpu().numpy())


def _rise(
    entries: Tensor, mean: float | Floats, counted: NDArray[np.bool_], before: Floats
) -> tuple[Floats, Floats]:
    """Sums of entries less their mean, row by row on from ``before``, and the largest of them.

    NumPy and PyTorch take ten times as long to accumulate along the rows of a whole matrix.
    """
    sums, largest, step = before.copy(), before.copy(), np.empty_like(before)
    for row, each in enumerate(entries.numpy()):
        if counted[row]:
            expected = mean if isinstance(mean, float) else mean[row]
            np.subtract(each, expected, out=step, dtype=np.float64)
            sums += step
            np.maximum(largest, sums, out=largest)
    return sums, largest


def _rise_on_device(
    entries: Tensor, mean: float | Floats, counted: NDArray[np.bool_], before: Floats
) -> tuple[Floats, Floats]:
    """The same, of a matrix on another device."""
    device = entries.device
    centred = entries.double() - torch.as_tensor(mean, dtype=torch.float64, device=device)
    centred[torch.from_numpy(~counted).to(device)] = 0.0
    sums = centred.cumsum(0) + torch.from_numpy(before).to(device)
    return sums[-1].cpu().numpy(), sums.amax(0).cpu().numpy()
