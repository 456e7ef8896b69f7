"""Writes shards: each is a task of its own, whose bytes depend on nothing but its rows."""

from __future__ import annotations

import json
import tarfile
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from hashlib import blake2b
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from data_prep.images import UnusableImage
from data_prep.shards.index import SPLITS
from data_prep.shards.photos import Photos
from data_prep.shards.recipes import Recipe

NO_TAGS = "no tags"
PARTS = "parts"  # a report for each finished shard, until all are


@dataclass(frozen=True)
class Task:
    """A shard to write: its split, its number there and its rows.

    `digest` tells rows apart, so that a shard of other rows is not taken for this one.
    """

    split: str
    number: int
    rows: pa.RecordBatch
    digest: str

    @property
    def file(self) -> str:
        """Path of the tar relative to the folder of shards."""
        return f"{self.split}/{self.number:06d}.tar"

    @property
    def report(self) -> str:
        """Path of the report relative to the folder of shards."""
        return f"{PARTS}/{self.split}-{self.number:06d}.json"


@dataclass(frozen=True)
class Report:
    """What became of a shard's rows.

    Attributes
    ----------
    digest : str
        Of the task.
    file : str
        Path relative to the folder of shards; there is no such file if there is no sample.
    samples, bytes : int
        Of the tar.
    copied : int
        Photos that were taken over byte for byte.
    bytes_read : int
        Of the photos' files.
    rejects : list of [image id, reason]
    codes, counts : list of int
        Samples with each tag that occurs.
    """

    digest: str
    split: str
    file: str
    samples: int
    bytes: int
    copied: int
    bytes_read: int
    rejects: list[list[str]]
    codes: list[int]
    counts: list[int]


def plan(
    rows: pa.RecordBatch, splits: np.ndarray, shard_samples: int, seed: int, salt: str
) -> Iterator[Task]:
    """Cut the rows of each split, in a random order, into shards.

    Parameters
    ----------
    rows : pa.RecordBatch (N,)
    splits : ndarray (N,) int8
        Places in `SPLITS`; other rows are left out.
    shard_samples : int
        Rows of a shard.
    seed : int
    salt : str
        Goes into the digests: what the rows alone do not tell.
    """
    for place, split in enumerate(SPLITS):
        order = np.random.default_rng([seed, place]).permutation(np.flatnonzero(splits == place))
        for number, begin in enumerate(range(0, len(order), shard_samples)):
            chosen = rows.take(pa.array(order[begin : begin + shard_samples]))
            digest = blake2b(salt.encode(), digest_size=16)
            digest.update(chosen.serialize())
            yield Task(split, number, chosen, digest.hexdigest())


@dataclass(frozen=True)
class ShardWriter:
    """Writes the photos and tags of tasks as tar files.

    Attributes
    ----------
    out : Path
        Folder of shards, with a folder for each split and one for reports.
    photos : Photos
    recipe : Recipe
    tags : list of str
        The vocabulary in the order of its codes.
    """

    out: Path
    photos: Photos
    recipe: Recipe
    tags: list[str]

    def finished(self, task: Task) -> Report | None:
        """Return the report of a task that an earlier run has finished."""
        try:
            content = json.loads((self.out / task.report).read_text(encoding="utf-8"))
            report = Report(**content)
            length = (self.out / task.file).stat().st_size if report.samples else 0
        except (OSError, ValueError, TypeError):
            return None
        return report if (report.digest, report.bytes) == (task.digest, length) else None

    def write(self, task: Task) -> Report:
        """Write a shard, whole or not at all, and then its report.

        Rows without a tag or a usable photo are listed in the report.
        """
        path = self.out / task.file
        part = path.with_name(path.name + ".part")
        rejects: list[list[str]] = []
        counts: Counter[int] = Counter()
        samples = copied = bytes_read = 0
        with tarfile.open(part, "w", format=tarfile.USTAR_FORMAT) as tar:
            for place, row in enumerate(task.rows.to_pylist()):
                if not row["codes"]:
                    rejects.append([str(row["image_id"]), NO_TAGS])
                    continue
                try:
                    content = self.photos.read(row)
                    jpeg, size = self.recipe.apply(content, str(row["image_id"]))
                except UnusableImage as error:
                    rejects.append([str(row["image_id"]), error.code])
                    continue
                key = f"{task.number:06d}_{place:05d}"
                _add(tar, f"{key}.jpg", jpeg)
                _add(tar, f"{key}.json", self._describe(row, size))
                counts.update(set(row["codes"]))
                samples += 1
                copied += jpeg is content
                bytes_read += len(content)
        if samples:
            part.replace(path)
        else:
            part.unlink()
        report = Report(
            digest=task.digest,
            split=task.split,
            file=task.file,
            samples=samples,
            bytes=path.stat().st_size if samples else 0,
            copied=copied,
            bytes_read=bytes_read,
            rejects=rejects,
            codes=list(counts),
            counts=list(counts.values()),
        )
        _write_whole(self.out / task.report, json.dumps(asdict(report)))
        return report

    def _describe(self, row: Mapping[str, Any], size: tuple[int, int]) -> bytes:
        content: dict[str, Any] = {"image_id": _plain(row["image_id"])}
        if row.get("user_id") is not None:
            content["user_id"] = _plain(row["user_id"])
        content |= {"tags": [self.tags[code] for code in row["codes"]], "codes": row["codes"]}
        if "unknown" in row:
            content["unknown"] = row["unknown"]
        content |= {"width": size[0], "height": size[1]}
        return json.dumps(content, ensure_ascii=False).encode()


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)  # no time, no owner: the bytes are the same every time
    member.size = len(content)
    tar.addfile(member, BytesIO(content))


def _plain(value: object) -> int | str:
    return value if isinstance(value, int) else str(value)


def _write_whole(path: Path, text: str) -> None:
    part = path.with_name(path.name + ".part")
    part.write_text(text, encoding="utf-8")
    part.replace(path)
