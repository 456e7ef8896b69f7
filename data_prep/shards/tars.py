"""Finds photos in the tar files that img2dataset writes, by key."""

from __future__ import annotations

import re
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from data_prep.shards.photos import OFFSET, SIZE, TAR

# A key ends at the first dot of the file's name, as WebDataset has it.
PHOTO = re.compile(r"(?:\./)?((?:.*/)?[^./]+)\.(?:jpg|jpeg|png|webp)", re.IGNORECASE)
MEMBERS = pa.schema([("key", pa.string()), (OFFSET, pa.int64()), (SIZE, pa.int64())])


@dataclass(frozen=True)
class Scan:
    """What a tar file holds.

    Attributes
    ----------
    file : Path
    members : pa.RecordBatch
        Of each photo: key, offset of the content in the file, size in bytes.
    whole : bool
        False: the file is damaged or cut off. The photos before that point are listed.
    """

    file: Path
    members: pa.RecordBatch
    whole: bool


def scan(path: Path) -> Scan:
    """List the photos in an uncompressed tar file; only headers are read."""
    rows: list[tuple[str, int, int]] = []
    whole = False
    try:
        length = path.stat().st_size
        with path.open("rb") as file, tarfile.open(fileobj=file, mode="r:") as tar:
            while (member := tar.next()) and member.offset_data + member.size <= length:
                tar.members = []  # type: ignore[attr-defined]  # or all of them are kept
                if member.isreg() and (photo := PHOTO.fullmatch(member.name)):
                    rows.append((photo[1], member.offset_data, member.size))
            if member is None:  # tarfile takes a damaged header for the end
                file.seek(tar.offset)
                whole = file.read(tarfile.BLOCKSIZE) == bytes(tarfile.BLOCKSIZE)
    except (tarfile.TarError, OSError):
        pass
    columns = [list(column) for column in zip(*rows, strict=True)] or [[], [], []]
    arrays = [pa.array(c, field.type) for c, field in zip(columns, MEMBERS, strict=True)]
    return Scan(path, pa.record_batch(arrays, schema=MEMBERS), whole)


def locate(rows: pa.RecordBatch, scans: Sequence[Scan]) -> pa.RecordBatch:
    """Say for each row in which tar its photo is, and where in it.

    Parameters
    ----------
    rows : pa.RecordBatch
        With image_id. Ids that are numbers are compared without the zeros before a key.
    scans : sequence of Scan
        Of equal keys the first counts.

    Returns
    -------
    pa.RecordBatch
        The rows with `tar` (number of the scan), `offset` and `size`; null where there is none.
    """
    batches = [one.members for one in scans]
    members = pa.Table.from_batches(batches, MEMBERS).combine_chunks()
    numbers = [pa.repeat(pa.scalar(i, pa.int32()), len(batch)) for i, batch in enumerate(batches)]
    keys, ids = members["key"], rows["image_id"]
    if not pa.types.is_string(ids.type) and not pa.types.is_large_string(ids.type):
        keys = pc.replace_substring_regex(keys, r"^0+(\d)", r"\1")
    found = pc.index_in(ids.cast(pa.string()), keys)
    tar = pa.chunked_array(numbers, pa.int32()).take(found)
    columns = {TAR: tar, OFFSET: members[OFFSET].take(found), SIZE: members[SIZE].take(found)}
    for name, column in columns.items():
        rows = rows.append_column(name, _one(column))
    return rows


def _one(column: pa.ChunkedArray) -> pa.Array:
    combined = column.combine_chunks()
    return combined if isinstance(combined, pa.Array) else pa.concat_arrays(combined.chunks)
