"""Where the weights are in what a training script saved, and what beside them is none."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor

from svr_widget.engine.errors import NoMapsError, SVRError, listed
from svr_widget.engine.network.checkpoints.scales import belongs_to_codes

USUAL = (
    *("state_dict", "model_state_dict", "model_state", "model", "module", "net", "network"),
    *("params", "weights", "generator", "student", "net_state_dict", "model_dict", "parameters"),
    *("params_ema", "ema", "state_dict_ema", "ema_state_dict", "model_ema", "ema_model"),
    *("g_ema", "teacher"),
)
"""Under which names training scripts keep the weights among other things, likeliest first: those
that were trained before their averages."""

DEEPEST = 4
"""How many mappings may lie around the weights."""

_ASIDE = re.compile(r"optim|sched|scaler|(^|[_.])grads?($|[_.])", re.IGNORECASE)
"""Names of mappings whose tensors are as large as the weights, and are none."""

_MOMENTS = re.compile(r"exp_avg|momentum_?buffer|(^|_)moments?(um)?$|square_avg|acc_delta")
"""Names of tensors that an optimizer keeps of each weight."""


class Found(NamedTuple):
    """The weights among what was saved.

    Attributes:
        weights: the tensors that may be weights, by name.
        notes: where they were and what was passed over, where that has to be said.
    """

    weights: dict[str, Tensor]
    notes: tuple[str, ...]


def find_weights(held: object, path: Path | None = None) -> Found:
    """The weights in what a file holds, or in a mapping that the caller has.

    Args:
        held: what was saved.
        path: of the file, for messages; None for the caller's own mapping.

    Raises:
        NoMapsError: there are none by name.
        SVRError: there are several mappings of them, and none has a usual name.
    """
    if not isinstance(held, Mapping):
        advice = f"take what SVR is to read out of {_code(path)}"
        if isinstance(held, Tensor):
            advice = f"give SVR([{_code(path)}])"
        raise SVRError(
            f"{_words(path)} holds a {type(held).__name__}, and no weights by name; {advice}"
        )
    keys, inner, others = _innermost(held, (), path)
    weights, notes = pass_over(inner, path)
    if others:
        where = "".join(f"[{key!r}]" for key in keys)
        hold = "holds" if len(others) == 1 else "hold"
        told = f"the weights are those in {where}; {listed(others)} {hold} weights too"
        notes = (told, *notes)
    return Found(weights, notes)


def pass_over(held: Mapping[Any, object], path: Path | None = None) -> Found:
    """The weights of a mapping without buffers of integers, counters, texts and the like.

    Integers that are a weight in another form stay, so that it is refused by its name.

    Raises:
        SVRError: two of them have one name.
    """
    passed: dict[str, str] = {}
    weights: dict[str, Tensor] = {}
    for key, value in held.items():
        name = str(key)
        if name in weights:
            raise SVRError(f"{_words(path)} holds two weights called {name!r}")
        if isinstance(value, Tensor) and (_may_be(value) or belongs_to_codes(name, held)):
            weights[name] = value
        else:
            passed[name] = _kind(value)
    if not passed:
        return Found(weights, ())
    some = listed([f"{name!r} ({kind})" for name, kind in passed.items()], shown=3)
    return Found(weights, (f"passed over, for they are no weights: {some}",))


Mapped = Mapping[Any, Any]


def _innermost(
    held: Mapped, keys: tuple[str, ...], path: Path | None
) -> tuple[tuple[str, ...], Mapped, tuple[str, ...]]:
    """The mapping of weights, the keys that lead to it, and what else could have been meant."""
    nested = {
        str(key): value
        for key, value in held.items()
        if _leads_to_weights(key, value, DEEPEST - len(keys) - 1)
    }
    usual = [key for key in USUAL if key in nested]
    if not usual and (_matrices(held) or _tensors_alone(held)):
        return keys, held, ()
    if not nested:
        raise _without_weights(held, path)
    if len(nested) > 1 and not usual:
        names = listed([repr(key) for key in nested])
        inside = "".join(f"[{key!r}]" for key in (*keys, next(iter(nested))))
        raise SVRError(
            f"{_words(path)} holds several mappings of weights, {names}: choose one, as in "
            f"SVR({_code(path)}{inside})"
        )
    chosen = (usual or list(nested))[0]
    found, inner, others = _innermost(nested[chosen], (*keys, chosen), path)
    return found, inner, (*others, *(repr(key) for key in nested if key != chosen))


def _without_weights(held: Mapped, path: Path | None) -> NoMapsError:
    """What to say of a mapping in which no weights were found."""
    names = [str(key) for key in held]
    aside = [
        repr(str(name))
        for name, each in held.items()
        if _ASIDE.search(str(name)) or (isinstance(each, Mapping) and _is_optimizer(each))
    ]
    if aside or _is_optimizer(held):
        named = f" ({listed(aside)})" if aside else ""
        return NoMapsError(
            f"{_words(path)} holds what a training keeps beside the weights, as the state of an "
            f"optimizer{named}, and no weights; give SVR the file of those, or the model"
        )
    some = f"{names[:6]}{'...' if len(names) > 6 else ''}"
    if path is None:
        return NoMapsError(f"the mapping has the names {some} and under none of them weights")
    return NoMapsError(
        f"{path} holds a mapping with {some}, and no weights by name; take what SVR is to read out "
        f"of {_code(path)}"
    )


def _leads_to_weights(name: object, held: object, levels: int) -> bool:
    """Whether weights are in what is kept under a name, or in what is in that."""
    if levels < 0 or not isinstance(held, Mapping) or _ASIDE.search(str(name)):
        return False
    inside = ((key, value) for key, value in held.items() if not _is_optimizer(held))
    return _matrices(held) or any(_leads_to_weights(*each, levels - 1) for each in inside)


def _is_optimizer(held: Mapped) -> bool:
    return "state" in held and "param_groups" in held


def _matrices(held: Mapped) -> bool:
    """Whether there is a tensor among the values that may be the weight of a map."""
    return any(
        isinstance(value, Tensor)
        and value.ndim > 1
        and _may_be(value)
        and not _MOMENTS.search(str(key))
        for key, value in held.items()
    )


def _tensors_alone(held: Mapped) -> bool:
    return bool(held) and all(isinstance(each, Tensor) for each in held.values())


def _may_be(tensor: Tensor) -> bool:
    """Whether it has numbers, or has fewer than two dimensions, which is no map."""
    if tensor.is_nested:
        return False
    numbers = tensor.is_floating_point() or tensor.is_complex() or tensor.is_quantized
    return tensor.ndim < 2 or numbers


def _kind(value: object) -> str:
    if isinstance(value, Tensor) and not value.is_nested:
        return str(value.dtype).removeprefix("torch.")
    return "None" if value is None else type(value).__name__


def _words(path: Path | None) -> str:
    return "the mapping" if path is None else str(path)


def _code(path: Path | None) -> str:
    """Python that gives what was held."""
    if path is None:
        return "mapping"
    return f"torch.load({str(path)!r}, map_location='cpu', weights_only=True)"
