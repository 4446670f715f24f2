"""The interpreter's walk along a running forward pass, operator by operator.

What a map writes is a tensor without values, and so is everything computed from it, while what
depends on no map (masks, indices, positions) is computed for real. Nothing that depends on a map
can therefore leave the tensors unseen: reading a value raises.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch._ops import OpOverload
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode, _disable_current_modes
from torch.utils._pytree import tree_leaves, tree_map_only
from torch.utils.weak import WeakIdKeyDictionary

from svr_widget.engine.environment.settings import callers_device
from svr_widget.engine.trace.flow.call import Call, is_view
from svr_widget.engine.trace.flow.flow import Flow, Scope
from svr_widget.engine.trace.parameters import parameter
from svr_widget.engine.trace.rules.contraction import GROUPED
from svr_widget.engine.trace.rules.recurrent import FUNCTIONS, overload


class Applies(Protocol):
    """What interprets an operator."""

    def apply(self, call: Call) -> list[Flow]:
        """The flows of an operator's results."""

    def is_use(self, call: Call) -> bool:
        """Whether the operator applies a map."""

    def scope(self, stack: list[tuple[str, str]]) -> Scope:
        """The scope of an operator from its module stack."""

    def leave(self, results: list[Flow]) -> None:
        """Take note of what the network returns."""


class Dispatch(TorchDispatchMode):  # type: ignore[no-untyped-call]  # the base is untyped
    """Hands every operator that runs to the interpreter."""

    def __init__(
        self, interpreter: Applies, scope: Scope, valueless: FakeTensorMode | None = None
    ) -> None:
        """Start inside ``scope``; with ``valueless`` maps write tensors without values."""
        super().__init__()  # type: ignore[no-untyped-call]  # the base is untyped
        self.interpreter = interpreter
        self.scope = scope
        self.valueless = valueless
        self.escapes: dict[str, None] = {}
        self.strangers: dict[str, None] = {}
        self._flows: Any = WeakIdKeyDictionary()
        self._viewed: Any = WeakIdKeyDictionary()

    def attach(self, tensor: Tensor, flow: Flow) -> None:
        """Say what ``tensor`` holds."""
        self._flows[tensor] = flow

    def flow_of(self, tensor: Tensor) -> Flow:
        """What ``tensor`` holds; a constant where nothing was said."""
        known: Flow | None = self._flows.get(tensor)
        return known or Flow(tuple(tensor.shape), value=None if tensor.is_meta else tensor.detach)

    def __torch_dispatch__(
        self,
        func: OpOverload[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Run the operator and interpret it."""
        kwargs = dict(kwargs or {})
        call = Call(func, tuple(map(self._seen, args)), self._seen(kwargs), (), self.scope)
        if call.name == "embedding_renorm":
            return args[0]  # it would rescale rows of the user's own weight
        self._check_origin(call, (args, kwargs))
        if self.valueless is not None and self.interpreter.is_use(call):
            args = tree_map_only(Tensor, self._without_values, args)
        if call.name in GROUPED and any(isinstance(arg, FakeTensor) for arg in args):
            rows, matrices = args[:2]  # PyTorch tells its shape in one precision only
            results = rows.new_empty((*rows.shape[:-1], matrices.shape[-1]))
        else:
            results = func(*args, **kwargs)
        return self._interpreted(call, results, args)

    def whole(self, func: OpOverload[..., Any], args: tuple[Any, ...]) -> Any:
        """Run an operator that PyTorch would dissolve, and interpret it as it is."""
        with _disable_current_modes():
            call = Call(func, tuple(map(self._seen, args)), {}, (), self.scope)
            self._check_origin(call, args)
            if self.valueless is not None:
                args = tree_map_only(Tensor, self._without_values, args)
            return self._interpreted(call, func(*args), args)

    def _interpreted(self, call: Call, results: Any, args: tuple[Any, ...]) -> Any:
        func = call.func
        tensors = list(results) if isinstance(results, (list, tuple)) else [results]
        if not any(isinstance(tensor, Tensor) for tensor in tensors):
            if any(flow.traced for flow in call.flows()):
                self._check_escape(call)
            return results
        shapes = tuple(tuple(t.shape) if isinstance(t, Tensor) else () for t in tensors)
        call = Call(func, call.args, call.kwargs, shapes, self.scope)
        for tensor, flow in zip(tensors, self.interpreter.apply(call), strict=True):
            if not isinstance(tensor, Tensor):
                continue
            if func._schema.is_mutable:
                self._check_write(call, tensor, flow)
            self._flows[tensor] = self._valued(flow, tensor)
            if is_view(func):
                self._viewed[args[0]] = self._viewed[tensor] = True
        return results

    def _seen(self, argument: Any) -> Any:
        return tree_map_only(Tensor, self.flow_of, argument)

    def _without_values(self, tensor: Tensor) -> Tensor:
        assert self.valueless is not None
        return tensor if isinstance(tensor, FakeTensor) else self.valueless.from_tensor(tensor)

    def _valued(self, flow: Flow, tensor: Tensor) -> Flow:
        if flow.traced:
            return flow
        value = tensor.detach()
        valueless = tensor.is_meta or isinstance(tensor, FakeTensor)
        return replace(flow, value=None if valueless else lambda: value)

    def _check_origin(self, call: Call, arguments: Any) -> None:
        for tensor in tree_leaves(arguments):
            if not isinstance(tensor, Tensor) or tensor in self._flows:
                continue
            if isinstance(tensor, FakeTensor):
                raise call.refusal("it reads a tensor that no operator made")
            if self.valueless is None and tensor.is_floating_point() and tensor.numel() > 1:
                self.strangers[self.scope.module or self.scope.kind] = None

    def _check_write(self, call: Call, tensor: Tensor, flow: Flow) -> None:
        """A write to memory that other tensors look at would make their labels stale."""
        before = self.flow_of(tensor)
        same = len(before.carriers) == len(flow.carriers) and all(
            a.same_channels(b) and a.through == b.through
            for a, b in zip(before.carriers, flow.carriers, strict=True)
        )
        if tensor in self._viewed and not (same and before.mixed == flow.mixed):
            raise call.refusal("it writes in place to memory that several tensors share")

    def _check_escape(self, call: Call) -> None:
        if call.func._schema.is_mutable:
            raise call.refusal("it writes in place")
        if call.name in ("_local_scalar_dense", "item", "equal", "is_nonzero"):
            self.escapes[self.scope.module or self.scope.kind] = None


class Whole(TorchFunctionMode):
    """Hands recurrent layers over whole: PyTorch would unroll every step, or call a library."""

    def __init__(self, mode: Dispatch) -> None:
        """Hand them to ``mode``."""
        super().__init__()
        self.mode = mode

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Intercept the functions that ``torch.nn``'s recurrent layers call."""
        name = FUNCTIONS.get(func)
        if name is None or kwargs:
            return func(*args, **(kwargs or {}))
        return self.mode.whole(overload(name, args), args)


@contextmanager
def following(model: nn.Module, mode: Dispatch) -> Iterator[None]:
    """Keep ``mode.scope`` at the module that runs."""
    stack: list[tuple[str, str]] = []

    def enter(entry: tuple[str, str]) -> Callable[..., None]:
        def hook(*_: object) -> None:
            stack.append(entry)
            mode.scope = mode.interpreter.scope(stack)

        return hook

    def leave(*_: object) -> None:
        stack.pop()
        mode.scope = mode.interpreter.scope(stack)

    handles = []
    for name, module in model.named_modules():
        if isinstance(module, torch.jit.ScriptModule):
            continue  # it calls no hooks of Python's
        kind = f"{type(module).__module__}.{type(module).__qualname__}"
        handles.append(module.register_forward_pre_hook(enter((name, kind)), prepend=True))
        handles.append(module.register_forward_hook(leave, always_call=True))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def run(
    model: nn.Module,
    interpreter: Applies,
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
    values: bool = False,
) -> list[str]:
    """One forward pass, interpreted as it runs.

    Args:
        model: the network, in evaluation mode.
        interpreter: receives every operator.
        args: positional arguments of the forward pass.
        kwargs: its keyword arguments.
        values: compute everything for real, for a network whose course depends on values.

    Returns:
        Notes: where values left the tensors, so that the links hold for this input only.
    """
    valueless = None if values else FakeTensorMode(allow_non_fake_inputs=True)
    mode = Dispatch(interpreter, interpreter.scope([]), valueless)
    for name, tensor in (*model.named_parameters(), *model.named_buffers()):
        shape = tuple(tensor.shape)
        mode.attach(tensor, parameter(name, shape, tensor.detach))
    for leaf in tree_leaves((args, dict(kwargs))):
        if isinstance(leaf, Tensor):
            mode.attach(leaf, Flow(tuple(leaf.shape), data=True, value=leaf.detach))
    with torch.no_grad(), following(model, mode), mode, Whole(mode), callers_device():
        results = model(*args, **kwargs)
    tensors = [leaf for leaf in tree_leaves(results) if isinstance(leaf, Tensor)]
    interpreter.leave([mode.flow_of(tensor) for tensor in tensors])
    strangers = [
        f"{where!r} reads a tensor that no operator made: if it was computed from a map's output "
        "outside of PyTorch, links are missing"
        for where in mode.strangers
    ]
    return strangers + [
        f"{where!r} reads the values of a tensor as numbers: the links hold for this input's "
        "course, and what is computed from these numbers outside of tensors links nothing"
        for where in mode.escapes
    ]
