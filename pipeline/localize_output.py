"""What stage `localize` leaves behind: table, metrics, report, and what it prints."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from omegaconf import DictConfig
from rich import box
from rich.console import Console
from rich.table import Table

from data_prep.errors import UserError
from data_prep.images import open_image
from data_prep.phrases import PhraseData, Problem
from grounding.localisation_metrics import evaluate, map_baseline
from pipeline.parts import PARTS, merged
from pipeline.phrase_table import localised, of_baseline
from pipeline.problems import REJECTS, by_code, first_of, tell_problems
from pipeline.report import tables, write_report
from pipeline.stage import finish, strings

TABLE, REPORT = "phrases.parquet", "report.html"
MANY_UNKNOWN = 0.5  # share of the phrases without a known word


def write_results(config: DictConfig, data: PhraseData, processes: int) -> None:
    """Merge the parts, write table, metrics and report, and print the outcome.

    `seconds` are those of all processes together; `photos_per_second` is the rate of the run,
    whose processes work at the same time.

    Raises
    ------
    UserError
        No photo could be used.
    """
    out = Path(config.out)
    photos = sum(bool(photo.phrases) for photo in data.photos)
    work = merged(out, photos, config.chunk, data.problems)
    table, problems, seconds = work.table, work.problems, work.seconds
    if not len(table):
        shutil.rmtree(out / PARTS)  # or the same command would not look again
        raise UserError(
            f"dataset.images={config.dataset.images}: none of {len(data.photos):,} photos can be "
            f"used{first_of(problems)}"
        )
    phrases = localised(table)
    metrics = evaluate(phrases, config.seed)
    for name in strings(config.baselines):
        metrics["baselines"][name] = map_baseline(of_baseline(table, name), config.seed)
    metrics |= {
        "phrases_left_out": sum(len(photo.phrases) for photo in data.photos) - len(table),
        "not_counted": data.not_counted,
        "unrelated_captions": data.unrelated,
        "rejected": by_code(problems),
        "seconds": round(seconds, 3),
        "processes": processes,
        "photos_per_second": round(metrics["photos"] / (seconds / processes), 3),
    }
    pq.write_table(table, out / TABLE)
    write_report(
        out / REPORT,
        table,
        metrics,
        _settings(config),
        partial(open_image, max_pixels=config.max_pixels),
        config.seed,
    )
    finish(out, metrics)
    shutil.rmtree(out / PARTS)  # not before the mark of completion: a kill would lose all
    _tell(metrics, problems, out)


def _settings(config: DictConfig) -> dict[str, Any]:
    """What the report says of the run."""
    model = config.model.get("folder") or config.model.get("name")
    groups = ("dataset", "proposals", "words", "maps", "phrase", "rank")
    return {
        "model": str(model),
        "dataset": str(config.dataset.get("root") or config.dataset.get("file")),
        "date": datetime.now(UTC).date().isoformat(),
        **{
            f"{group}.{key}": str(value) for group in groups for key, value in config[group].items()
        },
    }


def _tell(metrics: dict[str, Any], problems: Sequence[Problem], out: Path) -> None:
    table = Table(box=box.SIMPLE_HEAD)
    for name in ("", "R@1", "R@5", "R@10", "pointing"):
        table.add_column(name, justify="left" if not name else "right")
    for row in tables.methods(metrics):
        values = [value for value, _ in row.cells]
        table.add_row(row.name, *values[:3], values[-1])
    Console(width=100).print(table)
    unknown = tables.percent(metrics["out_of_vocabulary"])
    print(
        f"{metrics['phrases']:,} phrases of {metrics['photos']:,} photos (IoU ≥ 0.5 with the box "
        f"around all boxes of a phrase, %); {unknown} % out of vocabulary"
    )
    if metrics["out_of_vocabulary"] > MANY_UNKNOWN:
        print(
            "warning: the model knows no word of most phrases; the numbers are mainly those of "
            "phrase.unknown, and tell little of the model"
        )
    tell_problems(problems, out / REJECTS)
    print(f"{metrics['photos_per_second']:.2f} photos/s; report: {out / REPORT}")
