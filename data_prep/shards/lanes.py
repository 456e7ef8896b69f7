"""Who reads what in an epoch: every sample once, whatever the number of processes and workers.

The shards of an epoch, in a seeded order, are one long row of samples. It is cut into `lanes`
stretches of equal length (±1), and every global batch takes the next few samples of each lane. A
lane is read by one process, and in it by one worker, from beginning to end. So the batches of a run
do not depend on who reads them, all processes make the same number of steps, and a run can go on
in the middle of an epoch.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np


@dataclass(frozen=True)
class Segment:
    """Samples `start` … `stop` - 1 of a shard."""

    shard: int
    start: int
    stop: int


@dataclass(frozen=True)
class EpochPlan:
    """What the lanes read in one epoch.

    Attributes
    ----------
    sizes : tuple of int
        Samples of each shard.
    batch : int
        Samples of a global batch; a multiple of `lanes`.
    lanes : int
        Streams that are read side by side.
    seed : tuple of int, optional
        Of the order of the shards and of the samples in a block; None: as they are on disk.
    block : int
        Samples of a lane that are held in memory and shuffled together.
    """

    sizes: tuple[int, ...]
    batch: int
    lanes: int
    seed: tuple[int, ...] | None = None
    block: int = 256

    @cached_property
    def samples(self) -> int:
        return sum(self.sizes)

    @cached_property
    def steps(self) -> int:
        """Global batches of the epoch; the last one may be smaller."""
        return -(-self.samples // self.batch)

    @property
    def share(self) -> int:
        """Samples of a lane in a global batch."""
        return self.batch // self.lanes

    def lane_length(self, lane: int) -> int:
        """Samples of a lane in the epoch."""
        start, stop = self._bounds(lane)
        return stop - start

    def step_samples(self, step: int) -> int:
        """Samples of a global batch, over all lanes."""
        lengths = (self.lane_length(lane) - step * self.share for lane in range(self.lanes))
        return sum(min(max(length, 0), self.share) for length in lengths)

    def number(self, lane: int, position: int) -> int:
        """Number in the epoch of a lane's sample: 0 … samples - 1, in the order of the batches."""
        return position * self.lanes + lane

    def segments(self, lane: int, first: int = 0) -> Iterator[Segment]:
        """Give what a lane reads from its sample number `first` on, in order."""
        start, stop = self._bounds(lane)
        start += first
        shards, ends = self._row
        for place in range(int(np.searchsorted(ends, start, "right")), len(shards)):
            shard, end = int(shards[place]), int(ends[place])
            begin = end - self.sizes[shard]
            if begin >= stop:
                break
            if max(begin, start) < min(end, stop):
                yield Segment(shard, max(begin, start) - begin, min(end, stop) - begin)

    def blocks(self, lane: int, first: int = 0) -> Iterator[tuple[int, np.ndarray]]:
        """Give a lane's blocks, from the one with sample number `first` on.

        Yields
        ------
        start : int
            Number in the lane of the block's first sample.
        order : int64 (n,)
            Order in which the block's n samples are used.
        """
        length = self.lane_length(lane)
        # Blocks of different lanes end at different times, or all would wait for new ones at once.
        shift = lane * self.block // self.lanes
        for number in range((first + shift) // self.block, -(-(length + shift) // self.block)):
            start = max(number * self.block - shift, 0)
            count = min((number + 1) * self.block - shift, length) - start
            if count > 0:
                yield start, self._block_order(lane, number, count)

    def _block_order(self, lane: int, number: int, count: int) -> np.ndarray:
        if self.seed is None:
            return np.arange(count)
        return np.random.default_rng([*self.seed, lane, number]).permutation(count)

    @cached_property
    def _row(self) -> tuple[np.ndarray, np.ndarray]:
        """The shards in the epoch's order, and where each ends in the row of samples."""
        order = np.arange(len(self.sizes))
        if self.seed is not None:
            order = np.random.default_rng(self.seed).permutation(len(self.sizes))
        return order, np.cumsum(np.array(self.sizes, np.int64)[order])

    def _bounds(self, lane: int) -> tuple[int, int]:
        """Begin and end of a lane in the epoch's row of samples; the first lanes are longer."""
        length, longer = divmod(self.samples, self.lanes)
        start = lane * length + min(lane, longer)
        return start, start + length + (lane < longer)
