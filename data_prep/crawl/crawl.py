"""Opening a crawl and reading its parts, whatever the format."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pyarrow as pa

from data_prep.crawl.columns import settle
from data_prep.crawl.files import list_files
from data_prep.crawl.parquet import parquet_parts, read_parquet
from data_prep.crawl.source import Batch, Format, Part, Source, lost
from data_prep.errors import UserError


@dataclass(frozen=True)
class Crawl:
    """A crawl that was looked at and can be read, part by part; picklable.

    Attributes
    ----------
    source : Source
        As it was given.
    format : str
        As it was found.
    parts : list of Part
        By the files' paths, then row group. This is the order of the rows.
    schema : pyarrow.Schema
        Of `Batch.rows`.
    """

    source: Source
    format: Format
    parts: list[Part]
    schema: pa.Schema

    def read(self, part: Part) -> Iterator[Batch]:
        """Read one part, in the order of the file, in bounded memory.

        Raises
        ------
        UserError
            The system refuses the file, or an id is a number that is not whole.
        """
        if part.damage is not None:
            yield lost(self.schema, part.file, None, part.damage)
        else:
            yield from read_parquet(part, self.schema, self.source)


def open_crawl(source: Source) -> Crawl:
    """Find the files of a crawl and their columns.

    Columns are those of all files together; one that a file lacks is null there.

    Raises
    ------
    UserError
        Nothing is there or readable, or a column is missing or unusable.
    """
    if not source.tags_delimiter:
        raise UserError("data.tags_delimiter is empty; give the text between two tags, as in ','")
    files, form = list_files(source)
    parts, schema = parquet_parts(files, source)
    if schema is None:
        count = f"none of {len(files)} files can be read" if len(files) > 1 else "cannot be read"
        raise UserError(f"{parts[0].file}: {count} ({parts[0].damage}); check data.format")
    return Crawl(source, form, parts, settle(schema, source))
