"""The photos of a training run: shards that fit their vocabulary, and who reads them how."""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path

import pyarrow as pa
import torch
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor, nn

from data_prep.errors import UserError
from data_prep.shards.index import VOCABULARY, ShardIndex, fingerprint, read_vocabulary
from grounding.processes import Processes
from grounding.training.settings import TrainSettings
from grounding.views import View
from pipeline.features import Features, compute_features
from pipeline.loading import Shards, ShardSource
from pipeline.rejects import Rejects
from pipeline.stage import usable_cores


@dataclass(frozen=True)
class Reading:
    """How photos are read: the keys of `train` that are not of `TrainSettings`.

    Attributes
    ----------
    view, scale, flip
        See `grounding.views.View`; of training photos.
    lanes, block : int
        See `data_prep.shards.lanes`.
    workers : int, optional
        Reading processes of each process; None: the largest number that divides the lanes of
        this process and for which there are cores.

    Raises
    ------
    UserError
        A value is unusable.
    """

    view: str
    scale: tuple[float, ...]
    flip: bool
    lanes: int
    block: int
    workers: int | None

    def __post_init__(self) -> None:
        for key, least in {"lanes": 1, "block": 1, "workers": 0}.items():
            value = getattr(self, key)
            if key == "workers" and value is None:
                continue
            if not isinstance(value, int) or isinstance(value, bool) or value < least:
                raise UserError(f"train.{key}={value}: give a whole number, {least} or more")
        if not isinstance(self.flip, bool):
            raise UserError(f"train.flip={self.flip}: give true or false")


@dataclass(frozen=True)
class TrainData:
    """Shards, and this process among those that read them.

    Attributes
    ----------
    folder : str
        Of the shards; path or URL.
    index : ShardIndex
    tags : list of str
        The vocabulary.
    counts : Tensor (V,) int64
        Training photos with each tag.
    settings, reading, here
    rejects : Rejects
    """

    folder: str
    index: ShardIndex
    tags: list[str]
    counts: Tensor
    settings: TrainSettings
    reading: Reading
    here: Processes
    rejects: Rejects = field(default_factory=Rejects)

    @classmethod
    def open(
        cls,
        folder: str,
        vocabulary: str,
        settings: TrainSettings,
        reading: Reading,
        here: Processes,
    ) -> TrainData:
        """Read the index and the vocabulary.

        Raises
        ------
        UserError
            There are no shards, the vocabulary is not theirs, or lanes, batch and processes do
            not go together.
        """
        index = ShardIndex.load(folder)
        own = f"{folder}/{VOCABULARY}"
        table = read_vocabulary(own)
        tags = table["tag"].to_pylist()
        if fingerprint(tags) != index.vocabulary:
            raise UserError(
                f"{own}: is not the vocabulary that the shards beside it were made with; make them "
                "anew: stage=shards"
            )
        if vocabulary != own and read_vocabulary(vocabulary)["tag"].to_pylist() != tags:
            raise UserError(
                f"{vocabulary}: is not the vocabulary of the shards in {folder}; give "
                f"vocabulary={own}, or make the shards anew"
            )
        if index.samples("train") == 0:
            raise UserError(f"{folder}: no training photos in the shards; make them anew")
        _check_lanes(settings, reading, here)
        return cls(folder, index, tags, _counts(table, own), settings, reading, here)

    def record(self) -> dict[str, str]:
        """Tell these shards from others: where they lie, their index and their vocabulary."""
        index = json.dumps(asdict(self.index)).encode()
        return {
            "shards": self.folder,
            "index": hashlib.sha256(index).hexdigest()[:16],
            "vocabulary": self.index.vocabulary,
        }

    def source(self, split: str, view: View, *, shuffle: bool) -> ShardSource:
        """Give the photos of a split to this process."""
        files = getattr(self.index, split)
        shards = Shards(
            sizes=tuple(shard.samples for shard in files),
            files=[f"{self.folder}/{shard.file}" for shard in files],
            tags=len(self.tags),
            view=view,
            batch=self.settings.batch,
            lanes=self.reading.lanes,
            block=self.reading.block,
            seed=self.settings.seed if shuffle else None,
        )
        return ShardSource(shards, self.here, self._workers(), self.rejects)

    def features(
        self,
        net: nn.Module,
        width: int,
        view: View,
        split: str,
        path: Path,
        stop: Callable[[], bool],
    ) -> Features:
        """Compute the features of a split, with progress; see `compute_features`."""
        source = self.source(split, view, shuffle=False)
        console = Console(stderr=True)
        hidden = not (console.is_terminal and self.here.is_first)
        with Progress(
            TextColumn(f"Features of the {split} photos"),
            BarColumn(),
            TextColumn("{task.completed:,} of {task.total:,}  {task.speed:,.0f} images/s"),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=hidden,
        ) as bar:
            task = bar.add_task("", total=source.samples // self.here.world)
            found = compute_features(
                net, width, source, path, self.here, partial(bar.advance, task), stop
            )
        of_bar = bar.tasks[task]
        if self.here.is_first and of_bar.completed:
            rate = of_bar.completed * self.here.world / max(of_bar.elapsed or 0, 1e-9)
            print(f"features of {len(found.rows):,} {split} photos: {rate:,.0f} images/s")
        return found

    def _workers(self) -> int:
        if self.reading.workers is not None:
            return self.reading.workers
        cores = usable_cores() // int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
        most = cores if self.here.device.type == "cuda" else cores - 1  # a CPU has to compute, too
        lanes = self.reading.lanes // self.here.world
        return max(n for n in range(1, lanes + 1) if n <= max(most, 1) and lanes % n == 0)


def _counts(vocabulary: pa.Table, path: str) -> Tensor:
    if "train" not in vocabulary.column_names:
        raise UserError(f"{path}: has no column train; make the shards anew: stage=shards")
    return torch.tensor(vocabulary["train"].to_pylist(), dtype=torch.int64)


def _check_lanes(settings: TrainSettings, reading: Reading, here: Processes) -> None:
    if settings.batch % reading.lanes:
        raise UserError(
            f"train.lanes={reading.lanes}: does not divide train.batch={settings.batch}; give "
            f"train.lanes={math.gcd(reading.lanes, settings.batch)}"
        )
    if reading.lanes % here.world:
        raise UserError(
            f"train.lanes={reading.lanes}: {here.world} processes cannot share them evenly; give "
            f"a multiple of {here.world} that divides train.batch={settings.batch}"
        )
