"""Layers as dense matrices and the literal rule of Excitation Backprop on them, in float64."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

import torch
from torch import Tensor


def dense_matrix(function: Callable[[Tensor], Tensor], shape: Sequence[int]) -> Tensor:
    """``(outputs, inputs)`` matrix of an affine function on ``(1, *shape)`` tensors.

    Every unit vector is pushed through the function; the function of zero (the bias) is subtracted.
    """
    zero = torch.zeros(1, *shape, dtype=torch.float64)
    with torch.no_grad():
        bias = function(zero).flatten()
        columns = []
        for i in range(zero.numel()):
            unit = zero.clone()
            unit.view(-1)[i] = 1
            columns.append(function(unit).flatten() - bias)
    return torch.stack(columns, 1)


def excitation_rule(W: Tensor, A: Tensor, P: Tensor) -> Tensor:
    """Alg. 1: ``A * (W+ᵀ (P / (W+ A)))``, 0 where the divisor is 0; W is (outputs, inputs)."""
    positive = torch.where(W > 0, W, torch.zeros_like(W))
    X = positive @ A
    Y = torch.zeros_like(P)
    for j in range(len(X)):
        if X[j] > 0:
            Y[j] = P[j] / X[j]
    return A * (positive.T @ Y)


def max_pool_matrix(
    x: Tensor,
    settings: Sequence[tuple[int, int]],
    size: Sequence[int],
) -> Tensor:
    """``(outputs, inputs)`` 0/1 matrix of a ``(C, H, W)`` tensor's winners, the first of equals.

    `settings` are kernel, stride, padding and dilation; `size` is the output's ``(h, w)``, as
    ceil_mode decides it.
    """
    kernel, stride, padding, dilation = settings
    channels, height, width = x.shape
    rows, columns = size
    matrix = torch.zeros(channels, rows, columns, channels, height, width, dtype=torch.float64)
    for c, i, j in itertools.product(range(channels), range(rows), range(columns)):
        best, where = -float("inf"), None
        for k, m in itertools.product(range(kernel[0]), range(kernel[1])):
            row = i * stride[0] - padding[0] + k * dilation[0]
            column = j * stride[1] - padding[1] + m * dilation[1]
            inside = 0 <= row < height and 0 <= column < width
            if inside and float(x[c, row, column]) > best:
                best, where = float(x[c, row, column]), (row, column)
        assert where is not None
        matrix[c, i, j, c, where[0], where[1]] = 1
    return matrix.reshape(channels * rows * columns, -1)
