"""Batches of photos and tags from shards, for one process of a run."""

from __future__ import annotations

import atexit
import io
import multiprocessing
import signal
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count, groupby
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from data_prep.errors import UserError
from data_prep.images import MAX_PIXELS, read_lazily
from data_prep.shards.lanes import EpochPlan
from data_prep.shards.reading import Lost, Sample, read_lane
from grounding.processes import Processes
from grounding.training.batch import Batch
from grounding.views import View
from pipeline.rejects import Rejects


class Part(NamedTuple):
    """Photos of one size: their numbers in the epoch, pixels, and (row, code) of their tags."""

    numbers: Tensor  # (n,) int64
    pixels: Tensor  # (n, 3, h, w) uint8
    codes: Tensor  # (tags, 2) int64
    unknown: Tensor  # (tags, 2) int64


class Chunk(NamedTuple):
    """What one worker reads for one step."""

    parts: list[Part]
    lost: list[Lost]


@dataclass(frozen=True)
class Shards:
    """Photos in shards, and how they are looked at.

    Attributes
    ----------
    sizes, files
        Samples and path of every shard.
    tags : int
        Size of the vocabulary.
    view : View
    batch, lanes, block : int
        See `EpochPlan`.
    seed : int or None
        Of order, crops and flips; None: in the order of the disk, as for evaluation.
    """

    sizes: tuple[int, ...]
    files: list[str]
    tags: int
    view: View
    batch: int
    lanes: int
    block: int
    seed: int | None

    @property
    def samples(self) -> int:
        return sum(self.sizes)

    def plan(self, epoch: int) -> EpochPlan:
        seed = None if self.seed is None else (self.seed, epoch)
        return EpochPlan(self.sizes, self.batch, self.lanes, seed, self.block)


class ShardDataset(IterableDataset[Chunk]):
    """The chunks of one worker, one a step, epoch after epoch without end.

    Workers that go on from one epoch to the next need not be started anew, and read ahead while
    the model is evaluated.

    Parameters
    ----------
    shards : Shards
    lanes : sequence of int
        Of this process; its workers share them.
    epoch, step : int
        Where to begin.
    """

    def __init__(self, shards: Shards, lanes: Sequence[int], epoch: int, step: int) -> None:
        self._shards, self._lanes, self._epoch, self._step = shards, lanes, epoch, step

    def __iter__(self) -> Iterator[Chunk]:
        worker = get_worker_info()
        part, parts = (worker.id, worker.num_workers) if worker else (0, 1)
        first = self._step
        for epoch in count(self._epoch):
            plan = self._shards.plan(epoch)
            lanes = {
                lane: read_lane(plan, self._shards.files, lane, first * plan.share)
                for lane in self._lanes[part::parts]
            }
            for step in range(first, plan.steps):
                yield self._chunk(epoch, plan, step, lanes)
            first = 0

    def _chunk(
        self, epoch: int, plan: EpochPlan, step: int, lanes: dict[int, Iterator[Sample | Lost]]
    ) -> Chunk:
        photos: list[tuple[int, Tensor, Sample]] = []
        lost: list[Lost] = []
        for position in range(step * plan.share, (step + 1) * plan.share):
            for lane, samples in lanes.items():
                sample = next(samples, None)
                number = plan.number(lane, position)
                if isinstance(sample, Sample):
                    try:
                        photos.append((number, self._pixels(sample, epoch, number), sample))
                    except UserError as error:
                        lost.append(Lost(sample.file, sample.place, str(error)))
                elif sample is not None:
                    lost.append(sample)
        return Chunk(_parts(photos), lost)

    def _pixels(self, sample: Sample, epoch: int, number: int) -> Tensor:
        """Check a sample and give its photo's pixels; UserError says what is wrong with it."""
        tags, view = self._shards.tags, self._shards.view
        for key in ("codes", "unknown"):
            codes = sample.record.get(key, [])
            if not isinstance(codes, list) or not all(
                isinstance(code, int) and 0 <= code < tags for code in codes
            ):
                raise UserError(f"its {key} are not of a vocabulary of {tags} tags")
        if not sample.record.get("codes"):
            raise UserError("it has no tags")
        with read_lazily(io.BytesIO(sample.image), "its photo", MAX_PIXELS) as image:
            image.load()
        if view.varies:
            seed = np.random.SeedSequence([self._shards.seed or 0, epoch, number])
            # Not torch.manual_seed, which seeds GPUs, too, and takes a quarter of a millisecond.
            torch.default_generator.manual_seed(int(seed.generate_state(1)[0]))
        return view(image)


def _parts(photos: list[tuple[int, Tensor, Sample]]) -> list[Part]:
    """Stack photos of equal size."""

    def shape(photo: tuple[int, Tensor, Sample]) -> tuple[int, ...]:
        return tuple(photo[1].shape)

    parts = []
    for _, group in groupby(sorted(photos, key=shape), key=shape):
        numbers, pixels, samples = zip(*group, strict=True)
        parts.append(
            Part(
                torch.tensor(numbers),
                _stack(pixels),
                _pairs(samples, "codes"),
                _pairs(samples, "unknown"),
            )
        )
    return parts


def _stack(pixels: Sequence[Tensor]) -> Tensor:
    """Stack (3, h, w) pixels that lie in memory as Pillow's do: channels last."""
    return torch.stack([each.permute(1, 2, 0) for each in pixels]).permute(0, 3, 1, 2)


def _pairs(samples: Sequence[Sample], key: str) -> Tensor:
    pairs = [(row, code) for row, one in enumerate(samples) for code in one.record.get(key, [])]
    return torch.tensor(pairs, dtype=torch.int64).reshape(-1, 2)


class ShardSource:
    """The batches of one process from shards; a `grounding.training.batch.Source`.

    The batches do not depend on the number of workers, and together with those of the other
    processes they are those of one process alone.

    Parameters
    ----------
    shards : Shards
    processes : Processes
    workers : int
        Worker processes that read and decode; 0: this one does.
    rejects : Rejects
        Takes in what could not be used.
    """

    def __init__(
        self, shards: Shards, processes: Processes, workers: int, rejects: Rejects
    ) -> None:
        self._shards, self._processes, self._rejects = shards, processes, rejects
        self._lanes = range(shards.lanes)[processes.rank :: processes.world]
        self._workers = min(workers, len(self._lanes))
        self._stream: Iterator[Chunk] = iter(())
        self._stands_at: tuple[int, int] | None = None  # epoch and step of the stream

    @property
    def steps(self) -> int:
        return self._shards.plan(0).steps

    @property
    def samples(self) -> int:
        return self._shards.samples

    def batches(self, epoch: int, first_step: int = 0) -> Iterator[Batch]:
        if self._shards.seed is None:
            epoch = 0  # all are alike
        plan = self._shards.plan(epoch)
        if first_step == plan.steps:
            return  # of the epoch only its evaluation was left; no stream stands anywhere
        if self._stands_at != (epoch, first_step):
            self._stream = self._open(epoch, first_step)
        for step in range(first_step, plan.steps):
            chunks = [next(self._stream) for _ in range(max(self._workers, 1))]
            self._stands_at = (epoch, step + 1)
            for chunk in chunks:
                self._rejects.add(chunk.lost)
            yield self._to_batch([part for chunk in chunks for part in chunk.parts], plan, step)
        self._stands_at = (0 if self._shards.seed is None else epoch + 1, 0)

    def _open(self, epoch: int, step: int) -> Iterator[Chunk]:
        return iter(
            DataLoader(
                ShardDataset(self._shards, self._lanes, epoch, step),
                batch_size=None,
                num_workers=self._workers,
                pin_memory=self._processes.device.type == "cuda",
                worker_init_fn=_quiet,
                prefetch_factor=4 if self._workers else None,
            )
        )

    def _to_batch(self, parts: list[Part], plan: EpochPlan, step: int) -> Batch:
        inputs, targets, numbers = [], [], []
        parts = sorted(parts, key=lambda part: tuple(part.pixels.shape[1:]))
        for _, group in groupby(parts, key=lambda part: tuple(part.pixels.shape[1:])):
            same = list(group)
            own = torch.cat([part.numbers for part in same])
            order = own.argsort()
            pixels = torch.cat([self._move(part.pixels) for part in same])[self._move(order)]
            inputs.append(self._shards.view.preprocessing.normalise(pixels))
            targets.append(self._targets(same, order))
            numbers.append(own[order])
        if not inputs:
            inputs, targets, numbers = self._nothing()
        return Batch(inputs, torch.cat(targets), torch.cat(numbers), plan.step_samples(step))

    def _nothing(self) -> tuple[list[Tensor], list[Tensor], list[Tensor]]:
        side, device = self._shards.view.preprocessing.size, self._processes.device
        empty = torch.zeros(0, 3, side, side, device=device)
        none = torch.zeros(0, self._shards.tags, dtype=torch.int8, device=device)
        return [empty], [none], [torch.zeros(0, dtype=torch.int64)]

    def _targets(self, parts: list[Part], order: Tensor) -> Tensor:
        """Targets (n, V) of parts whose rows are put in an order."""
        place = order.argsort()  # of each row
        device = self._processes.device
        targets = torch.zeros(len(order), self._shards.tags, dtype=torch.int8, device=device)
        for kind, value in (("unknown", -1), ("codes", 1)):
            first, every = 0, []
            for part in parts:
                rows, codes = getattr(part, kind).T
                every.append(torch.stack([place[rows + first], codes]))
                first += len(part.numbers)
            rows, codes = self._move(torch.cat(every, 1))
            targets[rows, codes] = value
        return targets

    def _move(self, tensor: Tensor) -> Tensor:
        """Move to the device, without waiting for it."""
        device = self._processes.device
        if device.type == "cuda" and not tensor.is_pinned():
            tensor = tensor.pin_memory()
        return tensor.to(device, non_blocking=True)


def _quiet(_: int) -> None:
    """Leave Ctrl-C and SIGTERM, which may come to all, to the process that the workers work for.

    They end when it does, see `_end_workers`.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)


@atexit.register
def _end_workers() -> None:
    """Kill what would be ended by SIGTERM, and be waited for without end."""
    for each in multiprocessing.active_children():
        if each.daemon:
            each.kill()
