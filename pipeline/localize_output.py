"""What stage `localize` leaves behind: table, metrics, report, and what it prints."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from omegaconf import DictConfig
from rich import box
from rich.console import Console
from rich.table import Table

from data_prep.errors import UserError
from data_prep.images import open_image
from data_prep.phrases import PhraseData, Problem
from grounding.localisation_metrics import evaluate, map_baseline
from pipeline.phrase_table import SCHEMA, localised, of_baseline
from pipeline.report import tables, write_report
from pipeline.stage import finish, strings

TABLE, REPORT, REJECTS = "phrases.parquet", "report.html", "rejects.jsonl"
PARTS = "parts"
PROBLEMS, SECONDS = b"problems", b"seconds"  # in the metadata of a part


def write_part(
    part: Path, rows: list[dict[str, Any]], problems: Sequence[Problem], seconds: float
) -> None:
    """Write the rows of some photos; the file is either whole or absent."""
    about = {PROBLEMS: json.dumps([asdict(each) for each in problems]), SECONDS: str(seconds)}
    half = part.with_name(part.name + ".part")
    pq.write_table(pa.Table.from_pylist(rows, SCHEMA.with_metadata(about)), half)
    half.replace(part)


def write_results(config: DictConfig, data: PhraseData) -> None:
    """Merge the parts, write table, metrics and report, and print the outcome.

    Raises
    ------
    UserError
        No photo could be used.
    """
    out = Path(config.out)
    parts = [pq.read_table(path) for path in sorted((out / PARTS).glob("*.parquet"))]
    found = [
        Problem(**each) for part in parts for each in json.loads(part.schema.metadata[PROBLEMS])
    ]
    problems = [*data.problems, *found]
    table = pa.concat_tables(part.replace_schema_metadata(None) for part in parts)
    _write_problems(out / REJECTS, problems)
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
    seconds = sum(float(part.schema.metadata[SECONDS]) for part in parts)
    metrics |= {
        "phrases_left_out": sum(len(photo.phrases) for photo in data.photos) - len(table),
        "not_counted": data.not_counted,
        "unrelated_captions": data.unrelated,
        "rejected": dict(Counter(problem.code for problem in problems)),
        "seconds": round(seconds, 3),
        "photos_per_second": round(metrics["photos"] / seconds, 3),
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


def _write_problems(path: Path, problems: Sequence[Problem]) -> None:
    path.unlink(missing_ok=True)  # of the run that this one resumes
    if problems:
        lines = [json.dumps(asdict(each), ensure_ascii=False) + "\n" for each in problems]
        path.write_text("".join(lines), encoding="utf-8")


def first_of(problems: Sequence[Problem]) -> str:
    if not problems:
        return ""
    return f"; the first: {problems[0].where}: {problems[0].reason}"


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
    if problems:
        counted = ", ".join(f"{code} {count:,}" for code, count in metrics["rejected"].items())
        print(f"problems: {counted}; listed in {out / REJECTS}")
    print(f"{metrics['photos_per_second']:.2f} photos/s; report: {out / REPORT}")
