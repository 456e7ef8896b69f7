"""Stage `shards`: cleaned rows and their photos become tar files to train on."""

import io
import json
import shutil
import tarfile
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from omegaconf import DictConfig, OmegaConf
from PIL import Image
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn, track

from data_prep.errors import UserError
from data_prep.shards.index import INDEX, SPLITS, VOCABULARY, ShardIndex, fingerprint
from data_prep.shards.merging import REJECTS, merge
from data_prep.shards.photos import FolderPhotos, Photos, TarPhotos
from data_prep.shards.recipes import Recipe
from data_prep.shards.rows import IMAGES, read_rows
from data_prep.shards.split import LEFT_OUT, split_by_column, split_by_hash
from data_prep.shards.tars import locate, scan
from data_prep.shards.writing import PARTS, Report, ShardWriter, Task, plan
from data_prep.workers import run_tasks
from grounding.drawing import photo_sheet
from pipeline.stage import cores, disk_full, finish, is_finished, start

SHEET, SHEET_PHOTOS, SHEET_TAGS = "contact_sheet.png", 40, 3
WRITES = (
    *(f"{split}/*.tar" for split in SPLITS),
    f"{PARTS}/*.json",
    *(INDEX, VOCABULARY, REJECTS, SHEET),
)
FORMATS = ("auto", "files", "img2dataset")
SPLIT_BY = ("auto", "user", "image")
MOST_SAMPLES = 100_000  # of a shard: keys have five digits for the place in it


def run(config: DictConfig) -> None:
    """Write shards, their index, the vocabulary with counts of each split, and the rejects.

    A run that was killed goes on with the first shard that it had not finished.

    Raises
    ------
    UserError
        A key is unusable, rows or photos cannot be found, or nothing is left to train on.
    """
    _check(config)
    recipe = _recipe(config)
    if is_finished(config):
        return
    began = time.perf_counter()
    rows, vocabulary, photos = _inputs(config)
    splits, left_out = _splits(config, rows)
    tags = vocabulary["tag"].to_pylist()
    tasks = plan(rows, splits, config.shard_samples, config.seed, fingerprint(tags))

    cleaned, images = Path(config.cleaned), Path(config.images)
    inputs = [cleaned / IMAGES, cleaned / VOCABULARY, images]
    out = start(config, inputs, WRITES, folders=(*SPLITS, PARTS), resume=())
    with disk_full(out, "free some and run again: finished shards are kept"):
        for folder in (*SPLITS, PARTS):
            (out / folder).mkdir(exist_ok=True)
        writer = ShardWriter(out, photos, recipe, tags)
        reports, done = _write(writer, tasks, int((splits != LEFT_OUT).sum()), cores(config))
        metrics = merge(reports, vocabulary, out)
        if metrics["samples"]["train"] > 0:
            _contact_sheet(out).save(out / SHEET)
    shutil.rmtree(out / PARTS)
    if metrics["samples"]["train"] == 0:
        raise UserError(
            f"no photo of {len(rows):,} rows can be trained on; {out / REJECTS} tells why"
        )
    seconds = time.perf_counter() - began
    metrics |= {"left_out": left_out, "seconds": round(seconds, 3)}
    finish(out, metrics)
    _tell(metrics, out, config)
    print(f"{done / seconds:,.0f} images/s; pictures: {out / SHEET}")


def _inputs(config: DictConfig) -> tuple[pa.RecordBatch, pa.Table, Photos]:
    """Read rows and vocabulary, and find out where the photos are."""
    columns = [] if config.split_column is None else [str(config.split_column)]
    if _is_in_tars(config):
        rows, vocabulary = read_rows(Path(config.cleaned), columns)
        rows, photos = _locate(rows, config)
        return rows, vocabulary, photos
    files = FolderPhotos(Path(config.images), str(config.file), config.max_pixels)
    rows, vocabulary = read_rows(Path(config.cleaned), [*columns, *files.columns()])
    return rows, vocabulary, files


def _recipe(config: DictConfig) -> Recipe:
    keys = config.resize
    if not OmegaConf.is_dict(keys) or set(keys) != {"mode", "size"}:
        raise UserError(f"resize={keys}: give resize=short_side, or its keys: resize.size=384")
    return Recipe(keys.mode, keys.size, config.jpeg_quality, config.max_pixels)


def _is_in_tars(config: DictConfig) -> bool:
    images = Path(config.images)
    if not images.is_dir():
        raise UserError(f"images={images}: no such folder; give a folder of photos or of tars")
    if config.format != "auto":
        return bool(config.format == "img2dataset")
    return next(images.glob("*.tar"), None) is not None


def _splits(config: DictConfig, rows: pa.RecordBatch) -> tuple[np.ndarray, dict[str, int]]:
    """Give each row (N,) its split, and count the rows left out by what their column says."""
    if config.split_column is not None:
        splits, left_out = split_by_column(rows[str(config.split_column)].cast(pa.string()))
    else:
        users = rows["user_id"] if "user_id" in rows.schema.names else None
        if users is None and config.split_by == "user":
            raise UserError("split_by=user: the rows have no user_id; give split_by=image")
        users = None if config.split_by == "image" else users
        splits = split_by_hash(rows["image_id"], users, config.val, config.seed)
        left_out = {}
    if not (splits == SPLITS.index("train")).any():
        raise UserError(
            f"split_column={config.split_column}, val={config.val}: no row of {len(rows):,} is "
            "left to train on; give another column or a smaller val"
        )
    return splits, left_out


def _locate(rows: pa.RecordBatch, config: DictConfig) -> tuple[pa.RecordBatch, TarPhotos]:
    """Find the rows' photos in tars; tell which tars are damaged."""
    files = sorted(Path(config.images).glob("*.tar"))
    if not files:
        raise UserError(f"images={config.images}: no *.tar there; give the folder of img2dataset")
    console = Console(stderr=True)
    with closing(run_tasks(scan, files, min(cores(config), len(files)))) as scanning:
        watched = track(
            scanning,
            "Tars",
            total=len(files),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        scans = sorted(watched, key=lambda one: one.file)
    for one in scans:
        if not one.whole:
            print(f"{one.file}: damaged or cut off; {len(one.members):,} photos can be read")
    return locate(rows, scans), TarPhotos(tuple(files), config.max_pixels)


def _write(
    writer: ShardWriter, tasks: Iterator[Task], rows: int, processes: int
) -> tuple[list[Report], int]:
    """Write the shards that are not finished yet.

    Returns
    -------
    reports : list of Report
        Of all shards.
    done : int
        Rows that were looked at; those of shards that were there already do not count.
    """
    reports: list[Report] = []

    def unfinished() -> Iterator[Task]:
        for task in tasks:
            report = writer.finished(task)
            if report is None:
                yield task
            else:
                reports.append(report)
                bar.update(progress, completed=_rows(reports))

    console = Console(stderr=True)
    with Progress(
        TextColumn("Photos"),
        BarColumn(),
        TextColumn("{task.completed:,} of {task.total:,}, {task.fields[rate]:,.0f} images/s"),
        TimeRemainingColumn(),
        console=console,
        disable=not console.is_terminal,
    ) as bar:
        progress = bar.add_task("", total=rows, rate=0.0)
        began, done = time.perf_counter(), 0
        with closing(run_tasks(writer.write, unfinished(), processes)) as written:
            for report in written:
                reports.append(report)
                done += _rows([report])
                rate = done / (time.perf_counter() - began)
                bar.update(progress, completed=_rows(reports), rate=rate)
    return reports, done


def _rows(reports: list[Report]) -> int:
    return sum(report.samples + len(report.rejects) for report in reports)


def _contact_sheet(out: Path) -> Image.Image:
    """Draw samples as they were written, with their first tags."""
    photos: list[tuple[Image.Image, str]] = []
    first = ShardIndex.load(out).train[0]
    with tarfile.open(out / first.file) as tar:
        while len(photos) < SHEET_PHOTOS and (photo := tar.next()) and (label := tar.next()):
            contents = [tar.extractfile(member) for member in (photo, label)]
            picture, text = (file.read() for file in contents if file)
            tags = json.loads(text)["tags"]
            shown = ", ".join(tags[:SHEET_TAGS])
            photos.append((Image.open(io.BytesIO(picture)), shown))
    return photo_sheet(photos)


def _tell(metrics: dict[str, Any], out: Path, config: DictConfig) -> None:
    samples, shards = metrics["samples"], sum(metrics["shards"].values())
    rejected = sum(metrics["rejected"].values())
    for what, reasons in (("rejected", metrics["rejected"]), ("left out", metrics["left_out"])):
        if reasons:
            print(f"{what}: {', '.join(f'{reason} {n:,}' for reason, n in reasons.items())}")
    if samples["val"] == 0 and config.val > 0:
        print(
            "no sample in val: raise val=, or share out the photos of few users by split_by=image"
        )
    counted = " + ".join(f"{samples[split]:,} {split}" for split in SPLITS)
    print(f"{counted} samples in {shards:,} shards, {rejected:,} rejected: {out}")


def _check(config: DictConfig) -> None:
    if config.images is None:
        raise UserError("images is missing; give images=FOLDER, of photos or of img2dataset's tars")
    for key, allowed in (("format", FORMATS), ("split_by", SPLIT_BY)):
        if config[key] not in allowed:
            raise UserError(f"{key}={config[key]}: give one of {', '.join(allowed)}")
    limits = {"shard_samples": (1, MOST_SAMPLES), "seed": (0, 2**32), "threads": (1, 1024)}
    for key, (low, high) in limits.items():
        number = config[key]
        if key == "threads" and number is None:
            continue
        if not isinstance(number, int) or isinstance(number, bool) or not low <= number <= high:
            raise UserError(f"{key}={number}: give a whole number from {low} to {high}")
    val = config.val
    if not isinstance(val, int | float) or isinstance(val, bool) or not 0 <= val < 1:
        raise UserError(f"val={val}: give a share, 0 or more and below 1")
