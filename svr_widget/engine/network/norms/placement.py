"""Which side of a link each norm moves to; the rules are in ``normalisation``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor

from svr_widget.engine.errors import UnsupportedLayerError
from svr_widget.engine.maps.linear_map import LinearMap
from svr_widget.engine.maps.links import OUTSIDE, Link, Norm, Step

Side = Literal["producer", "consumer"]

_RANKS = {"scale": 0, "channelwise": 1, "homogeneous": 2, "nonlinear": 3, "unfoldable": 3}
_LINEAR, _HOMOGENEOUS = _RANKS["channelwise"], _RANKS["homogeneous"]


@dataclass(frozen=True)
class Placement:
    """Where a norm goes.

    Attributes:
        side: into the maps on which side of it.
        signed: homogeneous functions lie between, so that its signs stay on the link.
    """

    side: Side
    signed: bool = False

    def moving(self, factors: Tensor) -> Tensor:
        """What of its factors goes into the weights."""
        return factors.abs() if self.signed else factors


class Placements:
    """The sides of all norms of a network.

    Attributes:
        ways: the links and ends that count. Ends count for maps that no link leaves.
    """

    def __init__(
        self, maps: Mapping[str, LinearMap], links: Sequence[Link], ends: Sequence[Link]
    ) -> None:
        """Place every norm.

        Raises:
            UnsupportedLayerError: a norm on a link can go nowhere.
        """
        self._maps = maps
        producers = {link.producer for link in links}
        every = [*links, *(end for end in ends if end.producer not in producers)]
        known: dict[Norm, Norm] = {}
        self.ways = [
            replace(way, steps=tuple(_checked(step, way, known) for step in way.steps))
            for way in every
        ]
        self._ends: dict[Side, dict[str, list[Link]]] = {"producer": {}, "consumer": {}}
        self._met: dict[Norm, list[tuple[Link, int]]] = {}
        for way in self.ways:
            for side, ends_of in self._ends.items():
                ends_of.setdefault(_end(way, side), []).append(way)
            for at, step in enumerate(way.steps):
                if step.kind == "unfoldable" and _is_link(way):
                    raise refusal(step.name, way, step.why)
                if step.norm is not None:
                    self._met.setdefault(step.norm, []).append((way, at))
        self._placed: dict[Norm, Placement] = {}
        for norm in sorted(self._met, key=lambda norm: (not norm.plain, not norm.centred)):
            self._place(norm)

    def __getitem__(self, norm: Norm) -> Placement:
        """Where a norm goes."""
        return self._placed[norm]

    def at(self, side: Side, name: str) -> list[Link]:
        """The ways that leave a producer or enter a consumer."""
        return self._ends[side].get(name, [])

    def steps(self, way: Link, side: Side) -> list[tuple[Norm, Tensor]]:
        """The norms on a way that go to a side of it, in order, and their factors."""
        return [
            (step.norm, step.factors)
            for step in way.steps
            if step.norm is not None and step.factors is not None and self._goes(step) == side
        ]

    def _goes(self, step: Step) -> Side | None:
        placement = None if step.norm is None else self._placed.get(step.norm)
        return None if placement is None else placement.side

    def centred_next(self, way: Link, width: int) -> bool:
        """Whether the first thing behind a producer of that width is a consumer's layer norm."""
        first = next((step for step in way.steps if self._goes(step) != "producer"), None)
        if first is None or first.norm is None or self._goes(first) is None:
            return False
        return first.norm.centred == width == way.shared

    def _place(self, norm: Norm) -> None:
        candidates: list[tuple[Side, int]]
        if norm.centred:
            candidates = [("consumer", _LINEAR), ("producer", _LINEAR)]
        else:
            candidates = [("producer", _LINEAR), ("consumer", _LINEAR)]
            candidates += [("consumer", _HOMOGENEOUS), ("producer", _HOMOGENEOUS)]
        reasons: dict[str, None] = {}
        for side, allowed in candidates:
            reason = self._reason_against(norm, side, allowed)
            if reason is None:
                self._placed[norm] = Placement(side, allowed == _HOMOGENEOUS)
                return
            reasons[reason] = None
        link = next((way for way, _ in self._met[norm] if _is_link(way)), None)
        if link is not None and not norm.plain:
            raise refusal(norm.name, link, "; and ".join(reasons))

    def _reason_against(self, norm: Norm, side: Side, allowed: int) -> str | None:
        """Why a norm cannot go to that side, as part of a sentence; None where it can."""
        ends: dict[str, None] = {}
        for way, at in self._met[norm]:
            name = _end(way, side)
            if name == OUTSIDE or sum(step.norm is norm for step in way.steps) > 1:
                return "it is applied more than once, or at the end of the network"
            between = way.steps[:at] if side == "producer" else way.steps[at + 1 :]
            crossed = next(
                (s for s in between if _centres(s) and self._goes(s) != "producer"), None
            )
            if crossed is not None:
                return f"to reach {name!r} it would have to cross the mean of {crossed.name}"
            effect = max(map(self._rank, between), default=0)
            if effect > allowed:
                return f"an activation separates it from {name!r}"
            if norm.centred and (effect > 0 or not self._whole(norm, way, side)):
                return f"it centres other channels than those of {name!r}, or a factor lies between"
            ends[name] = None
        for name in ends:
            if side == "producer" and len(self._norm_at(norm, side, name)) < len(
                self.at(side, name)
            ):
                return f"{name!r} is also read by another way, without it"
            if side == "consumer" and not self._reads_all_through(norm, name):
                return f"{name!r} also reads these channels by another way, without it"
        return None

    def _rank(self, step: Step) -> int:
        stays = step.norm is not None and step.norm.plain and step.norm not in self._placed
        return _RANKS["channelwise" if stays else step.kind]

    def _whole(self, norm: Norm, way: Link, side: Side) -> bool:
        """Whether the channels whose mean is subtracted are all of the map's on that side."""
        linear = self._maps[_end(way, side)]
        if side == "consumer" and way.consumer_channels.ndim > 1:
            return False
        width = linear.out_channels if side == "producer" else linear.in_channels
        return linear.groups == 1 and norm.centred == width

    def _norm_at(self, norm: Norm, side: Side, name: str) -> list[tuple[Link, int]]:
        return [(way, at) for way, at in self._met[norm] if _end(way, side) == name]

    def _reads_all_through(self, norm: Norm, name: str) -> bool:
        """Whether all that a map reads in a norm's channels comes through it, by equal factors."""
        table = torch.full((self._maps[name].in_channels,), torch.nan, dtype=torch.float64)
        through = self._norm_at(norm, "consumer", name)
        for way, at in through:
            factors = way.steps[at].factors
            assert factors is not None
            read, values = read_factors(way, factors)
            if bool((~table[read].isnan() & (table[read] != values)).any()):
                return False
            table[read] = values
        inside = {id(way) for way, _ in through}
        others = (way for way in self.at("consumer", name) if id(way) not in inside)
        return all(bool(table[way.consumer_channels].isnan().all()) for way in others)


def read_factors(way: Link, factors: Tensor) -> tuple[Tensor, Tensor]:
    """Input channels of a way's consumer and, of factors by producer's channel, that in each."""
    values, read = factors[way.producer_channels], way.consumer_channels
    if read.ndim == 2:
        values, read = values[:, None].expand_as(read).flatten(), read.flatten()
    return read, values


def refusal(name: str, way: Link, why: str) -> UnsupportedLayerError:
    """The error that names a norm, the link and the reason."""
    return UnsupportedLayerError(
        f"{name} on the link {way.producer!r} -> {way.consumer!r} cannot be folded: {why}; use "
        "norm='ignore'"
    )


def _checked(step: Step, way: Link, known: dict[Norm, Norm]) -> Step:
    """A step, its norm the same object wherever an equal one stands, its factors complete."""
    if step.norm is None or step.factors is None:
        return step
    width = 1 + int(way.producer_channels.max()) if way.shared else 0
    if width > len(step.factors) or bool(step.factors[way.producer_channels].isnan().any()):
        return Step("unfoldable", step.name, why="only a part of the channels passes it")
    return replace(step, norm=known.setdefault(step.norm, step.norm))


def _centres(step: Step) -> bool:
    return step.norm is not None and step.norm.centred > 0


def _is_link(way: Link) -> bool:
    return OUTSIDE not in (way.producer, way.consumer)


def _end(way: Link, side: Side) -> str:
    return way.producer if side == "producer" else way.consumer
