"""Tables on disk between two passes: rows in order, and rows brought together by a key."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa

from data_prep.compiled import compiled

BATCH_ROWS = 1 << 18
BATCH_BYTES = 256 << 20
PARTITION_ROWS = 1 << 22
LEAST_ROWS = 1 << 10  # of a batch, however many partitions there are


class Spool:
    """Rows in a file (Arrow IPC stream): written once, then read as often as wanted.

    Small batches are put together until there are `batch_rows` rows, or `BATCH_BYTES` of rows
    that are long.
    """

    def __init__(self, path: Path, schema: pa.Schema, batch_rows: int | None = None) -> None:
        self.schema = schema
        self._rows = 0
        self._path = path
        self._batch_rows = batch_rows or BATCH_ROWS
        self._waiting: list[pa.RecordBatch] = []
        self._waiting_rows = self._waiting_bytes = 0
        self._file = pa.OSFile(str(path), "wb")
        self._writer = pa.ipc.new_stream(self._file, schema)

    def write(self, batch: pa.RecordBatch) -> None:
        """Append rows."""
        self._rows += len(batch)
        while len(batch):
            piece = batch[: self._batch_rows - self._waiting_rows]
            self._waiting.append(piece)
            self._waiting_rows += len(piece)
            self._waiting_bytes += piece.nbytes
            if self._waiting_rows == self._batch_rows or self._waiting_bytes >= BATCH_BYTES:
                self._flush()
            batch = batch[len(piece) :]

    def __len__(self) -> int:
        return self._rows

    def close(self) -> None:
        """End writing."""
        self._flush()
        self._writer.close()
        self._file.close()

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        with pa.OSFile(str(self._path), "rb") as file, pa.ipc.open_stream(file) as reader:
            yield from reader

    def _flush(self) -> None:
        if self._waiting:
            self._writer.write_batch(pa.concat_batches(self._waiting))
        self._waiting = []
        self._waiting_rows = self._waiting_bytes = 0


class Partitions:
    """Rows spread over spools so that equal keys meet in one, in the order they were written.

    Each is small enough to be held in memory, unless a single key has more rows than
    `PARTITION_ROWS`.

    Parameters
    ----------
    folder : Path
        An existing folder.
    schema : pa.Schema
    key : str
        A column of whole numbers or strings, without nulls; its name is part of the file names.
    rows : int
        At most so many will be written.
    """

    def __init__(self, folder: Path, schema: pa.Schema, key: str, rows: int) -> None:
        count = max(1, -(-rows // PARTITION_ROWS))
        # All partitions together hold no more rows in memory than one spool.
        self.batch_rows = max(LEAST_ROWS, BATCH_ROWS // count)
        self._key = key
        self._spools = [
            Spool(folder / f"by-{key}-{i:05d}.arrow", schema, self.batch_rows) for i in range(count)
        ]

    def write(self, batch: pa.RecordBatch) -> None:
        """Append rows."""
        if len(self._spools) == 1:
            self._spools[0].write(batch)
            return
        partition = hash_keys(batch[self._key]) % np.uint64(len(self._spools))
        order = np.argsort(partition, kind="stable")
        batch = batch.take(pa.array(order))
        ends = np.searchsorted(partition[order], np.arange(len(self._spools) + 1))
        for spool, begin, end in zip(self._spools, ends[:-1], ends[1:], strict=True):
            spool.write(batch[int(begin) : int(end)])

    def __iter__(self) -> Iterator[pa.Table]:
        for spool in self._spools:
            spool.close()
            yield pa.Table.from_batches(spool, spool.schema)


def hash_keys(keys: pa.Array) -> np.ndarray:
    """Hash whole numbers or strings, the same on every machine.

    Parameters
    ----------
    keys : int64 or string (N,)
        Without nulls.

    Returns
    -------
    uint64 (N,)
    """
    if pa.types.is_integer(keys.type):
        mixed = keys.to_numpy().astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        return np.asarray(mixed ^ (mixed >> np.uint64(32)))
    texts = keys.cast(pa.large_string())
    _, offsets, data = texts.buffers()
    bounds = np.frombuffer(offsets, np.int64)[texts.offset : texts.offset + len(texts) + 1]
    return np.asarray(_hash_texts(np.frombuffer(data or b"", np.uint8), bounds))


@compiled
def _hash_texts(data: np.ndarray, bounds: np.ndarray) -> np.ndarray:
    """FNV-1a of each text, its high bits mixed into the low ones."""
    hashes = np.empty(bounds.size - 1, np.uint64)
    for n in range(bounds.size - 1):
        mixed = np.uint64(14695981039346656037)
        for k in range(bounds[n], bounds[n + 1]):
            mixed = (mixed ^ np.uint64(data[k])) * np.uint64(1099511628211)
        hashes[n] = mixed ^ (mixed >> np.uint64(32))
    return hashes
