"""What each map of a module reads, given what the module is called with.

Most modules apply one map to their first argument. Attention and recurrent layers pack several,
some of which read what they compute inside: that is computed again, exactly.
"""

from __future__ import annotations

import copy
import inspect
import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from svr_widget.engine.maps.layer_kinds import layer_of
from svr_widget.engine.maps.parts import Part

Read = Callable[["ModuleCall"], tuple[Any, ...]]
"""From a call to what the map reads, batch first, and what else its filter depends on."""


class UnreadableError(Exception):
    """What a map reads is not known; the message says why."""


class ModuleCall:
    """One call of a module."""

    def __init__(self, module: nn.Module, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
        self.module: Any = module
        self._args, self._kwargs = args, kwargs
        self._signature = inspect.signature(module.forward)
        self._bound = self._signature.bind(*args, **kwargs)

    @property
    def in_place(self) -> tuple[Any, ...]:
        """The arguments, keywords brought to their places; defaults that follow are left out."""
        return self._bound.args

    def __getitem__(self, name: str) -> Any:
        """An argument by name, its default where it is not given."""
        if name not in self._signature.parameters:
            kind = type(self.module).__name__
            raise UnreadableError(f"{kind}.forward has no argument {name!r}")
        return self._bound.arguments.get(name, self._signature.parameters[name].default)

    @cached_property
    def heads(self) -> Tensor:
        """What attention's output projection reads: the module with an identity in its place."""
        module, own = self.module, self.module.out_proj
        stand_in = nn.Linear(module.embed_dim, module.embed_dim, bias=False).to(own.weight)
        nn.init.eye_(stand_in.weight)
        module.out_proj = stand_in
        try:
            found: Tensor = module.forward(*self._args, **self._kwargs)[0]
        finally:
            module.out_proj = own
        return found

    @cached_property
    def steps(self) -> Recurrence:
        """The layers of a recurrent module, step by step."""
        return Recurrence(self)


class Recurrence:
    """The layers of a call of ``RNN``, ``LSTM`` or ``GRU``, run one by one as they are needed."""

    def __init__(self, call: ModuleCall) -> None:
        self._module = call.module
        given, state = call["input"], call["hx"]
        if not isinstance(given, Tensor):
            raise UnreadableError("a PackedSequence has no one batch; give it padded")
        batched, self._directions = given.dim() == 3, 2 if call.module.bidirectional else 1
        first = given if call.module.batch_first or not batched else given.transpose(0, 1)
        self._inputs = [first if batched else first.unsqueeze(0)]
        states = state if isinstance(state, tuple) else (state,)
        self._states = [s if s is None or batched else s.unsqueeze(1) for s in states]
        self._outputs: list[Tensor] = []

    def read(self, layer: int) -> Tensor:
        """What a layer reads, ``[batch, step, channels]``."""
        while len(self._inputs) <= layer:
            self._inputs.append(self._output(len(self._inputs) - 1))
        return self._inputs[layer]

    def hidden(self, layer: int, reverse: bool) -> Tensor:
        """The hidden state that a layer starts each step from, in one direction."""
        width = self._module.proj_size or self._module.hidden_size
        outputs = self._output(layer)[..., int(reverse) * width :][..., :width]
        start = self._initial(layer)[0][int(reverse)].unsqueeze(1)
        if reverse:
            return torch.cat([outputs[:, 1:], start], 1)
        return torch.cat([start, outputs[:, :-1]], 1)

    def _output(self, layer: int) -> Tensor:
        while len(self._outputs) <= layer:
            self._outputs.append(self._run(len(self._outputs)))
        return self._outputs[layer]

    def _initial(self, layer: int) -> list[Tensor]:
        """The initial states of a layer, each ``[directions, batch, channels]``."""
        module, x = self._module, self._inputs[0]
        widths = [module.proj_size or module.hidden_size]
        if isinstance(module, nn.LSTM):
            widths.append(module.hidden_size)
        mine = slice(layer * self._directions, (layer + 1) * self._directions)
        if self._states[0] is None:
            return [x.new_zeros(self._directions, len(x), width) for width in widths]
        return [state[mine] for state in self._states]

    def _run(self, layer: int) -> Tensor:
        """One layer by PyTorch's own kernel, so that its numbers are those of the module."""
        module, mine = self._module, layer * self._directions
        names = module._all_weights[mine : mine + self._directions]
        weights = [getattr(module, name) for direction in names for name in direction]
        states = self._initial(layer)
        kernel: Any = getattr(torch, module.mode.lower())
        start = states if module.mode == "LSTM" else states[0]
        options = (module.bias, 1, 0.0, False, module.bidirectional, True)
        with warnings.catch_warnings():
            # cuDNN would like the weights of all layers in one piece of memory; so they are there.
            warnings.filterwarnings("ignore", "RNN module weights are not part of single")
            output: Tensor = kernel(self.read(layer), start, weights, *options)[0]
        return output


def reading_of(part: Part, model: nn.Module) -> tuple[nn.Module, Read]:
    """The module whose calls tell what a map reads, and how.

    Raises:
        UnreadableError: nothing tells it.
    """
    parent = model.get_submodule(part.path.rpartition(".")[0])
    if isinstance(parent, nn.MultiheadAttention) and part.module is parent.out_proj:
        return parent, _heads
    module = part.module
    if isinstance(module, nn.MultiheadAttention):
        return module, _projected({"q": "query", "k": "key", "v": "value"}[part.suffix[-2]])
    if isinstance(module, nn.RNNBase):
        return module, _step(part)
    if isinstance(module, nn.RNNCellBase):
        return module, _state if part.parameter == "weight_hh" else lambda call: (call["input"],)
    if layer_of(part.module) is None and not _is_affine(part):
        raise UnreadableError("its module's own code multiplies with it, and tells nobody by what")
    if part.suffix:
        raise UnreadableError("it is one of several maps of its module")
    if isinstance(part.holder, nn.EmbeddingBag) and part.holder.mode == "max":
        raise UnreadableError("the largest of several rows is no linear map of the tokens")
    return module, lambda call: call.in_place


def _is_affine(part: Part) -> bool:
    """Whether a module of an unknown kind is the map of its only matrix, and adds a constant."""
    held = part.held
    if part.suffix or held is None or held.ndim != 2 or any(part.module.children()):
        return False
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(4, part.inputs, generator=generator).to(held)
    try:
        with torch.no_grad():
            made = copy.deepcopy(part.module).eval()(x)
            beside = made - x @ part.weight().to(x).T
    except Exception:  # whatever it raises for an input of another form than its own
        return False
    rounding = 100 * torch.finfo(x.dtype).eps
    return bool((beside - beside[:1]).abs().max() <= rounding * made.abs().max())


def _heads(call: ModuleCall) -> tuple[Tensor]:
    return (_batch_first(call.heads, call.module.batch_first),)


def _projected(argument: str) -> Read:
    return lambda call: (_batch_first(call[argument], call.module.batch_first),)


def _batch_first(x: Tensor, already: bool) -> Tensor:
    """Sequences ``[batch, position, channels]``; without a batch, a batch of one."""
    if x.dim() == 2:
        return x.unsqueeze(0)
    return x if already else x.transpose(0, 1)


def _step(part: Part) -> Read:
    """A gate of a recurrent layer: its input at each step, or the state that a step starts from."""
    side, place = part.parameter.removeprefix("weight_").split("_l")
    layer, reverse = int(place.removesuffix("_reverse")), place.endswith("_reverse")
    if side == "hr":
        raise UnreadableError("what the projection of an LSTM reads stays inside its kernel")
    if side == "ih":
        return lambda call: (call.steps.read(layer),)
    return lambda call: (call.steps.hidden(layer, reverse),)


def _state(call: ModuleCall) -> tuple[Tensor]:
    """The hidden state that a cell starts from; zeros where it is given none."""
    given = call["hx"]
    hidden = given[0] if isinstance(given, tuple | list) else given
    if hidden is None:
        x = call["input"]
        hidden = x.new_zeros(*x.shape[:-1], call.module.hidden_size)
    return (hidden,)
