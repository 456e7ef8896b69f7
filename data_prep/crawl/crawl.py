"""Opening a crawl and reading its parts, whatever the format."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pyarrow as pa

from data_prep.crawl.columns import settle
from data_prep.crawl.delimited import delimited_parts, read_delimited
from data_prep.crawl.files import list_files
from data_prep.crawl.img2dataset import key_as_id, read_img2dataset
from data_prep.crawl.json_lines import json_parts, read_json
from data_prep.crawl.parquet import parquet_parts, read_parquet
from data_prep.crawl.source import Batch, Format, Part, Source, lost
from data_prep.crawl.tag_lines import read_tag_lines, tag_lines_parts, tag_lines_source
from data_prep.errors import UserError

DELIMITERS = {"csv": b",", "tsv": b"\t"}


@dataclass(frozen=True)
class Crawl:
    """A crawl that was looked at and can be read, part by part; picklable.

    Attributes
    ----------
    source : Source
        As it was given, but with the names of the columns that img2dataset or lines have.
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
            The system refuses the file.
        """
        if part.damage is not None:
            yield lost(self.schema, part.file, None, part.damage)
        elif self.format in DELIMITERS:
            delimiter = DELIMITERS[self.format]
            yield from read_delimited(part, self.schema, self.source, delimiter)
        elif self.format == "jsonl":
            yield from read_json(part, self.schema, self.source)
        elif self.format == "lines":
            yield from read_tag_lines(part, self.schema, self.source)
        elif self.format == "img2dataset":
            yield from read_img2dataset(part, self.schema, self.source)
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
    files, form = list_files(source)
    if form in DELIMITERS:
        parts, schema = delimited_parts(files, source, DELIMITERS[form])
    elif form == "jsonl":
        parts, schema = json_parts(files, source)
    elif form == "lines":
        source = tag_lines_source(source)
        parts, schema = tag_lines_parts(files, source)
    else:
        if form == "img2dataset":
            source = key_as_id(files, source)
        parts, schema = parquet_parts(files, source)
    if schema is None:
        why = parts[0].damage or "no line is a JSON object"
        others = f"nor is any other of the {len(files)} files; " if len(files) > 1 else ""
        raise UserError(
            f"{parts[0].file}: not readable as {form} ({why}); {others}"
            "check crawl= and data.format="
        )
    return Crawl(source, form, parts, settle(schema, source))
