"""A few drawn photos with classes, in the layouts of VOC and COCO, and runs of stage=point."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import torch
from hydra import compose, initialize_config_module
from omegaconf import DictConfig
from PIL import Image

from data_prep.vocabulary import Vocabulary
from grounding.classifier import TagClassifier
from grounding.heads import tag_net
from pipeline import point
from tests.data_prep.voc_folders import add, annotation, voc_object

WORDS = ("dog", "cat", "couch")  # of the model
COLOURS = {"dog": (220, 40, 40), "cat": (40, 200, 40), "sofa": (40, 60, 220), "person": (9, 9, 9)}
RENAMED = "classes={sofa: couch}"
METHODS = "methods=[cmwp,mwp,centre]"
QUICK = ("short_sides=[64]", "layers=[28]", "device=cpu")

Box = tuple[int, int, int, int]
# Photos: their size; label, box (half-open) and VOC's flag of each object.
PHOTOS: dict[str, tuple[tuple[int, int], list[tuple[str, Box, int]]]] = {
    "1001": ((96, 72), [("dog", (10, 12, 50, 60), 0), ("cat", (60, 20, 90, 40), 0)]),
    "1002": ((70, 101), [("cat", (5, 5, 30, 30), 0), ("cat", (40, 60, 66, 96), 1)]),
    "1003": ((91, 90), [("sofa", (0, 0, 91, 30), 0), ("person", (30, 50, 50, 84), 0)]),
    "1004": ((80, 64), [("dog", (0, 40, 8, 64), 0), ("sofa", (70, 0, 80, 9), 1)]),
    "1005": ((80, 64), [("person", (20, 10, 60, 54), 0)]),
}


def draw(name: str) -> Image.Image:
    (width, height), objects = PHOTOS[name]
    pixels = np.random.default_rng(int(name)).integers(60, 120, (height, width, 3)).astype(np.uint8)
    for label, (x1, y1, x2, y2), _ in objects:
        pixels[y1:y2, x1:x2] = COLOURS[label]
    return Image.fromarray(pixels)


def write_voc(root: Path, split: str = "test") -> Path:
    for name, ((width, height), objects) in PHOTOS.items():
        size = f"<width>{width}</width><height>{height}</height>"
        nodes = [
            voc_object(label, x1 + 1, y1 + 1, x2, y2, difficult=flag)
            for label, (x1, y1, x2, y2), flag in objects
        ]
        add(root, name, annotation(*nodes, size=size), split)
        draw(name).save(root / "JPEGImages" / f"{name}.jpg", quality=95)
    return root


def write_coco(folder: Path) -> tuple[Path, Path]:
    """Write the same with triangles, the lower left halves of the boxes, as masks."""
    labels = list(COLOURS)
    categories = [{"id": 10 + i, "name": label} for i, label in enumerate(labels)]
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    (folder / "images").mkdir(parents=True)
    for number, (name, ((width, height), objects)) in enumerate(PHOTOS.items()):
        images.append({"id": number, "file_name": f"{name}.png", "width": width, "height": height})
        draw(name).save(folder / "images" / f"{name}.png")
        for label, (x1, y1, x2, y2), _ in objects:
            annotations.append(
                {
                    "id": len(annotations),
                    "image_id": number,
                    "category_id": 10 + labels.index(label),
                    "bbox": [x1, y1, x2 - x1, y2 - y1],
                    "segmentation": [[x1, y1, x2, y2, x1, y2]],
                    "area": 1,
                    "iscrowd": 0,
                }
            )
    content = {"images": images, "annotations": annotations, "categories": categories}
    (folder / "instances.json").write_text(json.dumps(content))
    return folder / "instances.json", folder / "images"


def write_model(folder: Path, seed: int = 0) -> Path:
    torch.manual_seed(seed)
    net, preprocessing, name = tag_net("timm:test_resnet", len(WORDS), "random")
    TagClassifier(net, Vocabulary.from_tags(WORDS), preprocessing, name, True).save(folder, {})
    return folder


def configuration(*overrides: str) -> DictConfig:
    with initialize_config_module("conf", version_base="1.3"):
        return compose("config", ["stage=point", *overrides])


def run(*overrides: str) -> None:
    point.run(configuration(*overrides))


def metrics(out: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((out / "metrics.json").read_text())
    return content


def lasting(out: Path) -> dict[str, Any]:
    """Give the metrics without what depends on the clock and on the processes."""
    found = metrics(out)
    del found["seconds"], found["processes"]
    return found


def plays(out: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = pq.read_table(out / "plays.parquet").to_pylist()
    return found


def rejects(out: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in (out / "rejects.jsonl").read_text().splitlines()]
