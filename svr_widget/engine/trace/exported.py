"""The interpreter's walk over a graph that ``torch.export`` made."""

from __future__ import annotations

import operator
import threading
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch._ops import HigherOrderOperator, OpOverload
from torch.export import ExportedProgram
from torch.export.graph_signature import InputKind
from torch.utils._pytree import tree_leaves

from svr_widget.engine.environment.settings import callers_device
from svr_widget.engine.errors import TraceError
from svr_widget.engine.trace.flow.call import Call
from svr_widget.engine.trace.flow.flow import Flow
from svr_widget.engine.trace.interpreter import Interpreter, as_shape

_alone = threading.Lock()
"""PyTorch's export is not made for two threads at once."""


def export(model: nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> ExportedProgram:
    """Export ``model`` without in-place operators, composites kept whole."""
    with torch.no_grad(), _alone, warnings.catch_warnings(), callers_device():
        warnings.simplefilter("ignore")  # those of PyTorch about itself
        program = torch.export.export(model, args, dict(kwargs), strict=False)
        functional: ExportedProgram = program.run_decompositions({})
    return functional


class Walk:
    """One walk over an exported graph."""

    def __init__(
        self, program: ExportedProgram, interpreter: Interpreter, inputs: Sequence[Tensor]
    ) -> None:
        """Prepare the walk.

        Args:
            program: what ``export`` returned.
            interpreter: receives every operator.
            inputs: the example's tensors in the order of the program's user inputs.
        """
        self.program = program
        self.interpreter = interpreter
        self.inputs = inputs
        self._values: dict[fx.Node, Any] = {}
        self._makers: dict[fx.Node, Any] = {}

    def run(self) -> None:
        """Interpret the whole graph."""
        flows: dict[fx.Node, Any] = {}
        given = iter(self.inputs)
        specs = {spec.arg.name: spec for spec in self.program.graph_signature.input_specs}
        for node in self.program.graph.nodes:
            if node.op != "placeholder":
                continue
            spec = specs[node.name]
            if spec.kind == InputKind.USER_INPUT:
                flows[node] = self._given(node, next(given, None))
            else:
                flows[node] = self._state(node, spec.target or "")
        results = self._walk(self.program.graph_module, flows)
        self.interpreter.leave(tree_leaves(results))

    def _given(self, node: fx.Node, value: Any) -> Any:
        shape = as_shape(node.meta.get("val"))
        self._makers[node] = lambda: value
        return value if shape is None else Flow(shape, data=True, value=lambda: value)

    def _state(self, node: fx.Node, target: str) -> Flow:
        def make() -> Any:
            state = self.program.state_dict
            return state[target] if target in state else self.program.constants[target]

        self._makers[node] = make
        shape = as_shape(node.meta.get("val")) or ()
        return self.interpreter.parameter(target, shape, make)

    def _walk(self, module: fx.GraphModule, flows: dict[fx.Node, Any]) -> Any:
        for node in module.graph.nodes:
            if node.op == "get_attr":
                flows[node] = self._attribute(module, node)
            elif node.op == "call_function":
                flows[node] = self._function(node, flows)
            elif node.op == "output":
                return fx.map_arg(node.args[0], lambda n: flows[n])
        return None

    def _attribute(self, module: fx.GraphModule, node: fx.Node) -> Any:
        value = operator.attrgetter(str(node.target))(module)
        self._makers[node] = lambda: value
        if isinstance(value, Tensor):
            return Flow(tuple(value.shape), value=lambda: value)
        return value

    def _function(self, node: fx.Node, flows: dict[fx.Node, Any]) -> Any:
        args = fx.map_arg(node.args, lambda n: flows[n])
        kwargs = fx.map_arg(node.kwargs, lambda n: flows[n])
        if node.target is operator.getitem:
            self._makers[node] = lambda: self._compute(node)
            whole: Any = args[0]
            return self._with_value(whole[args[1]], node)
        if isinstance(node.target, HigherOrderOperator):
            return self._inline(node, args, flows)
        if not isinstance(node.target, OpOverload):
            self._makers[node] = lambda: self._compute(node)
            return node.meta.get("val")
        results = node.meta.get("val")
        several = isinstance(results, (list, tuple))
        shapes = [as_shape(value) for value in tree_leaves(results)]
        if all(shape is None for shape in shapes):
            self._makers[node] = lambda: self._compute(node)
            return results
        scope = self.interpreter.scope(_stack(node))
        wanted = tuple(shape if shape is not None else () for shape in shapes)
        made = self.interpreter.apply(Call(node.target, args, kwargs, wanted, scope))
        self._makers[node] = lambda: self._compute(node)
        return made if several else self._with_value(made[0], node)

    def _inline(self, node: fx.Node, args: Sequence[Any], flows: dict[fx.Node, Any]) -> Any:
        """Regions under another autograd or autocast mode: a submodule and its arguments."""
        at = next((i for i, a in enumerate(args) if isinstance(a, fx.GraphModule)), None)
        if at is None or sum(isinstance(a, fx.GraphModule) for a in args) > 1:
            raise TraceError(
                f"{node.target} in {_stack(node)[-1:] or 'the model'}: control flow that depends "
                'on values cannot be followed; pass the links by hand: links=[("a", "b"), ...].'
            )
        body: fx.GraphModule = args[at]
        inner = [n for n in body.graph.nodes if n.op == "placeholder"]
        outside: Any = node.args
        for placeholder, outer, flow in zip(inner, outside[at + 1 :], args[at + 1 :], strict=True):
            flows[placeholder] = flow
            self._makers[placeholder] = lambda outer=outer: self._value(outer)
        output = next(n for n in body.graph.nodes if n.op == "output")
        self._makers[node] = lambda: self._value(output.args[0])
        return self._walk(body, flows)

    def _with_value(self, flow: Any, node: fx.Node) -> Any:
        if not isinstance(flow, Flow) or flow.traced:
            return flow
        return replace(flow, value=lambda: self._value(node))

    def _value(self, argument: Any) -> Any:
        """The value of a node that depends on no map, or of a structure of such nodes."""
        if isinstance(argument, fx.Node):
            if argument not in self._values:
                with torch.no_grad():
                    self._values[argument] = self._makers[argument]()
            return self._values[argument]
        return fx.map_arg(argument, self._value)

    def _compute(self, node: fx.Node) -> Any:
        assert callable(node.target)
        return node.target(*self._value(node.args), **self._value(node.kwargs))


def _stack(node: fx.Node) -> list[tuple[str, str]]:
    stack = node.meta.get("nn_module_stack") or {}
    return [
        (
            path.split("@")[0],
            kind if isinstance(kind, str) else f"{kind.__module__}.{kind.__name__}",
        )
        for path, kind in stack.values()
    ]
