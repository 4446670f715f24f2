"""Operators that only move elements: applied to the labels themselves."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from svr_widget.engine.trace.flow import labels
from svr_widget.engine.trace.flow.call import Call, Rule
from svr_widget.engine.trace.flow.flow import (
    AttentionScores,
    Carrier,
    Flow,
    Place,
    Reason,
    Source,
    lost,
    merged,
    mint,
)

Move = Callable[[Tensor], "Tensor | Sequence[Tensor]"]


def moved(flow: Flow, move: Move) -> list[Flow]:
    """``flow`` with ``move`` applied to every label; one flow a result."""
    results: list[list[Carrier]] = []
    shapes: list[tuple[int, ...]] = []
    places: list[Place | None] = []
    scores: list[AttentionScores] = []

    def apply(label: Tensor) -> list[Tensor]:
        out = move(label)
        out = [out] if isinstance(out, Tensor) else list(out)
        if not shapes:
            shapes.extend(tuple(part.shape) for part in out)
            results.extend([] for _ in out)
        return [labels.canonical(part) for part in out]

    done: dict[int, list[Tensor | None]] = {}  # by the label's ``id``: many share one
    for carrier in flow.carriers:
        if id(carrier.label) not in done:
            parts = apply(carrier.label)
            done[id(carrier.label)] = [
                part if bool((labels.core(part) != labels.NONE).any()) else None for part in parts
            ]
        for at, label in enumerate(done[id(carrier.label)]):
            if label is not None:
                results[at].append(replace(carrier, label=label))
    if flow.place is not None:
        places = [Place(ids, flow.place.grid) for ids in apply(flow.place.ids)]
    if flow.scores is not None:
        both = zip(apply(flow.scores.head), apply(flow.scores.row), strict=True)
        scores = [replace(flow.scores, head=head, row=row) for head, row in both]
    if not shapes:
        apply(torch.zeros(1, dtype=torch.int64).expand(flow.shape))
    return [
        Flow(
            shape,
            tuple(held),
            flow.mixed,
            places[at] if places and held else None,
            scores=scores[at] if scores else None,
        )
        for at, (shape, held) in enumerate(zip(shapes, results, strict=True))
    ]


def movement(call: Call) -> Flow | list[Flow]:
    """A view, flip, roll, repeat... of the first argument; other arguments are known."""
    position, flow = next((i, a) for i, a in enumerate(call.args) if isinstance(a, Flow))
    others = [known(call, argument) for argument in call.args]
    kwargs = {name: known(call, value) for name, value in call.kwargs.items() if name != "dtype"}

    def move(label: Tensor) -> Any:
        return call.func(*others[:position], label, *others[position + 1 :], **kwargs)

    results = moved(flow, move)
    return results if _returns_list(call) else results[0]


def _returns_list(call: Call) -> bool:
    returns = call.func._schema.returns
    return len(returns) != 1 or "List" in str(returns[0].type) or "[]" in str(returns[0].type)


def known(call: Call, argument: Any) -> Any:
    """The value of an argument; ``None`` for a tensor that depends on a map."""
    if isinstance(argument, Flow):
        return None if argument.traced or argument.value is None else argument.value()
    if isinstance(argument, (list, tuple)):
        return [known(call, item) for item in argument]
    return argument


def same_as(call: Call) -> Flow:
    """``expand_as``, ``view_as``, ``reshape_as``: the second tensor gives only the shape."""
    flow = call.flow("self")
    name = "expand" if call.name == "expand_as" else "reshape"
    return moved(flow, lambda label: getattr(label, name)(call.shape))[0]


def reshape(call: Call) -> Flow:
    """Every reshape by its known result."""
    return moved(call.flow("self"), lambda label: label.reshape(call.shape))[0]


def concatenation(call: Call) -> Flow:
    """``cat`` and ``stack``: carriers of one source that took one way become one."""
    tensors = call.get("qx" if call.func.namespace == "quantized" else "tensors")
    flows: list[Flow] = [flow for flow in tensors if flow.shape != (0,)]
    dim = call.get("dim", 0) % len(call.shape)
    if call.name == "stack":
        flows = [moved(flow, lambda label: label.unsqueeze(dim))[0] for flow in flows]
    empty = [torch.tensor(labels.NONE).expand(flow.shape) for flow in flows]
    held: list[tuple[Carrier, list[Tensor]]] = []
    for at, flow in enumerate(flows):
        taken: set[int] = set()
        for carrier in flow.carriers:
            for slot, (first, parts) in enumerate(held):
                lies = labels.varying_dims(carrier.label)
                one_more = not lies and carrier.label.shape[dim] == 1  # a channel by itself
                elsewhere = dim not in lies and not one_more
                joins = _alike(first, carrier) if elsewhere else continues(first, carrier, parts)
                if slot not in taken and joins:
                    held[slot] = (first.joined(carrier), parts)
                    parts[at] = carrier.label
                    taken.add(slot)
                    break
            else:
                taken.add(len(held))
                held.append((carrier, [*empty[:at], carrier.label, *empty[at + 1 :]]))
    carriers = merged(
        replace(carrier, label=labels.concatenate(parts, dim)) for carrier, parts in held
    )
    mixed = frozenset(item for flow in flows for item in flow.mixed)
    place = _joined_place(flows, carriers, call.shape, dim)
    return Flow(call.shape, carriers, mixed, place, scores=_joined_scores(flows, dim))


def _joined_scores(flows: Sequence[Flow], dim: int) -> AttentionScores | None:
    """AttentionScores beside which a constant stands for one more position."""
    found = [flow.scores for flow in flows if flow.scores is not None]
    if len(found) != 1:
        return None

    def joined(label: Tensor) -> Tensor:
        other = torch.tensor(labels.NONE)
        parts = [label if flow.scores is not None else other.expand(flow.shape) for flow in flows]
        return labels.concatenate(parts, dim)

    return found[0].moved(joined)


def _alike(first: Carrier, carrier: Carrier) -> bool:
    """Whether two carriers put the same channels at different positions."""
    ours, theirs = labels.core(first.label), labels.core(carrier.label)
    same = ours.shape == theirs.shape and torch.equal(ours, theirs)
    return same and first.same_origin(carrier)


def continues(first: Carrier, carrier: Carrier, parts: list[Tensor]) -> bool:
    """Whether ``carrier`` may join ``first``, whose labels so far are ``parts``.

    They came the same way, or carry different channels.
    """
    if not first.same_origin(carrier):
        return False
    if first.through == carrier.through:
        return True
    return not any(labels.overlap(part, carrier.label) for part in parts)


def _joined_place(
    flows: Sequence[Flow], carriers: Sequence[Carrier], shape: tuple[int, ...], dim: int
) -> Place | None:
    if not carriers:
        return None
    channel_dims = Flow(shape, tuple(carriers)).channel_dims()
    if dim not in channel_dims:
        return mint(shape, channel_dims)
    grids = {flow.place.grid for flow in flows if flow.place is not None}
    parts = [
        flow.place.ids if flow.place else torch.tensor(labels.NONE).expand(flow.shape)
        for flow in flows
    ]
    return Place(labels.concatenate(parts, dim), grids.pop() if len(grids) == 1 else None)


def padding(call: Call) -> Flow:
    """Padding: new channels carry nothing, new positions belong to the channels around them."""
    flow = call.flow("self")
    widths = list(call.get("pad", call.get("padding")))
    pads = [(0, 0)] * (len(flow.shape) - len(widths) // 2)
    pads += [(widths[i], widths[i + 1]) for i in range(len(widths) - 2, -1, -2)]
    dims = {dim for dim, (before, after) in enumerate(pads) if before or after}
    positions = labels.varying_dims(flow.place.ids) if flow.place else frozenset()
    carriers = flow.carriers
    if call.get("mode", "constant") != "constant" or "pad1d" in call.name or "pad2d" in call.name:
        positions = frozenset(dims)
        carriers, _ = settled(carriers, sorted(dims), call.reason())
        if len(carriers) < len(flow.carriers):
            raise call.refusal("it pads channels with copies of other channels")
    carriers = tuple(replace(c, label=_padded(c.label, pads, positions)) for c in carriers)
    channel_dims = Flow(call.shape, carriers).channel_dims()
    place = flow.place
    if place is not None:
        aligned = not labels.varying_dims(place.ids) & channel_dims
        padded = Place(_padded(place.ids, pads, frozenset()), place.grid)
        place = mint(call.shape, channel_dims) if aligned else padded
    return Flow(call.shape, carriers, flow.mixed, place)


def _padded(label: Tensor, pads: Sequence[tuple[int, int]], positions: Collection[int]) -> Tensor:
    for dim, (before, after) in enumerate(pads):
        if not before and not after:
            continue
        if dim in positions and dim not in labels.varying_dims(label):
            size = label.shape[dim] + before + after
            shape = [*label.shape[:dim], size, *label.shape[dim + 1 :]]
            label = label.narrow(dim, 0, 1).expand(shape)
            continue
        start, stop = max(-before, 0), label.shape[dim] + min(after, 0)
        ends = [
            torch.tensor(labels.NONE).expand(*label.shape[:dim], max(n, 0), *label.shape[dim + 1 :])
            for n in (before, after)
        ]
        kept = label.narrow(dim, start, stop - start)
        label = labels.concatenate([ends[0], kept, ends[1]], dim)
    return label


def settled(
    carriers: Sequence[Carrier], dims: Sequence[int], reason: Reason
) -> tuple[tuple[Carrier, ...], frozenset[tuple[Source, Reason]]]:
    """Carriers made constant along ``dims`` where only absent labels vary; the rest is mixed."""
    kept: list[Carrier] = []
    mixed: set[tuple[Source, Reason]] = set()
    for carrier in carriers:
        one = labels.collapse(carrier.label, dims)
        if one is None:
            mixed.add(lost(carrier, reason))
        else:
            kept.append(replace(carrier, label=one.expand(carrier.label.shape)))
    return tuple(kept), frozenset(mixed)


def columns(call: Call) -> Flow:
    """``im2col``: every window becomes channels x kernel positions."""
    flow = call.flow("self")

    def move(label: Tensor) -> Tensor:
        # Zero is what the padding is filled with: shift, so that it means "nothing".
        shifted: Tensor = call.func((label + 1).double(), *call.args[1:], **call.kwargs)
        return shifted.round().long() - 1

    return moved(flow, move)[0]


def packing(call: Call) -> list[Flow]:
    """``pack_padded_sequence`` and back: positions move; the sizes and lengths carry nothing."""
    flow, *others = call.args
    arguments = [known(call, argument) for argument in others]

    def move(label: Tensor) -> Tensor:
        # Zero is what the padding is filled with: shift, so that it means "nothing".
        placed: Tensor = call.func(label + 1, *arguments)[0]
        return placed - 1

    return [*moved(flow, move), *(Flow(shape) for shape in call.shapes[1:])]


def restrided(call: Call) -> Flow:
    """``as_strided``: only where it rewrites the strides of dimensions of size 1."""
    flow = call.flow("self")
    wanted = torch.empty(flow.shape, device="meta").stride()
    strides = zip(flow.shape, wanted, call.get("stride"), strict=False)
    if call.shape != flow.shape or any(n > 1 and old != new for n, old, new in strides):
        raise call.refusal("it reads memory by strides")
    return flow


def complex_parts(call: Call) -> Flow:
    """``view_as_complex``: each number holds the channels of both its parts."""
    flow = call.flow("self")
    halves = moved(flow, lambda label: label.unbind(-1))
    carriers = merged(carrier for half in halves for carrier in half.carriers)
    return Flow(call.shape, carriers, flow.mixed, halves[0].place)


def real_parts(call: Call) -> Flow:
    """``view_as_real``: both parts hold the number's channels."""
    return moved(call.flow("self"), lambda label: label.unsqueeze(-1).expand(call.shape))[0]


RULES: dict[str, Rule] = {
    **dict.fromkeys(("reshape", "_unsafe_view", "view", "_reshape_alias", "unflatten"), reshape),
    **dict.fromkeys(("flatten", "squeeze", "unsqueeze", "ravel"), reshape),
    **dict.fromkeys(("expand_as", "view_as", "reshape_as"), same_as),
    **dict.fromkeys(("cat", "concat", "concatenate", "stack"), concatenation),
    **dict.fromkeys(
        (
            *("constant_pad_nd", "pad", "reflection_pad1d", "reflection_pad2d"),
            *("reflection_pad3d", "replication_pad1d", "replication_pad2d"),
            *("replication_pad3d", "_pad_circular", "_pad_enum", "zero_pad2d"),
        ),
        padding,
    ),
    "im2col": columns,
    **dict.fromkeys(("_pack_padded_sequence", "_pad_packed_sequence"), packing),
    **dict.fromkeys(
        (
            *("flip", "roll", "repeat", "tile", "repeat_interleave", "pixel_shuffle"),
            *("pixel_unshuffle", "channel_shuffle", "native_channel_shuffle", "rot90"),
            *("split_copy", "slice_copy", "permute_copy", "fliplr", "flipud"),
            *("split_with_sizes_copy", "expand_copy", "view_copy", "split_with_sizes"),
            *("unsafe_split", "unsafe_chunk", "unsafe_split_with_sizes"),
        ),
        movement,
    ),
    "as_strided": restrided,
    "view_as_complex": complex_parts,
    "view_as_real": real_parts,
}
