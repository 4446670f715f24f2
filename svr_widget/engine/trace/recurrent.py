"""Recurrent layers, distances and losses: they mix all channels, so nothing links through them."""

from __future__ import annotations

from svr_widget.engine.trace.call import Call, Rule
from svr_widget.engine.trace.flow import Flow, lost


def mixing(call: Call) -> list[Flow] | Flow:
    """Every result depends on every channel of every input."""
    flows = [flow for flow in call.flows() if flow.traced]
    reason = call.reason(f"{call.name} (mixes all channels)", weighs=False)
    mixed = {lost(carrier, reason) for flow in flows for carrier in flow.carriers}
    mixed |= {(source, reason) for flow in flows for source, _ in flow.mixed}
    results = [Flow(shape, mixed=frozenset(mixed)) for shape in call.shapes]
    return results if len(results) > 1 else results[0]


RULES: dict[str, Rule] = dict.fromkeys(
    (
        *("lstm", "gru", "rnn_tanh", "rnn_relu", "lstm_cell", "gru_cell", "rnn_tanh_cell"),
        *("rnn_relu_cell", "_thnn_fused_lstm_cell", "_thnn_fused_gru_cell", "mkldnn_rnn_layer"),
        *("cdist", "_cdist_forward", "cosine_similarity", "cross_entropy_loss", "nll_loss"),
        *("nll_loss_forward", "nll_loss2d_forward", "histc", "bincount"),
    ),
    mixing,
)
