"""From the traced graph to steps: one per layer, batch norm and activation functions folded in."""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from torch import Tensor, fx, nn
from torch.nn import functional as F

from .operations import (
    Activated,
    Activation,
    Add,
    Affine,
    BatchNorm,
    Bound,
    Concat,
    Elementwise,
    Fixed,
    MaxPool,
    Operation,
)
from .recognise import (
    function_name,
    function_operation,
    is_scalar_call,
    max_pool_operation,
    module_operation,
    rearranges,
)
from .trace import UnsupportedOperation, constant, shadow, trace, works_in_place


@dataclass(eq=False, repr=False)
class Step:
    """One operation of the plan.

    `inputs` carry the signal; a step without `operation` is plain computation on `args` (which name
    other steps).
    """

    name: str
    operation: Operation | None
    inputs: list[Step]
    function: Callable[..., Any] | None = None
    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] = field(default_factory=dict)
    scalar: bool = False
    sources: list[Step] = field(default_factory=list)  # where the signal goes

    @cached_property
    def bound(self) -> Bound:
        """Lower bound of the value, None if unknown; asked for once all that reads it is known."""
        if self.operation is None:
            return None
        return self.operation.bound([step.bound for step in self.inputs])

    def __repr__(self) -> str:
        return f"Step({self.name})"  # steps name steps: a full repr would never end

    @property
    def is_linear(self) -> bool:
        """Whether the value is an affine function or sum with no activation function after it."""
        return isinstance(self.operation, Affine | Add) and self.operation.activation is None

    def dependencies(self) -> list[Step]:
        """Every step whose value this one reads; a step may appear twice."""
        return [*self.inputs, *_steps_in((self.args, self.kwargs))]


class Builder:
    """Turns fx nodes into steps; batch norm and activation functions join the layer before."""

    def __init__(self, model: nn.Module, gates: str) -> None:
        self.model = shadow(model)
        self.gates = gates
        self.graph, self.ends = trace(self.model)
        self.steps: list[Step] = []
        self.step_of: dict[fx.Node, Step] = {}

    def build(self, protected: fx.Node | None = None) -> Step:
        """Make the steps and return the last; nothing is folded into the protected node's."""
        for node in self.graph.nodes:
            if node.op == "output":
                return self._output(node)
            step = self._step(node, protected)
            if step not in self.steps:
                self.steps.append(step)
            self.step_of[node] = step
            if self._overwrites(node):  # later readers of its argument read the result
                self.step_of[node.all_input_nodes[0]] = step
        raise UnsupportedOperation("the traced graph has no output")

    def name_of(self, step: Step) -> str:
        """A name to ask for the step by: of the modules that end in it, the outermost."""
        last = [node for node, found in self.step_of.items() if found is step][-1]
        paths = [path for path, node in self.ends.items() if node is last]
        return min(paths, key=len, default=self._path(last))

    def node_of(self, name: str) -> fx.Node | None:
        """The node that a module ends in, or that has this name itself."""
        named = {self._path(node): node for node in self.graph.nodes if node.op != "output"}
        return (named | self.ends).get(name)

    def _overwrites(self, node: fx.Node) -> bool:
        """Whether a node works in place on a value that is read again."""
        inputs = node.all_input_nodes
        alone = len(inputs) == 1 and len(inputs[0].users) > 1
        return alone and works_in_place(node, self.model)

    def _output(self, node: fx.Node) -> Step:
        value = node.args[0]
        if not isinstance(value, fx.Node):
            raise UnsupportedOperation(
                f"{type(self.model).__name__}: its output is {type(value).__name__}, "
                "not one tensor of class scores; "
                "wrap it in a module that returns the scores alone"
            )
        return self.step_of[value]

    def _step(self, node: fx.Node, protected: fx.Node | None) -> Step:
        name = str(node.target) if node.op == "call_module" else self._path(node)
        if node.op == "placeholder":
            return Step(name, None, [])
        if node.op == "get_attr":
            value = constant(self.model, str(node.target))
            return Step(name, None, [], function=lambda: value, scalar=True)
        if node.op == "call_module":
            return self._module_step(node, name, protected)
        return self._function_step(node, name, protected)

    @staticmethod
    def _path(node: fx.Node) -> str:
        stack = node.meta.get("nn_module_stack")
        owner = list(stack.values())[-1][0] if stack else ""
        return f"{owner}.{node.name}" if owner else node.name

    def _module_step(self, node: fx.Node, name: str, protected: fx.Node | None) -> Step:
        module = self.model.get_submodule(name)
        before = self._resolve((*node.args, *node.kwargs.values()))[0]
        return self._with(module_operation(module), node, name, before, protected) or Step(
            name, None, [before], module, self._resolve(node.args), self._resolve(node.kwargs)
        )

    def _function_step(self, node: fx.Node, name: str, protected: fx.Node | None) -> Step:
        call = function_name(node.target)
        args, kwargs = self._resolve(node.args), self._resolve(node.kwargs)
        function = _function(node)
        plain = Step(name, None, [], function, args, kwargs)
        data = [step for step in _steps_in((args, kwargs)) if not step.scalar]
        if not data or is_scalar_call(call, args[1] if len(args) > 1 else None):
            plain.scalar = True
            return plain
        plain.inputs = data
        if call == "cat" and isinstance(args[0], list | tuple) and len(data) == len(args[0]):
            axis = kwargs.get("dim", args[1] if len(args) > 1 else 0)
            plain.operation = Concat(axis)
        elif call == "add" and len(data) == len(args) and kwargs.get("alpha", 1) == 1:
            plain.operation = Add()
        elif call == "mul" and len(data) == 2 and self.gates == "constant":
            gated = _value_then_gate(data)
            if gated is not None:
                plain.inputs = gated
                plain.operation = Elementwise(operator.mul, 0 if gated[0].bound == 0 else None)
        elif node.name.startswith("max_pool2d"):  # its function is a dispatcher without a name
            plain.operation = max_pool_operation(args[1:], kwargs)
        elif node.name.startswith("adaptive_max_pool2d"):
            size = kwargs.get("output_size", args[1] if len(args) > 1 else None)
            plain.operation = MaxPool(F.adaptive_max_pool2d, output_size=size)
        elif len(data) == 1 and isinstance(args[0], Step):
            return self._one_input(node, call, plain, protected)
        return plain

    def _one_input(self, node: fx.Node, call: str, plain: Step, protected: fx.Node | None) -> Step:
        before, function = plain.args[0], plain.function
        assert function is not None
        source = node.args[0]
        assert isinstance(source, fx.Node)
        if call == "getitem" and function_name(source.target) in ("chunk", "split"):
            return _slice_of(before, plain)
        settings = (plain.args[1:], plain.kwargs)
        if not _steps_in(settings):
            operation = function_operation(call, function, *settings)
            step = self._with(operation, node, plain.name, before, protected)
            if step is not None:
                return step
        if rearranges(call) and call not in ("chunk", "split"):
            plain.operation = Fixed(function)  # bound to its sizes at run time
        return plain

    def _with(
        self,
        found: Operation | Activation | str | None,
        node: fx.Node,
        name: str,
        before: Step,
        protected: fx.Node | None,
    ) -> Step | None:
        """The step of a recognised operation, folded into the step before where that is exact."""
        if found is None:
            return None
        if isinstance(found, str):
            return before
        source = node.all_input_nodes[0]
        alone = (
            len(source.users) == 1 and source is not protected and self.step_of[source] is before
        )
        target = before.operation
        if (
            isinstance(found, BatchNorm)
            and alone
            and isinstance(target, Affine)
            and target.activation is None
        ):
            target.layer = target.layer.scaled(found.scale, found.shift)
            target.activation = found.activation
            return before
        if isinstance(found, Activation):
            if alone and isinstance(target, Activated) and target.activation is None:
                target.activation = found
                return before
            return Step(name, Elementwise(found.function, found.bound, found.gate), [before])
        return Step(name, found, [before])

    def _resolve(self, tree: Any) -> Any:
        """The arguments of a node with steps in place of nodes."""
        step_of: Any = lambda a: self.step_of[a] if isinstance(a, fx.Node) else a  # noqa: E731
        return fx.node.map_aggregate(tree, step_of)


def _function(node: fx.Node) -> Callable[..., Any]:
    if node.op == "call_function":
        in_place = {operator.iadd: operator.add, operator.imul: operator.mul}
        target: Any = node.target
        return in_place.get(target, target)
    method = {"view": "reshape"}.get(str(node.target), str(node.target).rstrip("_"))
    return lambda x, *args, **kwargs: getattr(x, method)(*args, **kwargs)


def _steps_in(tree: Any) -> list[Step]:
    found: list[Step] = []
    fx.node.map_aggregate(tree, lambda a: found.append(a) if isinstance(a, Step) else None)
    return found


def _slice_of(parts: Step, plain: Step) -> Step:
    """``chunk(x)[i]`` as one operation on x."""
    index, split = plain.args[1], parts.function
    assert split is not None

    def piece(x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        return split(x, *args, **kwargs)[index]

    return Step(plain.name, Fixed(piece), list(parts.inputs), piece, parts.args, parts.kwargs)


def _value_then_gate(data: list[Step]) -> list[Step] | None:
    """The gated value and its gate, the factor that is one number a channel; None if unclear."""
    gates = [step for step in data if _is_gate(step)]
    if len(gates) != 1:
        return None
    return [data[0], data[1]] if gates[0] is data[1] else [data[1], data[0]]


def _is_gate(step: Step) -> bool:
    """Whether a value is in [0, 1]: made by a sigmoid or the like."""
    operation = step.operation
    if isinstance(operation, Activated):
        return operation.activation is not None and operation.activation.gate
    return isinstance(operation, Elementwise) and operation.gate
