"""Cleaning on one machine: a few passes over rows kept on disk, in bounded memory.

In memory grows with the crawl: one byte a row, the table of distinct tags, and the images of the
user who has most.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from data_prep.cleaning import output
from data_prep.cleaning.counting import alphabet_places, rank_tags
from data_prep.cleaning.crawl_order import CrawlOrder
from data_prep.cleaning.funnel import make_funnel, skipped_rules
from data_prep.cleaning.rules import (
    DUPLICATE_ID,
    KEPT,
    NEAR_DUPLICATE,
    REASONS,
    UNREADABLE,
    Rules,
    judge,
)
from data_prep.cleaning.spool import Partitions, Spool
from data_prep.cleaning.tag_table import TagTable
from data_prep.cleaning.user_groups import RowReader, UserGroups
from data_prep.crawl.source import UNREADABLE as LOST
from data_prep.crawl.source import Batch
from data_prep.errors import UserError

Progress = Callable[[Iterable[Any], str, int | None], Iterable[Any]]


def no_progress(batches: Iterable[Any], _what: str, _rows: int | None) -> Iterable[Any]:
    """Show nothing."""
    return batches


class LocalCleaner:
    """One cleaning run: `run`, then ask for what came of it.

    Parameters
    ----------
    rules : Rules
    folder : Path
        An existing folder for rows between passes: 4 bytes a tag and the other columns as they
        are. The caller removes it.
    schema : pa.Schema
        Of the rows that will be read.
    order_by : str
        Column that gives the crawl order.
    progress : callable
        Wraps each pass over batches: (batches, what is done, rows if known) → the same batches.

    Attributes
    ----------
    vocabulary : pa.Table
        As `rank_tags` makes it.
    counts : int64 (D,)
        Images that each distinct tag is on.
    """

    def __init__(
        self,
        rules: Rules,
        folder: Path,
        schema: pa.Schema,
        order_by: str = "image_id",
        progress: Progress = no_progress,
    ) -> None:
        self.rules = rules
        self.schema = schema
        self._folder = folder
        self._progress = progress
        self._order_by = order_by
        self._ids = CrawlOrder()
        self._order = self._ids if order_by == "image_id" else CrawlOrder()
        self._table = TagTable(rules.normalise)
        self._alike: list[Spool] = []
        self._without_user = 0
        at = schema.get_field_index("tags")
        encoded = schema.set(at, pa.field("tags", output.CODES))
        self._rows = Spool(folder / "rows.arrow", encoded)
        self._lost = Spool(folder / "unreadable.arrow", LOST)

    def run(self, batches: Iterable[Batch], rows: int | None = None) -> None:
        """Read all rows (their number, where known, is for the progress) and decide on each.

        Raises
        ------
        UserError
            There is no row, or no tag is frequent enough for the vocabulary.
        """
        self._read(self._progress(batches, "Reading", rows))
        if len(self._rows) == 0:
            raise UserError(f"the crawl holds no image{self._why_none()}")
        self._reasons = np.zeros(len(self._rows), np.uint8)
        if not self._ids.distinct:
            self._drop_duplicate_ids()
        self._tags = pa.array(self._table.tags, pa.string())
        self.counts = self._count()
        self.vocabulary = rank_tags(self._tags, pa.array(self.counts), self.rules.min_frequency)
        self._names = self.vocabulary["tag"].combine_chunks()
        self._code_of = pc.index_in(self._tags, self._names).fill_null(-1).to_numpy()
        self._judge()

    def results(self) -> Iterator[tuple[pa.RecordBatch, pa.RecordBatch]]:
        """Give the kept and the dropped rows, in the order in which they came.

        Yields
        ------
        images : pa.RecordBatch
            Kept rows: the columns as read, `tags` being the vocabulary tags, in order, and
            `codes` (list<int32>), their places in the vocabulary, from 0.
        rejects : pa.RecordBatch
            Dropped rows: the columns as read, `tags` being all tags, normalised, and `reason`
            and `detail` (strings): of a near-duplicate the earlier image that it resembles, of
            an unreadable row, which come last, where it stood and what was wrong.
        """
        alike = RowReader(self._alike)
        for start, batch in self._spooled("Writing"):
            reasons = self._reasons[start : start + len(batch)]
            kept = pa.array(reasons == KEPT)
            dropped = np.flatnonzero(reasons != KEPT)
            detail = _resemblance(alike.until(start + len(batch)), start + dropped)
            yield (
                output.images(batch.filter(kept), self._code_of, self._names),
                output.rejects(batch.take(pa.array(dropped)), self._tags, reasons[dropped], detail),
            )
        for lost in self._lost:
            none = pa.RecordBatch.from_pylist([], output.image_schema(self.schema))
            yield none, output.unreadable_rejects(lost, self.schema)

    def funnel(self) -> dict[str, Any]:
        """Count rows: read, kept, dropped by each rule; see `make_funnel`."""
        by_reason = np.bincount(self._reasons, minlength=len(REASONS)).tolist()
        by_reason[UNREADABLE] = len(self._lost)
        return make_funnel(
            by_reason,
            self.counts,
            self.vocabulary,
            self._table.changed,
            self._without_user,
            skipped_rules(self.rules, self.schema.names),
        )

    def _why_none(self) -> str:
        for lost in self._lost:
            first = output.describe_lost(lost[:1].to_pylist()[0])
            return f" ({len(self._lost)} unreadable rows; the first: {first})"
        return ""

    def _spooled(self, what: str) -> Iterator[tuple[int, pa.RecordBatch]]:
        """Give the rows read, with the number of the first of each batch."""
        start = 0
        for batch in self._progress(self._rows, what, len(self._rows)):
            yield start, batch
            start += len(batch)

    def _read(self, batches: Iterable[Batch]) -> None:
        at = self.schema.get_field_index("tags")
        for batch in batches:
            self._ids.add(batch.rows["image_id"])
            if self._order is not self._ids:
                self._order.add(batch.rows[self._order_by])
            if "user_id" in self.schema.names:
                self._without_user += batch.rows["user_id"].null_count
            tags = self._table.encode(batch.rows["tags"])
            self._rows.write(batch.rows.set_column(at, self._rows.schema.field(at), tags))
            self._lost.write(batch.unreadable)
        self._rows.close()
        self._lost.close()

    def _drop_duplicate_ids(self) -> None:
        schema = pa.schema([("row", pa.int64()), self.schema.field("image_id")])
        partitions = Partitions(self._folder, schema, "image_id", len(self._rows))
        for start, batch in self._spooled("Looking for repeated image ids"):
            rows = pa.array(np.arange(start, start + len(batch)))
            partitions.write(pa.record_batch([rows, batch["image_id"]], schema=schema))
        for ids in partitions:
            # Codes are given in order of first appearance: a new one exceeds all before it.
            codes = ids["image_id"].combine_chunks().dictionary_encode().indices.to_numpy()
            repeated = codes[1:] <= np.maximum.accumulate(codes)[:-1]
            self._reasons[ids["row"].to_numpy()[1:][repeated]] = DUPLICATE_ID

    def _count(self) -> np.ndarray:
        counts = np.zeros(len(self._tags), np.int64)
        for start, batch in self._spooled("Counting tags"):
            kept = self._reasons[start : start + len(batch)] == KEPT
            tags = batch["tags"] if kept.all() else batch["tags"].filter(pa.array(kept))
            counts += np.bincount(tags.flatten().to_numpy(), minlength=len(counts))
        return counts

    def _judge(self) -> None:
        """Judge each image alone, then, user by user, those that are still in."""
        users = None
        if "near_duplicate" not in skipped_rules(self.rules, self.schema.names):
            users = UserGroups(self._folder, self._rows, self._order, self._order_by, self.rules)
        place_of = alphabet_places(self._tags)
        for start, batch in self._spooled("Judging images"):
            reasons = self._reasons[start : start + len(batch)]
            first = judge(batch["tags"], self._code_of, place_of, self.rules, reasons)
            if users is not None:
                users.write(start, batch, first, reasons == KEPT)
        if users is not None:
            self._alike = list(self._progress(users.find(), "Comparing images of a user", None))
        for spool in self._alike:
            for batch in spool:
                self._reasons[batch["row"].to_numpy()] = NEAR_DUPLICATE


def _resemblance(alike: list[pa.Table], rows: np.ndarray) -> pa.Array:
    """Say for each row, ascending numbers (N,), which earlier image it is alike; null if none."""
    table = pa.concat_tables(alike) if alike else pa.table({"row": [], "like": []})
    place = np.full(len(rows), -1)
    place[np.searchsorted(rows, table["row"].to_numpy())] = np.arange(len(table))
    texts = pc.binary_join_element_wise("like", table["like"].cast(pa.string()), " ")
    return texts.combine_chunks().take(pa.array(place, mask=place < 0))
