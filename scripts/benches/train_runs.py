"""Runs of the training loop that are timed or watched; nothing of them is kept."""

from __future__ import annotations

import itertools
import math
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal

import torch
from omegaconf import DictConfig
from torch import Tensor

from grounding.heads import tag_net
from grounding.model_folder import override
from grounding.processes import Processes
from grounding.training.batch import Batch, Source
from grounding.training.checkpoint import Checkpoint, Progress
from grounding.training.loop import Loss, Run
from grounding.training.settings import TrainSettings
from grounding.training.setup import make_run, prepare
from grounding.views import View
from pipeline.train_data import Reading, TrainData

Precision = Literal["fp32", "bf16"]


class Unsaved(Checkpoint):
    """Nothing of a timed run is kept."""

    def save(self, progress: Progress) -> None:
        """Leave the disk alone."""


class Silent:
    """A reporter that says nothing."""

    def steps(self, progress: Progress, steps: int, loss: float, lr: float, photos: int) -> None:
        """Say nothing."""

    def epoch(self, row: dict[str, Any]) -> None:
        """Say nothing."""


class Repeated:
    """One batch again and again; a `grounding.training.batch.Source`."""

    def __init__(self, batch: Batch) -> None:
        self._batch = batch
        self.steps = sys.maxsize

    def batches(self, epoch: int, first_step: int) -> Iterator[Batch]:
        return itertools.repeat(self._batch)


class Timed:
    """The first batches of a source, and the time from the end of the warm-up to the last step's.

    Attributes
    ----------
    steps : int
        With those of the warm-up.
    rate : float
        Photos a second, when an epoch is done.
    """

    def __init__(
        self, source: Source, steps: int, warmup: int, wait: Callable[[], object] = lambda: None
    ) -> None:
        self.steps, self.rate = warmup + steps, math.nan
        self._source, self._warmup, self._wait = source, warmup, wait

    def batches(self, epoch: int, first_step: int = 0) -> Iterator[Batch]:
        given = self._source.batches(epoch, first_step)
        photos, began = 0, 0.0
        for number in range(self.steps):
            if number == self._warmup:
                self._wait()
                began = time.perf_counter()
            batch = next(given)
            photos += len(batch.targets) if number >= self._warmup else 0
            yield batch
        self._wait()  # the loop has come back for more: its last step is on its way
        self.rate = photos / (time.perf_counter() - began)


class Curve:
    """A loss that notes its mean, call by call."""

    def __init__(self, loss: Loss) -> None:
        self._loss = loss
        self.means: list[Tensor] = []

    def __call__(self, logits: Tensor, targets: Tensor) -> Tensor:
        losses = self._loss(logits, targets)
        self.means.append(losses.detach().mean())
        return losses


@dataclass(frozen=True)
class Trial:
    """What is trained on what, as `stage=train` does it.

    Attributes
    ----------
    config : DictConfig
        Of the stage.
    settings : TrainSettings
        One epoch, without an evaluation.
    data : TrainData
        Its shards are repeated until the epoch is long enough.
    """

    config: DictConfig
    settings: TrainSettings
    data: TrainData

    @classmethod
    def open(cls, config: DictConfig, steps: int, here: Processes) -> Trial:
        """Read the configuration and the index of the shards, for an epoch of so many steps.

        Raises
        ------
        UserError
            As the stage.
        """
        keys = {**config.train, "scale": tuple(config.train.scale)}
        of_loop = {each.name: keys.pop(each.name) for each in fields(TrainSettings)}
        settings = replace(TrainSettings(**of_loop), epochs=1, evaluate_epochs=2, accumulate=1)
        shards, vocabulary = str(config.shards), str(config.vocabulary)
        data = TrainData.open(shards, vocabulary, settings, Reading(**keys), here)
        repeats = math.ceil(steps * settings.batch / data.index.samples("train"))
        index = replace(data.index, train=data.index.train * repeats)
        return cls(config, settings, replace(data, index=index))

    def prepare(self, name: str, weights: str | None, precision: Precision) -> Run:
        """Put a run of a net together, on the shards."""
        data, here = self.data, self.data.here
        settings = replace(self.settings, precision=precision)
        torch.manual_seed(settings.seed)
        model, usual, _ = tag_net(name, len(data.tags), weights)
        samples = data.index.samples("train")
        prepare(model, settings, data.counts, samples, here.device)
        reading = data.reading
        preprocessing = override(usual, self.config.model.preprocessing or {})
        view = View(preprocessing, reading.view, reading.scale, reading.flip)  # type: ignore[arg-type]
        run = make_run(
            model,
            settings,
            data.counts,
            samples,
            source=data.source("train", view, shuffle=True),
            evaluate=lambda _: {},
            processes=here,
            checkpoint=Path(),
            mark="",
            reporter=Silent(),
            stop=lambda: False,
        )
        return replace(run, checkpoint=Unsaved(Path(), model, run.optimizer, run.average, ""))
