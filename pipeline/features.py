"""Pooled features of photos, computed once and kept on the disk while a head is trained on them."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from grounding.processes import Processes
from grounding.training.batch import Batch
from grounding.training.evaluation import outputs
from pipeline.loading import ShardSource

SAVE_SECONDS = 60.0  # of computing that a killed run may lose
ROWS = 4096  # features that are read at a time for their mean


@dataclass(frozen=True)
class Features:
    """Features of the samples of a split that could be read.

    Attributes
    ----------
    values : ndarray (S, F) float32
        A row for every sample of the split, also for those that could not be read.
    rows : ndarray (N,) int64
        Rows of those that could, ascending.
    pairs : ndarray (P, 3) int32
        Row, code and 1 (has the tag) or -1 (unknown); rows ascending.
    """

    values: np.ndarray
    rows: np.ndarray
    pairs: np.ndarray

    def mean_and_std(self) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation (F,) of each feature, float32.

        No deviation is below a hundredth of their mean: a feature that hardly varies here tells
        more about rounding than about photos. If none varies, all are 1.
        """
        total = np.zeros((2, self.values.shape[1]))
        for start in range(0, len(self.rows), ROWS):
            some = self.values[self.rows[start : start + ROWS]].astype(np.float64)
            total += some.sum(0), (some**2).sum(0)
        mean, square = total / max(len(self.rows), 1)
        std = np.sqrt(np.maximum(square - mean**2, 0))
        std = np.maximum(std, std.mean() / 100) if std.any() else np.ones_like(std)
        return torch.from_numpy(mean).float(), torch.from_numpy(std).float()

    def chunks(self, tags: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Give features (n, F) float32 and targets (n, V) int8 of all samples, piece by piece."""
        for start in range(0, len(self.rows), ROWS):
            chosen = np.arange(start, min(start + ROWS, len(self.rows)))
            yield torch.from_numpy(self.values[self.rows[chosen]]), self.targets(chosen, tags)

    def targets(self, chosen: np.ndarray, tags: int) -> Tensor:
        """Targets (n, V) int8 of the samples at these places in `rows`; see `Batch`."""
        targets = np.zeros((len(chosen), tags), np.int8)
        begins, ends = self._spans
        for target, begin, end in zip(targets, begins[chosen], ends[chosen], strict=True):
            _, codes, values = self.pairs[begin:end].T
            target[codes] = values
        return torch.from_numpy(targets)

    @cached_property
    def _spans(self) -> tuple[np.ndarray, np.ndarray]:
        """Where the pairs of each of `rows` begin and end."""
        of_pairs = self.pairs[:, 0]
        return np.searchsorted(of_pairs, self.rows), np.searchsorted(of_pairs, self.rows, "right")


def compute_features(
    net: nn.Module,
    width: int,
    source: ShardSource,
    path: Path,
    processes: Processes,
    follow: Callable[[int], None],
    stop: Callable[[], bool],
) -> Features:
    """Compute the features of a source's samples, or what is left of them.

    Parameters
    ----------
    net : nn.Module
        Photos (n, 3, h, w) → features (n, F); in eval mode.
    width : int
        F.
    source : ShardSource
        Of this process, unshuffled.
    path : Path
        File of the features, .npy; what each process has done stands beside it.
    follow, stop : callable
        The first is called with every number of photos done; the second tells whether somebody
        wants to stop.

    Raises
    ------
    KeyboardInterrupt
        Somebody wanted to stop; what was done is kept.
    """
    if processes.is_first and not path.is_file():
        _make_file(path, (source.samples, width))
    processes.wait()
    values = np.lib.format.open_memmap(path, "r+")
    own = f"{path.stem}-{processes.rank}-of-{processes.world}"
    steps = max((_steps(part) for part in path.parent.glob(f"{own}-*.npy")), default=0)
    pairs: list[np.ndarray] = []
    saved = time.monotonic()
    for step, batch in enumerate(source.batches(0, steps), steps + 1):
        numbers = batch.numbers.numpy()
        with torch.no_grad():
            values[numbers] = np.concatenate(outputs(net, batch.inputs))
        pairs.append(_pairs(batch, numbers))
        follow(len(numbers))
        if stop() or time.monotonic() - saved > SAVE_SECONDS or step == source.steps:
            values.flush()
            _save_whole(path.with_name(f"{own}-{step:09d}.npy"), np.concatenate(pairs))
            saved, pairs = time.monotonic(), []
        if stop():
            raise KeyboardInterrupt
    processes.wait()
    parts = path.parent.glob(f"{path.stem}-*-of-{processes.world}-*.npy")
    none = np.zeros((0, 3), np.int32)  # a split without photos has no parts
    every = np.concatenate([none, *(np.load(part) for part in parts)])
    every = every[np.lexsort((every[:, 1], every[:, 0]))]
    return Features(values, np.unique(every[:, 0]).astype(np.int64), every)


def _steps(part: Path) -> int:
    """Steps that a process had done when it wrote this file."""
    return int(part.stem.rpartition("-")[2])


def _make_file(path: Path, shape: tuple[int, int]) -> None:
    """Make a file of zeros with its place on the disk, or OSError.

    Without the place, the system ends a process that writes into the mapped file on a full disk.
    """
    part = path.with_name(path.name + ".part")
    np.lib.format.open_memmap(part, "w+", np.float32, shape).flush()
    try:
        if hasattr(os, "posix_fallocate"):  # not on every system
            with part.open("r+b") as file:
                os.posix_fallocate(file.fileno(), 0, part.stat().st_size)
        part.replace(path)
    except OSError:
        part.unlink()
        raise


def _save_whole(path: Path, content: np.ndarray) -> None:
    part = path.with_name(path.name + ".part")
    with part.open("wb") as file:
        np.save(file, content)
    part.replace(path)


def _pairs(batch: Batch, numbers: np.ndarray) -> np.ndarray:
    rows, codes = batch.targets.nonzero(as_tuple=True)
    values = batch.targets[rows, codes].cpu().numpy()
    return np.column_stack([numbers[rows.cpu().numpy()], codes.cpu().numpy(), values]).astype("i4")


class FeatureSource:
    """The batches of one process from features; a `grounding.training.batch.Source`.

    Parameters
    ----------
    features : Features
    tags : int
        Size of the vocabulary.
    batch : int
        Samples of a global batch.
    seed : int or None
        Of the order; None: that of the rows.
    processes : Processes
    """

    def __init__(
        self, features: Features, tags: int, batch: int, seed: int | None, processes: Processes
    ) -> None:
        self._features, self._tags, self._batch = features, tags, batch
        self._seed, self._processes = seed, processes

    @property
    def steps(self) -> int:
        return -(-len(self._features.rows) // self._batch)

    @property
    def samples(self) -> int:
        return len(self._features.rows)

    def batches(self, epoch: int, first_step: int = 0) -> Iterator[Batch]:
        count = len(self._features.rows)
        order = np.arange(count)
        if self._seed is not None:
            order = np.random.default_rng([self._seed, epoch]).permutation(count)
        for step in range(first_step, self.steps):
            chosen = order[step * self._batch : (step + 1) * self._batch]
            own = chosen[self._processes.rank :: self._processes.world]
            values = torch.from_numpy(self._features.values[self._features.rows[own]])
            inputs = values.to(self._processes.device)
            targets = self._features.targets(own, self._tags).to(self._processes.device)
            yield Batch([inputs], targets, torch.from_numpy(own), len(chosen))
