"""What every benchmark writes down: settings, results, machine, versions, date and commit."""

from __future__ import annotations

import json
import os
import platform
import re
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, is_dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, TypeVar

import torch
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = (
    *("torch", "torchvision", "timm", "torchray", "scikit-learn", "numpy", "pillow"),
    *("pyarrow", "numba", "pandas", "webdataset", "safetensors"),
)

ABSOLUTE = re.compile(r"(^|[=\['\",])(/[^'\",\]]+)")  # path that a value is or has in it

S = TypeVar("S")
Row = Mapping[str, object]


def read_settings(settings: type[S]) -> S:
    """Fill a dataclass of settings from ``key=value`` arguments of the command line.

    Ends the program with one line when a key is unknown or a value has the wrong type.
    """
    try:
        given = OmegaConf.from_dotlist(sys.argv[1:])
        merged = OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(settings), given))
    except OmegaConfBaseException as error:
        reason = str(error).splitlines()[0]
        keys = ", ".join(settings.__dataclass_fields__)  # type: ignore[attr-defined]
        sys.exit(f"{reason}; the keys are {keys}")
    assert isinstance(merged, settings)
    return merged


def table(rows: Sequence[Row]) -> str:
    """Return a Markdown table; the columns are the keys of the first row."""
    columns = list(rows[0])
    lines = [columns, ["---"] * len(columns)]
    lines += [[_cell(row.get(column)) for column in columns] for row in rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def write(name: str, settings: object, rows: Sequence[Row], notes: str = "") -> Path:
    """Write a JSON record and append it in words to ``benchmarks/NAME.md``.

    Parameters
    ----------
    name : str
        The benchmark's name.
    settings : dataclass instance
        Every setting, also those left at their default.
    rows : sequence of mapping
        The results, one table row each.
    notes : str
        Markdown put above the table: what the columns mean, what was measured.

    Returns
    -------
    Path
        The JSON record, ``benchmarks/NAME-DATE.json``.
    """
    assert is_dataclass(settings)
    assert not isinstance(settings, type)
    now = datetime.now(UTC)
    record = {
        "benchmark": name,
        "date": now.isoformat(timespec="seconds"),
        "commit": COMMIT,
        "command": shlex.join(["scripts/bench", name, *without_folders(sys.argv[1:])]),
        "hardware": hardware(),
        "versions": versions(),
        "settings": without_folders(asdict(settings)),
        "notes": notes,
        "rows": [dict(row) for row in rows],
    }
    folder = ROOT / "benchmarks"
    folder.mkdir(exist_ok=True)
    path = folder / f"{name}-{now:%Y%m%d-%H%M%S}.json"
    path.write_text(json.dumps(record, indent=1, default=str) + "\n", encoding="utf-8")
    with (folder / f"{name}.md").open("a", encoding="utf-8") as summary:
        summary.write(_section(record, path.name))
    return path


def without_folders(value: Any) -> Any:
    """Name paths without the folders of this machine, in a string or all strings of a container.

    Those in the repository are made relative to it, of others the last part stays.
    """
    if isinstance(value, dict):
        return {key: without_folders(one) for key, one in value.items()}
    if isinstance(value, list):
        return [without_folders(one) for one in value]
    return ABSOLUTE.sub(_short, value) if isinstance(value, str) else value


def hardware() -> dict[str, Any]:
    """Return the processor, its cores, the threads in use and the GPU."""
    return {
        "cpu": _processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
    }


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that matter here."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def _section(record: dict[str, Any], file: str) -> str:
    machine = record["hardware"]
    used = ", ".join(f"{package} {number}" for package, number in record["versions"].items())
    return f"""
## {record["date"]}

`{record["command"]}`

{machine["cpu"]}, {machine["cores"]} cores, threads used: {machine["threads"]}; \
GPU: {machine["gpu"] or "none"}.
{used}. Commit {record["commit"]}. Record: [{file}]({file}).

{record["notes"].strip()}

{table(record["rows"])}
"""


def _short(found: re.Match[str]) -> str:
    path = Path(found[2])
    inside = path != ROOT and path.is_relative_to(ROOT)
    return found[1] + (path.relative_to(ROOT).as_posix() if inside else path.name)


def _cell(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    return "" if value is None else str(value)


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    models = (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    return next(models, platform.machine())


def _commit() -> str:
    def git(*arguments: str) -> str:
        command = ["git", "-C", str(ROOT), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()

    changed = git("status", "--porcelain", "--untracked-files=no", "--", "*.py")
    return (git("rev-parse", "--short=12", "HEAD") or "unknown") + (" (changed)" if changed else "")


COMMIT = _commit()  # of the code that runs, not of the moment the record is written
