"""Stage `clean`: a noisy crawl becomes training rows and a vocabulary."""

import shutil
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
from omegaconf import DictConfig, OmegaConf
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Column, Table

from data_prep.cleaning import Rules
from data_prep.cleaning.local import LocalCleaner
from data_prep.cleaning.output import image_schema, parquet_file, reject_schema
from data_prep.crawl import Batch, Crawl
from data_prep.errors import UserError
from data_prep.tag_pictures import rank_frequency, tag_cloud
from pipeline.clean_input import KINDS, batches, local_files, open_input, tag_captions
from pipeline.stage import cores, disk_full, finish, is_finished, start

IMAGES, REJECTS, VOCABULARY = "images.parquet", "rejects.parquet", "vocabulary.parquet"
SPOOL = "spool"  # rows between passes; removed at the end
WRITES = (
    *(IMAGES, REJECTS, VOCABULARY, "tag_cloud.png", "rank_frequency.png"),
    *(f"{SPOOL}/{name}.arrow" for name in ("rows", "unreadable", "by-*", "alike-*")),
    # Of Spark, whose tables are folders:
    *(f"{table}/{name}" for table in (IMAGES, REJECTS) for name in ("*.parquet", "_*")),
    *(f"{SPOOL}/{name}" for name in ("*.rows.arrow", "*.tags.arrow", "*.lost.arrow", "_*")),
)

ENGINES = ("local", "spark")
PAPER = {"input": "17 M", "kept": "about 6 M", "vocabulary (tags)": "18,157"}  # supplement, 5.1

T = TypeVar("T")
# Vocabulary, images of each distinct tag (int64, D), funnel.
Result = tuple[pa.Table, np.ndarray, dict[str, Any]]


def run(config: DictConfig) -> None:
    """Write images, rejects, vocabulary, funnel and pictures of a crawl.

    Raises
    ------
    UserError
        A key is unusable, the crawl cannot be read, or nothing of it is kept.
    """
    _check(config)
    rules = _rules(config)
    if is_finished(config):
        return
    crawl = open_input(config)
    if config.engine == "spark" and config.spark.storage:
        _check_storage(crawl, config)
    out = start(config, local_files(crawl, config), WRITES, folders=(IMAGES, REJECTS, SPOOL))
    spool = out / SPOOL
    try:
        with disk_full(out, "free some or give another out="):
            spool.mkdir(exist_ok=True)
            clean = _clean_on_spark if config.engine == "spark" else _clean_here
            vocabulary, counts, funnel = clean(crawl, rules, out, config)
            _write_vocabulary(out, vocabulary, counts, rules)
    finally:
        shutil.rmtree(spool, ignore_errors=True)
    tables = ((config.engine == "spark" and config.spark.storage) or str(out)).rstrip("/")
    _print(funnel, config.paper)
    if funnel["kept"] == 0:
        raise UserError(f"none of {funnel['input']} images is kept; {tables}/{REJECTS} tells why")
    finish(out, funnel)
    print(f"written: {tables}/{IMAGES}, {REJECTS}; {out / VOCABULARY}")
    print(f"pictures: {out / 'tag_cloud.png'}, {out / 'rank_frequency.png'}")


def _clean_here(crawl: Crawl | Batch, rules: Rules, out: Path, config: DictConfig) -> Result:
    """Clean on this machine."""
    threads = cores(config)
    with _arrow_threads(threads), _Bar() as bar, ThreadPoolExecutor(min(threads, 2)) as pool:
        if isinstance(crawl, Crawl) and config.data.kind == "captions":
            crawl = tag_captions(crawl, config, bar.counter("Tagging captions"))
        if isinstance(crawl, Batch):
            schema, order_by = crawl.rows.schema, "image_id"
            source, rows = iter([crawl]), len(crawl.rows)
        else:
            schema, order_by = crawl.schema, crawl.source.order_column
            source, rows = batches(crawl), sum(part.rows or 0 for part in crawl.parts)
        cleaner = LocalCleaner(rules, out / SPOOL, schema, order_by, bar.follow)
        cleaner.run(_ahead(source, threads), rows or None)
        with (
            parquet_file(out / IMAGES, image_schema(schema)) as images,
            parquet_file(out / REJECTS, reject_schema(schema)) as rejects,
        ):
            for pair in _ahead(cleaner.results(), threads):
                writers = (images.write_batch, rejects.write_batch)
                list(pool.map(lambda write, rows: write(rows), writers, pair))
    return cleaner.vocabulary, cleaner.counts, cleaner.funnel()


def _clean_on_spark(crawl: Crawl | Batch, rules: Rules, out: Path, config: DictConfig) -> Result:
    """Clean on Apache Spark; the tables are folders of files."""
    from data_prep.cleaning.spark import clean_on_spark, open_session  # only this needs Spark

    assert isinstance(crawl, Crawl)  # so says _check
    settings = config.spark.config
    spark = open_session(config.spark.master, None if settings is None else _plain(settings))
    try:
        return clean_on_spark(crawl, rules, spark, *_spark_folders(config))
    finally:
        spark.stop()


def _check_storage(crawl: Crawl | Batch, config: DictConfig) -> None:
    """Refuse storage that holds files of others before anything of an earlier run is removed."""
    from data_prep.cleaning.spark import check_folders

    assert isinstance(crawl, Crawl)
    check_folders(crawl, *_spark_folders(config))


def _spark_folders(config: DictConfig) -> tuple[str, str, str, str]:
    """Owner of the folders, and the folders: images, rejects, and for what lies between passes."""
    storage = str(config.spark.storage or config.out).rstrip("/")
    owner = str(Path(config.out).resolve())
    return owner, f"{storage}/{IMAGES}", f"{storage}/{REJECTS}", f"{storage}/{SPOOL}"


@contextmanager
def _arrow_threads(count: int) -> Iterator[None]:
    before = pa.cpu_count()
    pa.set_cpu_count(count)
    try:
        yield
    finally:
        pa.set_cpu_count(before)


def _ahead(items: Iterator[T], threads: int) -> Iterator[T]:
    """Make the next item in a thread of its own while the present one is worked on."""
    if threads == 1:
        yield from items
        return
    with ThreadPoolExecutor(1) as pool:
        coming = pool.submit(next, items, None)
        while (item := coming.result()) is not None:
            coming = pool.submit(next, items, None)
            yield item


def _write_vocabulary(out: Path, vocabulary: pa.Table, counts: np.ndarray, rules: Rules) -> None:
    with parquet_file(out / VOCABULARY, vocabulary.schema) as file:
        file.write_table(vocabulary)
    cloud = tag_cloud(vocabulary["tag"].to_pylist(), vocabulary["count"].to_numpy())
    cloud.save(out / "tag_cloud.png")
    rank_frequency(counts, rules.min_frequency).save(out / "rank_frequency.png")


def _rules(config: DictConfig) -> Rules:
    if not OmegaConf.is_dict(config.clean):
        raise UserError(f"clean={config.clean}: give its keys, as in clean.min_tags=3")
    keys = _plain(config.clean)
    known = [field.name for field in fields(Rules)]
    if unknown := keys.keys() - known:
        raise UserError(f"clean.{unknown.pop()}: no such key; there are {', '.join(known)}")
    return Rules(**keys)


def _print(funnel: dict[str, Any], with_paper: bool) -> None:
    dropped = {f"dropped: {reason}": count for reason, count in funnel["dropped"].items()}
    counts = {"input": funnel["input"], **dropped, "kept": funnel["kept"]}
    rows = [[name, f"{n:,}", f"{n / funnel['input']:.1%}"] for name, n in counts.items()]
    rows.append(["vocabulary (tags)", f"{funnel['vocabulary']:,}", ""])
    table = Table("", Column("images", justify="right"), Column("share", justify="right"), box=None)
    if with_paper:
        table.add_column("paper", justify="right")
        rows = [[*row, PAPER.get(row[0], "")] for row in rows]
    for row in rows:
        table.add_row(*row)
    Console().print(table)
    if funnel["without_user"]:
        print(f"images without a user, compared with none: {funnel['without_user']:,}")
    for rule, why in funnel["skipped"].items():
        print(f"rule not applied: {rule}: {why}")
    changed = [f"{what} {count:,}" for what, count in funnel["normalised"].items() if count]
    if changed:
        print(f"tags normalised: {', '.join(changed)}")


class _Bar:
    """Progress in rows, shown on a terminal only."""

    def __init__(self) -> None:
        console = Console(stderr=True)
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.completed:,} rows"),
            TimeElapsedColumn(),
            console=console,
            disable=not console.is_terminal,
        )

    def __enter__(self) -> "_Bar":
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def counter(self, what: str) -> Callable[[int], None]:
        """Begin a task; what it gives is to be called with every number of rows done."""
        return partial(self._progress.advance, self._progress.add_task(what, total=None))

    def follow(self, batches: Iterable[Any], what: str, rows: int | None) -> Iterator[Any]:
        """Show the progress of a pass over batches."""
        task = self._progress.add_task(what, total=rows)
        for batch in batches:
            yield batch
            done = batch.rows if isinstance(batch, Batch) else batch
            self._progress.advance(task, len(done))
        self._progress.update(task, total=self._progress.tasks[task].completed)


def _check(config: DictConfig) -> None:
    if OmegaConf.select(config, "crawl") is None:
        raise UserError("crawl is missing; give crawl=FILE, or a folder or a glob of files")
    if config.engine not in ENGINES:
        raise UserError(f"engine={config.engine}: give one of {', '.join(ENGINES)}")
    kind = config.data.kind
    if kind not in KINDS:
        raise UserError(f"data.kind={kind}: give one of {', '.join(KINDS)}")
    if config.engine == "spark" and kind != "crawl":
        raise UserError(f"engine=spark reads crawls only; give engine=local for data={kind}")
    if not OmegaConf.is_dict(config.spark):
        raise UserError(f"spark={config.spark}: give its keys, as in spark.storage=URL")
    if not (config.spark.config is None or OmegaConf.is_dict(config.spark.config)):
        raise UserError(f"spark.config={config.spark.config}: give {{name: value, …}}")
    threads = config.threads
    if threads is not None and (not isinstance(threads, int) or threads is True or threads < 1):
        raise UserError(f"threads={threads}: give a whole number, 1 or more, or null")
    for key in ("master", "storage"):
        if not isinstance(config.spark[key], str | None):
            raise UserError(f"spark.{key}={config.spark[key]}: give text")
    if not isinstance(config.paper, bool):
        raise UserError(f"paper={config.paper}: give true or false")


def _plain(config: DictConfig) -> dict[str, Any]:
    content = OmegaConf.to_container(config)
    assert isinstance(content, dict)
    return {str(key): value for key, value in content.items()}
