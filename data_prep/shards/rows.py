"""The cleaned rows, as far as shards need them: held in memory, about 100 bytes a photo."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from data_prep.errors import UserError
from data_prep.shards.index import VOCABULARY, read_vocabulary

IMAGES = "images.parquet"
DONE = "done.json"
REMEDY = "give the folder that stage=clean wrote"
CODES = pa.list_(pa.int32())


def read_rows(folder: Path, extra: Iterable[str] = ()) -> tuple[pa.RecordBatch, pa.Table]:
    """Read what stage=clean wrote.

    Tags are kept as codes alone. At the end of the reading, the rows are in memory twice.

    Parameters
    ----------
    folder : Path
        With `images.parquet`, a file or a folder of them, and `vocabulary.parquet`.
    extra : iterable of str
        Further columns to keep.

    Returns
    -------
    rows : pa.RecordBatch
        image_id, codes (list<int32>, no null); if the rows have them user_id and unknown (as
        codes, without tags outside the vocabulary); the further columns.
    vocabulary : pa.Table
        tag, count, rank.

    Raises
    ------
    UserError
        The folder is missing, unfinished or lacks a column, or rows and vocabulary do not fit.
    """
    _check_finished(folder)
    vocabulary = read_vocabulary(folder / VOCABULARY)
    tags = vocabulary["tag"].combine_chunks().cast(pa.string())
    try:
        dataset = ds.dataset(folder / IMAGES, format="parquet")
    except (OSError, ValueError) as error:
        raise UserError(f"cleaned={folder}: {IMAGES} cannot be read; {REMEDY}") from error
    names = dataset.schema.names
    for name in ("image_id", "tags", "codes", *extra):
        if name not in names:
            raise UserError(f"{folder / IMAGES}: no column {name}; there are {', '.join(names)}")
    optional = [name for name in ("user_id", "unknown") if name in names]
    wanted = list(dict.fromkeys(["image_id", "tags", "codes", *optional, *extra]))
    batches = []
    try:
        for file in dataset.files:  # dataset.to_batches reads far ahead, half a GB more
            for batch in pq.ParquetFile(file).iter_batches(columns=wanted):
                _check_codes(batch, tags, folder)
                batches.append(_coded(batch.select(wanted), tags))
    except (OSError, pa.ArrowException) as error:
        raise UserError(f"{folder / IMAGES}: cannot be read ({error}); {REMEDY}") from error
    if not sum(map(len, batches)):
        raise UserError(f"{folder / IMAGES}: no rows; clean with weaker rules")
    rows = pa.concat_batches(batches)
    if rows["image_id"].null_count:
        raise UserError(f"{folder / IMAGES}: rows without an image_id; {REMEDY}")
    return rows, vocabulary


def _check_finished(folder: Path) -> None:
    if not folder.is_dir():
        raise UserError(f"cleaned={folder}: no such folder; run stage=clean first, or {REMEDY}")
    for name in (DONE, IMAGES, VOCABULARY):
        if not (folder / name).exists():
            raise UserError(f"cleaned={folder}: {name} is missing; run stage=clean to its end")


def _check_codes(batch: pa.RecordBatch, tags: pa.Array, folder: Path) -> None:
    """Refuse rows whose codes count in another vocabulary."""
    remedy = f"take {IMAGES} and {VOCABULARY} from the same run of stage=clean"
    codes, spelled = batch["codes"], batch["tags"]
    flat = codes.flatten()
    limits = pc.min_max(flat).as_py()
    if len(flat) and (flat.null_count or limits["min"] < 0 or limits["max"] >= len(tags)):
        wrong = limits["min"] if limits["min"] < 0 else limits["max"]
        raise UserError(
            f"{folder / IMAGES}: code {wrong}, but {VOCABULARY} has {len(tags)} tags; {remedy}"
        )
    same_lengths = pc.list_value_length(codes).equals(pc.list_value_length(spelled))
    if not same_lengths or not tags.take(flat).equals(spelled.flatten().cast(pa.string())):
        raise UserError(f"{folder / IMAGES}: codes are not those of the tags; {remedy}")


def _coded(batch: pa.RecordBatch, tags: pa.Array) -> pa.RecordBatch:
    """Leave only the codes of tags, and make codes of unknown ones."""
    columns = {}
    for name in batch.schema.names:
        column = batch[name]
        if pa.types.is_dictionary(column.type):
            column = column.dictionary_decode()
        if name == "codes":
            column = _without_nulls(column.cast(CODES))
        elif name == "unknown":
            column = _unknown_codes(_without_nulls(column), tags)
        if name != "tags":
            columns[name] = column
    return pa.record_batch(columns)


def _without_nulls(lists: pa.ListArray) -> pa.ListArray:
    return pc.fill_null(lists, pa.scalar([], lists.type)) if lists.null_count else lists


def _unknown_codes(lists: pa.ListArray, tags: pa.Array) -> pa.ListArray:
    """Look tags up; those outside the vocabulary are dropped."""
    found = pc.index_in(lists.flatten().cast(pa.string()), tags)
    known = pc.is_valid(found)
    before = pa.array([0]).cast(pa.int64())  # tags found before each place
    running = pa.concat_arrays([before, pc.cumulative_sum(known.cast(pa.int64()))])
    begins = pc.subtract(lists.offsets, lists.offsets[0])
    offsets = running.take(begins).cast(pa.int32())
    return pa.ListArray.from_arrays(offsets, found.drop_null().cast(pa.int32()))
