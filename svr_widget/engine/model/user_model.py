"""Running a user's model beside whatever the user does with it, and copies of it."""

from __future__ import annotations

import copy
import logging
import random
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np
import torch
from torch import nn

from svr_widget.engine.environment.settings import all_put_back, callers_device, own_settings
from svr_widget.engine.errors import SVRError
from svr_widget.engine.model.guard import Guard, SharedMemory
from svr_widget.engine.model.private_structure import PrivateStructure


class _Quiet(logging.Filter):
    """Keeps PyTorch from logging what failed in a thread that only tries inputs."""

    trying = threading.local()

    def filter(self, _: logging.LogRecord) -> bool:
        """Whether to let a record through: all of other threads."""
        return not getattr(self.trying, "depth", 0)

    @classmethod
    @contextmanager
    def on(cls) -> Iterator[None]:
        """Nothing is logged of what runs inside, in this thread."""
        cls.trying.depth = getattr(cls.trying, "depth", 0) + 1
        try:
            yield
        finally:
            cls.trying.depth -= 1


# For good, since to add and remove it would be a switch of the whole process.
logging.getLogger("torch._subclasses.fake_tensor").addFilter(_Quiet())


class Running:
    """A model while it may be run.

    Attributes:
        model: what to call.
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


@contextmanager
def running(model: nn.Module, *, live: bool = False, guarded: bool = True) -> Iterator[Running]:
    """The model in evaluation mode, without gradients, to be run by this thread alone.

    It is a private structure (``private_structure.py``), made anew each time, so that threads do
    not meet; neither the model nor a switch or a generator of the process is touched.

    Args:
        model: the user's.
        live: run the model itself, which the caller vouches for, and put it back afterwards.
        guarded: keep writes off the user's weights; what has modes of its own (``torch.export``)
            cannot be run under ours.

    Raises:
        SVRError: the model can only be run as it is, and ``live`` is not set.
    """
    with all_put_back(), ExitStack() as stack:
        stack.enter_context(own_settings())
        for device in {"cpu", *(parameter.device.type for parameter in model.parameters())}:
            if torch.amp.is_autocast_available(device):
                stack.enter_context(torch.autocast(device, enabled=False))
        stack.enter_context(_generators_kept())
        stack.enter_context(_Quiet.on())
        if live:
            stack.enter_context(_put_back(model))
            found = Running(model, lambda module: module)
            guard = Guard(SharedMemory())
        else:
            structure = PrivateStructure(model)
            found = Running(model, structure.__getitem__)
            found.notes = tuple(structure.notes)
            guard = Guard(structure.memory)
        if guarded:
            stack.enter_context(guard.on())
        found.model.eval()
        yield found


@contextmanager
def _generators_kept() -> Iterator[None]:
    """Put the generators of the process back where what is run drew from them or seeded them.

    Random operators draw from generators of ours (``guard.py``); but NumPy and Python have none
    that a thread could call its own. While another thread than the main one runs the model, the
    main one may be training: whose draws these are is not known then, and taking them back would
    let the training draw the same numbers again.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    of_torch, of_python = torch.get_rng_state(), random.getstate()
    of_numpy: Any = np.random.get_state()  # noqa: NPY002  # the user's draws are what it is about
    try:
        yield
    finally:
        if not torch.equal(torch.get_rng_state(), of_torch):
            torch.set_rng_state(of_torch)
        if random.getstate() != of_python:
            random.setstate(of_python)
        np.random.set_state(of_numpy)  # noqa: NPY002  # likewise


@contextmanager
def _put_back(model: nn.Module) -> Iterator[None]:
    """A live model afterwards as it was: modes, attributes, hooks, buffers and parameters."""
    modes = [(module, module.training) for module in model.modules()]
    attributes = [(module, _attributes(module)) for module in model.modules()]
    kept = [(t, t.detach().clone()) for t in (*model.parameters(), *model.buffers())]
    try:
        yield
    finally:
        for module, before in attributes:
            _restore(module, before)
        for tensor, value in kept:
            if not torch.equal(tensor.detach(), value):
                with torch.inference_mode(tensor.is_inference()), torch.no_grad():
                    tensor.copy_(value)
        for module, mode in modes:
            module.training = mode


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
