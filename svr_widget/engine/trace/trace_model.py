"""``trace``: from a model and an example input to its graph of links."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from types import MethodType
from typing import Any

import torch
from torch import Tensor, nn

from svr_widget.engine.environment.settings import with_own_settings
from svr_widget.engine.environment.threads import uninterrupted
from svr_widget.engine.errors import NoMapsError, SVRError, TraceError, listed, said
from svr_widget.engine.maps.layer_kinds import parts_of
from svr_widget.engine.maps.links import Layout, Link
from svr_widget.engine.maps.parts import OwnParameter, Part, in_model, likely_parts
from svr_widget.engine.maps.weights import named_tensors
from svr_widget.engine.model.example_inputs import Example, examples
from svr_widget.engine.model.guard import unguarded
from svr_widget.engine.model.tensors import without_values
from svr_widget.engine.model.user_model import Running, running
from svr_widget.engine.trace.dispatch import run
from svr_widget.engine.trace.exported import Walk, export
from svr_widget.engine.trace.flow.call import RefusedError
from svr_widget.engine.trace.interpreter import Interpreter
from svr_widget.engine.trace.results.heads import Attention
from svr_widget.engine.trace.results.meetings import Meetings


@dataclass(frozen=True, eq=False)
class Trace:
    """Which map feeds which.

    Attributes:
        links: every link, by consumer and producer in order of execution.
        order: names of the maps in order of first execution.
        input_layouts: matrices that read a flattened ``channels x positions`` tensor.
        output_layouts: matrices whose output is unflattened to ``channels x positions``.
        method: how the model was read: ``"torch dispatch"``, ``"torch.export"`` or
            ``"forward pass"``.
        rank: the maps' places in that order; those that one operator applies together share one.
        attentions: the heads of attention, where they were asked for; ``links`` are then without
            those from values to the maps that read them head by head.
        ends: the ways between a map and the network's input or output; the other end of each is
            called ``OUTSIDE``.
        computed: weights that modules compute as they run, as their parameters are kept, where
            that is not what the parameters tell.
        meetings: which parameters channels meet on their way, where that was asked for.
        example: what the model was called with.
        own: the maps that modules' own code makes of their parameters, by name.
        notes: which example input was used, which maps were not reached, and every dependency
            that is no link because it keeps no channel identity.
    """

    links: tuple[Link, ...]
    order: tuple[str, ...]
    input_layouts: Mapping[str, Layout]
    output_layouts: Mapping[str, Layout]
    method: str
    example: Example
    notes: tuple[str, ...]
    rank: Mapping[str, int]
    attentions: tuple[Attention, ...] = ()
    ends: tuple[Link, ...] = ()
    computed: Mapping[str, Tensor] = field(default_factory=dict)
    meetings: Meetings | None = None
    own: Mapping[str, Part] = field(default_factory=dict)

    def without(self, names: AbstractSet[str]) -> Trace:
        """The same without some of the maps."""

        def kept(links: Iterable[Link]) -> tuple[Link, ...]:
            return tuple(x for x in links if x.producer not in names and x.consumer not in names)

        attentions = [a for a in self.attentions if names.isdisjoint(a.maps)]
        return replace(
            self,
            links=kept(self.links),
            order=tuple(name for name in self.order if name not in names),
            attentions=tuple(attentions),
            ends=kept(self.ends),
            own={name: part for name, part in self.own.items() if name not in names},
        )


@uninterrupted
def trace(
    model: nn.Module,
    parts: Mapping[str, Part],
    example_inputs: Any = None,
    *,
    heads: bool = False,
    meetings: bool = False,
    own: Mapping[str, OwnParameter] | None = None,
    walls: Collection[str] = (),
    live: bool = False,
) -> Trace:
    """Read off the model which map feeds which, through which channels (paper, section 2.2).

    What runs is a private structure in evaluation mode, mostly on tensors without values; the model
    itself is not touched.

    Args:
        model: the network.
        parts: where it keeps its maps, by name.
        example_inputs: a tensor, a tuple of positional or a mapping of keyword arguments;
            ``None`` takes ``model.dummy_inputs`` or tries inputs that fit the first map.
        heads: read attention head by head.
        meetings: note which parameters channels meet on their way.
        own: parameters of no known layer by qualified name, whose maps are found as it runs.
        walls: modules that are left out, whose inside is not followed.
        live: run the model itself.

    Raises:
        NoMapsError: there are neither ``parts`` nor parameters of modules' own.
        TraceError: the model cannot be run or followed; the message names the module.
    """
    own = own or {}
    if not parts and not own:
        raise NoMapsError(f"{type(model).__name__} holds no linear map to trace.")
    if model.forward == MethodType(nn.Module.forward, model):
        raise TraceError(_without_forward(model, parts))
    refusal: SVRError | None = None
    failures: dict[Example, Exception] = {}
    partial: tuple[int, Trace] | None = None
    tried = list(_examples(model, parts, own, example_inputs, live))
    valued = without_values(model) is None
    for method in list(METHODS)[: None if valued else 1]:
        if partial is not None and METHODS[method] is _exported:
            break  # an operator that is not known is none there, either
        for example in tried:
            # Each attempt gets a structure that no other has run.
            guarded = METHODS[method] is not _exported
            with running(model, live=live, guarded=guarded, computing=False) as run:
                ours = _ours(model, parts, run)
                ours_own = {name: replace(p, module=run[p.module]) for name, p in own.items()}
                interpreter = Interpreter(run.model, ours, heads, meetings, ours_own, walls)
                try:
                    notes = METHODS[method](run.model, interpreter, example)
                except SVRError as error:
                    refusal = refusal or error
                    continue
                except Exception as error:  # whatever the model itself raises
                    failures[example] = error
                    continue
                found = _result(interpreter, example, method, (*notes, *run.notes))
            theirs = {name: in_model(part, model) for name, part in found.own.items()}
            found = replace(found, own=theirs)
            unknown = interpreter.notes.unknown
            if unknown and not found.links and not found.attentions:
                refusal = refusal or interpreter.refusal
            elif not unknown:
                return found
            elif partial is None or unknown < partial[0]:
                partial = unknown, found
            break
    if partial is not None:
        return partial[1]
    if isinstance(refusal, RefusedError):
        raise TraceError(str(refusal)) from refusal.__cause__
    if refusal is not None:
        raise refusal
    raise TraceError(_failure(model, failures, valued)) from next(iter(failures.values()), None)


def _examples(
    model: nn.Module,
    parts: Mapping[str, Part],
    own: Mapping[str, OwnParameter],
    given: Any,
    live: bool,
) -> Iterator[Example]:
    """Inputs to try: those that fit the first map, or the first parameter that may be one.

    What is read first may be left out, and is run nevertheless.
    """
    first = next((p for path, each in model.named_modules() for p in parts_of(each, path)), None)
    if given is None and parts and first is not None and first.name not in parts:
        yield from examples(model, {first.name: first}, None, live)
    yield from examples(model, parts, given, live)
    if given is not None:
        return
    for guess in next((guesses for p in own.values() if (guesses := likely_parts(p))), ()):
        yield from examples(model, {guess.name: guess}, None, live)


def _ours(model: nn.Module, parts: Mapping[str, Part], run: Running) -> dict[str, Part]:
    """Where the structure that is run keeps the maps."""
    try:
        return {name: replace(part, module=run[part.module]) for name, part in parts.items()}
    except KeyError:
        raise TraceError(
            f"{type(model).__name__} does not hold these maps ({listed(list(parts))}): are "
            "they parts of this model?"
        ) from None


def _valueless(model: nn.Module, interpreter: Interpreter, example: Example) -> list[str]:
    return run(model, interpreter, example.args, example.kwargs)


def _exported(model: nn.Module, interpreter: Interpreter, example: Example) -> list[str]:
    program = export(model, example.args, example.kwargs)
    Walk(program, interpreter, example.tensors()).run()
    return [
        "read along torch.export, which while it ran changed how every thread of this process "
        "calls modules"
    ]


def _computed(model: nn.Module, interpreter: Interpreter, example: Example) -> list[str]:
    return run(model, interpreter, example.args, example.kwargs, values=True)


# In this order, and for a model that has no values the first alone: running it on tensors without
# values takes a hundredth of the time of the others; a real forward pass also follows a course that
# depends on values; an export may run what neither does, but changes nn.Module for the whole
# process while it runs.
METHODS: dict[str, Callable[[nn.Module, Interpreter, Example], list[str]]] = {
    "torch dispatch": _valueless,
    "forward pass": _computed,
    "torch.export": _exported,
}


@with_own_settings
def _result(interpreter: Interpreter, example: Example, method: str, notes: Sequence[str]) -> Trace:
    if not interpreter.order:
        raise TraceError(
            f"{type(interpreter.model).__name__} ran without using any of its maps "
            f"({', '.join(list(interpreter.parts)[:5])}): are these maps parts of this model?"
        )
    with unguarded():
        graph, attentions = interpreter.graph()
    if example.origin:
        interpreter.notes.add(example.origin)
    for note in notes:
        interpreter.notes.add(note)
    siblings = interpreter.siblings
    for line in (*interpreter.own.notes(), *siblings.notes(), *_without_use(interpreter)):
        interpreter.notes.add(line)
    computed = _computed_weights(interpreter)
    if interpreter.meetings is not None:
        interpreter.meetings.repeated = interpreter.repeated
        for reason, lost in interpreter.notes.reasons():
            interpreter.meetings.hold_all(lost, f"it goes into {reason}")
        unseen = {name for family in siblings.families for name in family.missing}
        around = {x.producer for x in graph.links if unseen & {x.producer, x.consumer}}
        interpreter.meetings.hold_all(
            sorted(around | unseen), "what stands behind it was not reached by this input"
        )
    return Trace(
        tuple(graph.links),
        siblings.order(interpreter.order),
        graph.input_layouts,
        graph.output_layouts,
        method,
        example,
        interpreter.notes.all(),
        siblings.spread(interpreter.rank),
        attentions,
        tuple(siblings.links(interpreter.ends())),
        computed,
        interpreter.meetings,
        interpreter.own.parts,
    )


def _without_use(interpreter: Interpreter) -> Iterator[str]:
    """Notes on the maps that were not seen to be applied."""
    order = set(interpreter.order)
    behind = {name: _tensors(part) for name, part in interpreter.parts.items()}
    applied = frozenset[int]().union(*(behind[name] for name in order if name in behind))
    named = named_tensors(interpreter.model)
    was_read = {id(tensor) for name, tensor in named if name in interpreter.read}
    known = interpreter.siblings.order(interpreter.order)
    without = behind.keys() - set(known) - interpreter.own.parts.keys()
    unused: list[str] = []
    tied: list[str] = []
    otherwise: list[str] = []
    for name in filter(without.__contains__, behind):
        shared = behind[name] & applied
        kind = tied if shared else otherwise if behind[name] & was_read else unused
        kind.append(repr(name))
    if unused:
        yield f"{_maps(unused)} not used by this input"
    if tied:
        yield f"{_maps(tied)} without links, for other maps that run hold its weight"
    if otherwise:
        yield f"{_maps(otherwise)} without links, for its weight is used in a way not known here"


def _tensors(part: Part) -> frozenset[int]:
    """What is equal for the same tensor, of those that a part's weight comes from."""
    own = part.tensors
    return frozenset(id(t) for name, t in named_tensors(part.module) if name in own)


def _maps(names: Sequence[str]) -> str:
    if len(names) == 1:
        return f"map {names[0]} is"
    return f"{len(names):,} maps ({listed(names, 2)}) are"


def _computed_weights(interpreter: Interpreter) -> dict[str, Tensor]:
    """The weights that the model computes as it runs, where its parameters do not tell them."""
    found: dict[str, Tensor] = {}
    for name, value in interpreter.computed.items():
        part = interpreter.parts[name]
        if not torch.allclose(part.weight(value), part.weight(), rtol=1e-5):
            found[name] = value.clone()
    if len(found) == 1:
        (name,) = found
        part = interpreter.parts[name]
        interpreter.notes.add(
            f"map {name!r} is what {part.path!r} computes from its {part.parameter} as it runs"
        )
    elif found:
        interpreter.notes.add(
            f"{_maps([repr(name) for name in found])} what their modules compute from their "
            "weights as they run"
        )
    return found


def _without_forward(model: nn.Module, parts: Mapping[str, Part]) -> str:
    pair = list(parts)[:2]
    by_hand = f"the links by hand: links=[({pair[0]!r}, {pair[1]!r}), ...], " if pair[1:] else ""
    return (
        f"{type(model).__name__} has no forward, so that nothing tells which map feeds which: give "
        f"the module that calls its layers, {by_hand}or the weights alone: SVR(model.state_dict())"
    )


def _failure(model: nn.Module, failures: Mapping[Example, Exception], valued: bool) -> str:
    tried = "; ".join(
        f"{example.origin or 'the given input'}: {said(error)}"
        for example, error in failures.items()
    )
    given = any(not example.origin for example in failures)
    loaded = "" if valued else " If it runs by values, load the file into it and give it whole."
    return (
        f"{type(model).__name__} could not be traced ({tried or 'no example input is known'}). "
        f"Pass {'an input that it runs on: ' if given else ''}example_inputs=..., or the links by "
        f'hand: links=[("producer", "consumer"), ...].{loaded}'
    )
