"""What stage `point` leaves behind: plays, metrics, tables, pictures, report; what it prints."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from omegaconf import DictConfig, OmegaConf
from rich.console import Console

from data_prep.annotated import AnnotatedData, AnnotatedPhoto
from data_prep.phrases import Problem
from grounding.classifier import TagClassifier
from grounding.pointing import Outcome
from grounding.pointing_metrics import PROTOCOL, evaluate
from pipeline.method_lines import MethodLine
from pipeline.parts import PARTS, check_usable, merged
from pipeline.photo_maps import ABSENT, PhotoMaps, tell_rest
from pipeline.point_examples import write_examples
from pipeline.point_pictures import LayerAccuracy, class_bars, layer_curves
from pipeline.point_report import write_point_report
from pipeline.point_tables import (
    BORDER,
    MOST_BARS,
    SUBSETS,
    class_table,
    difficult_flags,
    labels_of,
    notes,
    pairs_played,
    summary_table,
)
from pipeline.problems import REJECTS, by_code
from pipeline.published import published_of
from pipeline.stage import finish

PLAYS, CLASSES, REPORT = "plays.parquet", "classes.csv", "report.html"
OUTCOME = ("method", "image", "label", "hit", "difficult")  # columns of a play
BARS = {"all": "classes_all.png", "difficult": "classes_difficult.png"}
LAYERS = "layers.png"
SETTINGS = (
    *("methods", "layers", "short_sides", "flip", "residual", "bottlenecks", "blends"),
    *("classes", "tolerance", "published", "published_source", "limit", "max_pixels", "seed"),
)  # of the report, beside those of model and dataset
PLACES = ("root", "file", "annotations")  # keys of dataset, one for each kind: what the title names
WRITES = (
    *(PLAYS, CLASSES, REPORT, REJECTS, LAYERS, *BARS.values()),
    *("examples_*.jpg", f"{PARTS}/*.parquet"),
)


def write_results(
    config: DictConfig,
    data: AnnotatedData,
    photos: Sequence[AnnotatedPhoto],
    maps: PhotoMaps,
    absent: Sequence[str],
    world: int,
) -> None:
    """Merge the parts, write everything and print the outcome.

    `seconds` are those of all processes together.

    Raises
    ------
    UserError
        No photo could be used.
    """
    out = Path(config.out)
    work = merged(out, len(photos), config.chunk, data.problems)
    check_usable(out, work.table, f"{len(photos):,} photos", work.problems)
    metrics = _metrics(config, work.table, maps)
    metrics |= {
        "tolerance": config.tolerance,
        "protocol": PROTOCOL.format(tolerance=config.tolerance),
        "difficult": dict(data.difficult),
        "published_source": config.published_source,
        "left_out": {**data.left_out, ABSENT: _pairs_of(data, absent)},
        "absent": list(absent),
        "rejected": by_code(work.problems),
        "seconds": round(work.seconds, 3),
        "processes": world,
    }
    pq.write_table(work.table, out / PLAYS)
    (out / CLASSES).write_text(class_table(metrics["methods"]), encoding="utf-8")
    pictures = _pictures(config, metrics, work.table, photos, maps)
    write_point_report(out / REPORT, metrics, _settings(config, maps.classifier), pictures)
    finish(out, metrics)
    shutil.rmtree(out / PARTS)  # not before the mark of completion: a kill would lose all
    _tell(metrics, work.problems, out)


def _metrics(config: DictConfig, table: pa.Table, maps: PhotoMaps) -> dict[str, Any]:
    names = [line.name for line in maps.lines]
    plays: dict[str, list[Outcome]] = {name: [] for name in names}
    for row in zip(*(table[key].to_pylist() for key in OUTCOME), strict=True):
        method, *outcome = row
        plays[method].append(Outcome(*outcome))
    judged = evaluate(plays, config.seed)
    methods = {}
    for line in maps.lines:
        target, grid = line.target(maps.classifier) or (None, None)
        methods[line.name] = {
            **judged[line.name],
            **_maxima(table.filter(pc.field("method") == line.name)),
            "target": target,
            "grid": grid,
        }
        if figures := published_of(config, line):
            methods[line.name]["published"] = [None if f is None else f / 100 for f in figures]
    pairs = plays[names[0]]
    return {
        "photos": len({play.image for play in pairs}),
        "pairs": len(pairs),
        "difficult_pairs": sum(bool(play.difficult) for play in pairs),
        "unflagged_pairs": sum(play.difficult is None for play in pairs),
        "methods": methods,
    }


def _maxima(plays: pa.Table) -> dict[str, int]:
    """Count the maps without a maximum, and the maxima near the photo's border."""
    found = plays.filter(pc.field("x").is_valid())
    x, y, width, height = (found[key].to_numpy() for key in ("x", "y", "width", "height"))
    nearest = np.minimum.reduce([x, y, width - 1 - x, height - 1 - y])
    return {"degenerate": len(plays) - len(found), "at_border": int((nearest < BORDER).sum())}


def _pairs_of(data: AnnotatedData, labels: Sequence[str]) -> int:
    return sum(each.label in labels for photo in data.photos for each in photo.classes)


def _pictures(
    config: DictConfig,
    metrics: Mapping[str, Any],
    table: pa.Table,
    photos: Sequence[AnnotatedPhoto],
    maps: PhotoMaps,
) -> list[tuple[str, Path]]:
    """Draw all pictures; each with its title."""
    out = Path(config.out)
    made = []
    drawn = BARS if len(labels_of(metrics["methods"])) <= MOST_BARS else {}
    for subset, file in drawn.items():
        if metrics["methods"][maps.lines[0].name][subset] is not None:
            class_bars(metrics["methods"], out / file, subset)
            made.append((f"Accuracy by class: {SUBSETS[subset]}", out / file))
    if layer_curves(_layers(metrics["methods"], maps.lines), out / LAYERS):
        made.append(("Accuracy by target layer", out / LAYERS))
    return made + write_examples(config, table, photos, maps)


def _layers(
    methods: Mapping[str, Any], lines: Sequence[MethodLine]
) -> dict[str, list[LayerAccuracy]]:
    curves: dict[str, list[LayerAccuracy]] = {}
    for line in lines:
        if line.layer is not None:
            found = methods[line.name]
            point = (found[key] for key in ("target", "grid", "all", "difficult", "intervals"))
            curves.setdefault(line.method, []).append(LayerAccuracy(*point))
    return curves


def _settings(config: DictConfig, classifier: TagClassifier) -> dict[str, Any]:
    """What the report says of the run."""
    keys: dict[str, Any] = {
        **{f"model.{key}": value for key, value in config.model.items()},
        **{f"dataset.{key}": value for key, value in config.dataset.items()},
        **{key: config[key] for key in SETTINGS},
    }
    dataset = next(config.dataset[key] for key in PLACES if key in config.dataset)
    return {
        "model": str(config.model.get("folder") or config.model.get("name")),
        "net": classifier.name,
        "dataset": str(dataset),
        "date": datetime.now(UTC).date().isoformat(),
        **{key: _plain(value) for key, value in keys.items()},
    }


def _plain(value: Any) -> str:
    """Text as it is, anything else as JSON."""
    if OmegaConf.is_config(value):
        value = OmegaConf.to_container(value)
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _tell(metrics: Mapping[str, Any], problems: Sequence[Problem], out: Path) -> None:
    Console(width=120).print(summary_table(metrics))
    print(f"{pairs_played(metrics)}; mean over classes of the share of hits, %")
    print("\n".join([difficult_flags(metrics["difficult"]), *notes(metrics)]))
    tell_rest(metrics, metrics["photos"], problems, out, f"report: {out / REPORT}")
