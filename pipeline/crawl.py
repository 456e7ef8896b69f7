"""Stage `crawl`: a synthetic crawl, to try the cleaning on and to measure it."""

import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict, fields
from itertools import islice
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from omegaconf import DictConfig, OmegaConf
from rich.console import Console
from rich.progress import track

from data_prep.errors import UserError
from data_prep.generator import BATCH_ROWS, SCHEMA, Counts, CrawlSettings, generate_crawl
from pipeline.stage import finish, is_finished, start

PART_BATCHES = 8  # row groups of a file: about a million rows
WRITES = ("crawl/part-*.parquet",)
PAPER = "17 M images → 18,157 tags on at least 1000 images → about 6 M images kept"


def run(config: DictConfig) -> None:
    """Write `crawl/part-00000.parquet`, … and what was generated as `metrics.json`.

    Raises
    ------
    UserError
        A key is unusable.
    """
    settings = _settings(config)
    if is_finished(config):
        return
    began = time.perf_counter()
    out = start(config, [], WRITES)
    folder = out / "crawl"
    folder.mkdir(exist_ok=True)
    console = Console(stderr=True)
    counts = Counts()
    batches: Iterator[pa.RecordBatch] = iter(
        track(
            generate_crawl(settings, counts),
            "Rows",
            total=-(-settings.images // BATCH_ROWS),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
    )
    parts = 0
    for first in batches:
        rest = islice(batches, PART_BATCHES - 1)
        write_part(folder / f"part-{parts:05d}.parquet", first, rest)
        parts += 1
    metrics = {
        "settings": asdict(settings),
        **asdict(counts),
        "parts": parts,
        "seconds": round(time.perf_counter() - began, 3),
    }
    finish(out, metrics)
    print(
        f"{counts.images:,} images of {counts.users:,} users (the largest has "
        f"{counts.largest_user:,}), {counts.tags:,} tags: {folder}"
    )
    print(f"The paper's crawl, cleaned: {PAPER}")


def write_part(path: Path, first: pa.RecordBatch, rest: Iterable[pa.RecordBatch]) -> None:
    """Write batches as the row groups of a Parquet file, so that it is either whole or absent."""
    part = path.with_name(path.name + ".part")
    # Without the Arrow schema, or readers would see list<dictionary> in place of list<string>.
    with pq.ParquetWriter(
        part,
        SCHEMA,
        store_schema=False,
        use_dictionary=["user_id", "tags.list.element", "width", "height"],
        dictionary_pagesize_limit=1 << 24,  # bytes; above it, every tag would be spelled out
        write_statistics=["image_id", "user_id"],
    ) as writer:
        writer.write_batch(first)
        for batch in rest:
            writer.write_batch(batch)
    part.replace(path)


def _settings(config: DictConfig) -> CrawlSettings:
    if OmegaConf.is_missing(config, "images"):
        raise UserError("images is missing; give images=17000000, the size of the paper's crawl")
    return CrawlSettings(**{field.name: config[field.name] for field in fields(CrawlSettings)})
