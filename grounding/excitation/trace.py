"""From a model to its operations: torch.fx tracing of a shadow of the caller's model."""

from __future__ import annotations

import copy
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm

from .layers import ConvLayer, LinearLayer
from .operations import (
    Activation,
    Affine,
    AveragePool,
    BatchNorm,
    Elementwise,
    Fixed,
    Flatten,
    MaxPool,
    Operation,
    batch_norm_scale,
)


class UnsupportedOperation(ValueError):
    """The model does something between the target and its output that excitation cannot pass through."""


_TRACED_AS_ONE = (
    "Conv2dSame",
    "BatchNormAct2d",
    "FrozenBatchNorm2d",
    "FrozenBatchNormAct2d",
    "DropPath",
    "StochasticDepth",
)

# minimum of each activation function's range (Eq. 12)
_BOUNDS: dict[str, float] = {
    "relu": 0, "relu_": 0, "relu6": 0, "sigmoid": 0, "hardsigmoid": 0, "softplus": 0, "softmax": 0,
    "tanh": -1, "selu": -1.7580993408473766, "silu": -0.27846454276107374, "hardswish": -0.375,
    "gelu": -0.16997120747990369, "mish": -0.30884, "celu": -1, "elu": -1, "hardtanh": -1,
}  # fmt: skip
_UNBOUNDED = ("leaky_relu", "prelu", "log_softmax", "logsigmoid")
_UNCHANGED = (
    "dropout",
    "dropout2d",
    "dropout_",
    "feature_dropout",
    "contiguous",
    "detach",
    "clone",
    "alpha_dropout",
)


def shadow(model: nn.Module) -> nn.Module:
    """A copy of the module tree in evaluation mode that shares the tensors but no state with the caller's, hooks left out."""
    memo: dict[int, nn.Module] = {}

    def twin(module: nn.Module) -> nn.Module:
        if id(module) not in memo:
            other = copy.copy(module)
            memo[id(module)] = other
            other.__dict__ = dict(module.__dict__)
            for name, value in module.__dict__.items():
                if name.endswith("_hooks") or "_hooks_" in name:
                    other.__dict__[name] = OrderedDict()
                elif isinstance(value, dict | set):
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
    tracer = _Tracer()
    try:
        graph = tracer.trace(model)
    except Exception as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UnsupportedOperation(
            f"{type(model).__name__}: its forward cannot be traced by torch.fx ({reason}); "
            "give a model without data-dependent control flow, or move that part out of forward"
        ) from error
    for node in reversed(graph.nodes):
        if not node.users and node.op not in ("placeholder", "output"):
            graph.erase_node(node)
    return graph, tracer.ends


def module_operation(module: nn.Module) -> Operation | Activation | str | None:
    """What a whole module is to the engine: an operation, an activation function, "unchanged", or None (unknown)."""
    kind = type(module).__name__
    if type(module) is nn.Conv2d or kind == "Conv2dSame":
        assert isinstance(module, nn.Conv2d)
        return Affine(ConvLayer.of(module)) if module.padding_mode == "zeros" else None
    if isinstance(module, nn.Linear):
        bias = None if module.bias is None else module.bias.detach()
        return Affine(LinearLayer(module.weight.detach(), bias))
    if isinstance(module, _BatchNorm) or kind.startswith("FrozenBatchNorm"):
        return _batch_norm(module)
    if isinstance(module, nn.MaxPool2d):
        return MaxPool(
            kernel_size=module.kernel_size, stride=module.stride, padding=module.padding,
            dilation=module.dilation, ceil_mode=module.ceil_mode,
        )  # fmt: skip
    if isinstance(module, nn.AvgPool2d | nn.AdaptiveAvgPool2d):
        return AveragePool(module)
    if isinstance(module, nn.Flatten):
        return Flatten() if (module.start_dim, module.end_dim) == (1, -1) else Fixed(module)
    if isinstance(module, nn.ZeroPad2d | nn.ChannelShuffle | nn.PixelShuffle | nn.PixelUnshuffle):
        return Fixed(module)
    if isinstance(module, nn.LocalResponseNorm):
        return Elementwise(module, 0)
    if isinstance(module, nn.Identity) or "Drop" in kind or kind == "StochasticDepth":
        return "unchanged"
    return _activation_module(module)


def _batch_norm(module: nn.Module) -> Operation | None:
    try:
        norm = BatchNorm(*batch_norm_scale(module))
    except ValueError:
        return None
    inner = getattr(module, "act", None)  # timm: batch norm, (dropout,) activation in one module
    if isinstance(inner, nn.Module) and not isinstance(inner, nn.Identity):
        activation = _activation_module(inner)
        if activation is None:
            return None
        norm.activation = activation
    return norm


def _activation_module(module: nn.Module) -> Activation | None:
    name = type(module).__name__.lower()
    bound: float | None
    if name == "hardtanh":
        bound = float(module.min_val)  # type: ignore[arg-type]
    elif name in ("elu", "celu"):
        bound = -float(module.alpha)  # type: ignore[arg-type]
    elif name in ("leakyrelu", "prelu"):
        bound = None
    elif name in _BOUNDS:
        bound = _BOUNDS[name]
    else:
        return None
    pure = copy.copy(module)
    if not hasattr(pure, "inplace"):
        return Activation(pure.forward, bound)
    in_place = copy.copy(module)
    pure.inplace, in_place.inplace = False, True  # type: ignore[assignment]
    return Activation(pure.forward, bound, in_place.forward)


def function_name(target: Any) -> str:
    """Name of a traced function or method, `iadd` and `add_` reading as `add`."""
    name = target if isinstance(target, str) else getattr(target, "__name__", str(target))
    return {
        "iadd": "add",
        "add_": "add",
        "imul": "mul",
        "mul_": "mul",
        "multiply": "mul",
        "concat": "cat",
    }.get(name, name)


def function_operation(
    name: str, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Operation | Activation | str | None:
    """As `module_operation`, for a function or method call whose tensor is ``args[0]`` (left out of `args` here)."""
    if name in _UNCHANGED or name == "stochastic_depth":
        return "unchanged"
    if name in _BOUNDS or name in _UNBOUNDED:
        settings = {key: value for key, value in kwargs.items() if key != "inplace"}
        positional = (
            () if name in ("relu", "relu6", "silu", "hardswish", "hardsigmoid", "mish") else args
        )
        pure = getattr(F, name.rstrip("_"), None) or function
        bound = None if name in _UNBOUNDED else _function_bound(name, positional, kwargs)
        in_place = torch.relu_ if name.startswith("relu") and "6" not in name else None
        return Activation(lambda x: pure(x, *positional, **settings), bound, in_place)
    if name in ("avg_pool2d", "adaptive_avg_pool2d", "mean"):
        return AveragePool(lambda x: function(x, *args, **kwargs))
    if name == "flatten":
        return (
            Flatten()
            if (args or (kwargs.get("start_dim", 0),)) == (1,)
            else Fixed(lambda x: function(x, *args, **kwargs))
        )
    if name == "pad":
        mode, value = kwargs.get("mode", "constant"), kwargs.get("value")
        constant_zero = mode == "constant" and not value and len(args) < 2
        return Fixed(lambda x: function(x, *args, **kwargs)) if constant_zero else None
    if name == "local_response_norm":
        return Elementwise(lambda x: function(x, *args, **kwargs), 0)
    return None


def _function_bound(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> float:
    if name in ("elu", "celu"):
        return -float(kwargs.get("alpha", args[0] if args else 1.0))
    if name == "hardtanh":
        return float(kwargs.get("min_val", args[0] if args else -1.0))
    return _BOUNDS[name]


def max_pool_operation(args: tuple[Any, ...], kwargs: dict[str, Any]) -> MaxPool:
    """`F.max_pool2d` with its positional settings named."""
    names = ("kernel_size", "stride", "padding", "dilation", "ceil_mode")
    settings = dict(zip(names, args, strict=False)) | {
        k: v for k, v in kwargs.items() if k in names
    }
    return MaxPool(**settings)


def rearranges(name: str) -> bool:
    """Whether a call only moves elements about: views, permutations, slices."""
    return name in (
        "view", "reshape", "transpose", "permute", "chunk", "split", "getitem", "squeeze", "unsqueeze", "flatten",
        "channel_shuffle", "pixel_shuffle", "movedim", "narrow",
    )  # fmt: skip


def is_scalar_call(name: str, attribute: Any = None) -> bool:
    """Whether a call gives sizes, not data."""
    return name in ("size", "dim") or (
        name == "getattr" and attribute in ("shape", "ndim", "dtype", "device")
    )


def constant(module: nn.Module, path: str) -> Tensor | Any:
    """The parameter or buffer at a dotted path."""
    value: Any = module
    for part in path.split("."):
        value = getattr(value, part)
    return value.detach() if isinstance(value, Tensor) else value
