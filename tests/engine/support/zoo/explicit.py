"""PyTorch's packed layers written out, each map a ``Linear`` of its own, as the manual has them."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

State = tuple[Tensor, ...]


def unpacked(model: nn.Module) -> nn.Module:
    """A copy of the model in which every packed layer is written out, under the same map names."""
    model = copy.deepcopy(model)
    for name, module in list(model.named_modules()):
        for kind, explicit in EXPLICIT.items():
            if isinstance(module, kind):
                model.set_submodule(name, explicit(module))
    return model


def _linear(weight: Tensor, bias: Tensor | None) -> nn.Linear:
    made = nn.Linear(weight.shape[1], weight.shape[0], bias is not None)
    made.weight = nn.Parameter(weight.detach().clone())
    if bias is not None:
        made.bias = nn.Parameter(bias.detach().clone())
    return made


class Attention(nn.Module):
    """``softmax(q k^T / sqrt(d)) v`` head by head."""

    def __init__(self, packed: nn.MultiheadAttention) -> None:
        super().__init__()
        if packed._qkv_same_embed_dim:
            weights = packed.in_proj_weight.chunk(3)
        else:
            weights = (packed.q_proj_weight, packed.k_proj_weight, packed.v_proj_weight)
        biases = (None,) * 3 if packed.in_proj_bias is None else packed.in_proj_bias.chunk(3)
        for letter, weight, bias in zip("qkv", weights, biases, strict=True):
            self.add_module(f"in_proj[{letter}]", _linear(weight, bias))
        self.out_proj = _linear(packed.out_proj.weight, packed.out_proj.bias)
        self.num_heads, self.batch_first = packed.num_heads, packed.batch_first
        self.bias_k, self.bias_v = packed.bias_k, packed.bias_v
        self.add_zero_attn = packed.add_zero_attn
        self.in_proj_bias = None  # what nn.TransformerEncoderLayer asks before its fast path

    def forward(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        attn_mask: Tensor | None = None,
        key_padding_mask: Tensor | None = None,
        need_weights: bool = True,
        is_causal: bool = False,
    ) -> tuple[Tensor, Tensor]:
        assert key_padding_mask is None
        if not self.batch_first:
            query, key, value = (x.transpose(0, 1) for x in (query, key, value))
        q, k, v = (
            self.get_submodule(f"in_proj[{letter}]")(x)
            for letter, x in zip("qkv", (query, key, value), strict=True)
        )
        if self.bias_k is not None:
            k = torch.cat([k, self.bias_k.expand(len(k), -1, -1)], 1)
            v = torch.cat([v, self.bias_v.expand(len(v), -1, -1)], 1)
        if self.add_zero_attn:
            k, v = (torch.cat([x, torch.zeros_like(x[:, :1])], 1) for x in (k, v))
        heads = (x.unflatten(-1, (self.num_heads, -1)).transpose(1, 2) for x in (q, k, v))
        q, k, v = heads
        scores = q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5
        if attn_mask is not None:
            scores = scores + attn_mask
        weights = torch.softmax(scores, -1)
        y = self.out_proj((weights @ v).transpose(1, 2).flatten(2))
        return (y if self.batch_first else y.transpose(0, 1)), weights


def _gated(name: str, module: nn.Module, prefix: str, x: Tensor) -> Tensor:
    return module.get_submodule(f"{prefix}[{name}]" if name else prefix)(x)


def lstm(gate: Callable[[str], Tensor], state: State, _: Any) -> State:
    """The cell of the manual's LSTM."""
    i, f, o = (torch.sigmoid(gate(name)) for name in "ifo")
    c = f * state[1] + i * torch.tanh(gate("g"))
    return o * torch.tanh(c), c


def gru(_: Callable[[str], Tensor], state: State, sides: Callable[..., Tensor]) -> State:
    """The cell of the manual's GRU: the reset gate stands on the hidden side of the new gate."""
    r, z = (torch.sigmoid(sides(name, "ih") + sides(name, "hh")) for name in "rz")
    n = torch.tanh(sides("n", "ih") + r * sides("n", "hh"))
    return ((1 - z) * n + z * state[0],)


def rnn(function: Callable[[Tensor], Tensor]) -> Callable[..., State]:
    """The cell of the manual's RNN."""
    return lambda gate, _, __: (function(gate("")),)


CELLS: dict[str, tuple[str, Callable[..., State]]] = {
    "LSTM": ("ifgo", lstm),
    "GRU": ("rzn", gru),
    "RNN_TANH": ("", rnn(torch.tanh)),
    "RNN_RELU": ("", rnn(torch.relu)),
}


class _Gates(nn.Module):
    """The maps of cells, and one step of them."""

    def add_gates(self, packed: nn.Module, parameter: str, short: str, gates: str) -> None:
        count = max(1, len(gates))
        weights = getattr(packed, f"weight_{parameter}").chunk(count)
        bias = getattr(packed, f"bias_{parameter}", None)
        biases = (None,) * count if bias is None else bias.chunk(count)
        for gate, weight, one in zip(gates or ("",), weights, biases, strict=True):
            self.add_module(f"{short}[{gate}]" if gate else short, _linear(weight, one))

    def step(self, mode: str, place: str, x: Tensor, state: State) -> State:
        def side(gate: str, which: str) -> Tensor:
            read = x if which == "ih" else state[0]
            return _gated(gate, self, which + place, read)

        def both(gate: str) -> Tensor:
            return side(gate, "ih") + side(gate, "hh")

        h, *rest = CELLS[mode][1](both, state, side)
        if f"hr{place}" in dict(self.named_children()):
            h = self.get_submodule(f"hr{place}")(h)
        return (h, *rest)


class Recurrence(_Gates):
    """Every layer, direction and step of a recurrent layer."""

    def __init__(self, packed: nn.RNNBase) -> None:
        super().__init__()
        self.mode, self.batch_first = packed.mode, packed.batch_first
        self.layers, self.directions = packed.num_layers, 1 + packed.bidirectional
        self.sizes = [packed.proj_size or packed.hidden_size, packed.hidden_size]
        self.sizes = self.sizes[: 1 + (packed.mode == "LSTM")]
        for layer in range(self.layers):
            for reverse in ("", "_reverse")[: self.directions]:
                place, short = f"_l{layer}{reverse}", f"_l{layer}{reverse}" if layer else reverse
                for side in ("ih", "hh"):
                    self.add_gates(packed, side + place, side + short, CELLS[self.mode][0])
                if packed.proj_size:
                    self.add_gates(packed, f"hr{place}", f"hr{short}", "")

    def forward(self, x: Tensor, hx: Any = None) -> tuple[Tensor, Any]:
        x = x.transpose(0, 1) if self.batch_first else x
        if hx is None:
            count = self.layers * self.directions
            hx = [x.new_zeros(count, x.shape[1], size) for size in self.sizes]
        hx = [hx] if isinstance(hx, Tensor) else hx
        last = []
        for layer in range(self.layers):
            outputs = []
            for direction, reverse in enumerate(("", "_reverse")[: self.directions]):
                short = f"_l{layer}{reverse}" if layer else reverse
                state = tuple(part[layer * self.directions + direction] for part in hx)
                steps = []
                for one in x.flip(0) if reverse else x:
                    state = self.step(self.mode, short, one, state)
                    steps.append(state[0])
                outputs.append(torch.stack(steps[::-1] if reverse else steps))
                last.append(state)
            x = torch.cat(outputs, -1)
        x = x.transpose(0, 1) if self.batch_first else x
        final = tuple(torch.stack(parts) for parts in zip(*last, strict=True))
        return x, final if self.mode == "LSTM" else final[0]


class Cell(_Gates):
    """One step."""

    def __init__(self, packed: nn.RNNCellBase) -> None:
        super().__init__()
        kinds = {nn.LSTMCell: "LSTM", nn.GRUCell: "GRU"}
        plain = f"RNN_{getattr(packed, 'nonlinearity', '').upper()}"
        self.mode = next((mode for kind, mode in kinds.items() if isinstance(packed, kind)), plain)
        for side in ("ih", "hh"):
            self.add_gates(packed, side, side, CELLS[self.mode][0])

    def forward(self, x: Tensor, hx: Any) -> Any:
        state = self.step(self.mode, "", x, hx if self.mode == "LSTM" else (hx,))
        return state if self.mode == "LSTM" else state[0]


EXPLICIT: dict[type[nn.Module], Callable[..., nn.Module]] = {
    nn.MultiheadAttention: Attention,
    nn.RNNBase: Recurrence,
    nn.RNNCellBase: Cell,
}
