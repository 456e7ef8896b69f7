"""A net run in float64, every layer a dense matrix and every neuron a state of a Markov chain."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from .chain import Chain
from .dense import dense_matrix, max_pool_matrix

Function = Callable[[Tensor], Tensor]


@dataclass
class Neurons:
    """The neurons of one layer for one image: values, and excitations (values less their bound)."""

    group: int
    value: Tensor
    excitation: Tensor


def shares(W: Tensor, children: Tensor) -> Tensor:
    """``p(child | parent)`` (parents, children): ``a_i w_ji+ / Σ_i a_i w_ji+`` (Eq. 2)."""
    weights = W.clamp(min=0) * children.flatten()
    totals = weights.sum(1, keepdim=True)
    return torch.where(totals != 0, weights / torch.where(totals != 0, totals, 1), 0)


class SlowNet:
    """Builds the chain while it runs the net; layers are called in forward order.

    ``bound`` is the activation function's minimum, or None: the excitation is the positive part.
    """

    def __init__(self) -> None:
        self.chain = Chain()

    def _neurons(self, value: Tensor, bound: float | None) -> Neurons:
        excitation = value.clamp(min=0) if bound is None else value - bound
        return Neurons(self.chain.group(value.numel()), value, excitation)

    def input(self, value: Tensor, bound: float | None = None) -> Neurons:
        """The first layer, ``(C, H, W)`` or ``(F,)``."""
        return self._neurons(value, bound)

    def affine(
        self,
        below: Neurons,
        layer: Function,
        activation: Function | None = torch.relu,
        bound: float | None = 0.0,
        linear: str = "positive",
    ) -> Neurons:
        """Convolution or linear layer (with batch norm inside `layer`) and its activation function.

        Without one, `linear` names the value's excitation: its positive part, itself ("signed"),
        or the excitatory input ``W+ a`` ("excitatory").
        """
        return self.joint(layer(below.value[None])[0], [(below, layer)], activation, bound, linear)

    def joint(
        self,
        x: Tensor,
        paths: Sequence[tuple[Neurons, Function]],
        activation: Function | None = torch.relu,
        bound: float | None = 0.0,
        linear: str = "positive",
    ) -> Neurons:
        """Neurons fed by several affine paths: they share out among all the paths' children."""
        value = x if activation is None else activation(x)
        out = self._neurons(value, None if activation is None else bound)
        matrices = [dense_matrix(path, below.value.shape) for below, path in paths]
        children = torch.cat([below.excitation.flatten() for below, _ in paths])
        W = torch.cat(matrices, 1)
        if activation is None and linear == "signed":
            out.excitation = value
        if activation is None and linear == "excitatory":
            out.excitation = (W.clamp(min=0) @ children).view_as(value)
        pieces = shares(W, children).split([M.shape[1] for M in matrices], 1)
        for (below, _), piece in zip(paths, pieces, strict=True):
            self.chain.connect(out.group, below.group, piece)
        return out

    def max_pool(self, below: Neurons, pool: nn.MaxPool2d) -> Neurons:
        value = pool(below.value[None])[0]
        pairs = [_pair(s) for s in (pool.kernel_size, pool.stride, pool.padding, pool.dilation)]
        winners = max_pool_matrix(below.value, pairs, value.shape[1:])
        out = Neurons(
            self.chain.group(value.numel()),
            value,
            (winners @ below.excitation.flatten()).view_as(value),
        )
        self.chain.connect(out.group, below.group, winners)
        return out

    def average(self, below: Neurons, function: Function) -> Neurons:
        """Average pooling, flattening, padding, rearranging: a matrix with non-negative entries."""
        value = function(below.value[None])[0]
        W = dense_matrix(function, below.value.shape)
        assert bool((W >= 0).all())
        excitation = (W @ below.excitation.flatten()).view_as(value)
        out = Neurons(self.chain.group(value.numel()), value, excitation)
        self.chain.connect(out.group, below.group, shares(W, below.excitation))
        return out

    def unchanged(self, below: Neurons, function: Function, bound: float | None = 0.0) -> Neurons:
        """One child per neuron (LRN, dropout, activation function alone)."""
        out = self._neurons(function(below.value[None])[0], bound)
        self.chain.connect(
            out.group, below.group, torch.diag((below.excitation.flatten() > 0).double())
        )
        return out

    def concat(self, parts: Sequence[Neurons]) -> Neurons:
        value = torch.cat([part.value for part in parts])
        out = Neurons(
            self.chain.group(value.numel()), value, torch.cat([part.excitation for part in parts])
        )
        start = 0
        for part in parts:
            slices = torch.zeros(value.numel(), part.value.numel(), dtype=torch.float64)
            for i in range(part.value.numel()):
                slices[start + i, i] = 1
            self.chain.connect(out.group, part.group, slices)
            start += part.value.numel()
        return out

    def add(
        self,
        parts: Sequence[Neurons],
        activation: Function | None = torch.relu,
        linear: str = "positive",
    ) -> Neurons:
        """Residual sum: shares in proportion to the parts' excitations."""
        x = torch.stack([part.value for part in parts]).sum(0)
        bound = None if activation is None else 0.0
        out = self._neurons(x if activation is None else activation(x), bound)
        total = torch.stack([part.excitation for part in parts]).sum(0)
        if activation is None and linear == "excitatory":
            out.excitation = total
        for part in parts:
            fraction = torch.where(
                total != 0, part.excitation / torch.where(total != 0, total, 1), 0
            )
            self.chain.connect(out.group, part.group, torch.diag(fraction.flatten()))
        return out

    def words(self, below: Neurons, weight: Tensor, dual: bool = False) -> int:
        """The class scores' group; `dual` takes the weights ``-W`` (contrastive units)."""
        group = self.chain.group(len(weight))
        self.chain.connect(
            group, below.group, shares(-weight if dual else weight, below.excitation)
        )
        return group

    def maps(self, start: int, priors: Tensor, target: Neurons) -> Tensor:
        """Marginal winning probability ``(K, h, w)`` at the target, summed over channels."""
        visits = self.chain.visits(start, priors, target.group)
        return visits.view(-1, *target.value.shape).sum(1)

    def walk(self, words: int, word: int, target: Neurons) -> Tensor:
        """``(h, w)``: one where the strongest walk from a class ends."""
        ends = torch.zeros_like(target.value)
        neuron = self.chain.strongest_walk(words, word, target.group)
        if neuron is not None:
            ends.view(-1)[neuron] = 1
        return ends.sum(0)


def _pair(value: int | tuple[int, ...]) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else (value[0], value[1])
