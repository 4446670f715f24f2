"""One operator call of the graph, as the rules see it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from torch._ops import OpOverload

from svr_widget.engine.errors import TraceError
from svr_widget.engine.trace.flow.flow import Attentions, Flow, Reason, Scope

Rule = Callable[["Call"], "Flow | list[Flow]"]
Shape = tuple[int, ...]

NORM_MODULES = {
    "BatchNorm1d": "batch_norm",
    "BatchNorm2d": "batch_norm",
    "BatchNorm3d": "batch_norm",
    "SyncBatchNorm": "batch_norm",
    "LayerNorm": "layer_norm",
    "GroupNorm": "group_norm",
    "InstanceNorm1d": "instance_norm",
    "InstanceNorm2d": "instance_norm",
    "InstanceNorm3d": "instance_norm",
    "RMSNorm": "rms_norm",
    "LocalResponseNorm": "local_response_norm",
}


class RefusedError(TraceError):
    """An operator that is not known, or used in a way that is not.

    Args:
        message: for whoever has nothing left without it.
        why: the clause in it that says what is not known.
    """

    def __init__(self, message: str, why: str) -> None:
        super().__init__(message)
        self.why = why


@dataclass(frozen=True, eq=False)
class Call:
    """An operator with its arguments, tensors replaced by their flows.

    Attributes:
        func: the ``aten`` operator.
        args: positional arguments.
        kwargs: keyword arguments.
        shapes: the shapes of the tensors that it returns.
        scope: the module it ran in.
        attentions: where to record attention, head by head; None to follow channels alone.
    """

    func: OpOverload[..., Any]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    shapes: tuple[Shape, ...]
    scope: Scope
    attentions: Attentions | None = None

    @property
    def name(self) -> str:
        """The operator's name without namespace, overload and the in-place underscore."""
        return base_name(self.func)

    @property
    def shape(self) -> Shape:
        """The shape of the (first) result."""
        return self.shapes[0]

    def get(self, name: str, default: Any = None) -> Any:
        """The argument called ``name`` in the operator's schema."""
        known = _arguments(self.func).get(name)
        if known is None:
            return default
        if name in self.kwargs:
            return self.kwargs[name]
        at, usual = known
        if at is not None and at < len(self.args):
            return self.args[at]
        return usual.default_value if usual.has_default_value() else default

    def flow(self, name: str) -> Flow:
        """The tensor argument called ``name``."""
        value = self.get(name)
        if not isinstance(value, Flow):
            raise self.refusal(f"its argument {name!r} is not a tensor")
        return value

    def flows(self) -> Iterator[Flow]:
        """All tensor arguments, lists included, in order."""
        for argument in (*self.args, *self.kwargs.values()):
            if isinstance(argument, Flow):
                yield argument
            elif isinstance(argument, (list, tuple)):
                yield from (item for item in argument if isinstance(item, Flow))

    def reason(self, operation: str | None = None, weighs: bool = True) -> Reason:
        """Why channels end here."""
        return Reason(operation or self.name, self.scope.module, weighs)

    def unknown(self, why: str) -> Reason:
        """Why channels are not followed past an operator that is not known here."""
        return Reason(str(self.func), self.scope.module, weighs=False, unknown=why)

    def entry(self, operation: str | None = None) -> str:
        """How this step reads in ``Link.through``."""
        if self.scope.custom_leaf:
            return f"{self.scope.kind} ({self.scope.module})"
        if self.scope.library_leaf:
            norm = NORM_MODULES.get(self.scope.kind)
            if norm is not None:
                return f"{norm} ({self.scope.module})"
            if "Pool" in self.scope.kind:
                return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", self.scope.kind).lower()
        plain = self.name.strip("_").removeprefix("quantized_").removesuffix("_with_indices")
        return operation or plain

    def refusal(self, why: str) -> RefusedError:
        """The error that names this operator and its module."""
        where = (
            f"module {self.scope.module!r} ({self.scope.kind})"
            if self.scope.module
            else (f"the model's own forward ({self.scope.kind})")
        )
        return RefusedError(
            f"{self.func} in {where}: {why}. Which map feeds which cannot be followed past it; "
            'pass the links by hand: links=[("producer", "consumer"), ...].',
            why,
        )


@lru_cache(maxsize=4096)
def _arguments(func: OpOverload[..., Any]) -> dict[str, tuple[int | None, torch.Argument]]:
    """An operator's arguments by name, with the places of those that have one."""
    return {
        argument.name: (None if argument.kwarg_only else at, argument)
        for at, argument in enumerate(func._schema.arguments)
    }


@lru_cache(maxsize=4096)
def base_name(func: OpOverload[..., Any]) -> str:
    """``aten::relu_`` -> ``relu``."""
    name = func._schema.name.split("::")[-1]
    return name[:-1] if name.endswith("_") and not name.endswith("__") else name


def normal_dims(dims: int | Sequence[int] | None, ndim: int) -> list[int]:
    """Dimensions counted from 0; all of them for ``None`` or an empty list."""
    if dims is None:
        return list(range(ndim))
    if isinstance(dims, int):
        dims = [dims]
    return sorted({dim % ndim for dim in dims}) if len(dims) and ndim else list(range(ndim))


@lru_cache(maxsize=4096)
def is_view(func: OpOverload[..., Any]) -> bool:
    """Whether the operator only looks at its input's elements in another arrangement."""
    returns = func._schema.returns
    return (
        base_name(func) != "as_strided"
        and bool(returns)
        and all(ret.alias_info is not None and not ret.alias_info.is_write for ret in returns)
    )


@lru_cache(maxsize=4096)
def is_pointwise(func: OpOverload[..., Any]) -> bool:
    """Whether PyTorch declares the operator elementwise."""
    return torch.Tag.pointwise in func.tags
