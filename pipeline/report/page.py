"""The page: numbers, curves and gallery put into its template."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jinja2
import pyarrow as pa

from grounding.ranking import DEPTH
from pipeline.phrase_table import localised
from pipeline.report import figures, tables
from pipeline.report.gallery import OpenPhoto, gallery

TITLE_KEYS = ("model", "dataset", "date")
TITLE_PARTS = 2  # of a path, its last


def write_report(
    path: Path,
    table: pa.Table,
    metrics: Mapping[str, Any],
    settings: Mapping[str, Any],
    photo: OpenPhoto,
    seed: int = 0,
) -> None:
    """Write what a run of phrase localisation reached as one HTML file without outside parts.

    The same input gives the same file.

    Parameters
    ----------
    path : Path
        To write.
    table : pyarrow.Table
        One row or more, see `pipeline.phrase_table.SCHEMA`.
    metrics : mapping
        What `grounding.localisation_metrics.evaluate` returns; more baselines may be among the
        `baselines`, and counts by reason under `not_counted` and `rejected`.
    settings : mapping
        All stand in a list; `date`, and the last parts of `model` and `dataset`, in the title.
    photo : callable
        Path to photo, mode RGB; one that cannot be opened is left out.
    seed : int
        Of the phrases drawn at random.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    phrases = localised(table)
    page = environment.get_template("report.html.jinja").render(
        title={key: _last_parts(str(settings.get(key, ""))) for key in TITLE_KEYS},
        settings=settings,
        metrics=metrics,
        known=tables.percent(1 - metrics["out_of_vocabulary"]),
        tiles=tables.tiles(metrics),
        methods=tables.methods(metrics),
        types=tables.types(metrics),
        figures={
            "Recall over the number of boxes": figures.recall_curve(phrases),
            "Overlap of the first box": figures.iou_histogram(table["iou_merged"].to_pylist()),
            "Recall by the phrase's length": figures.group_bars(
                metrics["by_length"], "length", "words of the phrase, and phrases"
            ),
            "Recall by the size of the thing": figures.group_bars(
                metrics["by_size"], "size", "share of the photo, and phrases"
            ),
        },
        protocols=tables.protocols(metrics),
        groups=gallery(table, photo, seed),
        depth=DEPTH,
    )
    path.write_text(page, encoding="utf-8")


def _last_parts(path: str) -> str:
    return "/".join(Path(path).parts[-TITLE_PARTS:])
