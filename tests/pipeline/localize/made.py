"""A few drawn photos with phrases, in the layout of every dataset, and runs of stage=localize."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
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
from pipeline import localize

TAGS = ("red", "green", "blue", "box", "bar", "hot dog")
COLOURS = {"red": (220, 40, 40), "green": (40, 200, 40), "blue": (40, 60, 220)}
WINDOWS = (
    "proposals=sliding_windows",
    *("proposals.scales=[0.5,0.2,0.08]", "proposals.aspect_ratios=[0.5,1,2]"),
)
QUICK = (
    *("~maps.cam", "maps.cmwp.layers=[28]", "maps.cmwp.short_sides=[64]"),
    *("baselines=[mwp]", "device=cpu", "threads=1"),
)

Box = tuple[int, int, int, int]


@dataclass(frozen=True)
class Photo:
    """What is drawn, by chain, and what is said: phrases in braces, "{1|a red box} ." and so on."""

    id: str
    size: tuple[int, int]
    boxes: dict[str, list[tuple[str, Box]]]
    captions: tuple[str, ...]


PHOTOS = (
    Photo(
        "1001",
        (96, 72),
        {"1": [("red", (10, 12, 50, 60))], "2": [("blue", (60, 20, 90, 40))]},
        ("{1|A red box} beside {2|a blue bar} .", "{2|The bar} is blue ."),
    ),
    Photo(
        "1002",
        (70, 100),
        {"1": [("green", (5, 5, 30, 30)), ("green", (40, 60, 66, 96))]},
        ("{1|Two green boxes} .", "{1|xyzzy} and {1|green things} ."),
    ),
    Photo(
        "1003",
        (90, 90),
        {"1": [("blue", (0, 0, 90, 30))], "2": [("red", (30, 50, 50, 84))]},
        ("{1|Blue bar} above {2|a red hot dog} .",),
    ),
    Photo("1004", (80, 64), {"1": [("red", (20, 10, 60, 54))]}, ("{1|Box} .",)),
)


def draw(photo: Photo) -> Image.Image:
    random = np.random.default_rng(int(photo.id))
    pixels = random.integers(60, 120, (photo.size[1], photo.size[0], 3)).astype(np.uint8)
    for boxes in photo.boxes.values():
        for colour, (x1, y1, x2, y2) in boxes:
            pixels[y1:y2, x1:x2] = COLOURS[colour]
    return Image.fromarray(pixels)


def parsed(caption: str) -> tuple[str, list[tuple[str, int, str]]]:
    """Give the plain caption, and chain, start and text of each phrase."""
    plain, phrases = "", []
    for part in caption.replace("}", "{").split("{"):
        chain, bar, text = part.partition("|")
        if bar:
            phrases.append((chain, len(plain), text))
        plain += text if bar else part
    return plain, phrases


def write_photos(folder: Path, photos: Sequence[Photo] = PHOTOS) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for photo in photos:
        draw(photo).save(folder / f"{photo.id}.png")
    return folder


def write_entities(root: Path, photos: Sequence[Photo] = PHOTOS) -> Path:
    """Write photos, sentences, annotations and the list of the split test."""
    write_photos(root / "images", photos)
    for name in ("Sentences", "Annotations"):
        (root / name).mkdir()
    for photo in photos:
        lines = []
        for caption in photo.captions:
            for chain in photo.boxes:
                caption = caption.replace(f"{{{chain}|", f"[/EN#{chain}/other ")
            lines.append(caption.replace("}", "]") + "\n")
        (root / "Sentences" / f"{photo.id}.txt").write_text("".join(lines))
        (root / "Annotations" / f"{photo.id}.xml").write_text(annotation(photo))
    (root / "test.txt").write_text("".join(f"{photo.id}\n" for photo in photos))
    return root


def annotation(photo: Photo) -> str:
    """Give the XML, whose pixels count from 1 and include the last one."""
    objects = ""
    for chain, boxes in photo.boxes.items():
        for _, (x1, y1, x2, y2) in boxes:
            corners = zip(("xmin", "ymin", "xmax", "ymax"), (x1 + 1, y1 + 1, x2, y2), strict=True)
            bndbox = "".join(f"<{name}>{value}</{name}>" for name, value in corners)
            objects += f"<object><name>{chain}</name><bndbox>{bndbox}</bndbox></object>"
    width, height = photo.size
    size = f"<size><width>{width}</width><height>{height}</height><depth>3</depth></size>"
    return f"<annotation>{size}{objects}</annotation>"


def write_lines(file: Path, photos: Sequence[Photo] = PHOTOS) -> Path:
    """Write the same as JSON Lines; the first photo's size is left out."""
    lines = []
    for photo in photos:
        captions = [parsed(caption) for caption in photo.captions]
        phrases = [
            {
                **{"caption": i, "text": text, "start": start, "chain": chain, "types": ["other"]},
                "boxes": [box for _, box in photo.boxes[chain]],
            }
            for i, (_, found) in enumerate(captions)
            for chain, start, text in found
        ]
        row: dict[str, Any] = {"image": f"{photo.id}.png", "phrases": phrases}
        row["captions"] = [plain for plain, _ in captions]
        if photo is not photos[0]:
            row |= dict(zip(("width", "height"), photo.size, strict=True))
        lines.append(json.dumps(row) + "\n")
    file.write_text("".join(lines))
    return file


def write_refcoco(file: Path, photos: Sequence[Photo] = PHOTOS) -> Path:
    """Write the same phrases, each as a caption of its own, as MDETR does."""
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for photo in photos:
        for chain, _, text in [one for caption in photo.captions for one in parsed(caption)[1]]:
            number = len(images)
            name = {"id": number, "file_name": f"{photo.id}.png", "caption": text, "split": "val"}
            images.append(name | dict(zip(("width", "height"), photo.size, strict=True)))
            for _, (x1, y1, x2, y2) in photo.boxes[chain]:
                annotations.append({"image_id": number, "bbox": [x1, y1, x2 - x1, y2 - y1]})
    file.write_text(json.dumps({"images": images, "annotations": annotations}))
    return file


def write_model(folder: Path, seed: int = 0) -> Path:
    torch.manual_seed(seed)
    net, preprocessing, name = tag_net("timm:test_resnet", len(TAGS), "random")
    TagClassifier(net, Vocabulary.from_tags(TAGS), preprocessing, name, True).save(folder, {})
    return folder


def configuration(*overrides: str) -> DictConfig:
    with initialize_config_module("conf", version_base="1.3"):
        return compose("config", ["stage=localize", *overrides])


def run(*overrides: str) -> None:
    localize.run(configuration(*overrides))


def metrics(out: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((out / "metrics.json").read_text())
    return content


def lasting(out: Path) -> dict[str, Any]:
    """Give the metrics without what depends on the clock and on the processes."""
    found = metrics(out)
    for key in ("seconds", "photos_per_second", "processes"):
        del found[key]
    return found


def rows(out: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = pq.read_table(out / "phrases.parquet").to_pylist()
    return found


def rejects(out: Path) -> list[dict[str, str]]:
    lines = (out / "rejects.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]
