"""Convolution and linear layers as the engine runs them: forward, transposed, excitatory."""

from __future__ import annotations

import functools
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, ParamSpec, TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")

_BACKENDS: list[Any] = [
    getattr(library, product)
    for library, product in (
        (torch.backends.cudnn, "conv"),
        (torch.backends.cuda, "matmul"),
        (torch.backends.mkldnn, "conv"),
        (torch.backends.mkldnn, "matmul"),
    )
]


def exact(function: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
    """Run a function without gradients, autocast and reduced-precision products.

    TF32 and bfloat16 keep 10 and 7 bits of a product: too few for differences of two maps.
    """

    @functools.wraps(function)
    def run(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
        usual = [backend.fp32_precision for backend in _BACKENDS]
        for backend in _BACKENDS:
            backend.fp32_precision = "ieee"
        try:
            off = [torch.autocast(kind, enabled=False) for kind in ("cpu", "cuda")]
            with torch.no_grad(), off[0], off[1]:
                return function(*args, **kwargs)
        finally:
            for backend, precision in zip(_BACKENDS, usual, strict=True):
                backend.fp32_precision = precision

    return run


class Layer(ABC):
    """An affine layer ``x -> W x + b``; never holds the caller's tensors for writing."""

    weight: Tensor
    bias: Tensor | None

    @abstractmethod
    def forward(self, x: Tensor) -> Tensor:
        """``W x + b``."""

    @abstractmethod
    def apply(self, x: Tensor) -> Tensor:
        """``W x``."""

    @abstractmethod
    def transposed(self, y: Tensor, size: Sequence[int], onto: Tensor | None = None) -> Tensor:
        """``Wᵀ y`` for an input of spatial size ``(H, W)``, added in place to `onto` if given."""

    @abstractmethod
    def like(self, weight: Tensor, bias: Tensor | None = None) -> Layer:
        """The same layer with other weights."""

    def excitatory(self) -> Layer:
        """The layer of ``W+ = max(W, 0)``, without bias."""
        return self.like(self.weight.clamp(min=0))

    def inhibitory(self) -> Layer:
        """The layer of ``max(-W, 0)``: the dual unit's excitatory weights (contrastive signal)."""
        return self.like((-self.weight).clamp(min=0))

    def scaled(self, factor: Tensor, shift: Tensor) -> Layer:
        """This layer with a batch norm ``y -> factor * y + shift`` per channel folded in."""
        weight = self.weight * factor.view(-1, *[1] * (self.weight.ndim - 1))
        return self.like(weight, shift if self.bias is None else self.bias * factor + shift)


class LinearLayer(Layer):
    """A linear layer on the last axis; ``weight`` is ``(out, in)``."""

    def __init__(self, weight: Tensor, bias: Tensor | None = None) -> None:
        self.weight, self.bias = weight, bias

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight, self.bias)

    def apply(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight)

    def transposed(self, y: Tensor, size: Sequence[int], onto: Tensor | None = None) -> Tensor:
        return y @ self.weight if onto is None else onto.addmm_(y, self.weight)

    def like(self, weight: Tensor, bias: Tensor | None = None) -> LinearLayer:
        return LinearLayer(weight, bias)


class ConvLayer(Layer):
    """A 2-d convolution with zero padding; ``weight`` is ``(out, in/groups, kh, kw)``.

    Weights are kept in channels-last order, which oneDNN and cuDNN run fastest. ``padding`` is
    ``(h, w)``, or "same" for TensorFlow's padding, which depends on the input's size.
    """

    def __init__(
        self,
        weight: Tensor,
        bias: Tensor | None,
        stride: tuple[int, int],
        padding: tuple[int, int] | str,
        dilation: tuple[int, int],
        groups: int,
    ) -> None:
        self.weight = weight.contiguous(memory_format=torch.channels_last)
        self.bias = bias
        self.stride, self.padding, self.dilation, self.groups = stride, padding, dilation, groups

    @classmethod
    def of(cls, module: nn.Conv2d) -> ConvLayer:
        stride, dilation = _pair(module.stride), _pair(module.dilation)
        padding: tuple[int, int] | str
        if type(module).__name__ == "Conv2dSame" or module.padding == "same":
            padding = "same"
        elif isinstance(module.padding, str):  # "valid"
            padding = (0, 0)
        else:
            padding = _pair(module.padding)
        bias = None if module.bias is None else module.bias.detach()
        return cls(module.weight.detach(), bias, stride, padding, dilation, module.groups)

    @property
    def kernel(self) -> tuple[int, int]:
        return self.weight.shape[2], self.weight.shape[3]

    @property
    def is_pointwise(self) -> bool:
        """Whether the layer is a matrix product at every position by itself."""
        return (
            self.kernel == (1, 1)
            and self.stride == (1, 1)
            and self.groups == 1
            and self.padding in ((0, 0), "same")
        )

    def forward(self, x: Tensor) -> Tensor:
        return self._convolve(x, self.bias)

    def apply(self, x: Tensor) -> Tensor:
        return self._convolve(x, None)

    def _convolve(self, x: Tensor, bias: Tensor | None) -> Tensor:
        if self.is_pointwise:  # a matrix product beats the convolution kernels
            product = F.linear(x.permute(0, 2, 3, 1), self.weight.flatten(1), bias)
            return product.permute(0, 3, 1, 2)
        before, after = self.margins(x.shape[2:])
        if before != after:
            x = F.pad(x, (before[1], after[1], before[0], after[0]))
            before = (0, 0)
        return F.conv2d(x, self.weight, bias, self.stride, before, self.dilation, self.groups)

    def transposed(self, y: Tensor, size: Sequence[int], onto: Tensor | None = None) -> Tensor:
        if not self.is_pointwise:
            x = self._transposed_convolution(y, size)
            return x if onto is None else onto.add_(x)
        y = y.permute(0, 2, 3, 1)
        if onto is None:
            return (y @ self.weight.flatten(1)).permute(0, 3, 1, 2)
        sums = onto.permute(0, 2, 3, 1)
        if not sums.is_contiguous():
            return onto.add_((y @ self.weight.flatten(1)).permute(0, 3, 1, 2))
        sums.flatten(0, 2).addmm_(y.flatten(0, 2), self.weight.flatten(1))
        return onto

    def _transposed_convolution(self, y: Tensor, size: Sequence[int]) -> Tensor:
        before, after = self.margins(size)
        symmetric = before == after
        crop = before if symmetric else (0, 0)
        whole = [n if symmetric else n + b + a for n, b, a in zip(size, before, after, strict=True)]
        spans = zip(y.shape[2:], self.stride, crop, self.dilation, self.kernel, strict=True)
        reached = [(n - 1) * s - 2 * c + d * (k - 1) + 1 for n, s, c, d, k in spans]
        rest = [n - r for n, r in zip(whole, reached, strict=True)]
        x = F.conv_transpose2d(
            y, self.weight, None, self.stride, crop, rest, self.groups, self.dilation
        )
        if symmetric:
            return x
        return x[:, :, before[0] : before[0] + size[0], before[1] : before[1] + size[1]]

    def margins(self, size: Sequence[int]) -> tuple[tuple[int, int], tuple[int, int]]:
        """Rows and columns of zeros ``(before, after)`` around an input of this spatial size."""
        if not isinstance(self.padding, str):
            return self.padding, self.padding
        totals = [
            max((-(-n // s) - 1) * s + d * (k - 1) + 1 - n, 0)
            for n, s, d, k in zip(size, self.stride, self.dilation, self.kernel, strict=True)
        ]
        before = (totals[0] // 2, totals[1] // 2)
        return before, (totals[0] - before[0], totals[1] - before[1])

    def like(self, weight: Tensor, bias: Tensor | None = None) -> ConvLayer:
        return ConvLayer(weight, bias, self.stride, self.padding, self.dilation, self.groups)


def _pair(value: int | Sequence[int]) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else (value[0], value[1])
