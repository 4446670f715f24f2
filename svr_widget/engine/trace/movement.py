"""Operators that only move elements: applied to the labels themselves."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from svr_widget.engine.trace import labels
from svr_widget.engine.trace.call import Call, Rule
from svr_widget.engine.trace.flow import (
    Carrier,
    Flow,
    Place,
    Reason,
    Source,
    drop_known,
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

    def apply(label: Tensor) -> list[Tensor]:
        out = move(label)
        out = [out] if isinstance(out, Tensor) else list(out)
        if not shapes:
            shapes.extend(tuple(part.shape) for part in out)
            results.extend([] for _ in out)
        return [labels.canonical(part) for part in out]

    for carrier in flow.carriers:
        for at, label in enumerate(apply(carrier.label)):
            if bool((labels.core(label) != labels.NONE).any()):
                results[at].append(replace(carrier, label=label))
    if flow.place is not None:
        places = [Place(ids, flow.place.grid) for ids in apply(flow.place.ids)]
    if not shapes:
        apply(torch.zeros(1, dtype=torch.int64).expand(flow.shape))
    return [
        Flow(shape, tuple(held), flow.mixed, places[at] if places and held else None)
        for at, (shape, held) in enumerate(zip(shapes, results, strict=True))
    ]


def movement(call: Call) -> Flow | list[Flow]:
    """A view, flip, roll, repeat... of the first argument; other arguments are known."""
    position, flow = next((i, a) for i, a in enumerate(call.args) if isinstance(a, Flow))
    others = [_known(call, argument) for argument in call.args]
    kwargs = {name: _known(call, value) for name, value in call.kwargs.items() if name != "dtype"}

    def move(label: Tensor) -> Any:  # noqa: ANN401 - a tensor or a list of tensors
        return call.func(*others[:position], label, *others[position + 1 :], **kwargs)

    results = moved(flow, move)
    return results if _returns_list(call) else results[0]


def _returns_list(call: Call) -> bool:
    returns = call.func._schema.returns
    return len(returns) != 1 or "List" in str(returns[0].type) or "[]" in str(returns[0].type)


def _known(call: Call, argument: Any) -> Any:  # noqa: ANN401 - any schema argument
    if isinstance(argument, Flow):
        return None if argument.traced or argument.value is None else argument.value()
    if isinstance(argument, (list, tuple)):
        return [_known(call, item) for item in argument]
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
    flows: list[Flow] = [f for f in call.get("tensors") if f.shape != (0,)]
    dim = call.get("dim", 0) % len(call.shape)
    if call.name == "stack":
        flows = [moved(flow, lambda label: label.unsqueeze(dim))[0] for flow in flows]
    empty = [torch.tensor(labels.NONE).expand(flow.shape) for flow in flows]
    held: list[tuple[Carrier, list[Tensor]]] = []
    for at, flow in enumerate(flows):
        taken: set[int] = set()
        for carrier in flow.carriers:
            for slot, (first, parts) in enumerate(held):
                if slot not in taken and _continues(first, carrier, parts):
                    through = tuple(dict.fromkeys(first.through + carrier.through))
                    held[slot] = (replace(first, through=through), parts)
                    parts[at] = carrier.label
                    taken.add(slot)
                    break
            else:
                taken.add(len(held))
                held.append((carrier, [*empty[:at], carrier.label, *empty[at + 1 :]]))
    carriers = merged(
        replace(carrier, label=labels.concatenate(parts, dim)) for carrier, parts in held
    )
    mixed = drop_known((item for flow in flows for item in flow.mixed), carriers)
    return Flow(call.shape, carriers, mixed, _joined_place(flows, carriers, call.shape, dim))


def _continues(first: Carrier, carrier: Carrier, parts: list[Tensor]) -> bool:
    if first.source != carrier.source or (first.layout is None) != (carrier.layout is None):
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
    if not flow.carriers:
        return replace(flow, shape=call.shape, value=None)
    pads = [(0, 0)] * (len(flow.shape) - len(widths) // 2)
    pads += [(widths[i], widths[i + 1]) for i in range(len(widths) - 2, -1, -2)]
    dims = {dim for dim, (before, after) in enumerate(pads) if before or after}
    if call.get("mode", "constant") == "constant" and "reflection" not in call.name:
        carriers = tuple(replace(c, label=_padded(c.label, pads)) for c in flow.carriers)
    else:
        carriers, _ = settled(flow.carriers, sorted(dims), call.reason())
        if len(carriers) < len(flow.carriers):
            raise call.refusal("it pads channels with copies of other channels")
        carriers = tuple(replace(c, label=_padded(c.label, pads)) for c in carriers)
    channel_dims = Flow(call.shape, carriers).channel_dims()
    place = flow.place
    if place is not None:
        aligned = not labels.varying_dims(place.ids) & channel_dims
        padded = Place(_padded(place.ids, pads), place.grid)
        place = mint(call.shape, channel_dims) if aligned else padded
    return Flow(call.shape, carriers, flow.mixed, place)


def _padded(label: Tensor, pads: Sequence[tuple[int, int]]) -> Tensor:
    for dim, (before, after) in enumerate(pads):
        size = label.shape[dim] + before + after
        if dim not in labels.varying_dims(label):
            shape = [*label.shape[:dim], size, *label.shape[dim + 1 :]]
            label = label.narrow(dim, 0, 1).expand(shape)
            continue
        start, stop = max(-before, 0), label.shape[dim] + min(after, 0)
        kept = label.narrow(dim, start, stop - start)
        ends = [
            torch.tensor(labels.NONE).expand(*label.shape[:dim], max(n, 0), *label.shape[dim + 1 :])
            for n in (before, after)
        ]
        label = labels.concatenate([ends[0], kept, ends[1]], dim)
    return label


def selection(call: Call) -> Flow:
    """``index``, ``gather``, ``index_select``: by known indices, or along positions only."""
    flow = call.flow("self")
    if call.name == "index":
        indices = list(call.get("indices"))
        dims = [dim for dim, index in enumerate(indices) if index is not None]
        unknown = [i for i in indices if isinstance(i, Flow) and _unknown(i)]
    else:
        index = call.flow("index" if call.get("index") is not None else "indices")
        indices, dims = [index], [call.get("dim", 0) % len(flow.shape)]
        unknown = [index] if _unknown(index) else []
    if not unknown:
        return moved(flow, lambda label: _select(call, label, indices))[0]
    # Which positions are taken is decided by values: any of them tells the channels, as long as
    # the channels do not lie along the indexed dimensions.
    kept, mixed = settled(flow.carriers, dims, call.reason())
    labelled = replace(flow, carriers=kept)
    zero = [torch.zeros(i.shape, dtype=torch.int64) if isinstance(i, Flow) else i for i in indices]
    result = moved(labelled, lambda label: _select(call, label, zero))[0]
    drivers = {item for i in unknown for item in i.mixed}
    drivers |= {lost(c, call.reason()) for i in unknown for c in i.carriers}
    everything = drop_known({*flow.mixed, *mixed, *drivers}, result.carriers)
    place = mint(call.shape, result.channel_dims()) if result.carriers else None
    return replace(result, mixed=everything, place=place)


def _unknown(index: Flow) -> bool:
    return index.traced or index.value is None


def _select(call: Call, label: Tensor, indices: Sequence[Any]) -> Tensor:
    real = [i.value().cpu() if isinstance(i, Flow) and i.value else i for i in indices]
    if call.name == "index":
        chosen: Tensor = torch.ops.aten.index.Tensor(label, real)
        return chosen
    if call.name == "take_along_dim":
        return torch.take_along_dim(label, real[0], call.get("dim"))
    dim: int = call.get("dim")
    if call.name == "gather":
        return torch.gather(label, dim, real[0])
    return torch.index_select(label, dim, real[0])


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


def scattered(call: Call) -> Flow:
    """``slice_scatter``, ``select_scatter``, ``index_put``...: written elements change owner."""
    names = ("src", "values", "source")
    written = next(call.get(name) for name in names if isinstance(call.get(name), Flow))
    target = call.flow("self")
    if call.get("accumulate", False):
        raise call.refusal("it adds to elements chosen by index")
    at = next(i for i, argument in enumerate(call.args) if argument is written)
    others = [_scatter_argument(call, argument, written) for argument in call.args]
    kwargs = {name: _known(call, value) for name, value in call.kwargs.items()}

    def write(base: Tensor, new: Tensor) -> Tensor:
        arguments = [base.contiguous(), *others[1:at], new.contiguous(), *others[at + 1 :]]
        return labels.canonical(call.func(*arguments, **kwargs))

    def blank(flow: Flow) -> Tensor:
        return torch.full(flow.shape, labels.NONE)

    carriers: list[Carrier] = []
    remaining = list(written.carriers)
    for carrier in target.carriers:
        match = next((c for c in remaining if _continues(carrier, c, [carrier.label])), None)
        if match is not None:
            remaining.remove(match)
        new = match.label if match is not None else blank(written)
        through = carrier.through + (match.through if match is not None else ())
        label = write(carrier.label, new)
        carriers.append(replace(carrier, label=label, through=tuple(dict.fromkeys(through))))
    carriers += [replace(c, label=write(blank(target), c.label)) for c in remaining]
    carriers = [c for c in carriers if bool((labels.core(c.label) != labels.NONE).any())]
    held = merged(carriers)
    place = mint(call.shape, Flow(call.shape, held).channel_dims()) if held else None
    return Flow(call.shape, held, drop_known(target.mixed | written.mixed, held), place)


def gathered_sum(call: Call) -> Flow:
    """``index_add``, ``scatter_add``, ``scatter_reduce``: sums over positions chosen by index."""
    target = call.flow("self")
    written = next(call.get(n) for n in ("source", "src") if isinstance(call.get(n), Flow))
    dims = [call.get("dim", 0) % len(call.shape)]
    carriers: list[Carrier] = []
    mixed = set(target.mixed | written.mixed)
    for flow in (target, written):
        kept, gone = settled(flow.carriers, dims, call.reason())
        mixed |= gone
        for carrier in kept:
            one = labels.collapse(carrier.label, dims)
            if one is not None:
                carriers.append(replace(carrier, label=one.expand(call.shape)))
    held = merged(carrier.passing(call.entry()) for carrier in carriers)
    place = mint(call.shape, Flow(call.shape, held).channel_dims()) if held else None
    return Flow(call.shape, held, drop_known(mixed, held), place)


def columns(call: Call) -> Flow:
    """``im2col``: every window becomes channels x kernel positions."""
    flow = call.flow("self")

    def move(label: Tensor) -> Tensor:
        # Zero is what the padding is filled with: shift, so that it means "nothing".
        shifted: Tensor = call.func((label + 1).double(), *call.args[1:], **call.kwargs)
        return shifted.round().long() - 1

    return moved(flow, move)[0]


def _scatter_argument(call: Call, argument: Any, written: Flow) -> Any:  # noqa: ANN401
    if isinstance(argument, (list, tuple)):
        return [_scatter_argument(call, item, written) for item in argument]
    if isinstance(argument, Flow) and argument is not written and argument is not call.get("self"):
        if _unknown(argument):
            raise call.refusal("elements are written at places that depend on values")
        return argument.value().cpu() if argument.value else None
    return None if isinstance(argument, Flow) else argument


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
    **dict.fromkeys(("index", "gather", "index_select", "take_along_dim"), selection),
    **dict.fromkeys(("index_add", "scatter_add", "scatter_reduce", "index_reduce"), gathered_sum),
    "im2col": columns,
    **dict.fromkeys(
        (
            *("slice_scatter", "select_scatter", "index_put", "index_copy", "scatter"),
            *("diagonal_scatter", "_unsafe_index_put"),
        ),
        scattered,
    ),
    **dict.fromkeys(
        (
            *("flip", "roll", "repeat", "tile", "repeat_interleave", "pixel_shuffle"),
            *("pixel_unshuffle", "channel_shuffle", "native_channel_shuffle", "rot90"),
            *("split_copy", "slice_copy", "permute_copy", "fliplr", "flipud"),
            *("split_with_sizes_copy", "expand_copy", "view_copy", "split_with_sizes"),
        ),
        movement,
    ),
    "view_as_complex": complex_parts,
    "view_as_real": real_parts,
}
