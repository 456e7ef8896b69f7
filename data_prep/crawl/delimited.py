"""CSV and TSV files: every column is text, so that no type depends on where a block ends."""

from __future__ import annotations

import csv
from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv

from data_prep.crawl.columns import conform_table, crawl_schema, unite
from data_prep.crawl.lines import blocks_until_damage, line_blocks
from data_prep.crawl.rows import Splitter
from data_prep.crawl.source import Batch, Part, Source, damage, lost, unreadable

BLOCK_BYTES = 4 << 20


def delimited_parts(
    files: list[str], source: Source, delimiter: bytes
) -> tuple[list[Part], pa.Schema | None]:
    """List the files, and the columns of all of them."""
    parts: list[Part] = []
    schema: pa.Schema | None = None
    for file in files:
        try:
            names = _header(next(line_blocks(file, BLOCK_BYTES), b""), delimiter)[0]
        except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
            parts.append(Part(file, damage=f"no readable text: {damage(error, file)}"))
            continue
        if not names:
            parts.append(Part(file, damage="no header line"))
            continue
        written = pa.schema([(name, pa.string()) for name in names])
        schema = unite(schema, crawl_schema(written, source, file), file)
        parts.append(Part(file))
    return parts, schema


def read_delimited(
    part: Part, schema: pa.Schema, source: Source, delimiter: bytes
) -> Iterator[Batch]:
    """Read one file; an empty field is null, and blank lines are passed over."""
    reader: _Reader | None = None
    for block, trouble in blocks_until_damage(part.file, BLOCK_BYTES):
        if reader is None and block:
            names, size = _header(block, delimiter)
            reader = _Reader(part.file, names, schema, source, delimiter)
            reader.line += block.count(b"\n", 0, size)
            block = block[size:]
        if reader is not None:
            yield from reader.read(block or b"", last=block is None)
        if trouble is not None:
            yield lost(schema, part.file, None, trouble)


class _Reader:
    """Reads the blocks of one file after another."""

    def __init__(
        self, file: str, names: list[str], schema: pa.Schema, source: Source, delimiter: bytes
    ) -> None:
        self.file, self.names, self.schema, self.source = file, names, schema, source
        self.splitter = Splitter(delimiter, len(names))
        self.line = 1  # of the next block
        self.rest = b""

    def read(self, block: bytes, last: bool) -> Iterator[Batch]:
        block = self.rest + block
        table = self._simple(block)
        if table is not None:
            lines = self.line + np.arange(len(table))
            self.rest = b""
            self.line += len(table)
            yield from conform_table(table, self.schema, self.source, self.file, lines)
            return
        rows = self.splitter.split(block, self.line, last)
        self.rest, self.line = rows.rest, rows.rest_line
        if rows.bad:
            empty = pa.RecordBatch.from_pylist([], self.schema)
            yield Batch(empty, unreadable(self.file, *zip(*rows.bad, strict=True)))
        if rows.lines:
            lines = np.array(rows.lines)
            table = self._parse(rows.data)
            yield from conform_table(table, self.schema, self.source, self.file, lines)

    def _simple(self, block: bytes) -> pa.Table | None:
        """Parse a block in which every line is a good row; None where that is not so."""
        if not block or (b"\r" in block and block.count(b"\r") != block.count(b"\r\n")):
            return None
        if not self.splitter.is_row(block[block.rfind(b"\n", 0, -1) + 1 :]):
            return None
        try:
            table = self._parse(block)
        except pa.ArrowInvalid:
            return None
        return table if len(table) == block.count(b"\n") else None

    def _parse(self, data: bytes) -> pa.Table:
        # By position: a header may leave names empty.
        columns = [str(i) for i in range(len(self.names))]
        table = pa_csv.read_csv(
            pa.py_buffer(data),
            pa_csv.ReadOptions(use_threads=False, column_names=columns, block_size=len(data) + 1),
            pa_csv.ParseOptions(
                delimiter=self.splitter.delimiter.decode(), newlines_in_values=True
            ),
            pa_csv.ConvertOptions(
                check_utf8=False,  # or one row would spoil the block; conform() checks
                column_types=dict.fromkeys(columns, pa.string()),
                strings_can_be_null=True,
                null_values=[""],
            ),
        )
        return table.rename_columns(self.names)


def _header(block: bytes, delimiter: bytes) -> tuple[list[str], int]:
    """Give the names in the first row that is not blank, and where the next one begins."""
    size = len(block) - len(block.lstrip(b"\r\n"))
    size = block.find(b"\n", size) + 1
    text = block[:size].strip(b"\r\n").decode("utf-8")
    return next(csv.reader([text], delimiter=delimiter.decode()), []), size
