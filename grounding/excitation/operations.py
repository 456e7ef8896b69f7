"""The operations excitation can pass through, each with its forward computation and its `Link`.

`Operation.connect` runs the operation and returns its value, its **excitation** ``E >= 0`` (what
its consumers see as activation) and its link. The excitation of a value with lower bound ``b`` is
``value - b`` (Eq. 12; ``b = 0`` after a ReLU). A *linear* value (a convolution or sum with no
activation function after it) has no bound; `Linear` names how it is treated.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .layers import Layer
from .links import (
    AddLink,
    AffineLink,
    ConcatLink,
    ElementwiseLink,
    FixedLink,
    FlattenLink,
    GlobalMeanLink,
    Link,
    MaxPoolLink,
    share,
)
from .trace import UnsupportedOperation

Bound = float | None
Linear = Literal["positive", "signed", "excitatory"]
"""Excitation of a linear value ``x = W a``: ``max(x, 0)``, ``x`` itself, or ``W+ a``."""

Connected = tuple[Tensor, Tensor, Link]


@dataclass
class Activation:
    """An activation function and the minimum of its range (None: unbounded below)."""

    function: Callable[[Tensor], Tensor]
    bound: Bound
    in_place: Callable[[Tensor], Tensor] | None = None  # for a fresh argument
    gate: bool = False  # its values are in [0, 1], as those of squeeze-and-excitation

    def fresh(self, x: Tensor) -> Tensor:
        return (self.in_place or self.function)(x)


def excitation(value: Tensor, bound: Bound) -> Tensor:
    """The non-negative view of a value whose lower bound is known, or its positive part."""
    if bound == 0:
        return value
    return (value - (bound or 0)).clamp(min=0)  # rounding may fall below the bound


class Operation(ABC):
    """One step of the network."""

    @abstractmethod
    def forward(self, *inputs: Tensor) -> Tensor:
        """The value, as the model computes it."""

    @abstractmethod
    def connect(self, values: Sequence[Tensor], excitations: Sequence[Tensor]) -> Connected:
        """Value, excitation and link, given the inputs' values and excitations."""

    @abstractmethod
    def bound(self, inputs: Sequence[Bound]) -> Bound:
        """Lower bound of the output, given the inputs' bounds."""


class Activated(Operation):
    """An operation that may have an activation function fused behind it."""

    activation: Activation | None = None
    linear: Linear = "positive"

    def bound(self, inputs: Sequence[Bound]) -> Bound:
        return None if self.activation is None else self.activation.bound

    def activate(self, fresh: Tensor) -> Tensor:
        return fresh if self.activation is None else self.activation.fresh(fresh)

    def excite(self, value: Tensor, total: Tensor) -> Tensor:
        """Excitation of the output; ``total`` is the excitatory input ``W+ E``."""
        if self.activation is None and self.linear == "signed":
            return value
        if self.activation is None and self.linear == "excitatory":
            return total
        return excitation(value, self.bound(()))


class Affine(Activated):
    """Convolution or linear layer with folded batch norm (Eqs. 10-11, Alg. 1).

    ``paths`` are the excitatory layers from the signal's sources: one from the input, or the
    composed ones of a linear bottleneck.
    """

    def __init__(self, layer: Layer) -> None:
        self.layer = layer
        self.paths: list[Layer] = []

    def forward(self, *inputs: Tensor) -> Tensor:
        return self.activate(self.layer.forward(inputs[0]))

    def connect(self, values: Sequence[Tensor], excitations: Sequence[Tensor]) -> Connected:
        if not self.paths:
            self.paths = [self.layer.excitatory()]
        value = self.forward(*values)
        parts = [path.apply(e) for path, e in zip(self.paths, excitations, strict=True)]
        total = sum(parts[1:], parts[0])
        excited = self.excite(value, total)
        sizes = [e.shape[2:] for e in excitations]
        return value, excited, AffineLink(self.paths, sizes, share(excited, total))


class Add(Activated):
    """Residual sum; shares in proportion to the inputs' excitations."""

    def forward(self, *inputs: Tensor) -> Tensor:
        return self.activate(sum(inputs[1:], inputs[0]))

    def connect(self, values: Sequence[Tensor], excitations: Sequence[Tensor]) -> Connected:
        if any(value.shape != values[0].shape for value in values):
            shapes = " and ".join(str(tuple(value.shape)) for value in values)
            raise UnsupportedOperation(
                f"excitation cannot pass a sum of values of unequal shapes, {shapes}; "
                "choose a target above it"
            )
        value = self.forward(*values)
        total = sum(excitations[1:], excitations[0])
        excited = self.excite(value, total)
        signed = self.activation is None and self.linear == "signed"
        factor = torch.ones_like(total) if signed else share(excited, total)
        return value, excited, AddLink(len(values), factor)


class BatchNorm(Activated):
    """Batch norm that no convolution could take in: the mass passes where its scale is positive."""

    def __init__(self, scale: Tensor, shift: Tensor) -> None:
        self.scale, self.shift = scale, shift

    def forward(self, *inputs: Tensor) -> Tensor:
        per_channel = (-1, *[1] * (inputs[0].ndim - 2))
        return self.activate(
            torch.addcmul(self.shift.view(per_channel), inputs[0], self.scale.view(per_channel))
        )

    def connect(self, values: Sequence[Tensor], excitations: Sequence[Tensor]) -> Connected:
        value = self.forward(*values)
        per_channel = (-1, *[1] * (value.ndim - 2))
        excitatory = excitations[0] * self.scale.clamp(min=0).view(per_channel)
        excited = self.excite(value, excitatory)
        factor = share(excited, excitations[0]) * (excitatory > 0)
        return value, excited, ElementwiseLink(factor)


class Elementwise(Operation):
    """One child per neuron and the mass passes unchanged: activation functions alone, LRN, gates.

    With several inputs (a gate) the signal goes to the first.
    """

    def __init__(self, function: Callable[..., Tensor], bound: Bound, gate: bool = False) -> None:
        self.function, self.lowest, self.gate = function, bound, gate

    def forward(self, *inputs: Tensor) -> Tensor:
        return self.function(*inputs)

    def connect(self, values: Sequence[Tensor], excitations: Sequence[Tensor]) -> Connected:
        value = self.forward(*values)
        excited = excitation(value, self.bound(()))
        return value, excited, ElementwiseLink(share(excited, excitations[0]))

    def bound(self, inputs: Sequence[Bound]) -> Bound:
        return self.lowest


class MaxPool(Operation):
    """Max pooling, adaptive or not: along the argmax."""

    def __init__(self, pool: Callable[..., Any] = F.max_pool2d, **settings: Any) -> None:
        self.pool, self.settings = pool, settings

    def forward(self, *inputs: Tensor) -> Tensor:
        return self.pool(inputs[0], **self.settings)

    def connect(self, values: Sequence[Tensor], excitations: Sequence[Tensor]) -> Connected:
        value, indices = self.pool(values[0], return_indices=True, **self.settings)
        if excitations[0] is values[0]:
            excited = value
        else:
            excited = excitations[0].flatten(2).gather(2, indices.flatten(2)).view_as(value)
        return value, excited, MaxPoolLink(indices, values[0].shape[2:])

    def bound(self, inputs: Sequence[Bound]) -> Bound:
        return inputs[0]


class Concat(Operation):
    """Concatenation: slices."""

    def __init__(self, axis: int) -> None:
        self.axis = axis

    def forward(self, *inputs: Tensor) -> Tensor:
        return torch.cat(inputs, self.axis)

    def connect(self, values: Sequence[Tensor], excitations: Sequence[Tensor]) -> Connected:
        value = self.forward(*values)
        same = all(e is v for e, v in zip(excitations, values, strict=True))
        excited = value if same else torch.cat(list(excitations), self.axis)
        sizes = [v.shape[self.axis] for v in values]
        return value, excited, ConcatLink(sizes, self.axis, [v.shape for v in values])

    def bound(self, inputs: Sequence[Bound]) -> Bound:
        return inputs[0] if len(set(inputs)) == 1 else None


class Fixed(Operation):
    """A linear operation with fixed non-negative weights (see `FixedLink`)."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        self.function = function

    def forward(self, *inputs: Tensor) -> Tensor:
        return self.function(inputs[0])

    def connect(self, values: Sequence[Tensor], excitations: Sequence[Tensor]) -> Connected:
        (before,) = values
        value = self.forward(before)
        excited = value if excitations[0] is before else self.function(excitations[0])
        return value, excited, self._link(before, value)

    def _link(self, before: Tensor, value: Tensor) -> Link:
        return FixedLink(self.function, before)

    def bound(self, inputs: Sequence[Bound]) -> Bound:
        return inputs[0]


class AveragePool(Fixed):
    """Average pooling, adaptive or not, and means; `is_global` if over all rows and columns."""

    def __init__(self, function: Callable[[Tensor], Tensor], is_global: bool = False) -> None:
        super().__init__(function)
        self.is_global = is_global

    def _link(self, before: Tensor, value: Tensor) -> Link:
        if self.is_global:
            return GlobalMeanLink(before.shape, value.shape)
        return super()._link(before, value)


class Flatten(Fixed):
    """All axes but the first become one."""

    def __init__(self) -> None:
        super().__init__(lambda x: x.flatten(1))

    def _link(self, before: Tensor, value: Tensor) -> Link:
        return FlattenLink(before.shape)


def batch_norm_scale(module: nn.Module) -> tuple[Tensor, Tensor]:
    """``(scale, shift)`` per channel of a batch norm in evaluation mode.

    Raises
    ------
    ValueError
        If the module keeps no running statistics, so that its output depends on the batch.
    """
    mean, variance = module.running_mean, module.running_var
    if not isinstance(mean, Tensor) or not isinstance(variance, Tensor):
        raise ValueError("batch norm without running statistics")
    epsilon = float(getattr(module, "eps", 1e-5))
    scale = torch.rsqrt(variance + epsilon)
    weight, bias = module.weight, module.bias
    if isinstance(weight, Tensor):
        scale = scale * weight.detach()
    shift = -mean * scale
    if isinstance(bias, Tensor):
        shift = shift + bias.detach()
    return scale, shift
