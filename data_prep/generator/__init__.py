"""Synthetic crawls that resemble the one of Stock6M, at any size, the same for the same seed."""

from data_prep.generator.crawl import BATCH_ROWS, SCHEMA, Counts, generate_crawl
from data_prep.generator.settings import CrawlSettings

__all__ = ["BATCH_ROWS", "SCHEMA", "Counts", "CrawlSettings", "generate_crawl"]
