"""Recurrent layers and cells by what PyTorch makes them of: gates that are multiplied.

A layer of any length is read as one of three steps on one sequence: in the second the hidden
state has come round, and the third adds nothing but makes sure that the cell state has, too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch._ops import OpOverload

from svr_widget.engine.trace.flow import labels
from svr_widget.engine.trace.flow.call import Call
from svr_widget.engine.trace.flow.flow import Carrier, Flow, lost, merged, mint

LAYERS = ("lstm", "gru", "rnn_tanh", "rnn_relu")
CELLS = ("lstm_cell", "gru_cell", "rnn_tanh_cell", "rnn_relu_cell")
STEPS = 3

Function = Callable[..., Any]
FUNCTIONS: dict[Function, str] = {
    getattr(torch, name): name
    for name in (*LAYERS, *CELLS, "_pack_padded_sequence", "_pad_packed_sequence")
}
"""The functions that ``torch.nn``'s layers call, and the names of their operators."""


def overload(name: str, args: Sequence[Any]) -> OpOverload[..., Any]:
    """The operator that a call with these arguments is."""
    packet = getattr(torch.ops.aten, name)
    if name not in LAYERS:
        return packet.default  # type: ignore[no-any-return]  # packets are untyped
    packed = isinstance(args[3], (list, tuple))  # the parameters come after the sizes of batches
    return packet.data if packed else packet.input  # type: ignore[no-any-return]


def unrolled(call: Call, apply: Callable[[Call], list[Flow]]) -> list[Flow]:
    """The results of a recurrent layer.

    Args:
        call: the layer, on a batch of sequences or on packed ones.
        apply: interprets the layer of three steps by the operators that it is made of.
    """
    packed = call.func._overloadname == "data"
    sequence, state = call.flow("data" if packed else "input"), call.get("hx")
    states = [_at_one_place(call, flow, 1) for flow in (state if call.name == "lstm" else [state])]
    places = range(len(sequence.shape) - 1)
    settled = _at_one_place(call, sequence, *places)
    shape = (STEPS, 1, sequence.shape[-1])
    options = [call.get(name) for name in ("params", "has_biases", "num_layers")]
    args = (
        _spread(settled, shape),
        states if call.name == "lstm" else states[0],
        *options,
        *(0.0, False, call.get("bidirectional"), False),
    )
    short = (STEPS, 1, call.shape[-1])
    shapes = (short, *((size[0], 1, size[2]) for size in call.shapes[1:]))
    made = apply(Call(overload(call.name, args), args, {}, shapes, call.scope))
    results = []
    for at, (flow, wanted) in enumerate(zip(made, call.shapes, strict=True)):
        settled = _at_one_place(call, flow, *((1,) if at else (0, 1)))  # states come last
        results.append(_spread(replace(settled, carriers=merged(settled.carriers)), wanted))
    return results


def _at_one_place(call: Call, flow: Flow, *dims: int) -> Flow:
    """What a flow carries along these dimensions, each of them 1 long."""
    mixed = set(flow.mixed)

    def settled(carrier: Carrier) -> Carrier | None:
        one = labels.collapse(carrier.label, dims)
        return None if one is None else replace(carrier, label=one)

    carriers = [settled(carrier) for carrier in flow.carriers]
    for before, after in zip(flow.carriers, carriers, strict=True):
        if after is None:
            mixed.add(lost(before, call.reason(f"{call.name} over channels")))
    return replace(
        flow,
        shape=tuple(1 if dim in dims else size for dim, size in enumerate(flow.shape)),
        carriers=tuple(carrier for carrier in carriers if carrier is not None),
        mixed=frozenset(mixed),
        place=None,
        value=None,
        inlet=flow.inlet and settled(flow.inlet),
    )


def _spread(flow: Flow, shape: tuple[int, ...]) -> Flow:
    """A flow that is 1 long in some dimensions, everywhere in ``shape``."""
    ones = [1] * (len(shape) - 1)

    def wide(carrier: Carrier) -> Carrier:
        label = carrier.label
        view = label.shape if len(label.shape) == len(shape) else (*ones, label.shape[-1])
        return replace(carrier, label=labels.canonical(label.reshape(view).expand(shape)))

    carriers = tuple(map(wide, flow.carriers))
    inlet = flow.inlet and wide(flow.inlet)
    spread = replace(flow, shape=shape, carriers=carriers, inlet=inlet)
    return replace(spread, place=mint(shape, spread.channel_dims()) if carriers else None)
