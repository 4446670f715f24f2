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

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Literal

import torch
from torch import Tensor

from svr_widget.engine.maps.linear_map import LinearMap, stored_map
from svr_widget.engine.maps.links import Link, Norm
from svr_widget.engine.maps.stored import StoredTensor
from svr_widget.engine.network.norms.placement import Placements, read_factors, refusal

Normalisation = Literal["ignore", "fold"]


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
    placements = Placements(maps, links, ends)

    def folded_map(name: str) -> LinearMap:
        return _behind(_before(maps[name], placements), placements)

    folded = {
        name: stored_map(partial(folded_map, name))
        if isinstance(linear.factors[0], StoredTensor)
        else folded_map(name)
        for name, linear in maps.items()
    }
    signed = [replace(link, signs=_signs(link, placements)) for link in links]
    for link in signed:
        _check_law(link, folded[link.producer], folded[link.consumer])
    return folded, tuple(signed)


def _before(linear: LinearMap, placements: Placements) -> LinearMap:
    """The map with the norms before it in its input channels."""
    tables: dict[Norm, Tensor] = {}
    for way in placements.at("consumer", linear.name):
        for norm, by_channel in placements.steps(way, "consumer"):
            read, factors = read_factors(way, by_channel)
            ones = torch.ones(linear.in_channels, dtype=torch.float64)
            tables.setdefault(norm, ones)[read] = placements[norm].moving(factors)
    if not tables:
        return linear
    factors = torch.stack(list(tables.values())).prod(dim=0)
    by_group = factors.view(linear.groups, -1, *[1] * len(linear.kernel))
    rows_of_each = linear.out_channels // linear.groups
    weight = linear.weight.double() * by_group.repeat_interleave(rows_of_each, dim=0)
    normal = None
    if any(norm.centred for norm in tables):  # the layer norm's own factors stand behind its mean
        weight = weight - weight.mean(1, keepdim=True)
        normal = torch.ones_like(factors)
    return _with(linear, weight, [norm.name for norm in tables], (None, normal))


def _behind(linear: LinearMap, placements: Placements) -> LinearMap:
    """The map with the norms behind it in its output channels."""
    ways = placements.at("producer", linear.name)
    orders = list(dict.fromkeys(_order(way, placements) for way in ways))
    width = linear.out_channels
    centres = linear.groups == 1 and all(placements.centred_next(way, width) for way in ways)
    if not ways or not (orders[0] or centres):
        return linear
    weight, normal = linear.weight.double(), None
    for norm in orders[0]:
        if norm.centred:
            if len(orders) > 1:
                why = f"other norms behind {linear.name!r} stand before it here and behind it there"
                raise refusal(norm.name, ways[0], why)
            weight, normal = _centred(weight)
        factors = placements[norm].moving(_all_factors(norm, width, ways, placements))
        weight = weight * factors.view(-1, *[1] * (weight.ndim - 1))
        if normal is not None:
            normal = normal / factors if bool((factors != 0).all()) else None
    if centres:
        weight, normal = _centred(weight)
    names = [*linear.norms, *(norm.name for norm in orders[0])]
    return _with(linear, weight, names, (normal, linear.normals[1]))


def _order(way: Link, placements: Placements) -> tuple[Norm, ...]:
    return tuple(norm for norm, _ in placements.steps(way, "producer"))


def _all_factors(norm: Norm, width: int, ways: Sequence[Link], placements: Placements) -> Tensor:
    """A norm's factors for all channels of a producer, 1 for those that nothing reads."""
    factors = torch.full((width,), torch.nan, dtype=torch.float64)
    for way in ways:
        found = dict(placements.steps(way, "producer"))[norm]
        factors[: len(found)] = torch.where(found.isnan(), factors[: len(found)], found)
    return factors.nan_to_num(1.0)


def _centred(weight: Tensor) -> tuple[Tensor, Tensor]:
    normal = torch.ones(len(weight), dtype=torch.float64)
    return weight - weight.mean(0, keepdim=True), normal


def _signs(link: Link, placements: Placements) -> Tensor | None:
    """What homogeneous functions left on a link."""
    signs = torch.ones(link.shared, dtype=torch.float64)
    for side in ("producer", "consumer"):
        for norm, factors in placements.steps(link, side):
            if placements[norm].signed:
                signs[factors[link.producer_channels] < 0] *= -1
    return None if bool((signs > 0).all()) else signs


def _check_law(link: Link, producer: LinearMap, consumer: LinearMap) -> None:
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
        centred = (step.name for step in link.steps if step.norm is not None and step.norm.centred)
        raise refusal(
            next(centred, "a layer norm"), link, f"{why}, and the law of such an edge is not known"
        )


def _with(
    linear: LinearMap,
    weight: Tensor,
    norms: Sequence[str],
    normals: tuple[Tensor | None, Tensor | None],
) -> LinearMap:
    weight = weight.to(linear.weight.dtype).contiguous()
    return replace(linear, factors=(weight,), norms=tuple(norms), normals=normals)


def gains_of(link: Link, folded: Collection[str] = ()) -> Tensor | None:
    """The product of the factors of a link's ``steps``, as ``Link.gains`` has it.

    Args:
        link: a traced one.
        folded: names of norms that are in the weights already.
    """
    gains = torch.ones(link.shared, dtype=torch.float64)
    for step in link.steps:
        if step.kind == "unfoldable":
            gains[:] = torch.nan
        elif step.factors is not None and step.name not in folded:
            gains *= step.factors[link.producer_channels]
    return None if bool((gains == 1).all()) else gains
