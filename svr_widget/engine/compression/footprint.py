"""What a network takes: its parameters, and the multiply-adds of a forward pass."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import nn
from torch._ops import OpOverload
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry, shape_wrapper

from svr_widget.engine.environment.threads import uninterrupted
from svr_widget.engine.model.example_inputs import Example
from svr_widget.engine.model.guard import attention_in_products
from svr_widget.engine.model.user_model import running


class Change(NamedTuple):
    """A number of a model as it was and as it is after something was taken from it."""

    before: int
    after: int

    def __str__(self) -> str:
        return f"{self.before:,} -> {self.after:,}"


@dataclass(frozen=True)
class Footprint:
    """Parameters and multiply-adds, of the whole and module by module.

    Attributes:
        parameters: how many numbers there are to train, tied ones once.
        multiply_adds: of the matrix products, convolutions and attention of one forward pass.
        parameters_of: the parameters of every module by its qualified name, what lies beneath it
            included.
        multiply_adds_of: the multiply-adds of every module that is called, likewise.
    """

    parameters: int
    multiply_adds: int
    parameters_of: Mapping[str, int] = field(repr=False)
    multiply_adds_of: Mapping[str, int] = field(repr=False)


@uninterrupted
def footprint(model: nn.Module, example: Example, live: bool = False) -> Footprint:
    """Count the parameters of a model, and its multiply-adds for one call.

    Args:
        model: a private structure of it is run once, in evaluation mode.
        example: the call.
        live: run the model itself.
    """
    counter = _Counter()
    with running(model, live=live) as run:
        counter.follow(run.model)
        with _WrittenOut(), counter:
            run(*example.args, **example.kwargs)
    parameters = {
        name: sum(parameter.numel() for parameter in module.parameters())
        for name, module in model.named_modules(remove_duplicate=False)
    }
    counts = {name: operations // 2 for name, operations in counter.operations.items()}
    return Footprint(parameters[""], counts[""], parameters, counts)


class _Counter(TorchDispatchMode):  # type: ignore[no-untyped-call]  # the base is untyped
    """Counts operations by PyTorch's formulas, for each module that is called.

    ``FlopCounterMode`` would follow the modules by hooks on all modules of the process.

    Attributes:
        operations: by qualified name, what lies beneath included; ``""`` is all of them.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # the base is untyped
        self.operations: dict[str, int] = {"": 0}
        self._inside: list[str] = []

    def follow(self, model: nn.Module) -> None:
        """Let the modules of a model of ours say when they are called."""
        for name, module in model.named_modules():
            module.register_forward_pre_hook(lambda *_, name=name: self._inside.append(name))
            module.register_forward_hook(lambda *_: self._leave(), always_call=True)

    def _leave(self) -> None:
        self._inside.pop()

    def __torch_dispatch__(
        self, func: OpOverload[..., Any], types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        """Run an operator and count it."""
        result = func(*args, **(kwargs or {}))
        formula = _FORMULAS.get(func.overloadpacket)
        for name in {"", *self._inside}:
            self.operations.setdefault(name, 0)
            if formula is not None:
                self.operations[name] += formula(*args, **(kwargs or {}), out_val=result)
        return result


class _WrittenOut(TorchFunctionMode):
    """Attention as the products that it is: not every fused kernel of it has a formula."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Call it, or the products in its place."""
        if func is nn.functional.scaled_dot_product_attention:
            return attention_in_products(*args, **(kwargs or {}))
        return func(*args, **(kwargs or {}))


def _recurrent_layer(
    inputs: torch.Size, of_input: torch.Size, of_state: torch.Size, *_: Any, **__: Any
) -> int:
    """Operations of one direction of a layer of an LSTM, all steps in one kernel."""
    return 2 * math.prod(inputs[:-1]) * (math.prod(of_input) + math.prod(of_state))


_FORMULAS: Mapping[Any, Callable[..., int]] = {
    **flop_registry,
    torch.ops.aten.mkldnn_rnn_layer: shape_wrapper(_recurrent_layer),  # type: ignore[no-untyped-call]
}
