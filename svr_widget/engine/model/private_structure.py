"""A private structure of the user's model: modules of our own over the user's weights.

The model may be training in another thread while we want to run it. So nothing of ours ever runs
it: modules are built anew from what their instances hold, in evaluation mode, with buffers and
attributes of their own. Only the memory of weights is shared, for reading (see ``guard.py``).
"""

from __future__ import annotations

import copy
import functools
import random
import sys
import types
import weakref
from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable, Iterator, Mapping
from enum import Enum
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils import prune
from torch.nn.utils.spectral_norm import SpectralNorm
from torch.nn.utils.weight_norm import WeightNorm

from svr_widget.engine.errors import SVRError, listed
from svr_widget.engine.maps.stored import StoredTensor
from svr_widget.engine.model.callables import ATOMS, content, described, held_by, is_free
from svr_widget.engine.model.guard import SharedMemory

T = TypeVar("T")

_HOOKS_OF_FORWARD = ("_forward_pre_hooks", "_forward_hooks")
_FLAGS_OF_HOOKS = (
    "_forward_pre_hooks_with_kwargs",
    "_forward_hooks_with_kwargs",
    "_forward_hooks_always_called",
)
_WEIGHT_HOOKS = (prune.BasePruningMethod, SpectralNorm, WeightNorm)
_RANDOM = (np.random.Generator, np.random.RandomState, random.Random)
_PYTHON_CLASS = 1 << 9  # Py_TPFLAGS_HEAPTYPE
# What classes say about their own copies; such objects are handed on, not built anew.
_OWN_WAYS = ("__del__", "__deepcopy__", "__copy__", "__setstate__", "__getnewargs_ex__")


class PrivateStructure:
    """A model of our own that computes what the user's computes, with the user's weights.

    Args:
        model: the user's; nothing of it is changed, now or by a run.

    Attributes:
        model: ours, built of modules of the same classes.
        memory: what is shared with the user's model.

    Raises:
        SVRError: a module cannot be run but as it is; the message names it.
    """

    def __init__(self, model: nn.Module) -> None:
        self.memory = SharedMemory()
        self._not_run: dict[str, list[str]] = {}
        self._made: dict[int, Any] = {}
        self._kept: list[Any] = []  # what was built from, so that no ``id`` is used again
        self._names = {id(module): name for name, module in model.named_modules()}
        self._live = {*self._names, *map(id, model.parameters()), *map(id, model.buffers())}
        self._where = type(model).__name__
        try:
            self.model: nn.Module = self._module(model)
        except RecursionError:
            raise SVRError(
                f"{type(model).__name__} holds objects that are nested too deep to be built anew; "
                f"{_RUN_LIVE}"
            ) from None

    @property
    def notes(self) -> list[str]:
        """Which hooks are left out, for they are bound to something of the user's."""
        return [
            f"{where[0]}: its hook {hook} was not run, for it is bound to something of yours"
            if len(where) == 1
            else f"{len(where):,} hooks {hook} were not run, for they are bound to something of "
            f"yours: of {listed(where, 2)}"
            for hook, where in self._not_run.items()
        ]

    def __getitem__(self, module: nn.Module) -> nn.Module:
        """Our counterpart of a module of the user's."""
        found: nn.Module = self._made[id(module)]
        return found

    # What is built.

    def _of(self, value: Any) -> Any:
        """Our counterpart of whatever a module holds."""
        kind = type(value)
        if kind in ATOMS:
            return value
        if id(value) in self._made:
            return self._made[id(value)]
        if isinstance(value, nn.Module):
            return self._module(value)
        if isinstance(value, Tensor):
            return self._keep(value, self._shared(value))
        if isinstance(value, list | dict | set | deque | tuple | frozenset):
            return self._container(value)
        if isinstance(value, types.MethodType):
            return types.MethodType(value.__func__, self._of(value.__self__))
        if isinstance(value, types.BuiltinFunctionType):
            owner = self._of(value.__self__)
            return value if owner is value.__self__ else getattr(owner, value.__name__)
        if isinstance(value, types.FunctionType):
            return self._function(value)
        if isinstance(value, functools.partial):
            return self._partial(value)
        if isinstance(value, weakref.ref):
            target = value()
            return value if target is None or id(target) not in self._made else self._weak(target)
        if isinstance(value, torch.Generator):
            return self._keep(value, value.clone_state())
        if isinstance(value, _RANDOM):
            return self._keep(value, copy.deepcopy(value))
        if isinstance(value, np.ndarray):
            mapped = isinstance(value, np.memmap) or not value.flags.writeable
            return value if mapped else self._keep(value, value.copy())
        return self._object(value) if _is_plain(kind) and not isinstance(value, Enum) else value

    def _keep(self, value: Any, made: T) -> T:
        self._made[id(value)] = made
        self._kept.append(value)
        return made

    def _module(self, module: nn.Module) -> nn.Module:
        if id(module) in self._made:
            found: nn.Module = self._made[id(module)]
            return found
        inner = getattr(module, "_orig_mod", None)  # torch.compile
        if isinstance(module, nn.DataParallel | nn.parallel.DistributedDataParallel):
            inner = module.module
        if isinstance(inner, nn.Module):
            return self._keep(module, self._module(inner))
        before, self._where = self._where, self._called(module)
        self._check_kind(module)
        made = self._keep(module, _empty(type(module)))
        state = vars(module)
        own: dict[str, Any] = {"training": False, "_compiled_call_impl": None}
        # First, so that whatever else refers to a parameter finds ours.
        own["_parameters"] = self._each(state["_parameters"], self._parameter)
        own["_buffers"] = self._each(state["_buffers"], self._buffer)
        for name in _HOOKS_OF_FORWARD:
            own[name] = OrderedDict(self._hooks(state[name]))
        kept = {*own["_forward_pre_hooks"], *own["_forward_hooks"]}
        for name in _FLAGS_OF_HOOKS:
            own[name] = OrderedDict((k, v) for k, v in state.get(name, {}).items() if k in kept)
        vars(made).update(own)
        for name, value in state.items():
            if name in own:
                continue
            if name == "forward":
                self._check_forward(value)
            other_hooks = name.endswith("_hooks") and isinstance(value, dict)
            vars(made)[name] = OrderedDict() if other_hooks else self._of(value)
        self._where = before
        return made

    def _each(
        self, tensors: Mapping[str, Tensor | None], make: Callable[[Tensor], Tensor]
    ) -> dict[str, Tensor | None]:
        made: dict[str, Tensor | None] = {}
        for name, tensor in tensors.items():
            if tensor is not None and id(tensor) not in self._made:
                self._keep(tensor, make(tensor))
            made[name] = None if tensor is None else self._made[id(tensor)]
        return made

    def _parameter(self, parameter: Tensor) -> Tensor:
        if isinstance(parameter, StoredTensor):  # what runs does so on its form alone
            return nn.Parameter(parameter.form, requires_grad=parameter.requires_grad)
        made = nn.Parameter(another(parameter), requires_grad=parameter.requires_grad)
        vars(made).update({name: self._of(held) for name, held in vars(parameter).items()})
        return self.memory.share(made)

    def _shared(self, tensor: Tensor) -> Tensor:
        """The same memory in another tensor, which does not know how it was computed."""
        return self.memory.share(another(tensor))

    def _buffer(self, buffer: Tensor) -> Tensor:
        """A copy: norms write to their statistics in ways that no operator declares."""
        return buffer.detach().clone()

    def _container(self, value: Any) -> Any:
        kind = type(value)
        if isinstance(value, tuple | frozenset):
            items = [self._of(item) for item in value]
            if all(new is old for new, old in zip(items, value, strict=True)):
                return value
            builtin = frozenset if isinstance(value, frozenset) else tuple
            return self._keep(value, builtin.__new__(kind, items))  # named tuples, too
        made: Any
        if kind is defaultdict:
            made = self._keep(value, defaultdict(value.default_factory))
        elif kind is deque:
            made = self._keep(value, deque(maxlen=value.maxlen))
        elif _is_plain(kind) or kind in (list, dict, set, OrderedDict):
            made = self._keep(value, _empty(kind))
        else:
            return value
        if isinstance(value, dict):
            put = OrderedDict.__setitem__ if kind is OrderedDict else dict.__setitem__
            for key, item in list(value.items()):
                put(made, self._of(key), self._of(item))
        elif isinstance(value, set):
            set.update(made, [self._of(item) for item in list(value)])
        else:
            simple = all(type(item) in ATOMS for item in value)
            items = list(value) if simple else [self._of(item) for item in list(value)]
            (deque.extend if isinstance(value, deque) else list.extend)(made, items)
        if kind not in (list, dict, set, OrderedDict, defaultdict, deque):
            self._fill(made, value)
        return made

    def _object(self, value: Any) -> Any:
        made = self._keep(value, _empty(type(value)))
        self._fill(made, value)
        return made

    def _fill(self, made: Any, value: Any) -> None:
        """Give an object what another one holds, past whatever its class does on assignment."""
        for name in _slots(type(value)):
            try:
                object.__setattr__(made, name, self._of(object.__getattribute__(value, name)))
            except AttributeError:
                continue  # the slot is empty
        if hasattr(value, "__dict__"):
            vars(made).update({name: self._of(held) for name, held in list(vars(value).items())})

    def _function(self, function: types.FunctionType) -> Any:
        """A function over our modules, where it was one over the user's."""
        cells = function.__closure__ or ()
        contents = [content(cell) for cell in cells]
        made = [self._of(content) for content in contents]
        if all(new is old for new, old in zip(made, contents, strict=True)):
            return function
        cells = tuple(types.CellType(each) for each in made)
        other = types.FunctionType(
            function.__code__, function.__globals__, function.__name__, function.__defaults__, cells
        )
        other.__kwdefaults__ = function.__kwdefaults__
        return self._keep(function, other)

    def _partial(self, value: functools.partial[Any]) -> Any:
        keywords = {name: self._of(held) for name, held in value.keywords.items()}
        made = functools.partial(self._of(value.func), *map(self._of, value.args), **keywords)
        self._keep(value, made)
        vars(made).update({name: self._of(held) for name, held in vars(value).items()})
        return made

    def _weak(self, target: Any) -> Any:
        return weakref.ref(self._made[id(target)])

    # What is run, and what is refused.

    def _check_kind(self, module: nn.Module) -> None:
        kinds = {kind.__name__ for kind in type(module).__mro__}
        if isinstance(module, torch.jit.ScriptModule):
            raise SVRError(f"{self._where} is compiled to TorchScript and {_AS_IT_IS}")
        if kinds & {"FullyShardedDataParallel", "FSDPModule"}:
            raise SVRError(f"{self._where} is sharded by FSDP and {_AS_IT_IS}")

    def _check_forward(self, forward: Any) -> None:
        if isinstance(forward, types.FunctionType) and self._reaches(forward):
            raise SVRError(
                f"{self._where} has a forward of its own that reaches the modules of the model "
                f"and {_AS_IT_IS}"
            )

    def _hooks(self, hooks: Mapping[int, Any]) -> Iterator[tuple[int, Any]]:
        for key, hook in list(hooks.items()):
            if isinstance(hook, _WEIGHT_HOOKS):
                yield key, hook
            elif isinstance(hook, types.MethodType) and id(hook.__self__) in self._names:
                yield key, self._of(hook)
            elif self._reaches(hook):
                raise SVRError(
                    f"{self._where} has the hook {described(hook)}, which reaches the modules of "
                    f"the model, and {_AS_IT_IS}"
                )
            elif is_free(hook):
                yield key, hook
            elif not getattr(hook, "__module__", "").startswith("torch.export."):  # checks inputs
                self._not_run.setdefault(described(hook), []).append(self._where)

    def _reaches(self, value: Any) -> bool:
        """Whether something that is called holds a module or a weight of the user's model."""
        seen: set[int] = set()
        waiting = [value]
        while waiting:
            each = waiting.pop()
            if id(each) in self._live:
                return True
            if id(each) in seen or type(each) in ATOMS:
                continue
            seen.add(id(each))
            waiting += held_by(each)
        return False

    def _called(self, module: nn.Module) -> str:
        kind = type(module).__name__
        name = self._names.get(id(module), "")
        return f"{name!r} ({kind})" if name else kind


_RUN_LIVE = (
    "with run_live=True the model itself is run, which is safe as long as it is not training; or "
    'pass links=[("producer", "consumer"), ...], for which nothing is run'
)
_AS_IT_IS = f"can only be run as it is; {_RUN_LIVE}"


def another(tensor: Tensor) -> Tensor:
    """Another tensor over the same memory, detached, with a version of its own.

    Of a tensor that was made under ``inference_mode`` it is an ordinary one.
    """
    plain = type(tensor) in (Tensor, nn.Parameter, nn.Buffer) and tensor.layout == torch.strided
    if not plain or tensor.is_quantized or tensor.is_conj() or tensor.is_neg():
        return tensor.detach()
    made = torch.empty(0, dtype=tensor.dtype, device=tensor.device)
    return made.set_(
        tensor.untyped_storage(), tensor.storage_offset(), tensor.size(), tensor.stride()
    )


def _empty(kind: type[T]) -> T:
    """An instance without anything in it."""
    try:
        return object.__new__(kind)
    except TypeError:  # a subclass of a built-in type
        return kind.__new__(kind)


def _is_plain(kind: type) -> bool:
    """Whether instances are no more than what they hold, so that they can be built anew.

    Not so: what Python or PyTorch brings (locks, files, streams, loggers), what is written in C,
    and classes that have something to say about their end or their copies.
    """
    root = kind.__module__.partition(".")[0]
    return (
        bool(kind.__flags__ & _PYTHON_CLASS)
        and root != "torch"
        and root not in sys.stdlib_module_names
        and not issubclass(kind, type)
        and kind.__reduce__ is object.__reduce__
        and kind.__reduce_ex__ is object.__reduce_ex__
        and not any(hasattr(kind, way) for way in _OWN_WAYS)
    )


def _slots(kind: type) -> Iterator[str]:
    for each in kind.__mro__:
        names = each.__dict__.get("__slots__", ())
        for name in (names,) if isinstance(names, str) else names:
            if name not in ("__dict__", "__weakref__"):
                private = name.startswith("__") and not name.endswith("__")
                yield f"_{each.__name__.lstrip('_')}{name}" if private else name
