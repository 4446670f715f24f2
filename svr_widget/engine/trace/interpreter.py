"""Channel labels through the operators of one forward pass."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cache, cached_property
from typing import Any

import torch
from torch import Tensor, nn

from svr_widget.engine.environment.settings import methods_with_own_settings
from svr_widget.engine.errors import said
from svr_widget.engine.maps.bundles import directed
from svr_widget.engine.maps.links import OUTSIDE, Link
from svr_widget.engine.maps.parts import OwnParameter, Part
from svr_widget.engine.trace.dispatch import Dispatch
from svr_widget.engine.trace.flow import labels
from svr_widget.engine.trace.flow.call import Call, RefusedError
from svr_widget.engine.trace.flow.flow import (
    Attentions,
    Carrier,
    Flow,
    Reason,
    Scope,
    Source,
    as_data,
    mint,
)
from svr_widget.engine.trace.mapping import (
    Owners,
    Use,
    complete,
    may_apply,
    other_way,
    recognise,
)
from svr_widget.engine.trace.own_parameters import OwnParameters
from svr_widget.engine.trace.parameters import READ, parameter, prepared, read_as_data, with_data
from svr_widget.engine.trace.results.arrivals import (
    Arrival,
    Graph,
    Notes,
    assemble,
    input_layouts,
    output_layouts,
    read,
)
from svr_widget.engine.trace.results.heads import Attention, read_heads
from svr_widget.engine.trace.results.meetings import Meetings
from svr_widget.engine.trace.results.siblings import Siblings, families_of_lists
from svr_widget.engine.trace.rules import recurrent
from svr_widget.engine.trace.rules.contraction import ADDING
from svr_widget.engine.trace.rules.pointwise import unite
from svr_widget.engine.trace.rules.table import rule_for

_BEFORE = -1
"""The place of what is read, before what reads it."""


_CHOOSES = frozenset({"nonzero", "masked_select", "unique", "_unique2", "unique_dim"})
"""Operators whose results have a length that depends on values."""


@methods_with_own_settings
class Interpreter:
    """Propagates flows operator by operator and collects what each map reads."""

    def __init__(
        self,
        model: nn.Module,
        parts: Mapping[str, Part],
        heads: bool = False,
        meetings: bool = False,
        own: Mapping[str, OwnParameter] | None = None,
        walls: Collection[str] = (),
    ) -> None:
        """Start with nothing seen.

        Args:
            model: the network.
            parts: where it keeps its maps, by name.
            heads: read attention head by head.
            meetings: note which parameters channels meet.
            own: parameters of no known layer, whose maps are found.
            walls: modules whose inside is not followed.
        """
        self.model = model
        self.parts = dict(parts)
        self.owners = Owners.of(model, parts.values())
        self.notes = Notes()
        self.attentions = Attentions() if heads else None
        self.meetings = Meetings(model) if meetings else None
        self.own = OwnParameters(own or {}, self.owners.alone)
        self._own_names = frozenset(own or {})
        self.arrivals: list[Arrival] = []
        self.outlets: list[Carrier] = []
        self.inlets: list[tuple[str, Carrier]] = []
        self._uses: dict[str, int] = {}
        self._when: dict[str, tuple[int, int]] = {}
        self._now = 0
        self._supposing = False
        self._as_data: set[str] = set()
        self.computed: dict[str, Tensor] = {}
        self.walls = walls
        self.read: frozenset[str] = frozenset()
        self.refusal: RefusedError | None = None
        self._deciding: set[str] = set()
        self._scopes: dict[tuple[tuple[str, str], ...], Scope] = {}
        # What was asked of a call before its results were there, which change nothing of it.
        self._foreseen: tuple[Call, list[Use]] | None = None

    @property
    def order(self) -> tuple[str, ...]:
        """The maps in order of first execution."""
        return tuple(sorted(self._uses, key=self._when.__getitem__))

    @property
    def rank(self) -> dict[str, int]:
        """The maps' places in that order; those that one operator applies together share one."""
        places = {when: place for place, when in enumerate(sorted(set(self._when.values())))}
        return {name: places[when] for name, when in self._when.items()}

    @property
    def repeated(self) -> frozenset[str]:
        """The maps that are applied more than once."""
        return frozenset(name for name, count in self._uses.items() if count > 1)

    def apply(self, call: Call) -> list[Flow]:
        """The flows of an operator's results; unknown ones where it is not known what it does."""
        self._now += 1
        self.read |= frozenset[str]().union(*(flow.weights for flow in call.flows()))
        if call.scope.wall:
            return self._walled(call)
        if call.name in _CHOOSES and any(flow.traced for flow in call.flows()):
            self.decides(call.scope.module)
        try:
            return self._applied(call)
        except RefusedError as error:
            self.refusal = self.refusal or error
            known = self._shapeless(call, call.unknown(error.why))
            return [replace(known, shape=shape) for shape in call.shapes]

    def unknown(self, call: Call, shape: tuple[int, ...]) -> Flow:
        """What holds whatever an operator that is not known makes of its arguments."""
        error = call.refusal("this operator is not known here")
        self.refusal = self.refusal or error
        return replace(self._shapeless(call, call.unknown(error.why)), shape=shape)

    def _shapeless(self, call: Call, reason: Reason) -> Flow:
        """All that an operator reads, without channel identity.

        A map whose weight is among it may be applied there; what it would read is no link either.
        """
        flows = list(call.flows())
        mixed = {source for flow in flows for source, _ in flow.mixed}
        producers = mixed.union(*(flow.sources for flow in flows))
        data = any(flow.data or flow.traced for flow in flows)
        names = {name for flow in flows if not flow.traced for name in flow.weights} if data else ()
        self.own.multiplied |= self._own_names.intersection(names)
        homes = [home for name in sorted(names) for home in self.owners.homes.get(name, ())]
        parts = [part.name for home in dict.fromkeys(homes) for part in home.parts]
        for part in parts:
            for producer in sorted({source.name for source in producers}):
                self.notes.add_lost(producer, part, reason)
        producers |= {self._source(part) for part in parts}
        return Flow((), mixed=frozenset((source, reason) for source in producers), data=data)

    def _walled(self, call: Call) -> list[Flow]:
        """Inside of what is left out, nothing is followed."""
        if not any(flow.traced for flow in call.flows()):
            return prepared(call, self._later())
        wall = call.reason(f"{call.scope.wall!r}, which is left out,", weighs=False)
        made = self._shapeless(call, wall._replace(module=""))
        return [replace(made, shape=shape) for shape in call.shapes]

    def _later(self) -> Callable[[Call], list[Flow]]:
        """What interprets an operator of this moment when it is known what reads its results."""
        then = self._now - 1

        def apply(call: Call) -> list[Flow]:
            before, self._now, self._supposing = (self._now, self._supposing), then, True
            try:
                return self.apply(call)
            finally:
                self._now, self._supposing = before

        return apply

    def _reads(self, flow: Flow) -> None:
        """Take note of the maps whose weights are read as data, now that something reads them."""
        for source in {*flow.sources, *(source for source, _ in flow.mixed)}:
            if source.use == READ and source.name not in self._as_data:
                self._as_data.add(source.name)
                self._when.setdefault(source.name, (self._now, _BEFORE))
                self._uses[source.name] = self._uses.get(source.name, 0) + 1
                if self.meetings is not None:
                    self.meetings.hold_all([source.name], "the network reads its weight as data")

    def _source(self, name: str) -> Source:
        """One more use of a map."""
        self._when.setdefault(name, (self._now, 0))
        number = self._uses.get(name, 0)
        self._uses[name] = number + 1
        return Source(name, number)

    def parameter(
        self, name: str, shape: tuple[int, ...], value: Callable[[], Tensor] | None
    ) -> Flow:
        """A parameter or buffer as the model holds it."""
        flow = parameter(name, shape, value)
        homes = self.owners.homes.get(name, ())
        if not homes:
            return flow
        home = next((home for home in homes if home.like.kind.application == "lookup"), homes[0])
        return replace(flow, as_data=cache(lambda: read_as_data(name, flow, home.parts)))

    def _applied(self, call: Call) -> list[Flow]:
        uses = self._recognised(call)
        if uses:
            return self._apply_maps(call, uses)
        if call.name in (*recurrent.LAYERS, *recurrent.CELLS):
            self._announce(call)
            layer = call.name in recurrent.LAYERS
            return recurrent.unrolled(call, self._composite) if layer else self._composite(call)
        if self._hides_a_product(call):
            return self._composite(call)
        chosen = self.own.gathered(call)
        if chosen is not None:
            return [chosen]
        if any(flow.traced or flow.data for flow in call.flows()):
            call = with_data(call)
            if not self._supposing:
                for flow in call.flows():
                    self._reads(flow)
        if not any(flow.traced for flow in call.flows()):
            return prepared(call, self._later())
        rule = rule_for(call)
        call = replace(call, attentions=self.attentions)
        if rule is None:
            return self._composite(call)
        try:
            result = rule(call)
        except RefusedError:
            raise
        except (RuntimeError, TypeError, ValueError, IndexError, StopIteration) as error:
            why = f"it is used in a way that is not known here ({said(error)})"
            raise call.refusal(why) from error
        made = result if isinstance(result, list) else [result]
        if [flow.shape for flow in made] != list(call.shapes):
            raise call.refusal("its results have other shapes than expected")
        if self.meetings is not None:
            self.meetings.see(call, made)
        return made

    def decides(self, module: str) -> None:
        """Take note that a module decides by values that it computed what runs."""
        self._deciding.add(module)

    @cached_property
    def siblings(self) -> Siblings:
        """The maps of which the data choose some, once everything was seen."""
        families = [*self.own.families()]
        self.parts |= self.own.parts
        families += families_of_lists(self.model, self.parts, self._uses, self._deciding)
        return Siblings(families)

    def _announce(self, call: Call) -> None:
        """Take the maps of a recurrent layer in the order of its parameters, not of its kernel."""
        names = [name for flow in call.flows() for name in sorted(flow.weights)]
        homes = [home for name in names for home in self.owners.homes.get(name, ())]
        for place, home in enumerate(homes):
            for part in home.parts:
                self._when.setdefault(part.name, (self._now, place))
                self._uses.setdefault(part.name, 0)

    def _composite(self, call: Call) -> list[Flow]:
        """An operator without a rule by the operators that PyTorch makes it of."""
        flows = list(call.flows())
        composite = torch._C.DispatchKey.CompositeImplicitAutograd
        if not call.func.has_kernel_for_dispatch_key(composite):
            raise call.refusal("this operator is not known here")
        mode = Dispatch(self, call.scope)
        stand_ins = {id(flow): torch.empty(flow.shape, device="meta") for flow in flows}

        def real(argument: Any) -> Any:
            if isinstance(argument, Flow):
                mode.attach(stand_ins[id(argument)], argument)
                return stand_ins[id(argument)]
            if isinstance(argument, (list, tuple)):
                return [real(item) for item in argument]
            return argument

        args = [real(argument) for argument in call.args]
        kwargs = {name: real(value) for name, value in call.kwargs.items()}
        try:
            with torch.no_grad(), mode:
                results = call.func(*args, **kwargs)
        except (RuntimeError, TypeError, ValueError, IndexError) as error:
            if isinstance(error, RefusedError):
                raise
            raise call.refusal(f"it cannot be taken apart ({said(error)})") from error
        made = results if isinstance(results, (list, tuple)) else [results]
        return [mode.flow_of(tensor) for tensor in made]

    def is_use(self, call: Call) -> bool:
        """Whether the operator applies a map."""
        if call.scope.wall:
            return False
        try:
            self._foreseen = call, self._recognised(call)
        except RefusedError:
            return True
        return bool(self._foreseen[1])

    def _recognised(self, call: Call) -> list[Use]:
        if not may_apply(call.func):
            return []
        if self._foreseen is not None:
            foreseen, uses = self._foreseen
            self._foreseen = None
            if foreseen.func is call.func and foreseen.args is call.args:
                return uses
        uses = self.own.uses(call)
        self.parts |= self.own.parts
        if uses:
            return uses
        use = recognise(call, self.owners)
        if use is None and (found := other_way(call, self.owners)) is not None:
            part, use = found
            self.own.parts.setdefault(part.name, part)
            self.parts |= self.own.parts
        return [] if use is None else [use]

    def _hides_a_product(self, call: Call) -> bool:
        """Whether an operator of several steps is no rule's and multiplies own parameters."""
        if not any(self.own.holds(flow) for flow in call.flows()):
            return False
        composite = torch._C.DispatchKey.CompositeImplicitAutograd
        without_rule = call.name == "matmul" or rule_for(call) is None
        return without_rule and call.func.has_kernel_for_dispatch_key(composite)

    def _apply_maps(self, call: Call, uses: Sequence[Use]) -> list[Flow]:
        """The results of the maps that an operator applies, and of what it adds to them."""
        if 0 in call.shape:  # no token came here, which tells nothing
            return [Flow(shape, data=True) for shape in call.shapes]
        uses = [use._replace(read=as_data(use.read)) for use in uses]
        for use in uses:
            self._reads(use.read)
        self.own.accounted |= frozenset[str]().union(*(use.weights for use in uses))
        carriers = [carrier for use in uses for carrier in self._use(call, use)]
        mixed: frozenset[tuple[Source, Reason]] = frozenset()
        if not complete(uses):
            names = ", ".join(sorted({name for use in uses for name in use.weights}))
            reason = call.reason(f"{call.name} with a part of {names} (no map)", weighs=False)
            for use in uses:
                mixed |= use.read.mixed | {(source, reason) for source in use.read.sources}
        place = mint(call.shape, [uses[0].write_dim % len(call.shape)]) if carriers else None
        flow = Flow(call.shape, tuple(carriers), mixed, place, data=not carriers)
        added = call.get("self") if call.name in ADDING else call.get("bias")
        added = as_data(added) if isinstance(added, Flow) else None
        if added is not None and added.traced:
            flow = unite(call, [flow, added])
        return [flow, *(Flow(shape) for shape in call.shapes[1:])]

    def _use(self, call: Call, use: Use) -> list[Carrier]:
        dim = use.write_dim % len(call.shape)
        carriers: list[Carrier] = []
        for name, channels in use.written.items():
            source = self._source(name)
            inlet = use.read.inlet
            if use.read_dim is not None and inlet is not None:
                lies = labels.varying_dims(inlet.label)
                if lies == {use.read_dim % len(use.read.shape)}:
                    self.inlets.append((name, inlet))
            if use.computed is not None and not use.computed.is_meta:
                self.computed.setdefault(name, use.computed)
            if use.read_dim is not None:
                matrix = self.parts[name].kind.application == "matrix"
                self.arrivals.append(Arrival(source, use.read, use.read_dim, matrix))
            elif use.read.traced:
                producers = {source for source, _ in use.read.mixed} | use.read.sources
                for producer in sorted({source.name for source in producers}):
                    self.notes.add_lost(producer, name, "the tokens that are looked up")
            shape = [1] * len(call.shape)
            shape[dim] = len(channels)
            label = channels.view(shape).expand(call.shape)
            if use.positions is not None:
                narrow = torch.full((call.shape[0], *shape[1:]), labels.NONE)
                narrow[use.positions] = channels.view(shape)
                label = narrow.expand(call.shape)
            label = labels.canonical(label)
            carriers.append(Carrier(source, label, use.through))
        return carriers

    def scope(self, stack: Sequence[tuple[str, str]]) -> Scope:
        """The scope of an operator from its ``(module path, class)`` stack, outermost first."""
        key = tuple(stack)
        if key not in self._scopes:
            self._scopes[key] = self._scope(key)
        return self._scopes[key]

    def _scope(self, stack: tuple[tuple[str, str], ...]) -> Scope:
        path = tuple(module for module, _ in stack if module)
        if not stack:
            return Scope(kind=type(self.model).__name__)
        module, kind = stack[-1]
        name = kind.rsplit(".", 1)[-1]
        wall = next((module for module in path if module in self.walls), "")
        if not module:
            return Scope("", name, path, wall=wall)
        names = (*self.parts, *self._own_names)
        holds_maps = any(n == module or n.startswith(f"{module}.") for n in names)
        library = kind.startswith("torch.")
        return Scope(module, name, path, not holds_maps and not library, library, wall)

    def leave(self, results: Iterable[Any]) -> None:
        """Take note of what the network returns."""
        for flow in results:
            if isinstance(flow, Flow):
                flow = as_data(flow)
                self._reads(flow)
                self.outlets += flow.carriers
                for source, reason in sorted(flow.mixed):
                    if not reason.weighs:
                        self.notes.add_lost(source.name, "the output", reason)
                if self.meetings is not None:
                    self.meetings.returned(flow.carriers)

    def ends(self) -> tuple[Link, ...]:
        """The ways between maps and the outside, see ``normalisation.fold``."""
        ways = [(OUTSIDE, name, carrier) for name, carrier in self.inlets]
        ways += [(carrier.source.name, OUTSIDE, carrier) for carrier in self.outlets]
        found = []
        for producer, consumer, carrier in ways:
            channels = labels.present(carrier.label)
            link = Link(producer, consumer, channels, channels, carrier.through)
            found.append(replace(link, steps=carrier.steps))
        return tuple(found)

    def graph(self) -> tuple[Graph, tuple[Attention, ...]]:
        """The links and layouts of everything seen, and its attention where that is read by heads.

        What an ``Attention`` pairs is no link then.
        """
        linear_like = {name: part.kind.application == "matrix" for name, part in self.parts.items()}
        readings = [read(arrival, linear_like, self.notes) for arrival in self.arrivals]
        attentions: tuple[Attention, ...] = ()
        if self.attentions is not None:
            unfit = {name for name, part in self.parts.items() if part.groups > 1 or part.kernel}
            unfit |= input_layouts(readings).keys()
            unfit |= {name for name, layout in output_layouts(readings).items() if layout}
            readings, attentions = read_heads(readings, self.attentions, self.notes, unfit)
        graph = assemble(readings, self.rank, self.notes)
        siblings = self.siblings
        rank = siblings.spread(self.rank)
        graph.links = list(directed(siblings.links(graph.links), rank))
        graph.input_layouts = siblings.spread(graph.input_layouts)
        graph.output_layouts = siblings.spread(graph.output_layouts)
        return graph, attentions


def as_shape(value: Any) -> tuple[int, ...] | None:
    """The shape of a result, ``None`` if it is no tensor."""
    shape = getattr(value, "shape", None)
    return None if shape is None else tuple(int(size) for size in shape)
