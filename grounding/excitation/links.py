"""How excitation passes through one executed operation.

A *link* joins the output of an operation to its inputs for one batch of images. Signals are kept as
**potentials**: where a neuron's excitation is ``E >= 0`` (its activation, shifted by the bound of
its activation function, Eq. 12), its marginal winning probability is ``P = E * z``. The rule of an
affine layer, ``P_in = A * W+ᵀ(P_out / (W+ A))`` (Eqs. 10–11), then reads ``z_in = W+ᵀ(G * z_out)``
with the factor ``G = E_out / (W+ E_in)`` computed once per image: one multiplication and one
transposed layer per word.

The adjoint carries a question ``u`` about the inputs (for example "is this position inside the
box?") upwards as ``v = E * u``: the same factor and the layer itself, ``v_out = G * (W+ v_in)``.
Down and up are exact transposes of each other: ``<down(z), v> = <z, up(v)>``.

Signals have the batch of images and the words folded into the first axis, image-major: ``(N*K, C,
H, W)``; factors have ``(N, C, H, W)``.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional as F

if TYPE_CHECKING:
    from .layers import Layer


def share(numerator: Tensor, total: Tensor) -> Tensor:
    """``numerator / total``, 0 where the total is 0: no excitatory input, nothing to pass on.

    No epsilon: the smallest positive total can be 1e-10 of the largest, and an epsilon would bias
    it. Only totals near the dtype's smallest number (below 5e-31 in float32) count as none, as
    their reciprocals would overflow further down.
    """
    least = torch.finfo(total.dtype).tiny ** 0.8
    return numerator / F.threshold(total, least, math.inf)


def scale(signal: Tensor, factor: Tensor) -> Tensor:
    """Multiply ``(N*K, ...)`` signals by the ``(N, ...)`` factors of their images."""
    if len(factor) == 1:
        return signal * factor
    words = len(signal) // len(factor)
    return (signal.unflatten(0, (len(factor), words)) * factor.unsqueeze(1)).flatten(0, 1)


Sums = Sequence[Tensor | None]
"""For each input, potentials that arrived there before and may be added to in place, or None."""


class Link(ABC):
    """The excitatory connections of one executed operation."""

    @abstractmethod
    def down(self, z: Tensor) -> list[Tensor]:
        """Potentials at each input, given those at the output."""

    def down_onto(self, z: Tensor, sums: Sums) -> tuple[list[Tensor], bool]:
        """`down` added to `sums`, and whether the results are new memory that may be added to."""
        parts = self.down(z)
        totals = [p if s is None else s.add_(p) for p, s in zip(parts, sums, strict=True)]
        return totals, False

    @abstractmethod
    def up(self, vs: Sequence[Tensor | None]) -> Tensor:
        """Adjoint of `down`: weighted questions at the output; None for inputs nothing reached."""


class AffineLink(Link):
    """Convolution or linear layer, with the activation function after it.

    Parameters
    ----------
    layers
        One layer of excitatory weights for each input (several only in a composed bottleneck).
    sizes
        Spatial size ``(H, W)`` of each input (empty for a linear layer).
    factor
        ``G = E_out / Σ W+ E_in``, or None where it is 1.
    """

    def __init__(
        self, layers: Sequence[Layer], sizes: Sequence[Sequence[int]], factor: Tensor
    ) -> None:
        self.layers, self.sizes, self.factor = layers, sizes, factor

    @property
    def macs(self) -> int:
        """Multiply-adds of one signal."""
        return sum(self.factor[0].numel() * layer.weight[0].numel() for layer in self.layers)

    def down(self, z: Tensor) -> list[Tensor]:
        return self.down_onto(z, [None] * len(self.layers))[0]

    def down_onto(self, z: Tensor, sums: Sums) -> tuple[list[Tensor], bool]:
        y = scale(z, self.factor)
        paths = zip(self.layers, self.sizes, sums, strict=True)
        return [layer.transposed(y, size, onto) for layer, size, onto in paths], True

    def up(self, vs: Sequence[Tensor | None]) -> Tensor:
        sums = [layer.apply(v) for layer, v in zip(self.layers, vs, strict=True) if v is not None]
        return scale(sum(sums[1:], sums[0]), self.factor)


class FixedLink(Link):
    """A linear operation with fixed weights >= 0: average pooling, padding, slicing, reshaping.

    Its output excitation is the operation of its input excitation, so the factor is 1 and only the
    transpose remains.
    """

    def __init__(self, operation: Callable[[Tensor], Tensor], example: Tensor) -> None:
        self.operation = operation
        self.example = example  # one value a batch gives the input's shape

    def down(self, z: Tensor) -> list[Tensor]:
        words = len(z) // len(self.example)
        zeros = torch.zeros_like(self.example)
        transpose = torch.func.vjp(self.operation, zeros)[1]
        per_word = torch.vmap(lambda signal: transpose(signal)[0], in_dims=1, out_dims=1)
        return [per_word(z.unflatten(0, (len(self.example), words))).flatten(0, 1)]

    def up(self, vs: Sequence[Tensor | None]) -> Tensor:
        (v,) = vs
        assert v is not None
        words = len(v) // len(self.example)
        per_word = torch.vmap(self.operation, in_dims=1, out_dims=1)
        return per_word(v.unflatten(0, (len(self.example), words))).flatten(0, 1)


class GlobalMeanLink(Link):
    """Average over all positions; the transpose is an expanded view, so no memory is touched."""

    def __init__(self, input_shape: Sequence[int], output_shape: Sequence[int]) -> None:
        self.input_shape, self.output_shape = input_shape, output_shape

    def down(self, z: Tensor) -> list[Tensor]:
        channels, height, width = self.input_shape[1:]
        mean = z.reshape(len(z), channels, 1, 1) / (height * width)
        return [mean.expand(-1, -1, height, width)]

    def up(self, vs: Sequence[Tensor | None]) -> Tensor:
        (v,) = vs
        assert v is not None
        return v.mean((2, 3)).reshape(len(v), *self.output_shape[1:])


class FlattenLink(Link):
    """All axes but the first become one."""

    def __init__(self, input_shape: Sequence[int]) -> None:
        self.input_shape = input_shape

    def down(self, z: Tensor) -> list[Tensor]:
        return [z.reshape(len(z), *self.input_shape[1:])]

    def up(self, vs: Sequence[Tensor | None]) -> Tensor:
        (v,) = vs
        assert v is not None
        return v.flatten(1)


class MaxPoolLink(Link):
    """Max pooling: the signal follows the argmax (the first in reading order on ties).

    Channels are innermost in memory, so winners are flat positions in ``H x W x C``.
    """

    def __init__(self, indices: Tensor, size: Sequence[int]) -> None:
        channels = indices.shape[1]
        winners = indices.permute(0, 2, 3, 1) * channels
        winners = winners + torch.arange(channels, device=indices.device)
        self.winners = winners.flatten(1).unsqueeze(1)  # (N, 1, h*w*C)
        self.before = (*size, channels)
        self.after = (*indices.shape[2:], channels)

    def down(self, z: Tensor) -> list[Tensor]:
        images = len(self.winners)
        signal = z.permute(0, 2, 3, 1).reshape(images, len(z) // images, -1)
        planes = z.new_zeros(*signal.shape[:2], math.prod(self.before))
        planes.scatter_add_(2, self.winners.expand(signal.shape), signal)
        return [planes.view(len(z), *self.before).permute(0, 3, 1, 2)]

    def up(self, vs: Sequence[Tensor | None]) -> Tensor:
        (v,) = vs
        assert v is not None
        images = len(self.winners)
        signal = v.permute(0, 2, 3, 1).reshape(images, len(v) // images, -1)
        if images == 1:  # several times faster than gather
            won = signal.index_select(2, self.winners.flatten())
        else:
            won = signal.gather(2, self.winners.expand(-1, signal.shape[1], -1))
        return won.view(len(v), *self.after).permute(0, 3, 1, 2)


class ConcatLink(Link):
    """Concatenation: each input gets its slice."""

    def __init__(self, sizes: Sequence[int], axis: int, shapes: Sequence[Sequence[int]]) -> None:
        self.sizes, self.axis, self.shapes = sizes, axis, shapes

    def down(self, z: Tensor) -> list[Tensor]:
        return list(z.split(list(self.sizes), self.axis))

    def up(self, vs: Sequence[Tensor | None]) -> Tensor:
        some = next(v for v in vs if v is not None)
        filled = [
            some.new_zeros(len(some), *shape[1:]) if v is None else v
            for v, shape in zip(vs, self.shapes, strict=True)
        ]
        return torch.cat(filled, self.axis)


class AddLink(Link):
    """Residual sum: every input gets the same potential, so its share is its part of the sum."""

    def __init__(self, inputs: int, factor: Tensor) -> None:
        self.inputs, self.factor = inputs, factor

    def down(self, z: Tensor) -> list[Tensor]:
        return [scale(z, self.factor)] * self.inputs

    def up(self, vs: Sequence[Tensor | None]) -> Tensor:
        reached = [v for v in vs if v is not None]
        return scale(sum(reached[1:], reached[0]), self.factor)


class ElementwiseLink(Link):
    """One child per neuron (activation, batch norm, LRN, gate): the mass passes unchanged."""

    def __init__(self, factor: Tensor) -> None:
        self.factor = factor  # E_out / E_in

    def down(self, z: Tensor) -> list[Tensor]:
        return [scale(z, self.factor)]

    def up(self, vs: Sequence[Tensor | None]) -> Tensor:
        (v,) = vs
        assert v is not None
        return scale(v, self.factor)
