"""Runs of stage `clean` and what they leave."""

import hashlib
import sys
from pathlib import Path

from hydra import compose, initialize_config_module

from pipeline import clean as stage

LOW = "clean.min_frequency=20"
TABLES = ("images.parquet", "rejects.parquet", "vocabulary.parquet")
PICTURES = ("tag_cloud.png", "rank_frequency.png")


def run(*overrides: str) -> None:
    with initialize_config_module("conf", version_base="1.3"):
        config = compose("config", ["stage=clean", *overrides])
    stage.run(config)


def command(*overrides: str) -> list[str]:
    return [sys.executable, "-m", "pipeline", "stage=clean", *overrides]


def digests(out: Path) -> dict[str, str]:
    names = (*TABLES, *PICTURES, "metrics.json")
    return {name: hashlib.sha256((out / name).read_bytes()).hexdigest() for name in names}
