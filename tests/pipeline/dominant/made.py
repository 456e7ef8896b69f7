"""A few drawn photos in the layout of VOC, and runs of stage=dominant."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from hydra import compose, initialize_config_module
from PIL import Image

from pipeline import dominant
from tests.data_prep.voc_folders import add, annotation, voc_object
from tests.pipeline.localize.made import COLOURS

SIZE = "<width>60</width><height>48</height>"
Things = Sequence[tuple[str, tuple[int, int, int, int]]]

TRAIN: dict[str, Things] = {
    "t1": [("red", (5, 5, 40, 40))],
    "t2": [("blue", (20, 10, 58, 46))],
    "t3": [("green", (0, 0, 30, 30)), ("red", (32, 30, 60, 48))],
}
VAL: dict[str, Things] = {
    "v1": [("red", (10, 2, 55, 40))],
    "v2": [("green", (2, 2, 20, 20)), ("green", (30, 20, 60, 48))],
    "v3": [("blue", (0, 20, 60, 48)), ("red", (4, 2, 20, 16))],
    "v4": [("purple", (10, 10, 50, 40))],
    "v5": [("blue", (15, 8, 45, 40))],
    "v6": [("red", (2, 2, 40, 40)), ("blue?", (42, 30, 60, 48))],  # ?: hard to recognise
}


def write_voc(root: Path, split: str, photos: dict[str, Things]) -> None:
    for name, things in photos.items():
        objects = [
            voc_object(of.rstrip("?"), x1 + 1, y1 + 1, x2, y2, difficult=int(of.endswith("?")))
            for of, (x1, y1, x2, y2) in things
        ]
        add(root, name, annotation(*objects, size=SIZE), split)
        pixels = np.random.default_rng(len(name)).integers(60, 120, (48, 60, 3)).astype(np.uint8)
        for label, (x1, y1, x2, y2) in things:
            pixels[y1:y2, x1:x2] = COLOURS.get(label.rstrip("?"), (120, 0, 120))
        Image.fromarray(pixels).save(root / "JPEGImages" / f"{name}.jpg", quality=95)


def run(*keys: str) -> None:
    with initialize_config_module("conf", version_base="1.3"):
        dominant.run(compose("config", ["stage=dominant", "dataset=voc07", "device=cpu", *keys]))


def metrics(out: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((out / "metrics.json").read_text())
    return content


def rows(out: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = pq.read_table(out / "dominant.parquet").to_pylist()
    return found
