"""Which channel feeds which, found by perturbing a network: no tracing involved.

Every map's output, every normalisation statistic and every attention weight is frozen to what it
was in one forward pass. Then one output channel of one map is perturbed: the input features that
move belong to the maps that it is linked to.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - PyTorch's own name for it
from torch.overrides import TorchFunctionMode

from svr_widget.engine.maps.parts import Part
from svr_widget.engine.trace import Trace

Pair = tuple[str, str, int, int]


class Frozen(TorchFunctionMode):
    """Replays statistics and attention weights of the first pass, in order of execution."""

    def __init__(self) -> None:
        """Record first."""
        super().__init__()
        self.tape: list[Tensor] = []
        self.at: int | None = None

    def keep(self, value: Tensor) -> Tensor:
        """``value`` in the first pass, afterwards what it was then."""
        if self.at is None:
            self.tape.append(value.detach().clone())
            return value
        self.at += 1
        return self.tape[self.at - 1]

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Replace what normalises or attends."""
        kwargs = kwargs or {}
        if func is F.layer_norm:
            return self._layer_norm(*args, **kwargs)
        if func is F.group_norm:
            return self._group_norm(*args, **kwargs)
        if func is F.instance_norm:
            x = args[0]
            return self._group_norm(x, x.shape[1])
        if func is F.scaled_dot_product_attention:
            return self._attention(*args, **kwargs)
        if func in (F.softmax, torch.softmax, Tensor.softmax, torch.rsqrt, Tensor.rsqrt):
            return self.keep(func(*args, **kwargs))
        return func(*args, **kwargs)

    def _layer_norm(
        self,
        x: Tensor,
        shape: Any,
        weight: Tensor | None = None,
        bias: Tensor | None = None,
        eps: float = 1e-5,
    ) -> Tensor:
        dims = list(range(x.dim() - len(tuple(shape)), x.dim()))
        y = (x - self.keep(x.mean(dims, keepdim=True))) / self.keep(
            (x.var(dims, unbiased=False, keepdim=True) + eps).sqrt()
        )
        y = y if weight is None else y * weight
        return y if bias is None else y + bias

    def _group_norm(
        self,
        x: Tensor,
        groups: int,
        weight: Tensor | None = None,
        bias: Tensor | None = None,
        eps: float = 1e-5,
    ) -> Tensor:
        y = x.reshape(x.shape[0], groups, -1)
        y = self._layer_norm(y, y.shape[-1:], eps=eps).reshape(x.shape)
        view = [1, -1, *[1] * (x.dim() - 2)]
        y = y if weight is None else y * weight.view(view)
        return y if bias is None else y + bias.view(view)

    def _attention(
        self,
        q: Tensor,
        k: Tensor,
        v: Tensor,
        attn_mask: Tensor | None = None,
        dropout_p: float = 0.0,
        is_causal: bool = False,
        scale: float | None = None,
        enable_gqa: bool = False,
    ) -> Tensor:
        assert dropout_p == 0.0
        if enable_gqa:
            k = k.repeat_interleave(q.shape[-3] // k.shape[-3], -3)
            v = v.repeat_interleave(q.shape[-3] // v.shape[-3], -3)
        scores = q @ k.transpose(-2, -1) * (q.shape[-1] ** -0.5 if scale is None else scale)
        if is_causal:
            hidden = torch.ones(scores.shape[-2:], dtype=torch.bool).triu(1)
            scores = scores.masked_fill(hidden, float("-inf"))
        if attn_mask is not None:
            masked = attn_mask.dtype == torch.bool
            scores = scores.masked_fill(~attn_mask, float("-inf")) if masked else scores + attn_mask
        weights = torch.exp(scores - scores.logsumexp(-1, keepdim=True))
        return self.keep(weights) @ v


READ = -1
"""The use of a map whose weight the model reads as data: its output is the weight itself."""


class Perturbation:
    """Runs a model with all maps frozen but one output channel of one use."""

    def __init__(self, model: nn.Module, parts: Mapping[str, Part], args: Any, kwargs: Any) -> None:
        """Run once and remember every map's output."""
        self.model, self.parts, self.args, self.kwargs = model, parts, args, kwargs
        self.tape = Frozen()
        self.outputs: dict[tuple[str, int], Tensor] = {}
        self.inputs: dict[tuple[str, int], Tensor] = {}
        self.moved: tuple[tuple[str, int], Tensor] | None = None
        self.baseline = self._run()
        called = {name for name, _ in self.outputs}
        for name, part in self.parts.items():
            if name not in called and part.kind.application == "lookup":
                self.outputs[name, READ] = part.module.weight.detach().clone()

    def _run(self) -> dict[tuple[str, int], Tensor]:
        calls: dict[str, int] = {}
        self.inputs = {}

        def hook(name: str) -> Callable[..., Tensor]:
            def run(_module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
                use = (name, calls.setdefault(name, 0))
                calls[name] += 1
                self.inputs[use] = inputs[0].detach().clone()
                kept = self.outputs.setdefault(use, output.detach().clone())
                if self.moved is not None and self.moved[0] == use:
                    return kept + self.moved[1]
                return kept.clone()  # what the model may write to

            return run

        handles = [
            part.module.register_forward_hook(hook(name)) for name, part in self.parts.items()
        ]
        try:
            with torch.no_grad(), self.tape:
                self.model(*self.args, **self.kwargs)
        finally:
            for handle in handles:
                handle.remove()
        if self.tape.at is not None:
            assert self.tape.at == len(self.tape.tape)
        self.tape.at = 0
        return self.inputs

    def moves(self, use: tuple[str, int], delta: Tensor) -> dict[tuple[str, int], Tensor]:
        """Which elements of which map's input move when ``delta`` is added to a use's output."""
        self.moved, self.tape.at = (use, delta), 0
        weight = self.parts[use[0]].module.weight.data if use[1] == READ else torch.zeros(())
        weight += delta if use[1] == READ else 0
        inputs = self._run()
        weight -= delta if use[1] == READ else 0
        return {
            key: (value - self.baseline[key]).abs() > 1e-9
            for key, value in inputs.items()
            if value.is_floating_point()
        }


def channel_dim(module: nn.Module, ndim: int) -> int:
    """Where a module's channels lie."""
    if isinstance(module, nn.modules.conv._ConvNd):
        return ndim - len(module.kernel_size) - 1
    return ndim - 1


def oracle(
    model: nn.Module, parts: Mapping[str, Part], args: Any = (), kwargs: Any = None
) -> set[Pair]:
    """Every ``(producer, consumer, output feature, input feature)`` that is linked.

    Each map has to be a module of its own.
    """
    model = model.double().eval()
    to_double = _doubled(tuple(args)), {k: _doubled(v) for k, v in (kwargs or {}).items()}
    perturbation = Perturbation(model, parts, *to_double)
    generator = torch.Generator().manual_seed(0)
    found: set[Pair] = set()
    for use, output in list(perturbation.outputs.items()):
        dim = channel_dim(parts[use[0]].module, output.dim())
        shape = [size for d, size in enumerate(output.shape) if d != dim]
        for channel in range(output.shape[dim]):
            size = torch.randn(shape, generator=generator, dtype=torch.float64)
            size = 20 * (size + 2 * size.sign())  # beyond what a ReLU cuts off
            for sign in (1, -1):
                delta = torch.zeros_like(output)
                delta.select(dim, channel).copy_(sign * size)
                for (consumer, _), moved in perturbation.moves(use, delta).items():
                    at = channel_dim(parts[consumer].module, moved.dim())
                    features = moved.movedim(at, -1).flatten(0, -2).any(0).nonzero()
                    found |= {(use[0], consumer, channel, int(f)) for f in features}
    return found


def _doubled(value: Any) -> Any:
    if isinstance(value, tuple):
        return tuple(_doubled(item) for item in value)
    return value.double() if isinstance(value, Tensor) and value.is_floating_point() else value


def traced_pairs(trace: Trace) -> set[Pair]:
    """The links of a trace as the oracle's pairs."""
    found: set[Pair] = set()
    for link in trace.links:
        written = trace.output_layouts.get(link.producer)
        read = trace.input_layouts.get(link.consumer)
        for p, c in zip(link.producer_channels, link.consumer_channels, strict=True):
            outputs = [int(p)] if written is None else written.index[p].tolist()
            inputs = c.tolist() if c.dim() else [int(c)]
            if read is not None:
                assert not c.dim()
                inputs = read.index[c].tolist()
            found |= {(link.producer, link.consumer, o, i) for o in outputs for i in inputs}
    return found
