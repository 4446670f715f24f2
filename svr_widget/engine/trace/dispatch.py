"""The interpreter's walk along a running forward pass, operator by operator.

What a map writes is a tensor without values, and so is everything computed from it, while what
depends on no map (masks, indices, positions) is computed for real. Nothing that depends on a map
can therefore leave the tensors unseen: reading a value raises.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch._ops import OpOverload
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode, _disable_current_modes
from torch.utils._pytree import tree_leaves
from torch.utils.weak import WeakIdKeyDictionary

from svr_widget.engine.environment.operators import mapped, tensors_in
from svr_widget.engine.environment.settings import callers_device
from svr_widget.engine.errors import TraceError, listed
from svr_widget.engine.model.guard import unguarded
from svr_widget.engine.model.tensors import stand_in
from svr_widget.engine.trace.flow.call import Call, base_name
from svr_widget.engine.trace.flow.flow import Flow, Reason, Scope, lost
from svr_widget.engine.trace.flow.memory import Memory, overwritten
from svr_widget.engine.trace.flow.writes import only_written, written_by
from svr_widget.engine.trace.mapping import may_apply
from svr_widget.engine.trace.rules.contraction import GROUPED
from svr_widget.engine.trace.rules.recurrent import FUNCTIONS, overload


class Applies(Protocol):
    """What interprets an operator."""

    def apply(self, call: Call) -> list[Flow]:
        """The flows of an operator's results."""

    def is_use(self, call: Call) -> bool:
        """Whether the operator applies a map."""

    def parameter(
        self, name: str, shape: tuple[int, ...], value: Callable[[], Tensor] | None
    ) -> Flow:
        """A parameter or buffer as the model holds it."""

    def unknown(self, call: Call, shape: tuple[int, ...]) -> Flow:
        """What holds whatever an operator that is not known makes of its arguments."""

    def scope(self, stack: list[tuple[str, str]]) -> Scope:
        """The scope of an operator from its module stack."""

    def decides(self, module: str) -> None:
        """Take note that a module decides by values that it computed what runs."""

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
        self.unregistered: Any = WeakIdKeyDictionary()
        self._flows: Any = WeakIdKeyDictionary()
        self._stand_ins: Any = WeakIdKeyDictionary()
        self._stale: Any = WeakIdKeyDictionary()
        self._memory = Memory()

    def attach(self, tensor: Tensor, flow: Flow) -> None:
        """Say what ``tensor`` holds."""
        self._flows[tensor] = flow
        self._memory.join(tensor)

    def flow_of(self, tensor: Tensor) -> Flow:
        """What ``tensor`` holds; a constant where nothing was said."""
        known: Flow | None = self._flows.get(tensor)
        if known is None:
            for other in self._memory.others(tensor):  # ``Tensor.data`` is no operator's result
                blank = Flow(tuple(tensor.shape))
                seen = overwritten(blank, tensor, self._flows.get(other, blank), other)
                if seen is not None:
                    self.attach(tensor, self._valued(seen, tensor))
                    return self.flow_of(tensor)
        return known or Flow(tuple(tensor.shape), value=_value(tensor))

    def __torch_dispatch__(
        self,
        func: OpOverload[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Run the operator and interpret it."""
        kwargs = dict(kwargs or {})
        if base_name(func) == "embedding_renorm":
            return args[0]  # it would rescale rows of the user's own weight
        args = self._by_number(func, args)
        call = Call(func, tuple(map(self._seen, args)), self._seen(kwargs), (), self.scope)
        self._check_origin(call, (args, kwargs))
        given, named = args, kwargs
        if self.valueless is not None:
            if may_apply(func) and self.interpreter.is_use(call):
                given = mapped(self._without_values, given)
            given, named = mapped(self._followed, (given, named))
            if func._schema.is_mutable and any(flow.traced for flow in call.flows()):
                given, named = self._not_written(func, given, named)
        if call.name in GROUPED and any(isinstance(each, FakeTensor) for each in given):
            rows, matrices = given[:2]  # PyTorch tells its shape in one precision only
            results = rows.new_empty((*rows.shape[:-1], matrices.shape[-1]))
        else:
            results = func(*given, **named)
        return self._interpreted(call, results, args, kwargs)

    def whole(self, func: OpOverload[..., Any], args: tuple[Any, ...]) -> Any:
        """Run an operator that PyTorch would dissolve, and interpret it as it is."""
        with _disable_current_modes():
            call = Call(func, tuple(map(self._seen, args)), {}, (), self.scope)
            self._check_origin(call, args)
            if self.valueless is not None:
                args = mapped(self._without_values, args)
            return self._interpreted(call, func(*args), args, {})

    def _interpreted(
        self, call: Call, results: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> Any:
        """Say what the results hold, and what was written to holds now.

        Returns:
            The results; what was written to as it was given.
        """
        func = call.func
        several = isinstance(results, (list, tuple))
        tensors = list(results) if several else [results]
        written = written_by(func, args, kwargs)
        if not any(isinstance(tensor, Tensor) for tensor in tensors):
            if any(flow.traced for flow in call.flows()):
                self._check_escape(call)
            for changed in tensors_in([given for given, _ in written]):
                self._write(changed, self.interpreter.unknown(call, tuple(changed.shape)))
            return results
        shapes = tuple(tuple(t.shape) if isinstance(t, Tensor) else () for t in tensors)
        plain = {name: v for name, v in call.kwargs.items() if name not in only_written(func)}
        call = Call(func, call.args, plain, shapes, self.scope)
        if call.name == "as_strided":  # where in memory its elements lie says which they are
            seen = overwritten(Flow(shapes[0]), tensors[0], self.flow_of(args[0]), args[0])
            flows = [seen or Flow(shapes[0])]
        else:
            with unguarded():
                flows = self.interpreter.apply(call)
        targets = {place: target for target, place in written if place is not None}
        for place, (tensor, flow) in enumerate(zip(tensors, flows, strict=True)):
            if not isinstance(tensor, Tensor):
                continue
            target = targets.get(place)
            if target is None:
                self._flows[tensor] = self._valued(flow, tensor)
                self._memory.join(tensor)
                continue
            if target is not tensor:
                self._stand_in(target, tensor)
                self._stale[target] = True
            self._write(target, self._valued(flow, tensor))
            tensors[place] = target
        return type(results)(tensors) if several else tensors[0]

    def _seen(self, argument: Any) -> Any:
        return mapped(self.flow_of, argument)

    def _by_number(self, func: OpOverload[..., Any], args: tuple[Any, ...]) -> tuple[Any, ...]:
        """Indices instead of masks: how many elements a mask chooses is told by its values."""
        if base_name(func) not in _MASKED or len(args) < 2:
            return args
        indices: list[Any] = []
        for index in args[1]:
            mask = isinstance(index, Tensor) and index.dtype in (torch.bool, torch.uint8)
            if not mask or isinstance(index, FakeTensor):
                indices.append(index)
                continue
            flow = self.flow_of(index)
            if flow.traced and self.valueless is not None:
                indices.append(index)
                continue
            if flow.traced:
                self.interpreter.decides(self.scope.module)
            with _disable_current_modes():
                chosen = index.nonzero().unbind(1)
            for each in chosen:
                self._flows[each] = _chosen(flow, each)
            indices += chosen
        return (args[0], indices, *args[2:])

    def _without_values(self, tensor: Tensor) -> Tensor:
        assert self.valueless is not None
        if isinstance(tensor, FakeTensor):
            return tensor
        known: Tensor | None = self._stand_ins.get(tensor)
        if known is None:
            known = self.valueless.from_tensor(tensor)
            self._stand_in(tensor, known)
        return known

    def _stand_in(self, tensor: Tensor, without_values: Tensor) -> None:
        """From now on a tensor without values stands for one whose values are no longer true."""
        self._stand_ins[tensor] = without_values
        self._memory.join(without_values, like=tensor)
        if tensor.shape != without_values.shape:  # what is written to may grow
            with _disable_current_modes(), torch.no_grad():
                tensor.resize_(without_values.shape)

    def _followed(self, tensor: Tensor) -> Tensor:
        """Without values what depends on a map's output, or lies where such was written."""
        if isinstance(tensor, FakeTensor):
            return tensor
        without = tensor in self._stale or self.flow_of(tensor).traced
        return self._without_values(tensor) if without else tensor

    def _not_written(
        self, func: OpOverload[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Arguments that nothing with values is written to by."""
        written = {id(t) for given, _ in written_by(func, args, kwargs) for t in tensors_in(given)}

        def kept_off(tensor: Tensor) -> Tensor:
            return self._without_values(tensor) if id(tensor) in written else tensor

        changed: tuple[tuple[Any, ...], dict[str, Any]]
        changed = mapped(kept_off, (args, kwargs))
        return changed

    def _valued(self, flow: Flow, tensor: Tensor) -> Flow:
        if flow.traced:
            return flow
        return replace(flow, value=None if tensor in self._stale else _value(tensor.detach()))

    def _write(self, target: Tensor, flow: Flow) -> None:
        """Whatever looks at the memory of ``target`` holds what was written to it."""
        before = self.flow_of(target)
        self._flows[target] = flow
        self._memory.join(target)
        without = isinstance(target, FakeTensor) or target in self._stale
        depends = any(each.traced or each.data or each.weights for each in (before, flow))
        for other in self._memory.others(target) if without or depends else ():
            if without:
                self._stale[other] = True
            changed = overwritten(self.flow_of(other), other, flow, target)
            if changed is not None:
                self._flows[other] = self._valued(changed, other)

    def _check_origin(self, call: Call, arguments: Any) -> None:
        for tensor in tensors_in(arguments):
            if tensor in self._flows:
                continue
            if isinstance(tensor, FakeTensor):
                raise call.refusal("it reads a tensor that no operator made")
            if _is_weight(tensor):
                self.unregistered[tensor] = self.scope.module or self.scope.kind
            elif self.valueless is None and tensor.is_floating_point() and tensor.numel() > 1:
                self.strangers[self.scope.module or self.scope.kind] = None

    def check_values(self, tensor: Tensor) -> None:
        """Raise ``TraceError`` where numbers are read off a tensor that has none."""
        if self.valueless is not None and self._followed(tensor) is not tensor:
            where = self.scope.module or self.scope.kind
            raise TraceError(f"{where!r} reads a tensor as numbers, and on this way it has none")

    def _check_escape(self, call: Call) -> None:
        if call.name in ("_local_scalar_dense", "item", "equal", "is_nonzero"):
            self.escapes[self.scope.module or self.scope.kind] = None
            self.interpreter.decides(self.scope.module)


def _is_weight(tensor: Tensor) -> bool:
    """Whether a tensor is a parameter, be it one that no module knows of."""
    return isinstance(tensor, nn.Parameter) or (tensor.requires_grad and tensor.is_leaf)


_MASKED = frozenset({"index", "index_put", "_unsafe_index", "_unsafe_index_put"})


def _chosen(mask: Flow, index: Tensor) -> Flow:
    """The flow of the places that a mask chooses, which tell nothing of its channels."""
    shape = tuple(index.shape)
    reason = Reason("a choice by a mask", "")
    mixed = mask.mixed | {lost(carrier, reason) for carrier in mask.carriers}
    value = None if mixed else index.detach
    return Flow(shape, mixed=mixed, weights=mask.weights, data=mask.data, value=value)


_NUMBERS = frozenset({Tensor.tolist, Tensor.numpy, Tensor.__array__})
"""What reads a tensor's numbers, and is no operator."""


def _value(tensor: Tensor) -> Callable[[], Tensor] | None:
    """What gives the values of a tensor; None where it has none."""
    return None if tensor.is_meta or isinstance(tensor, FakeTensor) else tensor.detach


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
        if func in _NUMBERS:
            self.mode.check_values(args[0])
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
    if valueless is not None:
        stand_in(model, valueless)
    for name, tensor in (*model.named_parameters(), *model.named_buffers()):
        shape = tuple(tensor.shape)
        mode.attach(tensor, interpreter.parameter(name, shape, _value(tensor)))
    for leaf in tree_leaves((args, dict(kwargs))):
        if isinstance(leaf, Tensor):
            mode.attach(leaf, Flow(tuple(leaf.shape), data=True, value=leaf.detach))
    with torch.no_grad(), following(model, mode), mode, Whole(mode), callers_device():
        results = model(*args, **kwargs)
    tensors = [leaf for leaf in tree_leaves(results) if isinstance(leaf, Tensor)]
    interpreter.leave([mode.flow_of(tensor) for tensor in tensors])
    return list(_remarks(mode))


def _remarks(mode: Dispatch) -> Iterator[str]:
    """Notes on what left or entered the tensors unseen, one a kind."""
    if found := list(mode.unregistered.items()):
        shapes = ["x".join(map(str, tensor.shape)) for tensor, _ in found]
        where = list(dict.fromkeys(repr(module) for _, module in found))
        yield (
            f"{len(found):,} weight{'s run that are' if len(found) > 1 else ' runs that is'} no "
            f"parameter of the model ({listed(shapes, 2)} in {listed(where, 2)}): layers in a "
            "plain list or dict are not seen; keep them in nn.ModuleList or nn.ModuleDict"
        )
    if mode.strangers:
        yield (
            f"{_readers(mode.strangers)} a tensor that no operator made: if it was computed from a "
            "map's output outside of PyTorch, links are missing"
        )
    if mode.escapes:
        yield (
            f"{_readers(mode.escapes)} the values of a tensor as numbers: the links hold for this "
            "input's course, and what is computed from these numbers outside of tensors links "
            "nothing"
        )


def _readers(modules: Collection[str]) -> str:
    return f"{listed([*map(repr, modules)], 2)} read{'s' if len(modules) == 1 else ''}"
