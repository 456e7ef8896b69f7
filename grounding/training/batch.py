"""What training and evaluation are fed with."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, Protocol

from torch import Tensor


class Batch(NamedTuple):
    """Samples of one process for one step.

    Attributes
    ----------
    inputs : list of Tensor
        Photos (m, 3, h, w) or features (m, F), float32, one tensor per shape. In training one
        tensor, which has no rows if there is nothing for this process.
    targets : Tensor
        (n, V) int8: 1 has the tag, 0 has it not, -1 unknown; rows in the order of the inputs.
    numbers : Tensor
        (n,) int64 on the CPU: the samples' numbers in the epoch.
    total : int
        Samples of the global batch, over all processes, with those that could not be read.
    """

    inputs: list[Tensor]
    targets: Tensor
    numbers: Tensor
    total: int


class Source(Protocol):
    """Gives the batches of a process, epoch by epoch."""

    @property
    def steps(self) -> int:
        """Steps of an epoch; the same in all processes."""

    def batches(self, epoch: int, first_step: int) -> Iterator[Batch]:
        """Give the batches of an epoch from one of its steps on, one a step."""


class CountedSource(Source, Protocol):
    """Also tells how many samples it has."""

    @property
    def samples(self) -> int:
        """Samples of an epoch over all processes; of some it may turn out that they are bad."""
