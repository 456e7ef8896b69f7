"""Reading a crawl: Parquet, CSV, TSV, JSON Lines, and what img2dataset writes."""

from data_prep.crawl.crawl import Crawl, open_crawl
from data_prep.crawl.source import Batch, Part, Source

__all__ = ["Batch", "Crawl", "Part", "Source", "open_crawl"]
