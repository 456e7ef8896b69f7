"""Candidates for near-duplicates, gathered by user while all images stream by."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from data_prep.cleaning.crawl_order import CrawlOrder
from data_prep.cleaning.near_duplicates import near_duplicates
from data_prep.cleaning.rules import Rules
from data_prep.cleaning.spool import Partitions, Spool

FIRST = pa.list_(pa.int32())


class UserGroups:
    """Images of known users and their first tags, brought together by user.

    Parameters
    ----------
    folder : Path
        An existing folder for what is gathered.
    rows : Spool
        All rows of the crawl.
    order : CrawlOrder
        What was learnt about the crawl order from them.
    order_by : str
        Its column.
    rules : Rules
    """

    def __init__(
        self,
        folder: Path,
        rows: Spool,
        order: CrawlOrder,
        order_by: str,
        rules: Rules,
    ) -> None:
        self._folder = folder
        self._rules = rules
        self._order_by = order_by
        self._order = order
        fields = [pa.field("row", pa.int64()), pa.field("first", FIRST)]
        fields += [rows.schema.field(name) for name in ("user_id", "image_id")]
        if not order.sorted:
            fields.append(rows.schema.field(order_by).with_name("order"))
        self._schema = pa.schema(fields)
        self._partitions = Partitions(folder, self._schema, "user_id", len(rows))

    def write(self, start: int, batch: pa.RecordBatch, first: np.ndarray, kept: np.ndarray) -> None:
        """Gather the rows of a batch that are still in.

        Parameters
        ----------
        start : int
            Number of the batch's first row in the crawl.
        batch : pa.RecordBatch
        first : int32 (N, F)
            First tags, -1 where there are fewer.
        kept : bool (N,)
        """
        chosen = np.flatnonzero(kept & batch["user_id"].is_valid().to_numpy(zero_copy_only=False))
        names = dict.fromkeys(["user_id", "image_id", self._order_by])
        rows = batch.select(list(names)).take(pa.array(chosen))
        width = first.shape[1]
        lists = pa.ListArray.from_arrays(
            np.arange(0, (len(chosen) + 1) * width, width, dtype=np.int32), first[chosen].ravel()
        )
        columns = [pa.array(start + chosen), lists, rows["user_id"], rows["image_id"]]
        if not self._order.sorted:
            columns.append(rows[self._order_by])
        self._partitions.write(pa.record_batch(columns, schema=self._schema))

    def find(self) -> Iterator[Spool]:
        """Find the near-duplicates.

        Yields
        ------
        Spool
            `row` (int64, ascending) of images that resemble an earlier one, and that one's id,
            `like`. A row is in one of the spools at most.
        """
        schema = pa.schema([("row", pa.int64()), self._schema.field("image_id").with_name("like")])
        for number, images in enumerate(self._partitions):
            images = self._sorted(images)
            users = images["user_id"].combine_chunks().dictionary_encode().indices.to_numpy()
            first = images["first"].combine_chunks().flatten().to_numpy()
            like = near_duplicates(users, first.reshape(-1, self._rules.first_tags), self._rules)
            found = np.flatnonzero(like >= 0)
            ids = images["image_id"].take(pa.array(like[found]))
            alike = pa.table({"row": images["row"].take(pa.array(found)), "like": ids})
            path = self._folder / f"alike-{number:05d}.arrow"
            spool = Spool(path, schema, self._partitions.batch_rows)
            for batch in alike.sort_by("row").to_batches():
                spool.write(batch)
            spool.close()
            yield spool

    def _sorted(self, images: pa.Table) -> pa.Table:
        """Put images in crawl order; rows come in the order in which they were read."""
        if self._order.sorted:
            return images
        keys = self._order.sort_keys(images["order"].combine_chunks())
        order = pc.sort_indices(
            pa.table({"order": keys, "row": images["row"]}),
            [("order", "ascending"), ("row", "ascending")],
        )
        return images.take(order)


class RowReader:
    """Reads spools with an ascending column `row`, from one row number to the next."""

    def __init__(self, spools: list[Spool]) -> None:
        self._streams = [iter(spool) for spool in spools]
        self._rest = [spool.schema.empty_table() for spool in spools]

    def until(self, row: int) -> list[pa.Table]:
        """Give what lies before a row and was not given yet, from each spool."""
        return [self._advance(number, row) for number in range(len(self._streams))]

    def _advance(self, number: int, row: int) -> pa.Table:
        found = self._rest[number]
        while len(found) == 0 or found["row"][-1].as_py() < row:
            batch = next(self._streams[number], None)
            if batch is None:
                break
            found = pa.concat_tables([found, pa.Table.from_batches([batch])])
        end = int(np.searchsorted(found["row"].to_numpy(), row))
        self._rest[number] = found[end:]
        return found[:end]
