"""The page: numbers, curves and gallery put into its template."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from grounding.ranking import DEPTH
from pipeline.phrase_table import localised
from pipeline.report import figures, tables
from pipeline.report.gallery import OpenPhoto, gallery
from pipeline.report.templates import render, title_parts


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
    phrases = localised(table)
    page = render(
        "report.html.jinja",
        title=title_parts(settings),
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
