"""The clean stage at growing size, and beside plain Python and pandas.

Every run is a process of its own; CPU time and peak memory are the operating system's, of the
whole process: start, import and pictures included.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from scripts.benches import record

PAPER_ROWS = 17_000_000
PAPER_FREQUENCY = 1000
PEER = "from scripts.benches.clean_peers import main; main()"


@dataclass
class Settings:
    """What is measured.

    Attributes
    ----------
    rows : list of int
        Sizes of the generated crawls.
    hot_rows : int
        Size of the crawl that is cleaned with and without a user who owns 5 % of it; 0: none.
    peers : list of str
        Of "naive" and "pandas" those to compare with.
    peer_rows : int
        Size of the crawl they clean.
    repeats : int
        Runs of each; the median is given.
    folder : str
        Where the crawls and results go; crawls that are there are used again.
    """

    rows: list[int] = field(default_factory=lambda: [1_000_000, 4_000_000, PAPER_ROWS])
    hot_rows: int = 4_000_000
    peers: list[str] = field(default_factory=lambda: ["pandas", "naive"])
    peer_rows: int = 1_000_000
    repeats: int = 3
    folder: str = "runs/bench-clean"


@dataclass(frozen=True)
class Cost:
    """Of a process: CPU and wall seconds, peak memory in GB (1e9 bytes), what it printed."""

    cpu: float
    wall: float
    peak: float
    output: str


def run(*arguments: str) -> Cost:
    """Run Python with arguments as a process of its own; end the benchmark if it fails."""
    began = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, *arguments], cwd=record.ROOT, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    output = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - began
    if status != 0:
        sys.exit(f"failed: {' '.join(arguments)}")
    return Cost(usage.ru_utime + usage.ru_stime, wall, usage.ru_maxrss * 1024 / 1e9, output)


def crawl(folder: Path, rows: int, hot_user: float = 0.0) -> Path:
    """Generate a crawl unless it is there."""
    out = folder / f"crawl-{rows}{'-hot' if hot_user else ''}"
    settings = [f"images={rows}", f"hot_user={hot_user}", f"out={out}"]
    cost = run("-m", "pipeline", "stage=crawl", *settings)
    if "already finished" not in cost.output:
        print(f"generated {rows:,} rows: {cost.cpu:.0f} CPU s, {cost.peak:.2f} GB", flush=True)
    return out / "crawl"


def frequency(rows: int) -> int:
    """Threshold in proportion to the paper's, so that the vocabulary stays as large."""
    return max(1, round(PAPER_FREQUENCY * rows / PAPER_ROWS))


def clean(path: Path, rows: int, out: Path) -> Cost:
    """Run the stage."""
    keys = [f"crawl={path}", f"clean.min_frequency={frequency(rows)}", f"out={out}"]
    shutil.rmtree(out, ignore_errors=True)
    return run("-m", "pipeline", "stage=clean", *keys)


def measured(name: str, rows: int, costs: Sequence[Cost], funnel: dict[str, Any]) -> dict[str, Any]:
    """Make a row of the record."""
    cpu = [cost.cpu for cost in costs]
    return {
        "what": name,
        "rows": rows,
        "CPU s": round(median(cpu), 1),
        "lowest": round(min(cpu), 1),
        "highest": round(max(cpu), 1),
        "µs a row": round(1e6 * median(cpu) / rows, 2),
        "wall s": round(median(cost.wall for cost in costs), 1),
        "peak GB": round(max(cost.peak for cost in costs), 2),
        "kept": funnel["kept"],
        "vocabulary": funnel["vocabulary"],
    }


def sizes(settings: Settings, folder: Path) -> list[dict[str, Any]]:
    """Clean crawls of every size, and one with a user who owns a twentieth of it."""
    crawls = [(f"tag2box, {rows:,}", rows, crawl(folder, rows)) for rows in settings.rows]
    if settings.hot_rows:
        rows = settings.hot_rows
        crawls.append((f"tag2box, {rows:,}, one user owns 5 %", rows, crawl(folder, rows, 0.05)))
    out = folder / "clean"
    costs: dict[str, list[Cost]] = {name: [] for name, *_ in crawls}
    funnels = {}
    for _ in range(settings.repeats):  # in turns, so that the machine's moods hit all alike
        for name, rows, path in crawls:
            costs[name].append(clean(path, rows, out))
            funnels[name] = json.loads((out / "metrics.json").read_text(encoding="utf-8"))
            print(f"{name}: {costs[name][-1].cpu:.1f} CPU s", flush=True)
    return [measured(name, rows, costs[name], funnels[name]) for name, rows, _ in crawls]


def beside_peers(settings: Settings, folder: Path) -> list[dict[str, Any]]:
    """Clean one crawl with each peer and with the stage, in turns; the funnels must agree."""
    rows, out = settings.peer_rows, folder / "clean"
    path = crawl(folder, rows)
    names = ["tag2box", *settings.peers]
    costs: dict[str, list[Cost]] = {name: [] for name in names}
    funnels: dict[str, dict[str, Any]] = {}
    for _ in range(settings.repeats):
        for name in names:
            if name == "tag2box":
                costs[name].append(clean(path, rows, out))
                funnels[name] = json.loads((out / "metrics.json").read_text(encoding="utf-8"))
            else:
                peer = ["-c", PEER, name, str(path), str(frequency(rows))]
                costs[name].append(run(*peer))
                funnels[name] = json.loads(costs[name][-1].output)
            print(f"{name}: {costs[name][-1].cpu:.1f} CPU s", flush=True)
    for name in settings.peers:
        for key, value in funnels[name].items():
            ours = funnels["tag2box"][key]
            if isinstance(value, dict):
                ours = {reason: ours[reason] for reason in value}
            if ours != value:
                sys.exit(f"{name}: {key} is {value}, but {ours} by tag2box")
    found = [measured(f"{name}, {rows:,}", rows, costs[name], funnels[name]) for name in names]
    for row, name in zip(found, names, strict=True):
        ratios = [
            peer.cpu / own.cpu for peer, own in zip(costs[name], costs["tag2box"], strict=True)
        ]
        row["CPU / tag2box"] = round(median(ratios), 2)
    return found


NOTES = """`python -m pipeline stage=clean` on generated crawls, the threshold in proportion to the
paper's 1000 at 17 M rows. Whole processes: start, imports, reading and writing Parquet, pictures.
Medians of the runs, taken in turns; lowest and highest beside. The peers (plain Python:
tests/oracles/cleaning.py; pandas: scripts/benches/clean_peers.py) only count, they write nothing;
their funnels were checked to be the same."""


def main() -> None:
    """Measure and write the record."""
    settings = record.read_settings(Settings)
    folder = Path(settings.folder)
    rows = sizes(settings, folder)
    peers = beside_peers(settings, folder) if settings.peers else []
    table = [{**row, "CPU / tag2box": row.get("CPU / tag2box")} for row in [*rows, *peers]]
    path = record.write("clean", settings, table, NOTES)
    print(record.table(table))
    print(f"record: {path.relative_to(record.ROOT)}")


if __name__ == "__main__":
    main()
