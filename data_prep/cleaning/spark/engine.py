"""Cleaning on Apache Spark: crawls that one machine cannot hold, by the same rules.

The crawl is read once, in chunks, by the machines of the cluster, and each chunk becomes files
of its own in the output. Spark brings together only what chunks must know of each other: tag
counts, image ids and, user by user, the first tags of images.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from data_prep.cleaning.counting import rank_tags
from data_prep.cleaning.funnel import make_funnel, skipped_rules
from data_prep.cleaning.rules import DUPLICATE_ID, Rules
from data_prep.cleaning.spark import steps
from data_prep.cleaning.spark.chunks import ROW_BITS, SUMMARY, ChunkSpool, part_groups
from data_prep.cleaning.spark.folders import Folder
from data_prep.cleaning.spark.session import plain_errors
from data_prep.crawl import Crawl, Part
from data_prep.errors import UserError

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

DECIDED = "chunk bigint, row bigint, reason tinyint, detail string"
COUNTED = "tag string, count bigint"
WRITTEN = "images array<string>, rejects array<string>, reasons array<bigint>"
SPARK_TYPES = {pa.int64(): "bigint", pa.float64(): "double", pa.string(): "string"}
USER_ROWS = 1 << 21  # rows that a task sorts by user
MOST_TASKS = 10_000  # in a pass over chunks

Step = Callable[[int, pa.Table], pa.Table]  # of a chunk and the rows decided of it


def clean_on_spark(
    crawl: Crawl,
    rules: Rules,
    spark: SparkSession,
    owner: str,
    images_path: str,
    rejects_path: str,
    scratch_path: str,
) -> tuple[pa.Table, np.ndarray, dict[str, Any]]:
    """Clean a crawl; the rows are those of `LocalCleaner`.

    Parameters
    ----------
    crawl : Crawl
        Its files are within reach of all executors, under the same paths.
    rules : Rules
    spark : SparkSession
        From `open_session`.
    owner : str
        Who may write into these folders again, as the path of the run: what an earlier run of
        the same owner left there is removed, but a folder with anything else is refused.
    images_path, rejects_path : str
        Folders for Parquet files, as paths or URLs that all executors reach. In the order of
        their names the files hold the rows in the order of the crawl, unreadable ones last;
        columns as `LocalCleaner.results` gives them. The files have these names once all are
        written, and `_SUCCESS` comes last.
    scratch_path : str
        The same for what is kept between passes; it is removed at the end.

    Returns
    -------
    vocabulary : pa.Table
        As `rank_tags` makes it.
    counts : int64 (D,)
        Images that each distinct tag is on, descending.
    funnel : dict
        As `LocalCleaner.funnel` gives it.

    Raises
    ------
    UserError
        There is no row, no tag is frequent enough for the vocabulary, an executor cannot use
        what it finds, the paths are not within reach of all executors, or a folder holds a file
        of the crawl or of others.
    """
    check_folders(crawl, owner, images_path, rejects_path, scratch_path)
    folders = [Folder(path, owner) for path in (images_path, rejects_path, scratch_path)]
    images, rejects, scratch = folders
    for folder in folders:
        folder.clear()
    try:
        with plain_errors():
            return _Run(crawl, rules, spark, scratch.url).clean(images, rejects)
    finally:
        scratch.remove()


def check_folders(crawl: Crawl, owner: str, *paths: str) -> None:
    """Make sure that `clean_on_spark` may write into folders; see there.

    Raises
    ------
    UserError
        A folder holds a file of the crawl or of others.
    """
    inputs = {part.file for part in crawl.parts}
    for path in paths:
        Folder(path, owner).check(inputs)


class _Run:
    """One cleaning run."""

    def __init__(self, crawl: Crawl, rules: Rules, spark: SparkSession, scratch: str) -> None:
        self._rules = rules
        self._spark = spark
        self._spool = ChunkSpool(scratch, crawl, rules.normalise)
        self._persisted: list[DataFrame] = []

    def clean(self, images: Folder, rejects: Folder) -> tuple[pa.Table, np.ndarray, dict[str, Any]]:
        try:
            return self._clean(images, rejects)
        finally:
            for frame in self._persisted:
                frame.unpersist()

    def _clean(
        self, images: Folder, rejects: Folder
    ) -> tuple[pa.Table, np.ndarray, dict[str, Any]]:
        self._read()
        repeated = self._repeated_ids()
        vocabulary, counts = self._vocabulary(repeated)
        tags = vocabulary["tag"].combine_chunks()
        decided = repeated.union(self._near_duplicates(tags, repeated))
        write = partial(
            steps.write,
            self._spool,
            vocabulary=tags,
            rules=self._rules,
            images=images.url,
            rejects=rejects.url,
        )
        written = self._each_chunk(write, WRITTEN, decided).collect()
        # Only now, and what finished tasks wrote: a lost attempt touches no finished file.
        images.publish(name for chunk in written for name in chunk.images)
        rejects.publish(name for chunk in written for name in chunk.rejects)
        by_reason = np.sum([chunk.reasons for chunk in written], axis=0).tolist()
        return vocabulary, counts, self._funnel(vocabulary, counts, by_reason)

    def _read(self) -> None:
        """Read the crawl into chunks."""
        groups = part_groups(self._spool.crawl.parts)
        numbers = self._spark.range(0, len(groups), 1, min(len(groups), MOST_TASKS))
        found = numbers.mapInArrow(partial(_read_groups, self._spool, groups), SUMMARY).collect()
        self._chunks = [chunk.chunk for chunk in found]
        self._rows = sum(chunk.rows for chunk in found)
        self._lost = sum(chunk.lost for chunk in found)
        self._numbers = all(chunk.numbers for chunk in found if chunk.numbers is not None)
        self._without_user = sum(chunk.without_user for chunk in found)
        self._changed: Counter[str] = Counter()
        for chunk in found:
            self._changed.update(json.loads(chunk.changed))
        if self._rows == 0:
            raise UserError(f"the crawl holds no image ({self._lost} unreadable rows)")
        if not self._spool.holds(self._chunks):
            raise UserError(f"{self._spool.folder}: what executors write there is not seen here; "
                            "name storage that all machines share")  # fmt: skip

    def _each_chunk(self, step: Step, schema: str, decided: DataFrame | None = None) -> DataFrame:
        """Apply a step to every chunk and to what is decided of it."""
        nothing = [(chunk, None, None, None) for chunk in self._chunks]
        frame = self._spark.createDataFrame(nothing, DECIDED)
        if decided is not None:
            frame = frame.union(decided)
        # By a given number, or Spark would put these few rows into one partition.
        spread = frame.repartition(min(len(self._chunks), MOST_TASKS), "chunk")
        return spread.groupBy("chunk").applyInArrow(_with_chunk(step), schema)

    def _repeated_ids(self) -> DataFrame:
        """Decide on rows whose image id came before."""
        schema = f"row bigint, image_id {self._type('image_id')}"
        ids = self._each_chunk(partial(steps.image_ids, self._spool), schema)
        query = (
            "SELECT image_id, min(row) AS first FROM {ids} GROUP BY image_id HAVING count(*) > 1"
        )
        repeated = self._persist(self._spark.sql(query, ids=ids))
        if repeated.isEmpty():
            return self._spark.createDataFrame([], DECIDED)
        query = f"""SELECT shiftright(row, {ROW_BITS}) AS chunk, row,
            {DUPLICATE_ID}Y AS reason, CAST(NULL AS string) AS detail
            FROM {{ids}} JOIN {{repeated}} USING (image_id) WHERE row > first"""
        return self._persist(self._spark.sql(query, ids=ids, repeated=repeated))

    def _vocabulary(self, repeated: DataFrame) -> tuple[pa.Table, np.ndarray]:
        """Rank the tags; of tags outside the vocabulary only the counts are brought together."""
        counted = self._each_chunk(partial(steps.count_tags, self._spool), COUNTED, repeated)
        query = "SELECT tag, sum(count) AS count FROM {counted} GROUP BY tag"
        totals = self._persist(self._spark.sql(query, counted=counted))
        least = self._rules.min_frequency
        tags = totals.where(f"count >= {least}").toArrow()
        if len(tags) == 0:  # the most frequent one is told
            tags = totals.orderBy("count", "tag", ascending=[False, True]).limit(1).toArrow()
        vocabulary = rank_tags(_column(tags, "tag"), _column(tags, "count"), least)
        query = "SELECT count, count(*) AS tags FROM {totals} GROUP BY count ORDER BY count DESC"
        sizes = self._spark.sql(query, totals=totals).toArrow()
        return vocabulary, np.repeat(sizes["count"].to_numpy(), sizes["tags"].to_numpy())

    def _near_duplicates(self, tags: pa.Array, repeated: DataFrame) -> DataFrame:
        """Decide on near-duplicates, of those that the other rules leave."""
        rules, spool = self._rules, self._spool
        schema = spool.crawl.schema
        if "near_duplicate" in skipped_rules(rules, schema.names):
            return self._spark.createDataFrame([], DECIDED)
        none = pa.array([], schema.field(spool.order_by).type)
        place = steps.sortable(none, self._numbers, spool.order_by)
        word = "string" if rules.order_tags == "all" else "int"
        columns = (f"row bigint, user_id {self._type('user_id')}, place {SPARK_TYPES[place.type]}, "
                   f"image_id {self._type('image_id')}, first array<{word}>")  # fmt: skip
        give = partial(steps.candidates, spool, vocabulary=tags, rules=rules, numbers=self._numbers)
        images = self._each_chunk(give, columns, repeated)
        tasks = max(self._spark.sparkContext.defaultParallelism, self._rows // USER_ROWS)
        by_user = images.repartition(tasks, "user_id")
        ordered = by_user.sortWithinPartitions("user_id", images.place.asc_nulls_last(), "row")
        return ordered.mapInArrow(partial(steps.find_alike, rules=rules), DECIDED)

    def _persist(self, frame: DataFrame) -> DataFrame:
        """Keep a frame until the run ends."""
        self._persisted.append(frame.persist())
        return frame

    def _type(self, column: str) -> str:
        return SPARK_TYPES[self._spool.crawl.schema.field(column).type]

    def _funnel(
        self, vocabulary: pa.Table, counts: np.ndarray, by_reason: list[int]
    ) -> dict[str, Any]:
        return make_funnel(
            by_reason,
            counts,
            vocabulary,
            self._changed,
            self._without_user,
            skipped_rules(self._rules, self._spool.crawl.schema.names),
        )


def _column(table: pa.Table, name: str) -> pa.Array:
    return pa.concat_arrays([pa.array([], table[name].type), *table[name].chunks])


# What executors do, in the forms that Spark asks for.


def _read_groups(
    spool: ChunkSpool, groups: list[list[Part]], batches: Iterator[pa.RecordBatch]
) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        for group in batch["id"].to_pylist():
            for summary in spool.write(group, groups[group]):
                yield pa.RecordBatch.from_pylist([summary])


def _with_chunk(step: Step) -> Callable[[pa.Table], pa.Table]:
    def apply(decided: pa.Table) -> pa.Table:
        chunk = decided["chunk"][0].as_py()
        return step(chunk, decided.filter(decided["row"].is_valid()).combine_chunks())

    return apply
