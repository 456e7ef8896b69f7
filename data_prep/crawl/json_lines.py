"""JSON Lines: blocks in one go, and line by line where something in a block is odd."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.json as pa_json

from data_prep.crawl.columns import conform_table, crawl_schema, unite
from data_prep.crawl.json_values import Misfit, column_type, fit, is_id, is_tags, parse
from data_prep.crawl.lines import blocks_until_damage, line_blocks
from data_prep.crawl.source import Batch, Part, Source, damage, lost, unreadable

BLOCK_BYTES = 1 << 20


def json_parts(files: list[str], source: Source) -> tuple[list[Part], pa.Schema | None]:
    """List the files, and the columns found in the first mebibyte of each of them.

    A key that comes up later only is passed over.
    """
    parts: list[Part] = []
    schema: pa.Schema | None = None
    for file in files:
        try:
            block = next(line_blocks(file, BLOCK_BYTES), b"")
        except (pa.ArrowException, OSError) as error:
            parts.append(Part(file, damage=f"no readable text: {damage(error, file)}"))
            continue
        parts.append(Part(file))
        written = _written(block, source)
        if written is not None:
            schema = unite(schema, crawl_schema(written, source, file), file)
    return parts, schema


def read_json(part: Part, schema: pa.Schema, source: Source) -> Iterator[Batch]:
    """Read one file; a line whose values do not fit the columns is told as unreadable."""
    asked = {"image_id": source.image_id, "user_id": source.user_id, "tags": source.tags}
    types = {asked.get(field.name, field.name): field.type for field in schema}
    line = 1
    tags: pa.DataType = pa.list_(pa.string())
    for block, trouble in blocks_until_damage(part.file, BLOCK_BYTES):
        if trouble is not None:
            yield lost(schema, part.file, None, trouble)
        if block is None:
            break
        table, tags = _fast(block, types | {source.tags: tags}, source.tags)
        lines = line + np.arange(block.count(b"\n"))
        line += len(lines)
        if table is None:
            table, good, bad = _slow(block, types, source)
            if bad:
                at, reasons, texts = zip(*bad, strict=True)
                gone = unreadable(part.file, lines[list(at)].tolist(), reasons, texts)
                yield Batch(pa.RecordBatch.from_pylist([], schema), gone)
            lines = lines[good]
        yield from conform_table(table, schema, source, part.file, lines)


def _fast(
    block: bytes, types: dict[str, pa.DataType], tags: str
) -> tuple[pa.Table | None, pa.DataType]:
    """Parse a block of good lines, whose tags are of one type; None where that is not so.

    The type of the tags comes back: that of the next block, most likely.
    """
    first = types[tags]
    lines = block.count(b"\n")
    if not block.startswith(b"{") or block.count(b"\n{") != lines - 1:
        return None, first  # blank lines, or other than objects
    second = pa.string() if first != pa.string() else pa.list_(pa.string())
    for kind in (first, second):
        try:
            table = pa_json.read_json(
                pa.py_buffer(block),
                pa_json.ReadOptions(use_threads=False, block_size=len(block) + 1),
                pa_json.ParseOptions(
                    explicit_schema=pa.schema(types | {tags: kind}),
                    unexpected_field_behavior="ignore",
                ),
            )
        # Bytes that are not UTF-8 in the message make a UnicodeDecodeError.
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError, UnicodeDecodeError):
            continue
        if len(table) == lines:
            return table, kind
        break  # two objects on a line
    return None, first


def _slow(
    block: bytes, types: dict[str, pa.DataType], source: Source
) -> tuple[pa.Table, list[int], list[tuple[int, str, bytes]]]:
    """Parse line by line; the indices of good lines, and (index, reason, text) of the others."""
    types = types | {source.tags: pa.list_(pa.string())}
    rows: list[dict[str, Any]] = []
    good: list[int] = []
    bad: list[tuple[int, str, bytes]] = []
    for index, line in enumerate(block[:-1].split(b"\n")):
        if not line.strip():
            continue
        try:
            row = parse(line)
            for key in _ids(source):
                if row.get(key) is not None and not is_id(row[key]):
                    raise Misfit(f"column {key!r} is neither a whole number nor text")
            if isinstance(row.get(source.tags), str):
                row[source.tags] = row[source.tags].split(source.tags_delimiter)
            rows.append({name: fit(row.get(name), kind, name) for name, kind in types.items()})
        except Misfit as misfit:
            bad.append((index, str(misfit), line))
        else:
            good.append(index)
    columns = {n: pa.array([row[n] for row in rows], kind) for n, kind in types.items()}
    return pa.table(columns), good, bad


def _written(block: bytes, source: Source) -> pa.Schema | None:
    """Guess the columns of a file from its first lines; None if no line is good."""
    values: dict[str, list[Any]] = {}
    for line in block[:-1].split(b"\n"):
        try:
            row = parse(line)
        except Misfit:
            continue
        for name, value in row.items():
            values.setdefault(name, []).append(value)
    if not values:
        return None
    # An odd value costs its row; it does not decide on the type.
    sound = dict.fromkeys(_ids(source), is_id) | {source.tags: is_tags}
    for name, test in sound.items():
        if name in values:
            values[name] = list(filter(test, values[name])) or values[name]
    return pa.schema([(name, column_type(found)) for name, found in values.items()])


def _ids(source: Source) -> list[str]:
    return [name for name in (source.image_id, source.user_id) if name is not None]
