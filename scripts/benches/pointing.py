"""Pointing game: accuracy of methods, target layers, scales and blends, by stage=point.

``stage=[model=DIR,dataset.root=DIR,…]`` are the keys of stage=point; ``processes`` share
the photos. With ``out=DIR`` a run that was cut off goes on.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console

from scripts.benches import record

NOTES = """\
`stage=point` with these keys. {photos:,} photos, {pairs:,} image-class pairs, \
{difficult_pairs:,} of them difficult ({source} flags). `All` and `Difficult`: mean over classes \
of the hit rate, %, with 95 % intervals (bootstrap over photos); {tolerance:g} px tolerance in the \
original photo. `degenerate`: maps without a maximum, counted as misses. `grid`: the target's for \
a 224×224 input. \
{processes} process(es), {seconds:,.0f} s of work together."""


@dataclass
class Settings:
    """What is run."""

    stage: list[str] = field(default_factory=list)  # keys of stage=point
    processes: int = 1
    out: str | None = None  # None: a temporary folder


def main() -> None:
    settings = record.read_settings(Settings)
    with tempfile.TemporaryDirectory() as folder:
        metrics = run_stage(settings, Path(settings.out or folder, "point"))
    notes = NOTES.format(source=metrics["difficult"]["source"], **metrics)
    console, rows = Console(), lines(metrics)
    console.print(record.table(rows), soft_wrap=True, markup=False)
    console.print(f"record: {record.write('pointing', settings, rows, notes)}")


def run_stage(settings: Settings, out: Path) -> dict[str, Any]:
    """Run stage=point in processes of its own and read its metrics."""
    launcher = ["-m", "torch.distributed.run", "--nproc-per-node", str(settings.processes)]
    command = [sys.executable, *(launcher if settings.processes > 1 else [])]
    command += ["-m", "pipeline", "stage=point", *settings.stage, f"out={out}"]
    threads = {"OMP_NUM_THREADS": "1"} | dict(os.environ)
    done = subprocess.run(command, cwd=record.ROOT, env=threads, check=False)
    if done.returncode:
        sys.exit("stage=point failed: see above")
    found: dict[str, Any] = json.loads((out / "metrics.json").read_text(encoding="utf-8"))
    return found


def lines(metrics: dict[str, Any]) -> list[dict[str, object]]:
    """One row a line of the stage's table."""
    rows = []
    for name, numbers in metrics["methods"].items():
        row: dict[str, object] = {
            "method": name,
            "target": numbers["target"],
            "grid": numbers.get("grid"),
        }
        for subset, title in (("all", "All"), ("difficult", "Difficult")):
            ends = numbers["intervals"].get(subset)
            row[title] = None if numbers[subset] is None else round(100 * numbers[subset], 1)
            row[f"{title} 95 %"] = ends and "–".join(f"{100 * end:.1f}" for end in ends)
        rows.append(row | {"degenerate": numbers["degenerate"]})
    return rows


if __name__ == "__main__":
    main()
