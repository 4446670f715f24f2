"""Weights that stay in their file until somebody computes with them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_map_only


class Handle(ABC):
    """Reads a weight, in other processes as well: it pickles as what is to be read there."""

    @property
    @abstractmethod
    def elsewhere(self) -> bool:
        """Whether others can read it, where they see the file."""

    @abstractmethod
    def values(self) -> Tensor:
        """The values, in the file's own memory where they can be: nobody may write to them.

        Raises:
            OSError, SVRError: they cannot be read here.
        """

    def __call__(self) -> Tensor:
        """A copy of the values."""
        values = self.values()
        return torch.empty(values.shape, dtype=values.dtype).copy_(values)


class StoredTensor(Tensor):
    """A tensor that knows its form, and whose values are read whenever they are needed.

    What is read is let go again: whoever needs it more than once keeps what ``read`` returns. A
    view of a stored tensor is a stored tensor; any other operator reads.

    Args:
        form: a tensor of the same shape, strides and dtype, on the meta device.
        read: gives the values, on the CPU.
        whole: they are not a part of a larger tensor that has to be read as well.
    """

    _read: Callable[[], Tensor]
    _root: StoredTensor | None = None
    _whole: bool

    def __new__(cls, form: Tensor, read: Callable[[], Tensor], whole: bool = True) -> Self:
        """A tensor of that form."""
        made: Self = Tensor._make_subclass(cls, form)
        made._read, made._whole = read, whole
        return made

    def __init__(self, form: Tensor, read: Callable[[], Tensor], whole: bool = True) -> None:
        """As above: the values are not read yet."""

    def read(self) -> Tensor:
        """The values; while ``wholes_kept``, nobody may write to them."""
        kept = _kept_wholes.get()
        return kept.read(self) if kept and self._whole else self._read()

    @property
    def reads(self) -> Callable[[], Tensor]:
        """What gives the values."""
        return self._read

    @property
    def root(self) -> StoredTensor:
        """The stored tensor whose entries, all of them, these are in another order."""
        return self if self._root is None else self._root

    @property
    def form(self) -> Tensor:
        """A tensor of the same form on the meta device."""
        with torch._C.DisableTorchFunctionSubclass():
            return torch.empty_strided(self.shape, self.stride(), dtype=self.dtype, device="meta")

    def __deepcopy__(self, memo: dict[int, Any]) -> nn.Parameter:
        """A parameter of its own, in memory: a copy is to be changed."""
        made = nn.Parameter(self.read().clone(), requires_grad=False)
        memo[id(self)] = made
        return made

    @classmethod
    def __torch_function__(
        cls,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Tell the form, put off a view, and do anything else with the values."""
        kwargs = dict(kwargs or {})
        stored = args[0] if args and isinstance(args[0], StoredTensor) else None
        if stored is not None and func in _FORM:
            with torch._C.DisableTorchFunctionSubclass():
                return func(*args, **kwargs)
        if stored is not None and func in _ELSEWHERE:
            return _ELSEWHERE[func]
        if stored is not None and func is Tensor.detach:
            return stored
        if stored is not None and func is Tensor.to and args[1:] == ("meta",):
            return stored.form
        if stored is not None and func in _VIEWS:
            rest = args[1:]
            view = StoredTensor(
                func(stored.form, *rest, **kwargs),
                lambda: func(stored.read(), *rest, **kwargs),
                whole=False,
            )
            if func in _PERMUTATIONS:
                view._root = stored.root
            return view
        if stored is not None and func is Tensor.numpy:  # which what is read may have its own of
            return stored.read().numpy(*args[1:], **kwargs)
        read_args, read_kwargs = tree_map_only(StoredTensor, StoredTensor.read, (args, kwargs))
        return func(*read_args, **read_kwargs)


class wholes_kept:  # noqa: N801  # it is called as a function is
    """Keep the two tensors that were read last, for their parts.

    The heads of a layer are parts of the same two matrices, one after the other.
    """

    def __enter__(self) -> None:
        self._held: deque[tuple[StoredTensor, Tensor]] = deque(maxlen=2)
        self._token = _kept_wholes.set(self)

    def __exit__(self, *_: object) -> None:
        _kept_wholes.reset(self._token)

    def read(self, stored: StoredTensor) -> Tensor:
        """The values of a stored tensor, those of before where they are still there."""
        for known, values in tuple(self._held):
            if known is stored:
                return values
        values = stored._read()
        self._held.append((stored, values))
        return values


_kept_wholes: ContextVar[wholes_kept | None] = ContextVar("kept_wholes", default=None)


def in_memory(tensor: Tensor) -> Tensor:
    """The tensor itself, or what is read of a stored one."""
    return tensor.read() if isinstance(tensor, StoredTensor) else tensor


def values_of(tensor: Tensor) -> Tensor:
    """The same, in the memory of the file where it can be; nobody may write to it."""
    read = getattr(tensor, "_read", None) if isinstance(tensor, StoredTensor) else None
    return read.values() if isinstance(read, Handle) else in_memory(tensor)


def read_elsewhere(tensor: object) -> Handle | None:
    """What reads a stored tensor in another process; None where only this one can."""
    read = tensor._read if isinstance(tensor, StoredTensor) else tensor
    return read if isinstance(read, Handle) and read.elsewhere else None


def has_values(tensor: Tensor) -> bool:
    """Whether there are values, in memory or stored."""
    return isinstance(tensor, StoredTensor) or not tensor.is_meta


def _getter(name: str) -> Any:
    return getattr(Tensor, name).__get__


_FORM = frozenset(
    {
        *(_getter(name) for name in ("shape", "dtype", "ndim", "layout", "requires_grad")),
        *(_getter(name) for name in ("is_quantized", "is_sparse", "_version")),
        *(Tensor.size, Tensor.stride, Tensor.numel, Tensor.dim, Tensor.is_floating_point),
        *(Tensor.is_complex, Tensor.is_inference, Tensor.element_size, Tensor.__len__),
    }
)
"""What is asked of a tensor's form."""

_ELSEWHERE = {_getter("is_meta"): False, _getter("device"): torch.device("cpu")}
"""What is true of the values, and not of the form."""

_PERMUTATIONS = frozenset({_getter("T"), Tensor.permute, Tensor.t, Tensor.transpose})
"""What brings entries into another order, and leaves none out."""

_VIEWS = _PERMUTATIONS | {
    *(Tensor.__getitem__, Tensor.contiguous, Tensor.flatten, Tensor.reshape),
}
"""What moves entries and computes nothing."""


class LowRank(StoredTensor):
    """A matrix ``[out, in]`` that is kept as a product, as an adapter keeps it.

    Args:
        left: ``[out, r]``.
        right: ``[r, in]``.
    """

    factors: tuple[Tensor, Tensor]

    def __new__(cls, left: Tensor, right: Tensor) -> Self:
        """The product, which is formed where somebody computes with its entries."""
        shape = left.shape[0], right.shape[1]
        dtype = torch.promote_types(left.dtype, right.dtype)
        made = super().__new__(
            cls,
            torch.empty(shape, dtype=dtype, device="meta"),
            lambda: (in_memory(left).double() @ in_memory(right).double()).to(dtype),
        )
        made.factors = left, right
        return made

    def __init__(self, left: Tensor, right: Tensor) -> None:
        """As above."""
