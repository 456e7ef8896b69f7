"""A crawl in chunks, each read once and kept in a folder that all machines of a cluster reach."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import fsspec
import pyarrow as pa

from data_prep.cleaning.crawl_order import CrawlOrder
from data_prep.cleaning.output import CODES
from data_prep.cleaning.spark.folders import whole_file
from data_prep.cleaning.tag_table import TagTable
from data_prep.crawl import Batch, Crawl, Part
from data_prep.crawl.files import open_file
from data_prep.crawl.source import UNREADABLE as LOST
from data_prep.errors import UserError

# A row's number is made of its group of parts (24 bits), chunk there (20) and place there (19).
ROW_BITS, CHUNK_BITS, GROUP_BITS = 19, 20, 24
CHUNK_ROWS = 1 << ROW_BITS
CHUNK_BYTES = 256 << 20

SUMMARY = """chunk bigint, rows bigint, lost bigint, numbers boolean, changed string,
    without_user bigint"""
LZ4 = pa.ipc.IpcWriteOptions(compression="lz4")


def part_groups(parts: list[Part]) -> list[list[Part]]:
    """Put small consecutive parts together to about a chunk; one of unknown size stays alone.

    Raises
    ------
    UserError
        There are more groups than can be numbered.
    """
    groups: list[list[Part]] = []
    room = 0
    for part in parts:
        rows = CHUNK_ROWS if part.rows is None else part.rows
        if not groups or rows > room:
            groups.append([])
            room = CHUNK_ROWS
        groups[-1].append(part)
        room -= rows
    if len(groups) > 1 << GROUP_BITS:
        raise UserError(f"the crawl has too many files or row groups ({len(groups):,} when small "
                        f"ones are read together; {1 << GROUP_BITS:,} at most); merge some"
                        )  # fmt: skip
    return groups


def chunk_name(chunk: int) -> str:
    """Name a chunk so that the order of names is that of the rows."""
    return f"{chunk >> CHUNK_BITS:08d}-{chunk & ((1 << CHUNK_BITS) - 1):07d}"


@dataclass(frozen=True)
class ChunkSpool:
    """Where the chunks of a crawl are kept; picklable.

    Attributes
    ----------
    folder : str
        Local path or URL.
    crawl : Crawl
    normalised : bool
        Whether tags are brought into their one spelling.
    """

    folder: str
    crawl: Crawl
    normalised: bool

    @property
    def order_by(self) -> str:
        """Column of the crawl order."""
        return self.crawl.source.order_column

    def write(self, group: int, parts: list[Part]) -> Iterator[dict[str, Any]]:
        """Read a group of parts and keep it, in chunks.

        Yields
        ------
        dict
            Of each chunk: `chunk` (its number), `rows`, `lost` (rows that could not be read),
            `numbers` (whether all order keys are text that is a number; None without rows) and
            `changed` (JSON: what normalisation changed), `without_user` (rows that name none).

        Raises
        ------
        UserError
            The parts are too large for their chunks to be numbered.
        """
        batches = (batch for part in parts for batch in self.crawl.read(part))
        at = self.crawl.schema.get_field_index("tags")
        schema = self.crawl.schema.set(at, pa.field("tags", CODES))
        for index, piece in enumerate(_pieces(batches)):
            if index >> CHUNK_BITS:
                raise UserError(f"{parts[0].file}: too large to be read by one task; split it")
            chunk = group << CHUNK_BITS | index
            table, order = TagTable(self.normalised), CrawlOrder()
            encoded = []
            for batch in piece:
                order.add(batch.rows[self.order_by])
                tags = table.encode(batch.rows["tags"])
                encoded.append(batch.rows.set_column(at, schema.field(at), tags))
            rows = pa.Table.from_batches(encoded, schema).combine_chunks()
            lost = pa.Table.from_batches([batch.unreadable for batch in piece], LOST)
            self._write(chunk, "rows", rows)
            self._write(chunk, "tags", pa.table({"tag": pa.array(table.tags, pa.string())}))
            self._write(chunk, "lost", lost)
            numbers = order.numbers if len(rows) else None
            without_user = rows["user_id"].null_count if "user_id" in schema.names else 0
            yield {"chunk": chunk, "rows": len(rows), "lost": len(lost), "numbers": numbers,
                   "changed": json.dumps(table.changed), "without_user": without_user}  # fmt: skip

    def rows(self, chunk: int, columns: list[str] | None = None) -> pa.RecordBatch:
        """Give a chunk's rows; `tags` are a list<int32> of places in `tags(chunk)`."""
        return _one_batch(self._read(chunk, "rows", columns))

    def tags(self, chunk: int) -> pa.Array:
        """Give the distinct tags (string) of a chunk."""
        return _one_batch(self._read(chunk, "tags"))["tag"]

    def lost(self, chunk: int) -> pa.RecordBatch:
        """Give what is known of rows that could not be read, as in `Batch.unreadable`."""
        return _one_batch(self._read(chunk, "lost"))

    def holds(self, chunks: list[int]) -> bool:
        """Tell whether all these chunks are seen from here."""
        system, root = fsspec.url_to_fs(self.folder)
        system.invalidate_cache()
        names = {path.rpartition("/")[2] for path in system.ls(root, detail=False)}
        return names >= {f"{chunk_name(chunk)}.rows.arrow" for chunk in chunks}

    def _path(self, chunk: int, what: str) -> str:
        return f"{self.folder}/{chunk_name(chunk)}.{what}.arrow"

    def _write(self, chunk: int, what: str, table: pa.Table) -> None:
        with (
            whole_file(self._path(chunk, what)) as file,
            pa.ipc.new_file(file, table.schema, options=LZ4) as writer,
        ):
            writer.write_table(table)

    def _read(self, chunk: int, what: str, columns: list[str] | None = None) -> pa.Table:
        with open_file(self._path(chunk, what)) as file:
            fields = None
            if columns is not None:
                names = pa.ipc.open_file(file).schema.names
                fields = [names.index(name) for name in columns]
            options = pa.ipc.IpcReadOptions(included_fields=fields)
            return pa.ipc.open_file(file, options=options).read_all()


def _one_batch(table: pa.Table) -> pa.RecordBatch:
    """Give the rows of a chunk, few enough to be in one batch."""
    batches = table.combine_chunks().to_batches()
    return batches[0] if batches else pa.RecordBatch.from_pylist([], table.schema)


def _pieces(batches: Iterable[Batch]) -> Iterator[list[Batch]]:
    """Cut batches into lists of at most a chunk."""
    piece: list[Batch] = []
    rows = size = 0
    for batch in batches:
        more, bytes_more = len(batch.rows) + len(batch.unreadable), batch.rows.nbytes
        if piece and (rows + more > CHUNK_ROWS or size + bytes_more > CHUNK_BYTES):
            yield piece
            piece, rows, size = [], 0, 0
        piece.append(batch)
        rows, size = rows + more, size + bytes_more
    if piece:
        yield piece
