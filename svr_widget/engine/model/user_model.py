"""Running a user's model beside whatever the user does with it, and copies of it."""

from __future__ import annotations

import copy
import logging
import random
import threading
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from typing import Any

import numpy as np
import torch
from torch import nn

from svr_widget.engine.environment.settings import Settings, callers_device, own_settings
from svr_widget.engine.environment.threads import is_for_main_thread
from svr_widget.engine.errors import SVRError
from svr_widget.engine.model.guard import SharedMemory, guards
from svr_widget.engine.model.private_structure import PrivateStructure
from svr_widget.engine.model.tensors import without_values


class _Quiet(logging.Filter):
    """Keeps PyTorch from logging what failed in a thread that only tries inputs."""

    trying = threading.local()

    def filter(self, _: logging.LogRecord) -> bool:
        """Whether to let a record through: all of other threads."""
        return not getattr(self.trying, "now", False)


# For good, since to add and remove it would be a switch of the whole process.
logging.getLogger("torch._subclasses.fake_tensor").addFilter(_Quiet())


class Running:
    """A model while it may be run.

    Attributes:
        model: ours, or the user's where that is run.
        notes: what of the user's model does not take part.
    """

    def __init__(self, model: nn.Module, counterpart: Callable[[nn.Module], nn.Module]) -> None:
        self._counterpart = counterpart
        self.model = counterpart(model)
        self.notes: tuple[str, ...] = ()

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the model."""
        with callers_device():
            return self.model(*args, **kwargs)

    def __getitem__(self, module: nn.Module) -> nn.Module:
        """What stands for a module of the user's; hooks go here."""
        return self._counterpart(module)


class running:  # noqa: N801  # it is called as a function is
    """The model in evaluation mode, without gradients, to be run by this thread alone.

    It is a private structure (``private_structure.py``), made anew each time, so that threads do
    not meet; neither the model nor a switch or a generator of the process is touched.

    Args:
        model: the user's.
        live: run the model itself, which the caller vouches for, and put it back afterwards.
        guarded: keep writes off the user's weights; what has modes of its own (``torch.export``)
            cannot be run under ours.
        computing: values are computed; without them a model will do whose weights are in a file.

    Raises:
        SVRError: the model can only be run as it is, and ``live`` is not set; or its weights are
            not there to be computed with.
    """

    def __init__(
        self,
        model: nn.Module,
        *,
        live: bool = False,
        guarded: bool = True,
        computing: bool = True,
    ) -> None:
        self._model, self._live, self._guarded = model, live, guarded
        self._computing = computing

    def __enter__(self) -> Running:
        self._all = ExitStack()
        try:
            return self._begun(self._all)
        except BaseException:
            self._all.close()
            raise

    def __exit__(self, *_: object) -> None:
        self._all.close()

    def _begun(self, stack: ExitStack) -> Running:
        if self._computing or self._live:
            _check_values(self._model)
        stack.enter_context(own_settings())
        stack.callback(setattr, _Quiet.trying, "now", getattr(_Quiet.trying, "now", False))
        _Quiet.trying.now = True
        devices = {parameter.device.type for parameter in self._model.parameters()} - {"cpu"}
        for device in filter(torch.amp.is_autocast_available, devices):
            stack.enter_context(torch.autocast(device, enabled=False))
        stack.callback(_generators())
        memory = SharedMemory()
        if self._live:
            stack.callback(_as_now(self._model))
            found = Running(self._model, lambda module: module)
        else:
            structure = PrivateStructure(self._model)
            found, memory = Running(self._model, structure.__getitem__), structure.memory
            found.notes = tuple(structure.notes)
        # Whatever mode an interrupt leaves on is off before anything else is put back.
        stack.callback(Settings.now().put_back)
        if self._guarded:
            for mode in guards(memory):
                stack.enter_context(mode)
        _evaluated(found.model)
        return found


def _evaluated(model: nn.Module) -> None:
    """Put a model in evaluation mode."""
    try:
        model.eval()
    except NotImplementedError:  # of torch.export, whose modules have no modes and say so
        for module in model.modules():
            module.training = False


def _check_values(model: nn.Module) -> None:
    """Raise ``SVRError`` where a model has no values in memory to be run with."""
    name = without_values(model)
    if name is not None:
        raise SVRError(
            f"{name!r} of {type(model).__name__} has no values in memory, so that the model cannot "
            "be run: the links and weights of SVR(model, weights=...) need none, but this does; "
            "load the file into a model on the CPU, and give SVR that model"
        )


def _generators() -> Callable[[], None]:
    """What puts the generators of the process back where what was run drew from them.

    Random operators draw from generators of ours (``guard.py``); but NumPy and Python have none
    that a thread could call its own. While another thread than the main one runs the model, the
    main one may be training: whose draws these are is not known then, and taking them back would
    let the training draw the same numbers again.
    """
    if not is_for_main_thread():
        return lambda: None
    of_torch, of_python = torch.get_rng_state(), random.getstate()
    of_numpy: Any = np.random.get_state()  # noqa: NPY002  # the user's draws are what it is about

    def put_back() -> None:
        if not torch.equal(torch.get_rng_state(), of_torch):
            torch.set_rng_state(of_torch)
        if random.getstate() != of_python:
            random.setstate(of_python)
        np.random.set_state(of_numpy)  # noqa: NPY002  # likewise

    return put_back


def _as_now(model: nn.Module) -> Callable[[], None]:
    """What puts a live model back: modes, attributes, hooks, buffers and parameters."""
    modes = [(module, module.training) for module in model.modules()]
    attributes = [(module, _attributes(module)) for module in model.modules()]
    kept = [(t, t.detach().clone()) for t in (*model.parameters(), *model.buffers())]

    def put_back() -> None:
        for module, before in attributes:
            _restore(module, before)
        for tensor, value in kept:
            if not torch.equal(tensor.detach(), value):
                with torch.inference_mode(tensor.is_inference()), torch.no_grad():
                    tensor.copy_(value)
        for module, mode in modes:
            module.training = mode

    return put_back


def _attributes(module: nn.Module) -> dict[str, Any]:
    return {
        name: dict(value) if isinstance(value, dict) else value
        for name, value in vars(module).items()
    }


def _restore(module: nn.Module, before: Mapping[str, Any]) -> None:
    """Undo what a forward pass assigned to the module; its dictionaries keep their identity."""
    now = vars(module)
    for name in [name for name in now if name not in before]:
        del now[name]
    for name, value in before.items():
        if isinstance(value, dict) and isinstance(now.get(name), dict):
            current = now[name]
            same = list(current) == list(value) and all(current[k] is value[k] for k in value)
            if not same:
                now[name].clear()
                now[name].update(value)
        else:
            now[name] = value


def copied(model: nn.Module, so: str) -> nn.Module:
    """A deep copy of a model.

    Args:
        model: stays as it is.
        so: what does not happen without a copy, in words.

    Raises:
        SVRError: the model cannot be copied.
    """
    try:
        return copy.deepcopy(model)
    except Exception as error:  # whatever a model's own attributes raise
        raise SVRError(f"{type(model).__name__} cannot be copied, {so}: {error}") from error
