"""The maps of attention heads: products of two matrices in place of the matrices.

Per head ``W_O W_V`` (OV) says what a value position writes, and ``W_Q^T W_K`` (QK) which positions
attend to which: its ``U`` reads the query's position, its ``V`` the key's. Singular vectors of the
four matrices themselves move when the head's basis is rotated, which changes no output. Biases are
ignored, and so is the scale ``1 / sqrt(d)`` of the scores, on which no singular vector depends: the
singular values of QK are those of ``W_Q^T W_K`` itself.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor

from svr_widget.engine.errors import listed
from svr_widget.engine.maps.bundles import Bundle, Links
from svr_widget.engine.maps.copied import factors_of
from svr_widget.engine.maps.linear_map import LinearMap
from svr_widget.engine.maps.links import Link, Side
from svr_widget.engine.trace.results.heads import Attention
from svr_widget.engine.trace.rules.head_pairs import Pairing

AttentionView = Literal["products", "plain"]
"""Attention as products of each head's matrices, or as the matrices themselves."""

ROTATED = "positions turn queries and keys; QK is their product at relative position 0"


@dataclass(frozen=True, eq=False)
class Product:
    """One head's product of two maps.

    Attributes:
        name: what it is called.
        kind: ``"OV"`` or ``"QK"``.
        maps: the output and the value map, or the query and the key map.
        channels: int64 ``[d]`` and ``[d]``, the channels of the two that meet: input channels of
            the output map and output channels of the value map, or output channels of both.
        remark: what has to be said about it.
    """

    name: str
    kind: Literal["OV", "QK"]
    maps: tuple[str, str]
    channels: tuple[Tensor, Tensor]
    remark: str = ""

    @property
    def readers(self) -> tuple[tuple[str, Side], ...]:
        """The maps through which it reads, and which of its sides each is."""
        left, right = self.maps
        return ((right, None),) if self.kind == "OV" else ((left, "q"), (right, "k"))

    def of(self, maps: Mapping[str, LinearMap], depth: int) -> LinearMap:
        """The product of the two maps."""
        outer, inner = (maps[name] for name in self.maps)
        left, right = (_whole(linear).flatten(1) for linear in (outer, inner))
        out_normal = outer.normals[0 if self.kind == "OV" else 1]
        outer_channels, inner_channels = map(_run, self.channels)
        left = left[:, outer_channels] if self.kind == "OV" else left[outer_channels].T
        factors = factors_of((left, right[inner_channels]), (outer, inner))
        return LinearMap(
            self.name,
            "attention",
            factors,
            depth=depth,
            product_of=self.maps,
            product_channels=self.channels,
            remark=self.remark,
            norms=tuple(dict.fromkeys((*inner.norms, *outer.norms))),
            normals=(out_normal, inner.normals[1]),
        )


@dataclass(frozen=True, eq=False)
class Plan:
    """A network with products in the place of the maps that they account for.

    Attributes:
        order: the names of all maps, products among them, in order of execution.
        links: every link.
        products: by name.
        notes: what has to be said about them.
    """

    order: tuple[str, ...]
    links: Links
    products: Mapping[str, Product]
    notes: tuple[str, ...]


def plan_products(
    maps: Mapping[str, LinearMap],
    rank: Mapping[str, int],
    links: Sequence[Link],
    attentions: Sequence[Attention],
) -> Plan:
    """Put products in the place of maps.

    A map stays beside them where they leave out some of its channels, or where it is linked to
    something else as well.

    Args:
        maps: the plain ones, in order of execution.
        rank: the places of those that ran in that order.
        links: the links between them, without those that the attentions pair.
        attentions: the heads.
    """
    products = list(_products(attentions))
    gone = _accounted_for(maps, links, products)
    places = {name: rank.get(name, len(maps)) for name in maps if name not in gone}
    places |= {product.name: max(rank[name] for name in product.maps) for product in products}
    return Plan(
        tuple(sorted(places, key=places.__getitem__)),
        Links(_replaced(links, gone, products)).directed(places),
        {product.name: product for product in products},
        tuple(_notes(products)),
    )


def _whole(linear: LinearMap) -> Tensor:
    """The weight as it is kept: what stays in a file is not read for a part of it."""
    return linear.factors[0] if len(linear.factors) == 1 else linear.weight


def _run(channels: Tensor) -> Tensor | slice:
    """Channels that follow each other, as those of most heads do, as a slice: it takes no copy."""
    first = int(channels[0]) if len(channels) else 0
    follow = torch.equal(channels, torch.arange(first, first + len(channels)))
    return slice(first, first + len(channels)) if follow else channels


def _notes(products: Sequence[Product]) -> Iterator[str]:
    """The remarks, each once, with the first of the modules that it is about."""
    about: dict[str, dict[str, None]] = {}
    for product in products:
        if product.remark:
            about.setdefault(product.remark, {})[product.name.rpartition("[")[0]] = None
    for remark, modules in about.items():
        yield f"{remark} ({listed(modules)})"


def _products(attentions: Sequence[Attention]) -> Iterator[Product]:
    """Every head's products; the same head of a module that runs twice has one."""
    known: set[tuple[object, ...]] = set()
    count: dict[tuple[str, str], int] = {}
    for attention in attentions:
        module = _module(attention)
        remark = ROTATED if attention.rotated else ""
        pairings: list[tuple[Literal["OV", "QK"], Pairing, str]]
        pairings = [("QK", attention.scores, remark)]
        pairings += [("OV", output, "") for output in attention.outputs]
        for kind, pairing, said in pairings:
            for left, right in pairing.heads:
                key = (module, kind, *pairing.maps, *left.tolist(), *right.tolist())
                if key in known:
                    continue
                known.add(key)
                number = count.get((module, kind), 0)
                count[module, kind] = number + 1
                yield Product(f"{module}[{kind}.{number}]", kind, pairing.maps, (left, right), said)


def _module(attention: Attention) -> str:
    """The innermost module that holds all maps of an attention."""
    pairings = (attention.scores, *attention.outputs)
    paths = [name.split(".")[:-1] for pairing in pairings for name in pairing.maps]
    alike = itertools.takewhile(lambda level: len(set(level)) == 1, zip(*paths, strict=False))
    return ".".join(level[0] for level in alike) or attention.module or "attention"


def _accounted_for(
    maps: Mapping[str, LinearMap], links: Sequence[Link], products: Sequence[Product]
) -> set[str]:
    """The maps all of whose channels the products hold, and nothing else leads in or out of."""
    read: dict[str, list[Tensor]] = {}
    written: dict[str, list[Tensor]] = {}
    for product in products:
        for name, channels, at_input in zip(
            product.maps, product.channels, (product.kind == "OV", False), strict=True
        ):
            (read if at_input else written).setdefault(name, []).append(channels)

    def complete(held: Mapping[str, list[Tensor]], width: str) -> set[str]:
        return {
            name
            for name, channels in held.items()
            if len(set(torch.cat(channels).tolist())) == getattr(maps[name], width)
        }

    inner = complete(read, "in_channels") - {link.consumer for link in links}
    return inner | (complete(written, "out_channels") - {link.producer for link in links})


def _replaced(
    links: Sequence[Link], gone: set[str], products: Sequence[Product]
) -> Iterator[Bundle]:
    """Every link from and to what stands in the place of its ends, on the same channels."""
    writers: dict[str, list[str]] = {}
    readers: dict[str, list[tuple[str, Side]]] = {}
    for product in products:
        if product.kind == "OV":
            writers.setdefault(product.maps[0], []).append(product.name)
        for name, side in product.readers:
            readers.setdefault(name, []).append((product.name, side))
    for link in links:
        producers = [name for name in (link.producer,) if name not in gone]
        consumers: list[tuple[str, Side]] = [
            (name, None) for name in (link.consumer,) if name not in gone
        ]
        consumers += readers.get(link.consumer, [])
        producers += writers.get(link.producer, [])
        if producers and consumers:
            name, side = consumers[0]
            first = replace(link, producer=producers[0], consumer=name, side=side)
            yield Bundle(first, tuple(producers), tuple(consumers))
