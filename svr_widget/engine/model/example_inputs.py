"""An example input for a model: the caller's, the model's own, or one tried from its first map."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import DataDependentOutputException, FakeTensorMode
from torch.utils._pytree import tree_leaves, tree_map

from svr_widget.engine.maps.parts import Part
from svr_widget.engine.model.images import as_tensor, taken_by
from svr_widget.engine.model.tensors import stand_in
from svr_widget.engine.model.user_model import running

SIZES = (28, 32, 64, 96, 224, 299)


@dataclass(frozen=True, eq=False)
class Example:
    """What the model is called with, and where it comes from.

    Attributes:
        args: positional arguments.
        kwargs: keyword arguments.
        origin: a sentence for the notes, empty for the caller's own input.
    """

    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    origin: str = ""

    def copied(self) -> Example:
        """The same with tensors of its own."""
        args, kwargs = (
            tree_map(lambda leaf: leaf.clone() if isinstance(leaf, Tensor) else leaf, each)
            for each in (self.args, dict(self.kwargs))
        )
        return replace(self, args=args, kwargs=kwargs)

    def first(self) -> Tensor | None:
        """The first positional argument, if it is a tensor."""
        leaf = self.args[0] if self.args else None
        return leaf if isinstance(leaf, Tensor) else None

    def tensors(self) -> list[Any]:
        """Every leaf of the arguments in the order of ``torch.export``."""
        return list(tree_leaves((self.args, dict(self.kwargs))))


def examples(
    model: nn.Module, parts: Mapping[str, Part], given: Any, live: bool = False
) -> Iterator[Example]:
    """Inputs to try, best first; only the caller's own where there is one.

    Args:
        model: the user's.
        parts: its maps.
        given: the caller's own input, or None.
        live: sizes may be tried on the model itself.
    """
    extra = _no_cache(model)
    if given is not None:
        yield taken_example(model, parts, given, live)
        return
    dummy = getattr(model, "dummy_inputs", None)
    if isinstance(dummy, Mapping):
        yield Example((), {**dummy, **extra}, "example input: the model's own dummy_inputs")
    for value in _from_first_map(model, parts, extra, live):
        shape = "x".join(map(str, value.shape))
        yield Example((value,), extra, f"example input tried from the first map: {shape}")


def taken_example(
    model: nn.Module, parts: Mapping[str, Part], given: Any, live: bool = False
) -> Example:
    """The caller's own input, images as the model takes them; see ``images.taken_by``.

    Raises:
        SVRError: these are images that do not fit the model.
    """
    if isinstance(given, Example):
        return given

    def runs(value: Any) -> bool:
        call = given_example(model, _placed(model, value, given))
        try:
            with running(model, live=live) as run:
                run(*call.args, **call.kwargs)
        except Exception:  # whatever the model raises for an input of another form
            return False
        return True

    found = taken_by(given, parts.values(), runs)
    return replace(given_example(model, _placed(model, found.batch, given)), origin=found.note)


def _placed(model: nn.Module, value: Any, given: Any) -> Any:
    """What was made of an input, or is an array, where the model is; the caller's own as it is."""
    return value if value is given and not isinstance(value, np.ndarray) else placed(model, value)


def placed(model: nn.Module, value: Any) -> Any:
    """A tensor or array on the model's device and, if it is floating-point, in its precision.

    Those of its first parameters decide. What is neither passes unchanged.
    """
    if isinstance(value, np.ndarray):
        value = as_tensor(value)
    if not isinstance(value, Tensor):
        return value
    device = next((p.device for p in (*model.parameters(), *model.buffers())), None)
    floats = (p.dtype for p in model.parameters() if p.is_floating_point())
    return value.to(device, next(floats, None) if value.is_floating_point() else None)


def given_example(model: nn.Module, given: Any) -> Example:
    """The caller's own input: a tensor, a tuple of positional or a mapping of keyword arguments.

    A mapping whose keys are no keywords of ``forward`` is its one positional argument. An
    ``Example`` is one already.
    """
    if isinstance(given, Example):
        return given
    extra = _no_cache(model)
    if isinstance(given, Mapping):
        return _of_mapping(model, given, extra)
    if isinstance(given, (tuple, list)):
        return Example(tuple(given), extra)
    return Example((given,), extra)


def _of_mapping(model: nn.Module, given: Mapping[str, Any], extra: Mapping[str, Any]) -> Example:
    """Keyword arguments; or one positional argument, where ``forward`` has no such keywords."""
    signature = inspect.signature(model.forward)
    try:
        signature.bind(**{**extra, **given})
    except TypeError:
        try:
            signature.bind(given, **extra)
        except TypeError:
            pass
        else:
            return Example((given,), extra)
    return Example((), {**extra, **given})


def _no_cache(model: nn.Module) -> dict[str, Any]:
    """Caches of keys and values are no tensors and cannot be exported."""
    parameters = inspect.signature(model.forward).parameters
    return {"use_cache": False} if "use_cache" in parameters else {}


class _MisfitError(Exception):
    """A matrix met another width than its own."""

    def __init__(self, met: int, own: int) -> None:
        super().__init__(f"{met} features for {own}")
        self.met, self.own = met, own


def fitting_size(
    model: nn.Module,
    image: Callable[[int], Tensor],
    kwargs: Mapping[str, Any],
    live: bool = False,
) -> int | None:
    """The size of image that the model takes, found on tensors without values.

    The one that its configuration tells, one of ``SIZES``, or the size at which the first flattened
    ``Linear`` gets its width.
    """

    def misfit(size: int) -> Exception | None:
        try:
            with (
                running(model, live=live, computing=False) as run,
                _checked(run.model),
                FakeTensorMode(allow_non_fake_inputs=True) as mode,
            ):
                stand_in(run.model, mode)
                run(mode.from_tensor(image(size)), **kwargs)
        except DataDependentOutputException:
            return None  # so far it fits
        except Exception as error:  # whatever the model raises for a size that does not fit
            return error
        return None

    told = getattr(getattr(model, "config", None), "image_size", None)
    for size in ([told] if isinstance(told, int) else []) + list(SIZES):
        if misfit(size) is None:
            return size
    low, high = 1, 1024
    while low <= high:
        size = (low + high) // 2
        error = misfit(size)
        if error is None:
            return size
        if isinstance(error, _MisfitError) and error.met > error.own:
            high = size - 1
        else:
            low = size + 1
    return None


@contextmanager
def _checked(model: nn.Module) -> Iterator[None]:
    """Let a ``Linear`` say how it misses the width of what it reads."""

    def check(module: nn.Linear, inputs: tuple[Any, ...]) -> None:
        if inputs and inputs[0].shape[-1] != module.in_features:
            raise _MisfitError(inputs[0].shape[-1], module.in_features)

    linear = [module for module in model.modules() if isinstance(module, nn.Linear)]
    with ExitStack() as hooks:
        for module in linear:
            hooks.callback(module.register_forward_pre_hook(check).remove)
        yield


def _from_first_map(
    model: nn.Module, parts: Mapping[str, Part], extra: Mapping[str, Any], live: bool
) -> Iterator[Tensor]:
    first = next(iter(parts.values()), None)
    if first is None:
        return
    generator = torch.Generator().manual_seed(0)
    weight = next(iter(first.module.parameters()), torch.empty(0))
    device, dtype = "cpu" if weight.is_meta else weight.device, weight.dtype

    def floats(*shape: int) -> Tensor:
        value = torch.randn(shape, generator=generator, dtype=torch.float32)
        return value.to(device, dtype if dtype.is_floating_point else torch.float32)

    if first.kind.application == "matrix":
        yield floats(1, first.inputs)
        yield floats(1, 8, first.inputs)
    elif first.kind.application == "lookup":
        yield (torch.arange(8) % first.inputs).unsqueeze(0).to(device)
    else:
        sizes = getattr(first.holder, "kernel_size", None)  # which is there without values, too
        dims = first.weight().ndim - 2 if sizes is None else len(sizes)

        def image(size: int) -> Tensor:
            return floats(1, first.inputs, *[size] * dims)

        fitting = fitting_size(model, image, extra, live)
        for size in [fitting] if fitting else SIZES:
            yield image(size)
