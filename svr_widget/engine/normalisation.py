"""Norms folded into the linear maps that they touch: ``SVR(model, norm="fold")``.

The SVR leaves out the non-linearities of a link (paper, section 2.2). What is then left of producer
``P``, norm and consumer ``C`` is ``W_C N W_P``, in evaluation and up to shifts, which are biases:

* batch norm, and instance norm with stored statistics: ``N = diag(gamma / sqrt(var + eps))``;
* RMS norm: ``N = diag(gamma)``, and layer norm: ``N = diag(gamma) (I - 11^T/c)``, each up to one
  number a position, the same for all channels, which turns no singular vector;
* any other product with a stored vector, such as layer scale: ``N = diag(vector)``. These are no
  norms: where they cannot be folded, they stay outside.

The vertices of the graph are the neurons of maps, so each map has one weight, which has to be right
on all of its links. A norm therefore moves as a whole into the maps on one side of it:

* into the **rows of the producers**, if only linear steps lie between them and it and whatever
  reads them reads them through it: convolution, batch norm, ReLU. What is decomposed is then the
  weight of ``fuse_conv_bn_eval``. A concatenation before the norm makes no difference.
* else into the **input channels of the consumers**, if all that these maps read in the same
  channels comes through it: a residual stream that several maps read, each through a norm of its
  own (transformers with the norm first), or batch norm right before a convolution.

A layer norm prefers the consumers, whose input representations then sum to 0. Producers that are
read through nothing but layer norms are centred as well: that changes no product of matrices, but
the dimension of chance is ``c - 1`` then.

ReLU, leaky ReLU and max pooling let positive factors pass, ``f(a x) = a f(x)``. Through them
``diag(|d|)`` moves exactly, while ``sign(d)`` stays where it is, as ``Link.signs``. That is how the
norms of networks with the activation first (pre-activation ResNet, DenseNet) reach their consumers.
Other activations let nothing pass.

Every norm on a link is placed, or refused by name:

* without stored statistics (group norm, instance norm, batch norm with
  ``track_running_stats=False``): each input brings other factors for different channels, so the
  weights alone do not say what the edge is. So does a norm of each head by itself.
* where neither side can take it: another activation on the way, or a map that would need different
  weights on different links, as in transformers with the norm behind the sum (BERT), whose residual
  stream is scaled anew in every layer.
* layer norms of channels of which a map has only a part (but for depthwise producers): the law
  of such an edge under chance is not known.

A norm before the first map or behind the last is on no link. It is folded where that map is all
that it touches; otherwise it stays outside, for it changes no edge.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor

from svr_widget.engine.errors import UnsupportedLayerError
from svr_widget.engine.links import OUTSIDE, Link, Norm, Step
from svr_widget.engine.maps import LinearMap

Normalisation = Literal["ignore", "fold"]
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


def fold(
    maps: Mapping[str, LinearMap], links: Sequence[Link], ends: Sequence[Link] = ()
) -> tuple[dict[str, LinearMap], tuple[Link, ...]]:
    """Fold every norm that stands on a link into the maps on one side of it.

    Args:
        maps: the maps by name.
        links: all links between them, with their ``steps``.
        ends: what leads from the input of the network to a map, or from a map to its output; the
            other end is called ``OUTSIDE``.

    Returns:
        The maps with their folded weights, and the links with the signs that are left on them.

    Raises:
        UnsupportedLayerError: a norm cannot be folded exactly; the message names it, the link and
            the reason.
    """
    return _Folding(maps, links, ends).result()


class _Folding:
    def __init__(
        self, maps: Mapping[str, LinearMap], links: Sequence[Link], ends: Sequence[Link]
    ) -> None:
        self.maps, self.links = maps, tuple(links)
        producers = {link.producer for link in links}
        self.ways = [*links, *(end for end in ends if end.producer not in producers)]
        self.norms: dict[Norm, list[tuple[Link, int]]] = {}
        for way in self.ways:
            for at, step in enumerate(way.steps):
                if step.kind == "unfoldable" and _inside(way):
                    raise _refusal(step.name, way, step.why)
                if step.norm is not None:
                    self.norms.setdefault(step.norm, []).append((way, at))
        self.placed: dict[Norm, Placement] = {}
        for norm in sorted(self.norms, key=lambda norm: not norm.plain):
            self._place(norm)
        for link in links:
            self._check_order(link)

    # Which side each norm goes to.

    def _place(self, norm: Norm) -> None:
        candidates: list[tuple[Side, int]]
        if norm.centred:
            candidates = [("consumer", _LINEAR), ("producer", _LINEAR)]
        else:
            candidates = [("producer", _LINEAR), ("consumer", _LINEAR)]
            candidates += [("consumer", _HOMOGENEOUS), ("producer", _HOMOGENEOUS)]
        reasons = []
        for side, allowed in candidates:
            reason = self._reason_against(norm, side, allowed)
            if reason is None:
                self.placed[norm] = Placement(side, allowed == _HOMOGENEOUS)
                return
            reasons.append(reason)
        way = next((way for way, _ in self.norms[norm] if _inside(way)), None)
        if way is not None and not norm.plain:
            raise _refusal(norm.name, way, "; and ".join(dict.fromkeys(reasons)))

    def _reason_against(self, norm: Norm, side: Side, allowed: int) -> str | None:
        """Why the norm cannot go to that side, as part of a sentence; None where it can."""
        for way, at in self.norms[norm]:
            name = _end(way, side)
            between = way.steps[:at] if side == "producer" else way.steps[at + 1 :]
            effect = max(map(self._rank, between), default=0)
            if name == OUTSIDE or sum(step.norm == norm for step in way.steps) > 1:
                return "it is applied more than once, or at the end of the network"
            if effect > allowed:
                return f"an activation separates it from {name!r}"
            if norm.centred and (effect > 0 or not _whole(norm, way, side, self.maps[name])):
                return f"it centres other channels than those of {name!r}, or a factor lies between"
            if not self._everywhere(norm, way, at, side):
                verb = "is also read" if side == "producer" else "also reads these channels"
                return f"{name!r} {verb} by another way, without it"
        return None

    def _rank(self, step: Step) -> int:
        stays = step.norm is not None and step.norm.plain and step.norm not in self.placed
        return _RANKS["channelwise" if stays else step.kind]

    def _everywhere(self, norm: Norm, way: Link, at: int, side: Side) -> bool:
        """Whether all that its end on that side feeds, or reads in these channels, passes it."""
        name = _end(way, side)
        for other in self.ways:
            if _end(other, side) != name or other is way:
                continue
            same = [step for step in other.steps if step.norm == norm]
            if side == "producer":
                if not same:
                    return False
                continue
            mine, theirs = way.consumer_channels.flatten(), other.consumer_channels.flatten()
            if bool(torch.isin(mine, theirs).any()):
                ours = _read_factors(way, way.steps[at])
                if not same or not _agree(ours, _read_factors(other, same[0])):
                    return False
        return True

    def _check_order(self, link: Link) -> None:
        """A mean is subtracted where it stands: nothing else may move across it."""
        norms = [step.norm for step in link.steps if step.norm in self.placed]
        sides = [self.placed[norm].side for norm in norms]
        for at, norm in enumerate(norms):
            behind = "producer" in sides[at + 1 :] if sides[at] == "consumer" else False
            before = "consumer" in sides[:at]
            if norm.centred and (behind or before):
                other = next(n.name for n in norms if n is not norm)
                raise _refusal(norm.name, link, f"{other} would have to move across its mean")

    # The weights.

    def result(self) -> tuple[dict[str, LinearMap], tuple[Link, ...]]:
        maps = {name: self._written(self._read(linear)) for name, linear in self.maps.items()}
        links = [replace(link, signs=self._signs(link)) for link in self.links]
        for link in links:
            self._check_law(link, maps[link.producer], maps[link.consumer])
        return maps, tuple(links)

    def _read(self, linear: LinearMap) -> LinearMap:
        """The map with the norms before it in its input channels."""
        factors = torch.ones(linear.in_channels, dtype=torch.float64)
        names: list[str] = []
        centred = False
        for norm, placement in self.placed.items():
            touched = torch.zeros(linear.in_channels, dtype=torch.bool)
            for way, at in self.norms[norm]:
                if placement.side == "consumer" and way.consumer == linear.name:
                    read, values = _read_factors(way, way.steps[at])
                    fresh = ~touched[read]
                    factors[read[fresh]] *= _moving(values[fresh], placement)
                    touched[read] = True
            if bool(touched.any()):
                names.append(norm.name)
                centred |= norm.centred > 0
        if not names:
            return linear
        weight = linear.weight.double()
        by_group = factors.view(linear.groups, -1, *[1] * len(linear.kernel))
        rows_of_each = linear.out_channels // linear.groups
        weight = weight * by_group.repeat_interleave(rows_of_each, dim=0)
        if not centred:
            return _with(linear, weight, names)
        weight = weight - weight.mean(1, keepdim=True)
        return _with(linear, weight, names, normals=(None, torch.ones_like(factors)))

    def _written(self, linear: LinearMap) -> LinearMap:
        """The map with the norms behind it in its output channels."""
        ways = [way for way in self.ways if way.producer == linear.name]
        orders = {tuple(norm for norm, _ in self._folded_back(way)) for way in ways}
        if not ways or (len(orders) == 1 and not any(orders) and not self._centres(linear, ways)):
            return linear
        weight, normal = linear.weight.double(), None
        column = (-1, *[1] * (weight.ndim - 1))
        for norm in next(iter(orders)):
            if norm.centred:
                if len(orders) > 1:
                    why = f"it stands in several orders with the other norms behind {linear.name!r}"
                    raise _refusal(norm.name, ways[0], why)
                weight = weight - weight.mean(0, keepdim=True)
                normal = torch.ones(linear.out_channels, dtype=torch.float64)
            factors = torch.full((linear.out_channels,), torch.nan, dtype=torch.float64)
            for way in ways:
                (found,) = (f for other, f in self._folded_back(way) if other == norm)
                factors[: len(found)] = torch.where(found.isnan(), factors[: len(found)], found)
            factors = _moving(factors.nan_to_num(1.0), self.placed[norm])
            weight = weight * factors.view(column)
            if normal is not None:
                normal = normal / factors if bool((factors != 0).all()) else None
        if self._centres(linear, ways):
            weight = weight - weight.mean(0, keepdim=True)
            normal = torch.ones(linear.out_channels, dtype=torch.float64)
        names = [*linear.norms, *(norm.name for norm in next(iter(orders)))]
        return _with(linear, weight, names, normals=(normal, linear.normals[1]))

    def _folded_back(self, way: Link) -> list[tuple[Norm, Tensor]]:
        """The norms on a way that go to its producer, and their factors."""
        return [
            (step.norm, step.factors)
            for step in way.steps
            if step.norm in self.placed
            and step.factors is not None
            and self.placed[step.norm].side == "producer"
        ]

    def _centres(self, linear: LinearMap, ways: Sequence[Link]) -> bool:
        """Whether the map is read through nothing but layer norms that go to their consumers."""
        return linear.groups == 1 and all(self._centred_next(linear, way) for way in ways)

    def _centred_next(self, linear: LinearMap, way: Link) -> bool:
        for step in way.steps:
            if step.norm not in self.placed:
                return False
            if self.placed[step.norm].side == "consumer":
                return step.norm.centred == linear.out_channels == way.shared
            if step.norm.centred:
                return False
        return False

    def _signs(self, link: Link) -> Tensor | None:
        signs = torch.ones(link.shared, dtype=torch.float64)
        for step in link.steps:
            if step.norm in self.placed and self.placed[step.norm].signed:
                assert step.factors is not None
                signs[step.factors[link.producer_channels] < 0] *= -1
        return None if bool((signs > 0).all()) else signs

    def _check_law(self, link: Link, producer: LinearMap, consumer: LinearMap) -> None:
        """Refuse links of which an entry follows no known law under chance."""
        out_normal, in_normal = producer.normals[0], consumer.normals[1]
        if out_normal is None and in_normal is None:
            return
        sent, read = link.producer_channels, link.consumer_channels
        complete = read.ndim == 1 and consumer.groups == 1
        complete &= link.shared == producer.out_channels == consumer.in_channels
        complete &= bool((torch.bincount(sent) == 1).all())
        why = "it centres channels of which one of the two maps has a part only"
        if complete and out_normal is not None and in_normal is not None:
            signs = 1.0 if link.signs is None else link.signs
            cosine = torch.cosine_similarity(out_normal[sent] * signs, in_normal[read], dim=0)
            complete = bool(cosine.abs() > 1 - 1e-9)
            why = "both maps are centred, each by another layer norm"
        depthwise = out_normal is None and producer.groups == producer.out_channels
        if not (complete and (producer.groups == 1 or depthwise)):
            norms = (step.norm for step in link.steps if step.norm is not None)
            name = next((norm.name for norm in norms if norm.centred), "a layer norm")
            raise _refusal(name, link, f"{why}, and the law of such an edge is not known")


def _inside(way: Link) -> bool:
    return OUTSIDE not in (way.producer, way.consumer)


def _end(way: Link, side: Side) -> str:
    return way.producer if side == "producer" else way.consumer


def _whole(norm: Norm, way: Link, side: Side, linear: LinearMap) -> bool:
    """Whether the channels whose mean a norm subtracts are all of the map's on that side."""
    width = linear.out_channels if side == "producer" else linear.in_channels
    one_each = way.consumer_channels.ndim == 1 or side == "producer"
    return linear.groups == 1 and one_each and norm.centred == width


def _read_factors(way: Link, step: Step) -> tuple[Tensor, Tensor]:
    """Input channels of a way's consumer and a step's factor in each."""
    assert step.factors is not None
    factors = step.factors[way.producer_channels]
    read = way.consumer_channels
    if read.ndim == 2:
        factors, read = factors[:, None].expand_as(read).flatten(), read.flatten()
    return read, factors


def _agree(ours: tuple[Tensor, Tensor], theirs: tuple[Tensor, Tensor]) -> bool:
    """Whether the factors are the same in the channels that both have."""
    known = dict(zip(*(part.tolist() for part in ours), strict=True))
    return all(
        known.get(channel, factor) == factor
        for channel, factor in zip(*(part.tolist() for part in theirs), strict=True)
    )


def _moving(factors: Tensor, placement: Placement) -> Tensor:
    """The part of the factors that goes into the weight."""
    return factors.abs() if placement.signed else factors


def _with(
    linear: LinearMap,
    weight: Tensor,
    norms: Iterable[str],
    normals: tuple[Tensor | None, Tensor | None] = (None, None),
) -> LinearMap:
    weight = weight.to(linear.weight.dtype).contiguous()
    return replace(linear, factors=(weight,), norms=tuple(norms), normals=normals)


def _refusal(name: str, way: Link, why: str) -> UnsupportedLayerError:
    return UnsupportedLayerError(
        f"{name} on the link {way.producer!r} -> {way.consumer!r} cannot be folded: {why}; use "
        "norm='ignore'"
    )
