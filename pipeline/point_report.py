"""What a pointing game reached, as one web page that needs nothing beside it."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from PIL import Image

from grounding.bootstrap import RESAMPLES
from pipeline.point_tables import (
    SUBSETS,
    Methods,
    best_of,
    class_share,
    difficult_flags,
    in_words,
    labels_of,
    notes,
    pairs_of,
    pairs_played,
    published,
    winners,
    with_interval,
)
from pipeline.report.tables import percent
from pipeline.report.templates import render, title_parts

LEAST = 0.6  # of a picture's width, so that its text can be read; narrower pages scroll


class Cell(NamedTuple):
    """A number in per cent, what stands below it, and whether it is the best."""

    value: str
    beside: str
    best: bool


def write_point_report(
    path: Path,
    metrics: Mapping[str, Any],
    settings: Mapping[str, Any],
    pictures: Sequence[tuple[str, Path]],
) -> None:
    """Write the metrics, with pictures inside, as one HTML file without outside parts.

    The same input gives the same file.

    Parameters
    ----------
    path : Path
        To write.
    metrics : mapping
        As in metrics.json.
    settings : mapping
        All stand in a list; `date`, and the last parts of `model` and `dataset`, in the title.
    pictures : sequence of (str, Path)
        Title and PNG or JPEG file, in the page's order.
    """
    methods: Methods = metrics["methods"]
    page = render(
        "point.html.jinja",
        title=title_parts(settings),
        settings=settings,
        metrics=metrics,
        pairs_played=pairs_played(metrics),
        published=any(map(published, methods.values())),
        methods=_method_rows(methods),
        notes=notes(metrics),
        resamples=RESAMPLES,
        difficult=difficult_flags(metrics["difficult"]),
        classes=_class_rows(methods),
        pictures=[_picture(title, file) for title, file in pictures],
    )
    path.write_text(page, encoding="utf-8")


def _method_rows(methods: Methods) -> list[dict[str, Any]]:
    best = {subset: best_of(methods, subset) for subset in SUBSETS}
    return [
        {
            "name": in_words(name),
            "cells": [Cell(*with_interval(numbers, s), name in best[s]) for s in SUBSETS],
            "published": published(numbers),
            "degenerate": numbers["degenerate"],
            "target": numbers.get("target") or "–",
        }
        for name, numbers in methods.items()
    ]


def _class_rows(methods: Methods) -> list[dict[str, Any]]:
    rows = []
    for label in labels_of(methods):
        best = winners(methods, label, "all")
        cells = []
        for name, numbers in methods.items():
            every, difficult = (percent(class_share(numbers, label, s)) for s in SUBSETS)
            cells.append(Cell(every, difficult, name in best))
        rows.append({"label": label, "pairs": pairs_of(methods, label), "cells": cells})
    return rows


def _picture(title: str, file: Path) -> dict[str, Any]:
    with Image.open(file) as picture:
        width, height = picture.size
        kind = picture.get_format_mimetype()
    uri = f"data:{kind};base64,{base64.b64encode(file.read_bytes()).decode()}"
    return {
        "title": title,
        "uri": uri,
        "width": width,
        "height": height,
        "least": round(LEAST * width),
    }
