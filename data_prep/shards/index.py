"""The index of a folder of shards: which tar files there are, and how many samples each holds."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq

from data_prep.errors import UserError

INDEX = "index.json"
VOCABULARY = "vocabulary.parquet"
SPLITS = ("train", "val")


@dataclass(frozen=True)
class Shard:
    """A tar file: its path relative to the index, its samples and its size in bytes."""

    file: str
    samples: int
    bytes: int


@dataclass(frozen=True)
class ShardIndex:
    """What a folder of shards holds.

    Attributes
    ----------
    vocabulary : str
        Fingerprint of the vocabulary that the samples' codes count in; see `fingerprint`.
    tags : int
        Its size.
    train, val : tuple of Shard
        In the order of their file names.
    """

    vocabulary: str
    tags: int
    train: tuple[Shard, ...]
    val: tuple[Shard, ...]

    def samples(self, split: str) -> int:
        """Count the samples of a split."""
        return sum(shard.samples for shard in getattr(self, split))

    def save(self, folder: Path) -> None:
        """Write `index.json`, whole or not at all."""
        part = folder / f"{INDEX}.part"
        part.write_text(json.dumps(asdict(self), indent=1) + "\n", encoding="utf-8")
        part.replace(folder / INDEX)

    @classmethod
    def load(cls, folder: str | Path) -> ShardIndex:
        """Read `index.json` of a folder; a path or any fsspec URL.

        Raises
        ------
        UserError
            There is none, or it is damaged.
        """
        path = f"{folder}/{INDEX}"
        try:
            with fsspec.open(path, "rb") as file:
                content = json.load(file)
            splits = {name: tuple(Shard(**row) for row in content.pop(name)) for name in SPLITS}
            return cls(**(content | splits))
        except FileNotFoundError:
            raise UserError(
                f"{folder}: no shards there ({INDEX} is missing); make them with stage=shards"
            ) from None
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            raise UserError(f"{path}: no index of shards; make them anew: stage=shards") from error


def fingerprint(tags: list[str]) -> str:
    """SHA-256 of the tags in the order of their codes, 16 hexadecimal digits."""
    return hashlib.sha256("\n".join(tags).encode()).hexdigest()[:16]


def read_vocabulary(path: str | Path) -> pa.Table:
    """Read a `vocabulary.parquet`, a path or any fsspec URL; `tag` is in the order of the codes.

    Raises
    ------
    UserError
        The file is missing or is no vocabulary.
    """
    try:
        with fsspec.open(path, "rb") as file:
            table = pq.read_table(file)
    except (OSError, ValueError) as error:
        raise UserError(
            f"{path}: no vocabulary that can be read; give the one that stage=clean wrote"
        ) from error
    if "tag" not in table.column_names:
        raise UserError(f"{path}: no vocabulary, it has no column tag")
    return table
