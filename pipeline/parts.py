"""Parts of the work on photos: what a kill leaves, and whether it still holds."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from data_prep.annotated import AnnotatedPhoto
from data_prep.phrases import PhrasePhoto, Problem
from grounding.classifier import TagClassifier
from pipeline.stage import VERSION

PARTS = "parts"
MARK, PROBLEMS, SECONDS = b"mark", b"problems", b"seconds"  # in the metadata of a part


@dataclass(frozen=True)
class Part:
    """What came of some photos that follow each other.

    Attributes
    ----------
    table : pyarrow.Table
        The photos' rows.
    problems : tuple of Problem
    seconds : float
        That a process took.
    """

    table: pa.Table
    problems: tuple[Problem, ...]
    seconds: float


def part_files(out: Path, photos: int, chunk: int) -> list[Path]:
    """Say where the parts of so many photos are, or will be; other ones are of other data."""
    return [out / PARTS / f"{first:06d}.parquet" for first in range(0, photos, chunk)]


def write_part(
    file: Path,
    mark: str,
    rows: list[dict[str, Any]],
    schema: pa.Schema,
    problems: Sequence[Problem],
    seconds: float,
) -> None:
    """Write the rows of some photos; the file is either whole or absent."""
    about = {PROBLEMS: json.dumps([asdict(each) for each in problems]), SECONDS: str(seconds)}
    schema = schema.with_metadata({MARK: mark, **about})
    half = file.with_name(file.name + ".part")
    pq.write_table(pa.Table.from_pylist(rows, schema), half)
    half.replace(file)


def is_done(file: Path, mark: str) -> bool:
    """Tell whether there is a part that was made of the same."""
    try:
        found = pq.read_schema(file).metadata
    except (OSError, pa.ArrowException):  # none, or a damaged one
        return False
    return bool(found) and found.get(MARK) == mark.encode()


def read_part(file: Path) -> Part:
    """Read what `write_part` wrote."""
    table = pq.read_table(file)
    about = table.schema.metadata
    problems = tuple(Problem(**each) for each in json.loads(about[PROBLEMS]))
    return Part(table.replace_schema_metadata(None), problems, float(about[SECONDS]))


def mark_of_classifier(classifier: TagClassifier) -> str:
    """Tell classifiers apart: by weights, vocabulary and preprocessing, not by their folder."""
    content = [VERSION, asdict(classifier.vocabulary), asdict(classifier.preprocessing)]
    digest = hashlib.sha256(json.dumps(content, default=str).encode())
    for name, tensor in classifier.model.state_dict().items():
        digest.update(name.encode())
        digest.update(tensor.cpu().numpy().tobytes())
    return digest.hexdigest()[:16]


def mark_of_part(
    classifier: str,
    photos: Sequence[PhrasePhoto | AnnotatedPhoto],
    boxes: Sequence[Path | None] = (),
) -> str:
    """Tell parts apart that were made of something else.

    Parameters
    ----------
    classifier : str
        Its mark.
    photos : sequence of PhrasePhoto or AnnotatedPhoto
        Of the part, with what is annotated.
    boxes : sequence of Path or None
        The file of each photo's proposals, which need not exist.
    """
    digest = hashlib.sha256(classifier.encode())
    for photo in photos:
        size = photo.path.stat().st_size if photo.path.is_file() else None
        digest.update(json.dumps([asdict(photo), size], default=str).encode())
    for file in boxes:
        if file is not None:
            digest.update(file.read_bytes() if file.is_file() else b"none")
    return digest.hexdigest()[:16]
