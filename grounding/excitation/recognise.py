"""Which modules and functions the engine knows, and as what."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch import nn
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

# minimum of each activation function's range (Eq. 12)
_BOUNDS: dict[str, float] = {
    "relu": 0, "relu_": 0, "relu6": 0, "sigmoid": 0, "hardsigmoid": 0, "softplus": 0, "softmax": 0,
    "tanh": -1, "selu": -1.7580993408473766, "silu": -0.27846454276107374, "hardswish": -0.375,
    "gelu": -0.16997120747990369, "mish": -0.3088434, "celu": -1, "elu": -1, "hardtanh": -1,
}  # fmt: skip
_GATES = ("sigmoid", "hardsigmoid")
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


def module_operation(module: nn.Module) -> Operation | Activation | str | None:
    """What a module is to the engine: an operation, activation, "unchanged" or None (unknown)."""
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
    if isinstance(module, nn.AdaptiveMaxPool2d):
        return MaxPool(F.adaptive_max_pool2d, output_size=module.output_size)
    if isinstance(module, nn.AdaptiveAvgPool2d):
        return AveragePool(module, module.output_size in (1, (1, 1)))
    if isinstance(module, nn.AvgPool2d):
        return AveragePool(module)
    if isinstance(module, nn.Flatten):
        return Flatten() if (module.start_dim, module.end_dim) == (1, -1) else Fixed(module)
    if isinstance(module, nn.ZeroPad2d | nn.ChannelShuffle | nn.PixelShuffle | nn.PixelUnshuffle):
        return Fixed(module)
    if isinstance(module, nn.LocalResponseNorm):
        return Elementwise(module, None)
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
        return Activation(pure.forward, bound, gate=name in _GATES)
    in_place = copy.copy(module)
    pure.inplace, in_place.inplace = False, True  # type: ignore[assignment]
    return Activation(pure.forward, bound, in_place.forward, name in _GATES)


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
    """As `module_operation`, for a call; its first argument, the tensor, is left out of `args`."""
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
        return Activation(
            lambda x: pure(x, *positional, **settings), bound, in_place, name in _GATES
        )
    if name in ("avg_pool2d", "adaptive_avg_pool2d", "mean"):
        return AveragePool(
            lambda x: function(x, *args, **kwargs), _is_global(name, *args, **kwargs)
        )
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
        return Elementwise(lambda x: function(x, *args, **kwargs), None)
    return None


def _is_global(name: str, size: Any = None, *_: Any, **settings: Any) -> bool:
    """Whether `adaptive_avg_pool2d` or `mean` averages over all rows and columns, and no more."""
    if name == "mean":
        axes = settings.get("dim", size)
        return isinstance(axes, list | tuple) and sorted(axis % 4 for axis in axes) == [2, 3]
    size = settings.get("output_size", size)
    return name == "adaptive_avg_pool2d" and size in (1, (1, 1), [1, 1])


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
        "view", "reshape", "transpose", "permute", "chunk", "split", "getitem", "squeeze",
        "unsqueeze", "flatten", "channel_shuffle", "pixel_shuffle", "movedim", "narrow",
    )  # fmt: skip


def is_scalar_call(name: str, attribute: Any = None) -> bool:
    """Whether a call gives sizes, not data."""
    return name in ("size", "dim") or (
        name == "getattr" and attribute in ("shape", "ndim", "dtype", "device")
    )
