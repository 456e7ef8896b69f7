"""Tables of phrases, made by hand."""

from typing import Any

import numpy as np
import pyarrow as pa
from PIL import Image

from pipeline.phrase_table import SCHEMA

CAPTION = "A dog & a <b>cat</b> sit"

ROW: dict[str, Any] = {
    "id": "a/0/0",
    "image_id": "a",
    "photo": "a.jpg",
    "width": 100,
    "height": 50,
    "caption": CAPTION,
    "start": 2,
    "end": 5,
    "phrase": "dog",
    "types": ["animals"],
    "chain": "1",
    "words": ["dog"],
    "head": "dog",
    "dropped": ["shaggy"],
    "backed_off": ["puppy → dog"],
    "out_of_vocabulary": False,
    "boxes": [[10.0, 10.0, 60.0, 40.0], [60.0, 10.0, 70.0, 20.0]],
    "top_boxes": [[10.0, 10.0, 70.0, 40.0], [0.0, 0.0, 9.0, 9.0], [1.0, 1.0, 5.0, 5.0]],
    "top_scores": [0.9, 0.5, 0.1],
    "point_x": 30,
    "point_y": 20,
    "attention": bytes(range(0, 240, 30)),
    "grid_width": 4,
    "grid_height": 2,
    "rank_merged": 1,
    "rank_any": 1,
    "iou_merged": 1.0,
    "iou_any": 0.83,
    "upper_merged": True,
    "upper_any": True,
    "proposals": 10,
    "hits_merged": 2,
    "hits_any": 1,
    "first_merged": 3,
    "first_any": None,
    "baselines": [],
}
MISSED: dict[str, Any] = {"rank_merged": None, "rank_any": None, "iou_merged": 0.1, "iou_any": 0.1}
UNKNOWN: dict[str, Any] = {
    **MISSED,
    "words": [],
    "backed_off": [],
    "out_of_vocabulary": True,
    "attention": None,
    "grid_width": None,
    "grid_height": None,
    "point_x": None,
    "point_y": None,
    "top_boxes": [],
    "top_scores": [],
    "iou_merged": None,
    "iou_any": None,
}


def table_of(*changes: dict[str, Any]) -> pa.Table:
    """One row for each set of changes."""
    return pa.Table.from_pylist([ROW | change for change in changes], SCHEMA)


def plain(path: str) -> Image.Image:
    """Give a photo without anything in it; larger than its cards' pictures."""
    return Image.new("RGB", (500, 250), "gray")


def noise(path: str) -> Image.Image:
    """Give the photo that is hardest to make small."""
    pixels = np.random.default_rng(len(path)).integers(0, 256, (250, 500, 3), np.uint8)
    return Image.fromarray(pixels)
