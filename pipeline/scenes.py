"""Stage `scenes`: drawn pictures with a crawl, and with captions and boxes, to try the rest on."""

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from omegaconf import DictConfig
from PIL import Image
from rich.console import Console
from rich.progress import Progress

from data_prep.errors import UserError
from data_prep.images import open_image
from data_prep.scenes import (
    Captioned,
    Plan,
    SceneSettings,
    Upload,
    captioned_scenes,
    save_scenes,
    uploads,
    write_entities,
)
from data_prep.workers import run_tasks
from pipeline.stage import cores, finish, is_finished, start

SHEET = "contact_sheet.png"
ENTITY_FILES = {"Sentences": "txt", "Annotations": "xml", "images": "jpg"}
WRITES = (
    *("crawl/part-00000.parquet", "images/scene-*.jpg", SHEET),
    *(f"entities/{kind}/*.{suffix}" for kind, suffix in ENTITY_FILES.items()),
    *("entities/val.txt", "entities/test.txt", "entities/UNRELATED_CAPTIONS"),
)
FOLDERS = ("crawl", "images", *(f"entities/{kind}" for kind in ENTITY_FILES))
SHEET_SCENES = 48
CHUNK = 16  # scenes that a process draws at a time
SCHEMA = pa.schema(
    [
        pa.field("image_id", pa.string(), nullable=False),
        pa.field("user_id", pa.string(), nullable=False),
        pa.field("tags", pa.list_(pa.string())),
        pa.field("width", pa.int32(), nullable=False),
        pa.field("height", pa.int32(), nullable=False),
    ]
)


def run(config: DictConfig) -> None:
    """Write `images/`, their crawl in `crawl/`, `entities/` and a contact sheet.

    Raises
    ------
    UserError
        A key is unusable.
    """
    settings = SceneSettings(**{field.name: config[field.name] for field in fields(SceneSettings)})
    _check_threads(config)
    if is_finished(config):
        return
    began = time.perf_counter()
    out = start(config, [], WRITES, FOLDERS)
    rows, captioned = list(uploads(settings)), list(captioned_scenes(settings))
    pictures = {out / "images" / f"{row.image_id}.jpg": row.plan for row in rows}
    further = {out / "entities/images" / f"{one.image_id}.jpg": one.plan for one in captioned}
    boxes = _draw(pictures | further, cores(config))
    write_entities(out / "entities", captioned, boxes[len(rows) :])
    _write_crawl(out / "crawl", rows)
    _contact_sheet(list(pictures), rows).save(out / SHEET)
    seconds = round(time.perf_counter() - began, 3)
    finish(out, {"settings": asdict(settings), **_counts(rows, captioned), "seconds": seconds})
    print(
        f"{len(rows):,} scenes of {len({row.user_id for row in rows})} users: {out / 'crawl'}, "
        f"{out / 'images'}; {len(captioned):,} with captions: {out / 'entities'}"
    )
    print(f"pictures: {out / SHEET}")


def _draw(plans: dict[Path, Plan], processes: int) -> list[np.ndarray]:
    """Draw each plan into its file; return the boxes of each, in order."""
    for folder in {path.parent for path in plans}:
        folder.mkdir(parents=True, exist_ok=True)
    paths = list(plans)
    tasks = [
        {path: plans[path] for path in paths[first : first + CHUNK]}
        for first in range(0, len(paths), CHUNK)
    ]
    boxes: dict[Path, np.ndarray] = {}
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        bar = progress.add_task("Scenes", total=len(paths))
        for drawn in run_tasks(save_scenes, tasks, min(processes, len(tasks))):
            boxes |= drawn
            progress.advance(bar, len(drawn))
    return [boxes[path] for path in paths]


def _write_crawl(folder: Path, rows: Sequence[Upload]) -> None:
    folder.mkdir(exist_ok=True)
    columns = [
        [row.image_id for row in rows],
        [row.user_id for row in rows],
        [row.tags for row in rows],
        [row.plan.width for row in rows],
        [row.plan.height for row in rows],
    ]
    pq.write_table(pa.Table.from_arrays(columns, schema=SCHEMA), folder / "part-00000.parquet")


def _contact_sheet(paths: Sequence[Path], rows: Sequence[Upload]) -> Image.Image:
    from grounding.drawing import photo_sheet  # loads slowly

    shown = zip(paths[:SHEET_SCENES], rows[:SHEET_SCENES], strict=True)
    return photo_sheet([(open_image(path), ", ".join(row.plan.groups())) for path, row in shown])


def _counts(rows: Sequence[Upload], captioned: Sequence[Captioned]) -> dict[str, Any]:
    """Count what was drawn and what is wrong with it."""
    dirt = Counter(kind for row in rows for kind in row.dirt)
    nouns = Counter(noun for row in rows for noun in row.plan.groups())
    captions = [one.captions for one in captioned]
    return {
        "images": len(rows),
        "users": len({row.user_id for row in rows}),
        "tags": sum(len(row.tags) for row in rows),
        "things": sum(len(row.plan.things) for row in rows),
        "dirt": dict(sorted(dirt.items())),
        "nouns": dict(sorted(nouns.items())),
        "captioned": len(captioned),
        "captions": sum(len(said.lines) for said in captions),
        "unrelated_captions": sum(len(said.unrelated) for said in captions),
        "chains_with_boxes": sum(len(said.chains) for said in captions),
    }


def _check_threads(config: DictConfig) -> None:
    threads = config.threads
    if threads is not None and (not isinstance(threads, int) or threads is True or threads < 1):
        raise UserError(f"threads={threads}: give a whole number from 1, or null for all cores")
