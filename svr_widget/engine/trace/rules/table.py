"""The operators that are understood, by name."""

from __future__ import annotations

from svr_widget.engine.trace.flow.call import Call, Rule, is_pointwise, is_view
from svr_widget.engine.trace.rules import contraction, movement, pointwise, reduction, selection

RULES: dict[str, Rule] = {
    **pointwise.RULES,
    **movement.RULES,
    **selection.RULES,
    **reduction.RULES,
    **contraction.RULES,
}


def rule_for(call: Call) -> Rule | None:
    """The rule of an operator, ``None`` where there is none."""
    if call.name in ("max", "min") and call.get("other") is not None:
        return pointwise.pointwise
    if contraction.packed_operator(call.func) is not None:
        return contraction.without_map
    named = RULES.get(call.name)
    if named is not None:
        return named
    if is_view(call.func):
        return movement.movement
    return pointwise.pointwise if is_pointwise(call.func) else None


def keeps_elements(call: Call) -> bool:
    """Whether the operator only moves, copies, scales or joins elements: it sums over none."""
    return keeps_values(call) or rule_for(call) is pointwise.pointwise


def keeps_values(call: Call) -> bool:
    """Whether the operator only moves, copies or joins elements."""
    kept = (movement.movement, movement.reshape, movement.concatenation, movement.same_as)
    return call.name in pointwise.COPIES or rule_for(call) in (*kept, selection.selection)
