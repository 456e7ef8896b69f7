"""Pointing game: accuracy of methods, target layers, scales and blends, by stage=point.

``stage=[model=DIR,dataset.root=DIR,…]`` are the keys of stage=point; ``processes`` share
the photos. With ``out=DIR`` a run that was cut off goes on; a finished one is refused, since its
record would name a commit that did not make it.
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

from pipeline.parts import PARTS
from pipeline.point_tables import BORDER
from pipeline.stage import DONE
from scripts.benches import record

NOTES = """\
`stage=point` with these keys. {photos:,} photos, {pairs:,} image-class pairs, \
{difficult_pairs:,} of them difficult ({source} flags). `All` and `Difficult`: mean over classes \
of the hit rate, %, with 95 % intervals (bootstrap over photos); {tolerance:g} px tolerance in the \
original photo. `degenerate`: maps without a maximum, counted as misses. `at border`: maxima less \
than {border} px from the photo's border. `grid`: the target's for a 224×224 input. \
{processes} process(es), {seconds:,.0f} s of work together."""
RESUMED = " The run was cut off and resumed: parts of it may be of an earlier commit."


@dataclass
class Settings:
    """What is run."""

    stage: list[str] = field(default_factory=list)  # keys of stage=point
    processes: int = 1
    out: str | None = None  # None: a temporary folder


def main() -> None:
    settings = record.read_settings(Settings)
    metrics, resumed = run_stage("point", settings)
    notes = NOTES.format(source=metrics["difficult"]["source"], border=BORDER, **metrics)
    console, rows = Console(), lines(metrics)
    console.print(record.table(rows), soft_wrap=True, markup=False)
    console.print(f"record: {record.write('pointing', settings, rows, notes + resumed)}")


def run_stage(name: str, settings: Settings) -> tuple[dict[str, Any], str]:
    """Run a stage in processes of its own; give its metrics, and a note if it was resumed."""
    if settings.processes < 1:
        sys.exit(f"processes={settings.processes}: give 1 or more")
    with tempfile.TemporaryDirectory() as folder:
        out = Path(settings.out or folder, name)
        if (out / DONE).is_file():
            sys.exit(f"out={settings.out}: holds a finished run; give another folder")
        resumed = RESUMED if any(out.glob(f"{PARTS}/*.parquet")) else ""
        launcher = ["-m", "torch.distributed.run", "--nproc-per-node", str(settings.processes)]
        command = [sys.executable, *(launcher if settings.processes > 1 else [])]
        command += ["-m", "pipeline", f"stage={name}", *settings.stage, f"out={out}"]
        threads = {"OMP_NUM_THREADS": "1"} | dict(os.environ)
        if subprocess.run(command, cwd=record.ROOT, env=threads, check=False).returncode:
            sys.exit(f"stage={name} failed: see above")
        return json.loads((out / "metrics.json").read_text(encoding="utf-8")), resumed


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
        row |= {"degenerate": numbers["degenerate"], "at border": numbers["at_border"]}
        rows.append(row)
    return rows


if __name__ == "__main__":
    main()
