"""The steps of cleaning on one chunk of a crawl, given what is known of all others.

`decided` holds the chunk's rows that are out already, for what other chunks hold: `row`, `reason`
(code) and `detail`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from data_prep.cleaning import output
from data_prep.cleaning.counting import alphabet_places
from data_prep.cleaning.crawl_order import padded
from data_prep.cleaning.near_duplicates import near_duplicates
from data_prep.cleaning.rules import KEPT, NEAR_DUPLICATE, REASONS, UNREADABLE, Rules, judge
from data_prep.cleaning.spark.chunks import CHUNK_ROWS, ROW_BITS, ChunkSpool, chunk_name
from data_prep.cleaning.spark.folders import new_file, temporary
from data_prep.crawl.column_types import is_text
from data_prep.errors import UserError

COMPARED_ROWS = 1 << 20  # at a time; one user's are never parted
DECIDED = pa.schema(
    {"chunk": pa.int64(), "row": pa.int64(), "reason": pa.int8(), "detail": pa.string()}
)


def image_ids(spool: ChunkSpool, chunk: int, _decided: pa.Table) -> pa.Table:
    """Give each `row` number and `image_id`."""
    ids = spool.rows(chunk, ["image_id"])["image_id"]
    return pa.table({"row": _numbers(chunk, len(ids)), "image_id": ids})


def count_tags(spool: ChunkSpool, chunk: int, decided: pa.Table) -> pa.Table:
    """Count how many images each `tag` is on, `count`, without rows that are out already."""
    tags = spool.tags(chunk)
    lists = spool.rows(chunk, ["tags"])["tags"]
    still_in = pa.array(_reasons(decided, len(lists)) == KEPT)
    numbers = lists.filter(still_in).flatten().to_numpy()
    return pa.table({"tag": tags, "count": np.bincount(numbers, minlength=len(tags))})


def candidates(
    spool: ChunkSpool,
    chunk: int,
    decided: pa.Table,
    vocabulary: pa.Array,
    rules: Rules,
    numbers: bool,
) -> pa.Table:
    """Give the images that are to be compared with others of their user.

    Parameters
    ----------
    spool, chunk, decided, vocabulary : as for `write`
    rules : Rules
    numbers : bool
        The crawl is ordered by text that is a number in every row.

    Returns
    -------
    pa.Table
        `row`, `user_id`, `place` (sorts into crawl order), `image_id` and `first`: the first
        tags, as vocabulary codes, or as strings where tags outside the vocabulary count too;
        null where there are fewer.
    """
    names = list(dict.fromkeys(["image_id", "user_id", "tags", spool.order_by]))
    rows, tags = spool.rows(chunk, names), spool.tags(chunk)
    reasons = _reasons(decided, len(rows))
    code_of, first = _judge(rows, tags, vocabulary, rules, reasons)
    known = rows["user_id"].is_valid().to_numpy(zero_copy_only=False)
    chosen = np.flatnonzero((reasons == KEPT) & known)
    rows, first = rows.take(pa.array(chosen)), first[chosen]
    labels = tags if rules.order_tags == "all" else pa.array(code_of)
    ends = np.arange(0, first.size + 1, first.shape[1], dtype=np.int32)
    words = labels.take(pa.array(first.ravel(), mask=first.ravel() < 0))
    return pa.table({
        "row": _numbers(chunk, CHUNK_ROWS)[chosen],
        "user_id": rows["user_id"],
        "place": sortable(rows[spool.order_by], numbers, spool.order_by),
        "image_id": rows["image_id"],
        "first": pa.ListArray.from_arrays(ends, words),
    })  # fmt: skip


def find_alike(batches: Iterable[pa.RecordBatch], rules: Rules) -> Iterator[pa.RecordBatch]:
    """Find near-duplicates among candidates that come user by user, each in crawl order.

    Yields
    ------
    pa.RecordBatch
        With the columns of `DECIDED`.
    """
    waiting: list[pa.RecordBatch] = []
    limit = COMPARED_ROWS
    for batch in batches:
        waiting.append(batch)
        if sum(map(len, waiting)) >= limit:
            table = pa.Table.from_batches(waiting)
            users = _labels(table["user_id"])
            begin = int(np.argmax(users == users[-1]))  # of the last user, who may go on
            if begin > 0:
                yield from _alike(table[:begin], rules)
            waiting = table[begin:].to_batches()
            limit = max(COMPARED_ROWS, 2 * (len(table) - begin))
    if waiting:
        yield from _alike(pa.Table.from_batches(waiting), rules)


def write(
    spool: ChunkSpool,
    chunk: int,
    decided: pa.Table,
    vocabulary: pa.Array,
    rules: Rules,
    images: str,
    rejects: str,
) -> pa.Table:
    """Write the kept and the dropped rows of a chunk, as temporary files of their own.

    Parameters
    ----------
    spool : ChunkSpool
    chunk : int
    decided : pa.Table
        Rows that are out already.
    vocabulary : string (V,)
        Tag of each code.
    rules : Rules
    images, rejects : str
        Folders, as paths or URLs.

    Returns
    -------
    pa.Table
        One row: the names of the new files in `images` and in `rejects`, and to how many rows
        each reason was given (`reasons`).
    """
    rows, tags = spool.rows(chunk), spool.tags(chunk)
    schema = spool.crawl.schema
    reasons = _reasons(decided, len(rows))
    code_of, _ = _judge(rows, tags, vocabulary, rules, reasons)
    name = f"{chunk_name(chunk)}.parquet"
    kept_file, dropped_files = temporary(f"part-{name}"), [temporary(f"part-{name}")]
    with _parquet(f"{images}/{kept_file}", output.image_schema(schema)) as file:
        file.write_batch(output.images(rows.filter(pa.array(reasons == KEPT)), code_of, vocabulary))
    dropped = np.flatnonzero(reasons != KEPT)
    why = reasons[dropped], _details(decided, len(rows)).take(pa.array(dropped))
    with _parquet(f"{rejects}/{dropped_files[0]}", output.reject_schema(schema)) as file:
        file.write_batch(output.rejects(rows.take(pa.array(dropped)), tags, *why))
    counts = np.bincount(reasons, minlength=len(REASONS))
    lost = spool.lost(chunk)
    if len(lost):
        # Of a name after all others, as these rejects come last.
        dropped_files.append(temporary(f"unreadable-{name}"))
        with _parquet(f"{rejects}/{dropped_files[1]}", output.reject_schema(schema)) as file:
            file.write_batch(output.unreadable_rejects(lost, schema))
    counts[UNREADABLE] = len(lost)
    return pa.table({"images": [[kept_file]], "rejects": [dropped_files], "reasons": [counts]})


def sortable(keys: pa.Array, numbers: bool, name: str) -> pa.Array:
    """Turn order keys into whole numbers, floats or text, which Spark sorts as Arrow does."""
    kind = keys.type
    if pa.types.is_dictionary(kind):
        return sortable(keys.cast(kind.value_type), numbers, name)
    if is_text(kind):
        return padded(keys) if numbers else keys.cast(pa.string())
    if pa.types.is_floating(kind):
        return keys.cast(pa.float64())
    if pa.types.is_date32(kind) or pa.types.is_time32(kind):
        return keys.cast(pa.int32()).cast(pa.int64())
    try:
        return keys.cast(pa.int64())
    except pa.ArrowException as error:
        remedy = "give one of whole numbers, text or times"
        raise UserError(f"data.order_by: Spark sorts by no column {name!r} of {kind}; {remedy}"
                        ) from error  # fmt: skip


def _judge(
    rows: pa.RecordBatch, tags: pa.Array, vocabulary: pa.Array, rules: Rules, reasons: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Fill in reasons; give the code of each tag (D,) and the images' first tags (N, F)."""
    code_of = pc.index_in(tags, vocabulary).fill_null(-1).to_numpy()
    return code_of, judge(rows["tags"], code_of, alphabet_places(tags), rules, reasons)


def _alike(images: pa.Table, rules: Rules) -> Iterator[pa.RecordBatch]:
    first = pa.chunked_array([lists.flatten() for lists in images["first"].chunks])
    labels = _labels(first).reshape(len(images), rules.first_tags)
    like = near_duplicates(_labels(images["user_id"]), labels, rules)
    found = np.flatnonzero(like >= 0)
    rows = images["row"].to_numpy()[found]
    ids = images["image_id"].take(pa.array(like[found])).cast(pa.string())
    detail = pc.binary_join_element_wise("like", ids, " ")
    reasons = np.full(len(found), NEAR_DUPLICATE, np.int8)
    table = pa.table([rows >> ROW_BITS, rows, reasons, detail], schema=DECIDED)
    yield from table.to_batches()


def _labels(column: pa.ChunkedArray) -> np.ndarray:
    """Number the distinct values (int32); null is -1."""
    return column.dictionary_encode().combine_chunks().indices.fill_null(-1).to_numpy()


def _numbers(chunk: int, rows: int) -> np.ndarray:
    return (chunk << ROW_BITS) + np.arange(rows)


def _places(decided: pa.Table) -> np.ndarray:
    return decided["row"].to_numpy() & (CHUNK_ROWS - 1)


def _reasons(decided: pa.Table, rows: int) -> np.ndarray:
    reasons = np.zeros(rows, np.uint8)
    reasons[_places(decided)] = decided["reason"].to_numpy()
    return reasons


def _details(decided: pa.Table, rows: int) -> pa.Array:
    of_row = np.full(rows, -1)
    of_row[_places(decided)] = np.arange(len(decided))
    return pa.array(decided["detail"].to_pylist(), pa.string()).take(
        pa.array(of_row, mask=of_row < 0)
    )


@contextmanager
def _parquet(path: str, schema: pa.Schema) -> Iterator[pq.ParquetWriter]:
    with new_file(path) as file, output.parquet_writer(file, schema) as writer:
        yield writer
