"""What a run may do beside the user's work: read the weights, never write; draw for itself."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn
from torch._ops import OpOverload
from torch._subclasses.fake_tensor import FakeTensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import (
    TorchDispatchMode,
    _disable_current_modes,
    is_traceable_wrapper_subclass,
)

from svr_widget.engine.environment.operators import looks, tensors_in, written
from svr_widget.engine.environment.threads import check_wanted
from svr_widget.engine.errors import SVRError


class SharedMemory:
    """Memory that belongs to the user, and our tensors over it.

    Before the first write to a piece of it our tensors move to a copy.
    """

    def __init__(self) -> None:
        self._ours: dict[int, list[weakref.ref[Tensor]]] = {}
        self._storages: list[Any] = []  # alive, so that no address is used again

    def share(self, tensor: Tensor) -> Tensor:
        """Take note of a tensor of ours over the user's memory; returns it."""
        key = _memory(tensor)
        if key is not None:
            if key not in self._ours:
                self._storages.append(tensor.untyped_storage())
            self._ours.setdefault(key, []).append(weakref.ref(tensor))
        return tensor

    def follow(self, tensor: Tensor) -> None:
        """Take note of a view, where it is one of the user's memory."""
        if _memory(tensor) in self._ours:
            self.share(tensor)

    def leave(self, tensor: Tensor) -> None:
        """Let our tensors over the same memory have a copy of it.

        Raises:
            SVRError: the tensor is of a kind that cannot be moved.
        """
        if is_traceable_wrapper_subclass(tensor):
            raise SVRError(
                f"the model writes to a {type(tensor).__name__} of shape {tuple(tensor.shape)} as "
                "it runs, which can only be done to the tensor itself; give a copy of the model"
            )
        key = _memory(tensor)
        if key not in self._ours:
            return
        with torch._C.DisableTorchFunction(), torch.no_grad():
            copy = tensor.untyped_storage().clone()  # type: ignore[no-untyped-call]
            for each in (*(ref() for ref in self._ours.pop(key)), tensor):
                if each is not None and _memory(each) == key:
                    moved = torch.empty(0, dtype=each.dtype, device=each.device)
                    place = each.storage_offset(), each.size(), each.stride()
                    each.data = moved.set_(copy, *place)


def _memory(tensor: Tensor) -> int | None:
    """What is equal for tensors over the same memory; None where there is none to speak of."""
    if isinstance(tensor, FakeTensor) or tensor.is_meta or tensor.layout != torch.strided:
        return None
    try:
        key: int = tensor.untyped_storage()._cdata
    except (RuntimeError, NotImplementedError):  # wrappers around other tensors have none
        return None
    return key


def guards(memory: SharedMemory, seed: int = 0) -> tuple[TorchFunctionMode, TorchDispatchMode]:
    """Modes that keep what runs in this thread from the user's memory and generators.

    PyTorch's fast path, which computes whole layers of a transformer without calling their parts,
    is not taken where a mode such as ours is on: no switch of the process is needed.

    Args:
        memory: what must not be written to.
        seed: of the generators that random operators draw from instead of the process's own.
    """
    return _Functions(memory), _Operators(memory, _Generators(seed))


@contextmanager
def unguarded() -> Iterator[None]:
    """For arithmetic of our own, which touches nothing of the user's: no mode sees it.

    The guards would look at each of its operators, half a million for a deep transformer.
    """
    with torch._C.DisableTorchFunction(), _disable_current_modes():
        yield


class _Generators:
    """Generators of ours, each in the place of one that is not."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._ours: dict[object, torch.Generator] = {}

    def __call__(self, device: torch.device, given: torch.Generator | None) -> torch.Generator:
        """For the default one of a device, or in the state of the one that is given."""
        key = id(given) if given is not None else str(device)
        if key not in self._ours:
            fresh = torch.Generator(device) if given is None else given.clone_state()
            self._ours[key] = fresh.manual_seed(self._seed) if given is None else fresh
        return self._ours[key]


class _Functions(TorchFunctionMode):
    """Sees what no operator tells of: ``.data`` and the way to NumPy."""

    def __init__(self, memory: SharedMemory) -> None:
        super().__init__()
        self._memory = memory

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Call it, the user's memory kept from it."""
        kwargs = kwargs or {}
        if func in (Tensor.numpy, Tensor.__array__):
            self._memory.leave(args[0])
        if func is nn.functional.scaled_dot_product_attention and _drops(args, kwargs):
            return attention_in_products(*args, **kwargs)  # whose dropout takes a generator
        result = func(*args, **kwargs)
        if isinstance(result, Tensor) and getattr(func, "__self__", None) is _DATA:
            self._memory.follow(result)
        return result


_DATA = Tensor.data


def _drops(args: tuple[Any, ...], kwargs: Any) -> bool:
    return bool(args[4] if len(args) > 4 else kwargs.get("dropout_p"))


def attention_in_products(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    """``scaled_dot_product_attention`` by operators for each of its products."""
    products = torch.ops.aten._scaled_dot_product_attention_math
    options = {"scale": scale, "enable_gqa": enable_gqa}
    found: Tensor = products(query, key, value, attn_mask, dropout_p, is_causal, **options)[0]
    return found


class _Operators(TorchDispatchMode):  # type: ignore[no-untyped-call]  # the base is untyped
    """Sees every operator: those that write, those that look, those that draw."""

    def __init__(
        self,
        memory: SharedMemory,
        generator: _Generators,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # the base is untyped
        self._memory, self._generator = memory, generator

    def __torch_dispatch__(
        self, func: OpOverload[..., Any], types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        """Run the operator, the user's memory and generators kept from it."""
        check_wanted()
        kwargs = kwargs or {}
        for place, name in written(func):
            what = args[place] if place < len(args) else kwargs.get(name)
            for tensor in tensors_in(what):
                self._memory.leave(tensor)
        result = self._drawn(func, args, kwargs) if _draws(func) else func(*args, **kwargs)
        if looks(func):
            for tensor in tensors_in(result):
                self._memory.follow(tensor)
        return result

    def _drawn(self, func: OpOverload[..., Any], args: Any, kwargs: dict[str, Any]) -> Any:
        """The result of a random operator by a generator of ours."""
        device = _device(args, kwargs)
        if device is None or device.type == "meta":
            return func(*args, **kwargs)  # without values nothing is drawn
        names = [argument.name for argument in func._schema.arguments]
        if "dropout_p" in names:  # fused attention, and it drops nothing: see ``_Functions``
            return func(*args, **kwargs)
        if "generator" in names:
            place = names.index("generator")
            given = args[place] if place < len(args) else kwargs.get("generator")
            generator = self._generator(device, given)
            if place < len(args):
                return func(*args[:place], generator, *args[place + 1 :], **kwargs)
            return func(*args, **{**kwargs, "generator": generator})
        generator = self._generator(device, None)
        name = func._schema.name.partition("::")[2]
        if name in _LIKE:
            options = {k: v for k, v in kwargs.items() if v is not None}
            return _LIKE[name](torch.empty_like(args[0], **options), args[1:], generator)
        if name == "native_dropout":
            return _dropout(*args, generator=generator, **kwargs)
        overloads = func.overloadpacket.overloads()
        own = func._overloadname
        known = ("generator",) if own == "default" else (f"{own}_generator", f"generator_{own}")
        for other in known:
            if other in overloads:
                seeded = getattr(func.overloadpacket, other)
                return seeded(*args, **{**kwargs, "generator": generator})
        raise SVRError(
            f"the model draws random numbers by {func}, which cannot be done but from the "
            "generator of the whole process; give a copy of the model without it"
        )


_LIKE: dict[str, Callable[[Tensor, tuple[Any, ...], torch.Generator], Tensor]] = {
    "rand_like": lambda made, _, generator: made.uniform_(generator=generator),
    "randn_like": lambda made, _, generator: made.normal_(generator=generator),
    "randint_like": lambda made, ends, generator: made.random_(
        *((0, ends[0]) if len(ends) == 1 else ends[:2]), generator=generator
    ),
}


def _dropout(
    x: Tensor, p: float, train: bool | None = None, *, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """``aten::native_dropout``."""
    if train is False or p == 0:
        return x.clone(), torch.ones_like(x, dtype=torch.bool)
    kept = torch.empty_like(x, dtype=torch.bool).bernoulli_(1 - p, generator=generator)
    return x * kept * (0.0 if p == 1 else 1 / (1 - p)), kept


@lru_cache(maxsize=4096)
def _draws(func: OpOverload[..., Any]) -> bool:
    return torch.Tag.nondeterministic_seeded in func.tags


def _device(args: Any, kwargs: Any) -> torch.device | None:
    """Where an operator computes; None where it does so without values."""
    first = next(tensors_in((args, kwargs)), None)
    if first is not None:
        return None if isinstance(first, FakeTensor) else first.device
    given = kwargs.get("device")
    return torch.device(given) if given is not None else torch.get_default_device()
