"""Stage `propose`: boxes that may hold a thing, for each photo."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from omegaconf import DictConfig, OmegaConf
from PIL import Image, ImageDraw
from rich.console import Console
from rich.progress import track

from data_prep.errors import UserError, check_number
from data_prep.images import list_images, open_image
from grounding.drawing import TILE_HEIGHT, photo_sheet
from grounding.proposals.generators import make_generator
from pipeline.proposal_folder import BOXES, WRITES, Outcome, ProposalFolder, make_proposals
from pipeline.stage import cores, disk_full, finish, is_finished, start, strings

SHEET, REJECTS = "contact_sheet.png", "rejects.jsonl"
SHEET_PHOTOS, SHEET_BOXES = 12, 10
COLOURS = ("#e6194b", "#3cb44b", "#ffe119", "#4363d8", "#f58231")


def run(config: DictConfig) -> None:
    """Write the proposals of every photo, and a picture of some.

    A photo's id is the stem of its file name, or its whole path where several share a stem.
    Photos that cannot be used are told, and listed in `rejects.jsonl`. A run that was killed goes
    on with the photos that it had not finished.

    Raises
    ------
    UserError
        A key is unusable, or no photo could be used.
    """
    _check(config)
    if is_finished(config):
        return
    began = time.perf_counter()
    settings = proposal_settings(config)
    make_generator(settings)  # or an earlier run would be removed for nothing
    photos = ids_of(list_images(strings(config.images)))

    out = start(config, photos.values(), (*WRITES, SHEET, REJECTS), folders=(BOXES,), resume=())
    with disk_full(out, "free some and run again: finished photos are kept"):
        outcomes = make_proposals(
            photos,
            settings,
            out,
            cores(config),
            config.max_pixels,
            lambda coming: progress(coming, len(photos)),
        )
        _list_rejects(outcomes, out)
        good = [outcome for outcome in outcomes if not outcome.code]
        if not good:
            raise UserError(f"images={config.images}: none of {len(photos)} photos can be used")
        _contact_sheet(good, out, config.max_pixels).save(out / SHEET)
    metrics = measured(outcomes, time.perf_counter() - began)
    finish(out, metrics)
    print(
        f"{metrics['photos']:,} photos, {metrics['boxes']['total']:,} boxes "
        f"(median {metrics['boxes']['median']:g} a photo, {metrics['without_boxes']:,} photos "
        f"without), {sum(metrics['rejected'].values()):,} rejected: {out / BOXES}"
    )
    print(f"{metrics['photos_per_second']:,.1f} photos/s; pictures: {out / SHEET}")


def proposal_settings(config: DictConfig) -> dict[str, Any]:
    """Return the keys of the group `proposals` as plain values."""
    settings = OmegaConf.to_container(config.proposals, resolve=True)
    assert isinstance(settings, dict)
    return {str(key): value for key, value in settings.items()}


def progress(outcomes: Iterable[Outcome], total: int, shown: bool = True) -> Iterator[Outcome]:
    """Show progress on a terminal, if at all, and tell which photos are rejected."""
    console = Console(stderr=True)
    for outcome in track(
        outcomes,
        "Proposals",
        total=total,
        console=console,
        transient=True,
        disable=not (shown and console.is_terminal),
    ):
        if outcome.code:
            line = f"rejected: {outcome.path}: {outcome.reason}"
            console.print(line, markup=False, highlight=False, soft_wrap=True)
        yield outcome


def measured(outcomes: Sequence[Outcome], seconds: float) -> dict[str, Any]:
    """Count photos and boxes; the rate is that of photos done now."""
    counts = [outcome.boxes for outcome in outcomes if not outcome.code]
    made = sum(outcome.made for outcome in outcomes)
    return {
        "photos": len(counts),
        "made_now": made,
        "boxes": {"total": sum(counts), "median": float(np.median(counts)) if counts else 0.0},
        "without_boxes": counts.count(0),
        "dropped_boxes": sum(outcome.dropped for outcome in outcomes),
        "rejected": dict(Counter(outcome.code for outcome in outcomes if outcome.code)),
        "seconds": round(seconds, 3),
        "photos_per_second": round(made / seconds, 3),
    }


def ids_of(paths: Sequence[Path]) -> dict[str, Path]:
    """Give photos by their ids: the stem of the file name, or the path where several share it."""
    stems = Counter(path.stem for path in set(paths))
    return {path.stem if stems[path.stem] == 1 else str(path): path for path in paths}


def _list_rejects(outcomes: Iterable[Outcome], out: Path) -> None:
    lines = [
        json.dumps({"image": one.path, "code": one.code, "reason": one.reason}, ensure_ascii=False)
        for one in outcomes
        if one.code
    ]
    (out / REJECTS).unlink(missing_ok=True)  # of the run that this one resumes
    if lines:
        (out / REJECTS).write_text("\n".join(lines) + "\n", encoding="utf-8")


def _contact_sheet(outcomes: Sequence[Outcome], out: Path, max_pixels: int) -> Image.Image:
    """Draw the first photos with their first boxes."""
    folder = ProposalFolder(out)
    tiles = []
    for outcome in outcomes[:SHEET_PHOTOS]:
        photo = open_image(outcome.path, max_pixels)
        boxes = folder.proposals(outcome.image_id, photo.size).boxes[:SHEET_BOXES]
        label = f"{Path(outcome.path).stem}: {outcome.boxes}"
        tiles.append((_with_boxes(photo, boxes), label))
    return photo_sheet(tiles, columns=4)


def _with_boxes(photo: Image.Image, boxes: np.ndarray) -> Image.Image:
    """Draw boxes (N, 4) on a photo made small."""
    scale = TILE_HEIGHT / max(photo.size)
    size = (max(1, round(scale * photo.width)), max(1, round(scale * photo.height)))
    small = photo.resize(size)
    pen = ImageDraw.Draw(small)
    for i, (x1, y1, x2, y2) in enumerate((boxes * scale).tolist()):
        corners = (x1, y1, max(x1, x2 - 1), max(y1, y2 - 1))
        pen.rectangle(corners, outline=COLOURS[i % len(COLOURS)], width=2)
    return small


def _check(config: DictConfig) -> None:
    if OmegaConf.is_missing(config, "images"):
        raise UserError("images is missing; give images=FOLDER, or photos, a glob or a list")
    check_number("max_pixels", config.max_pixels, 1, whole=True)
    check_number("threads", config.threads, 1, 1024, whole=True, or_null=True)
