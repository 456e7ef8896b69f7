"""From a model to its operations: torch.fx tracing of a shadow of the caller's model."""

from __future__ import annotations

import copy
import inspect
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, fx, nn


class UnsupportedOperation(ValueError):
    """Excitation cannot pass something that the model does between the target and its output."""


_TRACED_AS_ONE = (
    "Conv2dSame",
    "BatchNormAct2d",
    "FrozenBatchNorm2d",
    "FrozenBatchNormAct2d",
    "DropPath",
    "StochasticDepth",
)


def shadow(model: nn.Module) -> nn.Module:
    """A copy of the module tree in evaluation mode: shares tensors, but no state and no hooks."""
    memo: dict[int, nn.Module] = {}

    def twin(module: nn.Module) -> nn.Module:
        for hook in module._forward_pre_hooks.values():
            if type(hook).__module__.startswith("torch.nn.utils"):
                raise UnsupportedOperation(
                    f"{type(module).__name__} has {type(hook).__name__}, which makes its weight "
                    "anew in every forward; remove it first (torch.nn.utils.remove_weight_norm, "
                    "remove_spectral_norm or prune.remove)"
                )
        if id(module) not in memo:
            other = copy.copy(module)
            memo[id(module)] = other
            other.__dict__ = dict(module.__dict__)
            for name, value in module.__dict__.items():
                if name.endswith("_hooks") or "_hooks_" in name:
                    other.__dict__[name] = OrderedDict()
                elif isinstance(value, dict | set | list):
                    other.__dict__[name] = copy.copy(value)
            other._modules = {
                name: None if child is None else twin(child)
                for name, child in module._modules.items()
            }
        return memo[id(module)]

    return twin(model).eval()


class _Tracer(fx.Tracer):
    """Keeps the layers of torch.nn whole and remembers which node each module ends in."""

    def __init__(self) -> None:
        super().__init__()
        self.ends: dict[str, fx.Node] = {}
        self.trial: dict[fx.Node, Any] = {}  # values for an image of the usual size
        self.evaluating = False

    def to_bool(self, obj: fx.Proxy) -> bool:
        """A branch on sizes goes as for a 224x224 image; one on data cannot be traced."""
        if not _comes_from_sizes(obj.node):
            return super().to_bool(obj)
        self.evaluating = True
        try:
            return bool(self._evaluate(obj.node))
        finally:
            self.evaluating = False

    def getattr(self, attr: str, attr_val: Any, parameter_proxy_cache: dict[str, Any]) -> Any:
        """Parameters are themselves, not traced, while a branch is evaluated."""
        if self.evaluating:
            return attr_val
        return super().getattr(attr, attr_val, parameter_proxy_cache)

    def _evaluate(self, node: fx.Node) -> Any:
        if node not in self.trial:
            args, kwargs = fx.node.map_arg((node.args, node.kwargs), self._evaluate)
            if node.op == "placeholder":
                like = next(self.root.parameters())
                value = torch.zeros(1, 3, 224, 224, device=like.device, dtype=like.dtype)
            elif node.op == "call_module":
                value = self.root.get_submodule(str(node.target))(*args, **kwargs)
            elif node.op == "get_attr":
                value = constant(self.root, str(node.target))
            elif node.op == "call_method":
                value = getattr(args[0], str(node.target))(*args[1:], **kwargs)
            else:
                function: Any = node.target
                value = function(*args, **kwargs)
            self.trial[node] = value
        return self.trial[node]

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return (
            super().is_leaf_module(m, module_qualified_name) or type(m).__name__ in _TRACED_AS_ONE
        )

    def call_module(
        self,
        m: nn.Module,
        forward: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Any:
        if self.evaluating:
            return forward(*args, **kwargs)
        out = super().call_module(m, forward, args, kwargs)
        if isinstance(out, fx.Proxy):
            self.ends[self.path_of_module(m)] = out.node
        return out


def _comes_from_sizes(node: fx.Node) -> bool:
    """Whether a value is computed from sizes alone."""
    if node.op == "call_method" and node.target in ("size", "dim"):
        return True
    if node.target is getattr and node.args[1] in ("shape", "ndim"):
        return True
    inputs = node.all_input_nodes
    return bool(inputs) and all(_comes_from_sizes(before) for before in inputs)


def trace(model: nn.Module) -> tuple[fx.Graph, dict[str, fx.Node]]:
    """Graph of `model` (a `shadow`) and the last node of each module path.

    Raises
    ------
    UnsupportedOperation
        If the model's forward cannot be traced (data-dependent control flow).
    """
    if "forward" in vars(model):
        raise UnsupportedOperation(
            f"{type(model).__name__}: its forward was replaced on the object, which torch.fx does "
            "not see; make it the forward of a class"
        )
    tracer = _Tracer()
    parameters = inspect.signature(model.forward).parameters.values()
    defaults = {p.name: p.default for p in parameters if p.default is not p.empty}
    try:
        graph = tracer.trace(model, concrete_args=defaults or None)
    except Exception as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UnsupportedOperation(
            f"{type(model).__name__}: its forward cannot be traced by torch.fx ({reason}); "
            "give a model without data-dependent control flow, or move that part out of forward"
        ) from error
    for node in reversed(graph.nodes):
        needed = node.users or node.op in ("placeholder", "output") or works_in_place(node, model)
        if not needed:
            graph.erase_node(node)
    return graph, tracer.ends


def works_in_place(node: fx.Node, model: nn.Module) -> bool:
    """Whether a node overwrites its argument."""
    if node.op == "call_module":
        return bool(getattr(model.get_submodule(str(node.target)), "inplace", False))
    if node.op not in ("call_function", "call_method"):
        return False
    name = node.target if isinstance(node.target, str) else getattr(node.target, "__name__", "")
    return bool(node.kwargs.get("inplace")) or (name.endswith("_") and not name.startswith("_"))


def constant(module: nn.Module, path: str) -> Tensor | Any:
    """The parameter or buffer at a dotted path."""
    value: Any = module
    for part in path.split("."):
        value = getattr(value, part)
    return value.detach() if isinstance(value, Tensor) else value
