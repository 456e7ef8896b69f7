"""A net as an absorbing Markov chain over all its neurons (supplement, section 1)."""

from __future__ import annotations

import torch
from torch import Tensor


class Chain:
    """Groups of neurons and the probabilities that a walker steps from one neuron to another.

    Where a neuron's probabilities sum to less than one (no excitatory input), the walker dies.
    """

    def __init__(self) -> None:
        self.sizes: list[int] = []
        self.blocks: list[
            tuple[int, int, Tensor]
        ] = []  # parent group, child group, (parents, children)

    def group(self, neurons: int) -> int:
        self.sizes.append(neurons)
        return len(self.sizes) - 1

    def connect(self, parent: int, child: int, probabilities: Tensor) -> None:
        assert probabilities.shape == (self.sizes[parent], self.sizes[child])
        self.blocks.append((parent, child, probabilities))

    def visits(self, start: int, priors: Tensor, target: int) -> Tensor:
        """Expected visits ``p0 (I - Q)^-1`` of the target's neurons, which absorb: (K, neurons).

        Each of the (K, start's neurons) priors is a ``p0``.
        """
        offsets = [sum(self.sizes[:group]) for group in range(len(self.sizes) + 1)]
        Q = torch.zeros(offsets[-1], offsets[-1], dtype=torch.float64)
        for parent, child, probabilities in self.blocks:
            if parent != target:
                rows = slice(offsets[parent], offsets[parent + 1])
                columns = slice(offsets[child], offsets[child + 1])
                Q[rows, columns] += probabilities
        p0 = torch.zeros(len(priors), offsets[-1], dtype=torch.float64)
        p0[:, offsets[start] : offsets[start + 1]] = priors
        identity = torch.eye(offsets[-1], dtype=torch.float64)
        expected = torch.linalg.solve(identity - Q, p0, left=False)
        return expected[:, offsets[target] : offsets[target + 1]]

    def strongest_walk(self, start: int, neuron: int, target: int) -> int | None:
        """Where the walker ends that always takes the likeliest step; None if it dies."""
        group = start
        while group != target:
            best = 0.0
            step = None
            for parent, child, probabilities in self.blocks:
                if parent != group:
                    continue
                for i, probability in enumerate(probabilities[neuron].tolist()):
                    if probability > best:
                        best, step = probability, (child, i)
            if step is None:
                return None
            group, neuron = step
        return neuron
