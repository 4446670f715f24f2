"""What the maps of a model read while data runs through it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor, nn
from torch.utils._pytree import tree_map

from svr_widget.engine.analysis.activations.module_inputs import ModuleCall, Read, UnreadableError
from svr_widget.engine.environment.settings import with_own_settings
from svr_widget.engine.environment.threads import uninterrupted
from svr_widget.engine.errors import SVRError, said
from svr_widget.engine.model.example_inputs import Example, given_example, placed
from svr_widget.engine.model.user_model import running

Receive = Callable[[str, int, tuple[Any, ...]], None]
"""Called as ``receive(map, call, what it reads)``; ``call`` counts a map's calls from 0."""

UNREACHED = "its module is not called (this input does not reach it, or other code uses its weight)"


@uninterrupted
def read_along(
    model: nn.Module,
    readings: Mapping[str, tuple[nn.Module, Read]],
    example: Example,
    receive: Receive,
    live: bool = False,
) -> dict[str, str]:
    """One forward pass that hands over what each map reads, as it reads it.

    What is run is a private structure, in evaluation mode. What is handed over may change in place
    afterwards: use it at once.

    Args:
        model: the model.
        readings: for each map the module to watch and what the map reads of its calls.
        example: what the model is called with.
        receive: takes what is read.
        live: run the model itself.

    Returns:
        The maps of which nothing could be read, with the reason.

    Raises:
        SVRError: the model does not run on it.
    """
    with running(model, live=live) as run:
        ours = {name: (run[module], read) for name, (module, read) in readings.items()}
        watch = _Watch(ours, receive)
        try:
            run(*example.args, **example.kwargs)
        except SVRError:
            raise
        except Exception as error:  # whatever the model raises for an input of another form
            raise SVRError(_misfit(model, example, error)) from error
    unreached = {name: UNREACHED for name in readings if not watch.calls[name]}
    return unreached | watch.unreadable


def _misfit(model: nn.Module, example: Example, error: Exception) -> str:
    shapes = [f"{list(x.shape)}" for x in example.tensors() if isinstance(x, Tensor)]
    words = f"{type(model).__name__} does not run on these inputs ({', '.join(shapes)}): "
    words += said(error)
    mapping = example.args[0] if example.args else None
    tensors = mapping.items() if isinstance(mapping, Mapping) else ()
    name = next((name for name, value in tensors if isinstance(value, Tensor)), None)
    if name is None:
        return words
    return (
        f"{words}; of a mapping give what it takes, as (batch[{name!r}] for batch in loader) does"
    )


class _Watch:
    """Hooks on the modules that are watched, one for all maps of a module."""

    def __init__(self, readings: Mapping[str, tuple[nn.Module, Read]], receive: Receive) -> None:
        self.calls = dict.fromkeys(readings, 0)
        self.unreadable: dict[str, str] = {}
        self._receive = receive
        self._maps: dict[nn.Module, dict[str, Read]] = {}
        for name, (module, read) in readings.items():
            self._maps.setdefault(module, {})[name] = read
        for module in self._maps:
            module.register_forward_pre_hook(self._hook, with_kwargs=True)

    @with_own_settings
    def _hook(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        call = ModuleCall(module, args, kwargs)
        for name, read in self._maps[module].items():
            number = self.calls[name]
            self.calls[name] += 1
            try:
                what = read(call)
            except UnreadableError as error:
                self.unreadable[name] = str(error)
            else:
                self._receive(name, number, what)


def placed_example(model: nn.Module, given: Any) -> Example:
    """A call of the model with the caller's input, on the model's device and in its precision.

    Args:
        model: decides device and precision by its first parameters.
        given: a tensor or array, a tuple of positional or a mapping of keyword arguments.
    """
    example = given_example(model, given)
    args, kwargs = (
        tree_map(lambda leaf: placed(model, leaf), each)
        for each in (example.args, dict(example.kwargs))
    )
    return Example(args, kwargs)


def of_batch(model: nn.Module, batch: Any) -> Any:
    """What of a batch is the model's input.

    A tensor or mapping as a whole; of a tuple or list as many leading entries as ``forward`` has
    parameters without a default, at least one: what follows are labels.
    """
    if not isinstance(batch, tuple | list):
        return batch
    parameters = inspect.signature(model.forward).parameters.values()
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    needed = [p for p in parameters if p.kind in positional and p.default is p.empty]
    return tuple(batch[: max(1, len(needed))])
