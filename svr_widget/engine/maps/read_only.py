"""Tensors that are given out and cannot be written to: what they hold is the SVR itself.

A copy at each access would cost as much as the vectors are large, and who wrote to it would not
learn that nothing came of it. So what is given out is the memory itself, as a ``ReadOnlyTensor``.
"""

from __future__ import annotations

import operator
from dataclasses import fields, is_dataclass
from functools import cache
from typing import Any, TypeVar, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch._ops import OpOverload

from svr_widget.engine.environment.operators import mapped, only_looks, tensors_in, written
from svr_widget.engine.errors import SVRError
from svr_widget.engine.maps.stored import StoredTensor

Each = TypeVar("Each")


class ReadOnlyTensor(Tensor):
    """A tensor that no operator writes to, nor to a view of it.

    Whatever is computed from it is an ordinary tensor. ``numpy()`` gives a copy, read-only as well.
    ``clone()``, ``copy.copy`` and ``pickle`` give ordinary ones of their own.

    Examples:
        >>> from svr_widget import SVRError
        >>> try:
        ...     svr["0"].S[0] = 0
        ... except SVRError as error:
        ...     print(str(error).partition(",")[0])
        what an SVR gives out is read-only
        >>> mine = svr["0"].S.clone()
        >>> mine[0] = 0
    """

    _plain: Tensor

    __torch_function__ = torch._C._disabled_torch_function_impl  # type: ignore[assignment]  # PyTorch's way

    @classmethod
    def __torch_dispatch__(  # type: ignore[override]  # PyTorch passes the operator as well
        cls, func: OpOverload[..., Any], types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        """Run an operator on what it holds, unless it writes there."""
        kwargs = kwargs or {}
        for place, name in written(func):
            given = args[place] if place < len(args) else kwargs.get(name)
            if any(isinstance(tensor, ReadOnlyTensor) for tensor in tensors_in(given)):
                raise SVRError(_WORDS.format(func.overloadpacket))
        result = func(*mapped(plain, args), **mapped(plain, kwargs))
        return mapped(read_only, result) if only_looks(func) else result

    @property
    def data(self) -> Tensor:
        """The same values, as read-only."""
        return self

    @data.setter
    def data(self, _: Tensor) -> None:
        raise SVRError(_WORDS.format("an assignment to data"))

    def numpy(self, *, force: bool = False) -> NDArray[Any]:
        """The values as a read-only array of its own.

        A view would lead back to the memory: ``torch.from_numpy`` heeds no flag.
        """
        array = self._plain.numpy(force=force).copy()
        array.flags.writeable = False
        return array.view()  # which nobody can make writeable

    def requires_grad_(self, requires_grad: bool = True) -> Tensor:
        """Refused: it is no leaf of a graph of gradients."""
        if requires_grad:
            raise SVRError(_WORDS.format("requires_grad_"))
        return self

    @property
    def requires_grad(self) -> bool:
        """False."""
        return False

    @requires_grad.setter
    def requires_grad(self, value: bool) -> None:
        self.requires_grad_(value)

    def tolist(self) -> Any:
        """The values as nested lists."""
        return self._plain.tolist()

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        array = self.numpy()
        return np.array(array, dtype) if copy else np.asarray(array, dtype)

    def __dlpack__(self, **keywords: Any) -> Any:
        return self._plain.clone().__dlpack__(**keywords)

    def untyped_storage(self) -> torch.UntypedStorage:
        """That of a copy."""
        return self._plain.clone().untyped_storage()

    def storage(self) -> Any:
        """That of a copy."""
        return self._plain.clone().storage()  # type: ignore[no-untyped-call]

    def __copy__(self) -> Tensor:
        return self._plain.clone()

    def __deepcopy__(self, _: Any) -> Tensor:
        return self._plain.clone()

    def __reduce_ex__(self, protocol: Any) -> Any:
        return Tensor.__reduce_ex__(self._plain.clone(), protocol)  # type: ignore[no-untyped-call]

    def __repr__(  # type: ignore[override]  # PyTorch's has a keyword without a type
        self, *, tensor_contents: Any = None
    ) -> str:
        return repr(self._plain)

    def __format__(self, form: str) -> str:
        return format(self._plain, form)


_WORDS = (
    "what an SVR gives out is read-only, and {} would write to it; write to a copy: x = x.clone()"
)


_PLAIN = frozenset({str, int, float, bool, type(None)})


@cache
def _field_names(kind: type) -> tuple[str, ...]:
    return tuple(each.name for each in fields(kind))


def read_only(what: Each, known: dict[int, tuple[Any, Any]] | None = None) -> Each:
    """The same as one that cannot be written to: a tensor, a tuple or dataclass of some, an array.

    Memory is shared; whatever else it is comes back as it is. With ``known``, by the ``id`` of what
    they were, tensors that many things share are one object afterwards too.
    """
    made: Any = what
    if known is not None and id(what) in known:
        return cast(Each, known[id(what)][1])
    if isinstance(what, StoredTensor):
        return what  # each time that it is read, it gives a copy
    if isinstance(what, Tensor) and not isinstance(what, ReadOnlyTensor):
        made = what.as_subclass(ReadOnlyTensor)
        made._plain = what
    elif isinstance(what, np.ndarray):
        what.flags.writeable = False
    elif isinstance(what, tuple) and type(what) is tuple:
        guarded = tuple(read_only(each, known) for each in what)
        made = what if all(map(operator.is_, guarded, what)) else guarded
    elif is_dataclass(what) and not isinstance(what, type):
        names = _field_names(type(what))
        values = {name: getattr(what, name) for name in names}
        changed = {
            name: each
            for name, value in values.items()
            if type(value) not in _PLAIN and (each := read_only(value, known)) is not value
        }
        if changed:  # as it was made, and checked then
            made = object.__new__(type(what))
            made.__dict__.update(values, **changed)
    if known is not None and isinstance(what, Tensor | tuple):
        known[id(what)] = what, made  # and what it was, so that no other has its ``id``
    return cast(Each, made)


def plain(tensor: Tensor) -> Tensor:
    """The memory of a tensor as an ordinary one, for what is not given out: no copy is made."""
    return tensor._plain if isinstance(tensor, ReadOnlyTensor) else tensor


def array_of(tensor: Tensor) -> NDArray[Any]:
    """The memory of a tensor as a read-only array, for what is not given out: no copy is made."""
    array: NDArray[Any] = plain(tensor).numpy()
    array.flags.writeable = False
    return array
