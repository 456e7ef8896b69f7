"""What stage `dominant` leaves behind: boxes, metrics, curves, and what it prints."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from omegaconf import DictConfig
from rich.console import Console

from data_prep.annotated import AnnotatedPhoto
from data_prep.phrases import Problem
from grounding.bootstrap import intervals
from grounding.dominant import FACTORS, Tuning, best_overlaps, centre_box, tune, whole_image
from grounding.localisation import THRESHOLD
from pipeline.dominant_curves import draw_curves
from pipeline.dominant_table import summary_table
from pipeline.parts import PARTS, check_usable, merged
from pipeline.photo_maps import PhotoMaps, tell_rest
from pipeline.problems import REJECTS, by_code
from pipeline.published import published_of
from pipeline.stage import finish, strings

TABLE, CURVES = "dominant.parquet", "curves.png"
CORNERS = ("x1", "y1", "x2", "y2")
WRITES = (TABLE, CURVES, REJECTS, f"{PARTS}/*.parquet")
BASELINES = {"whole_image": whole_image, "centre_box": centre_box}
PROTOCOL = (
    "Error: share of pairs of photo and class whose box has IoU < 0.5 with every box of the class. "
    "The box is the tightest one around the largest component (pixels that meet at a side or a "
    "corner) of the map, resized to the photo, that reaches a factor times its maximum or mean; "
    "the factor is that of the smallest error on the tuning photos, of equals the middle one. A "
    "map that is not finite or zero is a miss. Intervals: 95 %, bootstrap over photos, with the "
    "factor as it is. Baselines: one box for every photo, all of it, or half as wide and high in "
    "its middle."
)
SCHEMA = pa.schema(
    [
        pa.field("image", pa.string()),
        pa.field("photo", pa.string()),
        pa.field("width", pa.int32()),
        pa.field("height", pa.int32()),
        pa.field("label", pa.string()),  # the dataset's class
        pa.field("word", pa.string()),  # what the model was asked
        pa.field("method", pa.string()),  # a line's name
        pa.field("threshold", pa.string()),  # max or mean
        pa.field("factor", pa.float64()),
        *(pa.field(corner, pa.int32()) for corner in CORNERS),  # null: no box
        pa.field("iou", pa.float64()),  # the best with a box of the class
        pa.field("hit", pa.bool_()),
    ]
)


@dataclass(frozen=True)
class Splits:
    """Photos with a class to ask for, and what was left out on the way to them.

    Attributes
    ----------
    measured, tuning : tuple of AnnotatedPhoto
        Apart from each other.
    left_out : mapping of str to int
        Pairs of photo and class by reason, of the photos that are not left out as a whole.
    photos_left_out : mapping of str to int
        Photos by reason.
    absent : tuple of str
        Classes that the model does not know.
    problems : tuple of Problem
        Of the dataset.
    """

    measured: tuple[AnnotatedPhoto, ...]
    tuning: tuple[AnnotatedPhoto, ...]
    left_out: Mapping[str, int]
    photos_left_out: Mapping[str, int]
    absent: tuple[str, ...]
    problems: tuple[Problem, ...]

    @property
    def photos(self) -> tuple[AnnotatedPhoto, ...]:
        return self.tuning + self.measured


@dataclass(frozen=True)
class Cut:
    """One line with one kind of threshold, tuned and applied.

    Attributes
    ----------
    pairs : pyarrow.Table
        Rows of the measured pairs.
    tuning : Tuning
    factor : float
        The chosen one.
    boxes : ndarray (P, 4)
        Of the pairs, with this factor; all zero: none.
    overlaps : ndarray (P,)
        With the class.
    degenerate : int
        Measured maps that are degenerate.
    """

    pairs: pa.Table
    tuning: Tuning
    factor: float
    boxes: np.ndarray
    overlaps: np.ndarray
    degenerate: int


def write_results(config: DictConfig, splits: Splits, maps: PhotoMaps, world: int) -> None:
    """Merge the parts, tune, measure, write everything and print the outcome.

    `seconds` are those of all processes together.

    Raises
    ------
    UserError
        No photo could be used, to tune or to measure on.
    """
    out = Path(config.out)
    work = merged(out, len(splits.photos), config.chunk, splits.problems)
    photos = {str(photo.path): photo for photo in splits.measured}
    is_measured = np.array([path in photos for path in work.table["photo"].to_pylist()], bool)
    measured, tuning = work.table.filter(is_measured), work.table.filter(~is_measured)
    for some, what, usable in (
        (splits.measured, "measure", measured),
        (splits.tuning, "tune", tuning),
    ):
        check_usable(out, usable, f"{len(some):,} photos to {what} on", work.problems)
    cuts = {
        (line.name, kind): _cut(line.name, kind, measured, tuning)
        for line in maps.lines
        for kind in strings(config.thresholds)
    }
    metrics: dict[str, Any] = {
        **_counts(measured),
        **{f"tuning_{key}": count for key, count in _counts(tuning).items()},
        "protocol": PROTOCOL,
        "published_source": config.published_source,
        "methods": _methods(config, cuts, maps),
        "baselines": _baselines(next(iter(cuts.values())).pairs, photos, config.seed),
        "left_out": dict(splits.left_out),
        "photos_left_out": dict(splits.photos_left_out),
        "absent": list(splits.absent),
        "rejected": by_code(work.problems),
        "seconds": round(work.seconds, 3),
        "processes": world,
    }
    rows = [row for key, cut in cuts.items() for row in _rows(*key, cut, photos)]
    pq.write_table(pa.Table.from_pylist(rows, SCHEMA), out / TABLE)
    draw_curves(metrics["methods"], out / CURVES)
    finish(out, metrics)
    shutil.rmtree(out / PARTS)  # not before the mark of completion: a kill would lose all
    _tell(metrics, work.problems, out)


def _cut(method: str, kind: str, measured: pa.Table, tuning: pa.Table) -> Cut:
    wanted = (pc.field("method") == method) & (pc.field("threshold") == kind)
    measured, tuning = measured.filter(wanted), tuning.filter(wanted)
    found = tune(_numbers(tuning, "overlaps"))
    boxes = _numbers(measured, "boxes").reshape(len(measured), -1, 4)
    overlaps = _numbers(measured, "overlaps")
    # Any map that is not degenerate reaches the lowest threshold.
    degenerate = int((~boxes[:, 0].any(axis=1)).sum())
    factor = float(FACTORS[kind][found.index])
    of = found.index
    return Cut(measured, found, factor, boxes[:, of], overlaps[:, of], degenerate)


def _numbers(table: pa.Table, column: str) -> np.ndarray:
    """Lists of a column, all of one length, as rows."""
    values: np.ndarray = table[column].combine_chunks().flatten().to_numpy()
    return values.reshape(len(table), -1)


def _counts(table: pa.Table) -> dict[str, int]:
    pairs = set(zip(table["photo"].to_pylist(), table["label"].to_pylist(), strict=True))
    return {"photos": len({photo for photo, _ in pairs}), "pairs": len(pairs)}


def _error(overlaps: np.ndarray, photos: Sequence[str], seed: int) -> dict[str, Any]:
    misses = overlaps < THRESHOLD
    interval = intervals(misses[:, None], photos, seed=seed)[0].tolist()
    return {"error": float(misses.mean()), "interval": interval}


def _methods(
    config: DictConfig, cuts: Mapping[tuple[str, str], Cut], maps: PhotoMaps
) -> dict[str, dict[str, Any]]:
    methods: dict[str, dict[str, Any]] = {}
    for line in maps.lines:
        own = {kind: cut for (name, kind), cut in cuts.items() if name == line.name}
        target, _ = line.target(maps.classifier) or (None, None)
        methods[line.name] = {
            "target": target,
            "degenerate": next(iter(own.values())).degenerate,
            "thresholds": {
                kind: {
                    "factor": cut.factor,
                    **_error(cut.overlaps, cut.pairs["photo"].to_pylist(), config.seed),
                    "tuning_error": float(cut.tuning.errors[cut.tuning.index]),
                    "factors": FACTORS[kind].tolist(),
                    "tuning_errors": cut.tuning.errors.tolist(),
                }
                for kind, cut in own.items()
            },
        }
        if (published := published_of(config, line)) is not None:
            methods[line.name]["published"] = published / 100
    return methods


def _baselines(
    pairs: pa.Table, photos: Mapping[str, AnnotatedPhoto], seed: int
) -> dict[str, dict[str, Any]]:
    """Errors of one box for every photo."""
    paths, labels = pairs["photo"].to_pylist(), pairs["label"].to_pylist()
    found = {}
    for name, make in BASELINES.items():
        overlaps = []
        for path, label in zip(paths, labels, strict=True):
            photo = photos[path]
            (truth,) = (each.boxes for each in photo.classes if each.label == label)
            box = np.array([make(photo.width, photo.height)])
            overlaps.append(best_overlaps(box, truth)[0])
        found[name] = _error(np.array(overlaps), paths, seed)
    return found


def _rows(
    method: str, kind: str, cut: Cut, photos: Mapping[str, AnnotatedPhoto]
) -> Iterator[dict[str, Any]]:
    pairs = cut.pairs.select(["photo", "label", "word"]).to_pylist()
    for pair, box, overlap in zip(pairs, cut.boxes.tolist(), cut.overlaps.tolist(), strict=True):
        photo = photos[pair["photo"]]
        corners = box if any(box) else [None] * 4
        yield {
            **pair,
            "image": photo.id,
            "width": photo.width,
            "height": photo.height,
            "method": method,
            "threshold": kind,
            "factor": cut.factor,
            **dict(zip(CORNERS, corners, strict=True)),
            "iou": overlap,
            "hit": overlap >= THRESHOLD,
        }


def _tell(metrics: Mapping[str, Any], problems: Sequence[Problem], out: Path) -> None:
    Console(width=120).print(summary_table(metrics))
    print(
        f"error: of the {metrics['pairs']:,} pairs of photo and class in {metrics['photos']:,} "
        f"photos the share whose box has IoU < {THRESHOLD} with every box of the class\n"
        f"thresholds: those of the smallest error on {metrics['tuning_pairs']:,} other pairs in "
        f"{metrics['tuning_photos']:,} photos"
    )
    photos = metrics["photos"] + metrics["tuning_photos"]
    tell_rest(metrics, photos, problems, out, f"curves: {out / CURVES}")
