"""Parts of the work on photos: what a kill leaves, and whether it still holds."""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq
from omegaconf import DictConfig
from rich.console import Console
from rich.progress import track

from data_prep.annotated import AnnotatedPhoto
from data_prep.errors import UserError
from data_prep.phrases import PhrasePhoto, Problem
from grounding.classifier import TagClassifier
from grounding.processes import Processes
from pipeline.problems import REJECTS, first_of, write_problems
from pipeline.stage import VERSION

P = TypeVar("P")  # a photo, with what is annotated

PARTS = "parts"
MARK, PROBLEMS, SECONDS = b"mark", b"problems", b"seconds"  # in the metadata of a part
TELL_SECONDS = 60.0  # between two lines where no bar can be shown


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


def work_through(
    config: DictConfig,
    photos: Sequence[P],
    schema: pa.Schema,
    mark: Callable[[Sequence[P]], str],
    rows: Callable[[Sequence[P]], tuple[list[dict[str, Any]], list[Problem]]],
    here: Processes,
    title: str,
) -> None:
    """Write the parts of this process that are not there yet, or were made of something else.

    Parameters
    ----------
    config : DictConfig
        Of a stage; `chunk` is the number of photos of a part.
    photos : sequence
        All of them, for all processes.
    schema : pyarrow.Schema
        Of the rows.
    mark : callable
        Some photos that follow each other → what their part is made of; see `mark_of_part`.
    rows : callable
        These photos → their rows, and what could not be used.
    here : Processes
        Which process this is.
    title : str
        Of the progress bar.
    """
    Path(config.out, PARTS).mkdir(exist_ok=True)
    files = part_files(Path(config.out), len(photos), config.chunk)
    console, told = Console(stderr=True), time.monotonic()
    for number, file in track(
        list(enumerate(files))[here.rank :: here.world],
        title,
        console=console,
        transient=True,
        disable=not (here.is_first and console.is_terminal),
    ):
        some = photos[number * config.chunk : (number + 1) * config.chunk]
        own = mark(some)
        if not is_done(file, own):
            began = time.perf_counter()
            found, problems = rows(some)
            write_part(file, own, found, schema, problems, time.perf_counter() - began)
        if here.is_first and not console.is_terminal and time.monotonic() - told > TELL_SECONDS:
            place = min((number + 1) * config.chunk, len(photos))
            console.print(f"{title}: {place:,} of {len(photos):,} photos", highlight=False)
            told = time.monotonic()


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


def merged(out: Path, photos: int, chunk: int, problems: Sequence[Problem]) -> Part:
    """Put the parts of so many photos together, and list their problems after the dataset's."""
    parts = [read_part(file) for file in part_files(out, photos, chunk)]
    problems = (*problems, *(problem for part in parts for problem in part.problems))
    write_problems(out / REJECTS, problems)
    table = pa.concat_tables(part.table for part in parts)
    return Part(table, problems, sum(part.seconds for part in parts))


def check_usable(out: Path, usable: pa.Table, photos: str, problems: Sequence[Problem]) -> None:
    """Raise a UserError if there is no usable row of `photos`, told in words; remove the parts."""
    if not len(usable):
        shutil.rmtree(out / PARTS)  # or the same command would not look again
        raise UserError(f"none of {photos} can be used{first_of(problems)}")


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
