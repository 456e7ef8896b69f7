"""Generated crawls and a finished run, for the tests of stage `clean`."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data_prep.generator import CrawlSettings, generate_crawl
from tests.pipeline.clean.runs import LOW, run


@pytest.fixture(scope="package")
def crawl(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three files of generated rows."""
    folder = tmp_path_factory.mktemp("crawl")
    settings = CrawlSettings(9000, seed=5, distinct_tags=2000, users=200)
    table = pa.Table.from_batches(generate_crawl(settings))
    for number in range(3):
        pq.write_table(table[number * 3000 : (number + 1) * 3000], folder / f"{number}.parquet")
    return folder


@pytest.fixture(scope="package")
def finished(crawl: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("finished")
    run(f"crawl={crawl}", LOW, f"out={out}")
    return out
