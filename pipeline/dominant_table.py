"""Errors of dominant boxes as a table for a terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich import box
from rich.table import Table

from pipeline.point_tables import in_words
from pipeline.report.tables import percent

KINDS = {"max": "maximum", "mean": "mean"}  # what a threshold is a multiple of


def summary_table(metrics: Mapping[str, Any]) -> Table:
    """Lay lines and thresholds of metrics.json out, with the baselines below.

    `error` is that on the measured pairs with its interval, `tuning` that on the tuning pairs.
    """
    methods = metrics["methods"]
    beside = any("published" in numbers for numbers in methods.values())
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("method")
    table.add_column("threshold")
    for title in ("error, %", "tuning, %", *["as published"] * beside, "degenerate"):
        table.add_column(title, justify="right")
    table.add_column("target layer")
    for name, numbers in methods.items():
        for kind, cut in numbers["thresholds"].items():
            table.add_row(
                in_words(name),
                f"{cut['factor']:g} × {KINDS[kind]}",
                _with_interval(cut),
                percent(cut["tuning_error"]),
                *[percent(numbers.get("published"))] * beside,
                f"{numbers['degenerate']:,}",
                str(numbers["target"] or "–"),
            )
    for name, numbers in metrics["baselines"].items():
        table.add_row(name.replace("_", " "), "–", _with_interval(numbers))
    return table


def _with_interval(numbers: Mapping[str, Any]) -> str:
    low, high = map(percent, numbers["interval"])
    return f"{percent(numbers['error'])} ({low}–{high})"
