"""Links by construction: one tensor at both ends, plain at one and transposed at the other.

There the consumer's input representations are the producer's output representations, whatever
was trained, as between an embedding and the head that is tied to it. What is said of it is no
finding, so such links are no tests (``Link.by_construction``). A map that feeds itself and two
maps that use one tensor alike are tests like any other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace

import torch
from torch import Tensor

from svr_widget.engine.errors import listed
from svr_widget.engine.maps.bundles import Links
from svr_widget.engine.maps.linear_map import LinearMap
from svr_widget.engine.maps.links import OUTSIDE, Link
from svr_widget.engine.maps.parts import Part

ROUNDED = 0.05
"""How far one tensor may be from itself where it is cast or quantised at one end, relative to it.

Multiples of it have the same singular vectors.
"""

Tied = Callable[[str, str], bool]
"""Whether the second of two maps uses the tensor of the first, transposed."""


def marked(
    links: Iterable[Link], maps: Mapping[str, LinearMap], parts: Mapping[str, Part]
) -> tuple[Link, ...]:
    """The links of a model, those by construction marked: both ends keep the same memory."""

    def tied(producer: str, consumer: str) -> bool:
        # The effective weights may differ all the same: an adapter at one end, a scale, a cast.
        same = _transposed_memory(parts[producer], parts[consumer])
        return same and _transposed(maps[producer], maps[consumer], ROUNDED)

    return _marked(links, maps, tied)


def marked_by_content(links: Iterable[Link], maps: Mapping[str, LinearMap]) -> tuple[Link, ...]:
    """The links of bare weights, where only equal content shows that two were one tensor.

    What a constant matrix, or one that is its own transpose, was used as cannot be told.
    """

    def tied(producer: str, consumer: str) -> bool:
        one, other = maps[producer], maps[consumer]
        if not _transposed(one, other):
            return False
        weight = one.factors[0]
        symmetric = torch.equal(weight, other.factors[0])
        return not symmetric and bool(weight.min() < weight.max())

    return _marked(links, maps, tied)


def marked_by_record(links: Iterable[Link], maps: Mapping[str, LinearMap]) -> tuple[Link, ...]:
    """The links of a file that was saved when none were marked: by which weights are one."""

    def tied(producer: str, consumer: str) -> bool:
        one, other = maps[producer], maps[consumer]
        if (one.tied_to or one.name) != (other.tied_to or other.name):
            return False
        sent, read = one.factors[0].transpose(0, 1), other.factors[0]
        return (sent.shape, sent.stride()) == (read.shape, read.stride())

    return _marked(links, maps, tied)


def notes_on(links: Iterable[Link]) -> Iterator[str]:
    """One note on the links by construction, where there are any."""
    made = Links(each for each in Links.of(links).bundles if each.link.by_construction)
    names = [repr(f"{link.producer} -> {link.consumer}") for link in made]
    if names:
        yield (
            f"one tensor at both ends, plain at one and transposed at the other: {listed(names)}; "
            "such edges are there by construction, outside all tests; "
            "edges(by_construction=True) gives them"
        )


def _marked(links: Iterable[Link], maps: Mapping[str, LinearMap], tied: Tied) -> tuple[Link, ...]:
    def constructed(link: Link) -> bool:
        ends = link.producer, link.consumer
        if OUTSIDE in ends or ends[0] == ends[1] or link.side is not None:
            return False
        sent, read = link.producer_channels, link.consumer_channels
        if sent.shape != read.shape or not torch.equal(sent, read):
            return False
        single = all(len(maps[end].factors) == maps[end].groups == 1 for end in ends)
        return single and tied(*ends)

    return tuple(
        replace(link, by_construction=True) if constructed(link) else link for link in links
    )


def _transposed(one: LinearMap, other: LinearMap, within: float = 0.0) -> bool:
    """Whether two canonical weights are each other's transposes; a kernel stays as it is.

    With ``within``, whether one is a multiple of the other's but for this relative distance.
    """
    sent, read = one.factors[0].transpose(0, 1), other.factors[0]
    if sent.shape != read.shape:
        return False
    if sent.is_meta or torch.equal(sent, read):
        return True
    if not within:
        return False
    sent, read = sent.double().flatten(), read.double().flatten()
    square = float(sent @ sent)
    scale = float(sent @ read) / square if square else 0.0
    return scale != 0 and float((read - scale * sent).norm()) <= within * float(read.norm())


def _transposed_memory(one: Part, other: Part) -> bool:
    """Whether two parts keep the same rows of one tensor and use them transposed to each other."""
    if one.held is not None and one.held is other.held and one.matrix and other.matrix:
        return one.matrix == other.matrix.swapped
    if one.held is not None and one.held is other.held and not (one.matrix or other.matrix):
        return one.memory == other.memory and one.kind.transposed != other.kind.transposed
    views = [_view(part) for part in (one, other)]
    if views[0] is None or views[1] is None:
        return False
    sent, read = views[0].transpose(0, 1), views[1]
    return (
        sent.untyped_storage()._cdata == read.untyped_storage()._cdata
        and (sent.dtype, sent.shape) == (read.dtype, read.shape)
        and (sent.storage_offset(), sent.stride()) == (read.storage_offset(), read.stride())
    )


def _view(part: Part) -> Tensor | None:
    """What a part keeps, canonical, in its own memory; None where that is computed or no tensor."""
    held = part.held
    if held is None or type(held) not in (Tensor, torch.nn.Parameter) or part.groups > 1:
        return None
    held = held.detach()
    if part.matrix is not None:
        return part.matrix.view(held) if held.ndim == 2 else None
    if part.outputs < part.total:
        held = held.narrow(int(part.kind.transposed), part.rows.start, part.outputs)
    return held.transpose(0, 1) if part.kind.transposed else held
