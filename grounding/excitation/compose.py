"""Linear bottlenecks: project -> (add) -> expand composed into one layer.

In inverted-residual nets (MobileNetV2, EfficientNet-Lite) a block ends in a 1x1 convolution with no
activation function, so the values between blocks are signed and Excitation Backprop, which needs
non-negative ones, would lose the mass that arrives at negative values. A linear value is a sum ``x
= Σ_i M_i h_i`` over the non-negative outputs ``h_i`` of the blocks before it, so the next 1x1
convolution ``W x`` is exactly the layer ``Σ_i (W M_i) h_i``, and its excitatory part ``Σ_i (W M_i)+
h_i`` needs no clamping. The signal then runs between the ``h_i`` only.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .build import Step
from .layers import ConvLayer
from .operations import Add, Affine

Term = tuple[Step, ConvLayer | None]  # None: the identity


def compose_bottlenecks(steps: list[Step]) -> None:
    """Route the signal round linear values: set `sources` and `paths` of the layers after them."""
    for step in steps:
        operation = step.operation
        if not isinstance(operation, Affine) or not step.inputs[0].is_linear:
            continue
        if isinstance(operation.layer, ConvLayer) and operation.layer.is_pointwise:
            terms = _terms(step.inputs[0])
            step.sources = [source for source, _ in terms]
            operation.paths = [_after(operation.layer, inner).excitatory() for _, inner in terms]


def parts(step: Step) -> list[Step]:
    """The non-negative values that a linear value is a sum of."""
    return [source for source, _ in _terms(step)]


def _terms(step: Step) -> list[Term]:
    """The linear value as a sum of convolutions of non-negative values."""
    if isinstance(step.operation, Add) and step.is_linear:
        return [term for before in step.inputs for term in _terms(before)]
    if not step.is_linear or not isinstance(step.operation, Affine):
        return [(step, None)]
    layer = step.operation.layer
    if not isinstance(layer, ConvLayer) or layer.groups != 1:
        return [(step, None)]
    if not step.inputs[0].is_linear:
        return [(step.inputs[0], layer)]
    if not layer.is_pointwise:
        return [(step, None)]
    return [(source, _after(layer, inner)) for source, inner in _terms(step.inputs[0])]


def _after(outer: ConvLayer, inner: ConvLayer | None) -> ConvLayer:
    """The convolution ``outer(inner(x))`` for a pointwise outer."""
    if inner is None:
        return outer
    product: Tensor = torch.einsum("oc,cikl->oikl", outer.weight[:, :, 0, 0], inner.weight)
    return inner.like(product)
