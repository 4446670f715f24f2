"""Where the weights are in what a training script saved, and what beside them is none."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor

from svr_widget.engine.errors import SVRError, listed
from svr_widget.engine.network.checkpoints.scales import belongs_to_codes

USUAL = (
    *("state_dict", "model_state_dict", "model_state", "model", "module", "net", "network"),
    *("params", "params_ema", "weights", "generator", "ema"),
)
"""Under which names training scripts keep the weights among other things, likeliest first."""

DEEPEST = 4
"""How many mappings may lie around the weights."""


class Found(NamedTuple):
    """The weights among what was saved.

    Attributes:
        weights: the tensors that may be weights, by name.
        notes: where they were and what was passed over, where that has to be said.
    """

    weights: dict[str, Tensor]
    notes: tuple[str, ...]


def find_weights(held: object, path: Path) -> Found:
    """The weights in what a file holds.

    Raises:
        SVRError: there are none by name, or several mappings of them and none has a usual name.
    """
    if not isinstance(held, Mapping):
        raise SVRError(
            f"{path} holds a {type(held).__name__}, and no weights by name; take what SVR is to "
            f"read out of {_loading(path)}"
        )
    keys, inner, others = _innermost(held, (), path)
    where = "".join(f"[{key!r}]" for key in keys)
    weights, notes = pass_over(inner, path)
    if others:
        told = f"the weights are those in {where}; {listed(others)} holds weights too"
        notes = (told, *notes)
    return Found(weights, notes)


def pass_over(held: Mapping[Any, object], path: Path) -> Found:
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
            raise SVRError(f"{path} holds two weights called {name!r}")
        if isinstance(value, Tensor) and (_may_be(value) or belongs_to_codes(name, held)):
            weights[name] = value
        else:
            passed[name] = _word(value)
    if not passed:
        return Found(weights, ())
    some = listed([f"{name!r} ({word})" for name, word in passed.items()], shown=3)
    return Found(weights, (f"passed over, for they are no weights: {some}",))


Mapped = Mapping[Any, Any]


def _innermost(
    held: Mapped, keys: tuple[str, ...], path: Path
) -> tuple[tuple[str, ...], Mapped, tuple[str, ...]]:
    """The mapping of weights, the keys that lead to it, and what else could have been meant."""
    nested = {
        str(key): value
        for key, value in held.items()
        if isinstance(value, Mapping) and _leads_to_weights(value, DEEPEST - len(keys) - 1)
    }
    usual = [key for key in USUAL if key in nested]
    if not usual and (_matrices(held) or _tensors_alone(held)):
        return keys, held, ()
    if not nested:
        raise SVRError(
            f"{path} holds a mapping with {[str(key) for key in held][:6]}, and no weights by "
            f"name; take what SVR is to read out of {_loading(path)}"
        )
    if len(nested) > 1 and not usual:
        names = listed([repr(key) for key in nested])
        inside = "".join(f"[{key!r}]" for key in (*keys, next(iter(nested))))
        raise SVRError(
            f"{path} holds several mappings of weights, {names}: choose one, as in "
            f"SVR({_loading(path)}{inside})"
        )
    chosen = (usual or list(nested))[0]
    found, inner, others = _innermost(nested[chosen], (*keys, chosen), path)
    return found, inner, (*others, *(repr(key) for key in usual[1:]))


def _leads_to_weights(held: Mapped, levels: int) -> bool:
    if levels < 0:
        return False
    if _matrices(held):
        return True
    usual = (held[key] for key in USUAL if key in held)
    return any(isinstance(each, Mapping) and _leads_to_weights(each, levels - 1) for each in usual)


def _matrices(held: Mapped) -> bool:
    """Whether there is a tensor among the values that may be the weight of a map."""
    tensors = (each for each in held.values() if isinstance(each, Tensor) and each.ndim > 1)
    return any(map(_may_be, tensors))


def _tensors_alone(held: Mapped) -> bool:
    return bool(held) and all(isinstance(each, Tensor) for each in held.values())


def _may_be(tensor: Tensor) -> bool:
    """Whether it has numbers, or has fewer than two dimensions, which is no map."""
    return tensor.ndim < 2 or tensor.is_floating_point() or tensor.is_quantized


def _word(value: object) -> str:
    if isinstance(value, Tensor):
        return str(value.dtype).removeprefix("torch.")
    return "None" if value is None else type(value).__name__


def _loading(path: Path) -> str:
    return f"torch.load({str(path)!r}, map_location='cpu', weights_only=True)"
