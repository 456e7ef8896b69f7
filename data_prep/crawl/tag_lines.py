"""Plain text with an image's tags on every line; the number of the line is the image's id."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pyarrow as pa

from data_prep.crawl.columns import conform_table, crawl_schema
from data_prep.crawl.lines import blocks_until_damage
from data_prep.crawl.source import Batch, Part, Source, lost
from data_prep.errors import UserError

BLOCK_BYTES = 1 << 20
WRITTEN = pa.schema([("image_id", pa.int64()), ("tags", pa.string())])


def tag_lines_source(source: Source) -> Source:
    """Give the source with the columns that such a file has: `image_id` and `tags` only."""
    return replace(
        source, image_id="image_id", user_id=None, tags="tags", carry=None, order_by=None
    )


def tag_lines_parts(files: list[str], source: Source) -> tuple[list[Part], pa.Schema | None]:
    """Give the file, as the only part.

    Raises
    ------
    UserError
        There are several files, whose images would have the same ids.
    """
    if len(files) > 1:
        raise UserError(
            f"{files[1]}: data.format=lines reads a single file, as ids are line numbers; "
            "join the files"
        )
    return [Part(files[0])], crawl_schema(WRITTEN, source, files[0])


def read_tag_lines(part: Part, schema: pa.Schema, source: Source) -> Iterator[Batch]:
    """Read the file; an empty line is an image without tags."""
    line = 1
    for block, trouble in blocks_until_damage(part.file, BLOCK_BYTES):
        if trouble is not None:
            yield lost(schema, part.file, None, trouble)
        if block is None:
            break
        texts = pa.array(block[:-1].split(b"\n"), pa.binary())
        numbers = line + np.arange(len(texts))
        line += len(texts)
        # A view, not a cast: text that is not UTF-8 is found, row by row, in what follows.
        table = pa.table([pa.array(numbers), texts.view(pa.string())], schema=WRITTEN)
        yield from conform_table(table, schema, source, part.file, numbers)
