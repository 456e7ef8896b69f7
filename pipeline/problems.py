"""What of a dataset could not be used: kept aside, and told."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from data_prep.phrases import Problem

REJECTS = "rejects.jsonl"


def write_problems(path: Path, problems: Sequence[Problem]) -> None:
    """Write a line each; without a problem there is no file."""
    path.unlink(missing_ok=True)  # of the run that this one resumes
    if problems:
        lines = [json.dumps(asdict(each), ensure_ascii=False) + "\n" for each in problems]
        path.write_text("".join(lines), encoding="utf-8")


def by_code(problems: Sequence[Problem]) -> dict[str, int]:
    """Count them."""
    return dict(Counter(problem.code for problem in problems))


def first_of(problems: Sequence[Problem]) -> str:
    """Name the first one, to stand at the end of a message."""
    if not problems:
        return ""
    return f"; the first: {problems[0].where}: {problems[0].reason}"


def tell_problems(problems: Sequence[Problem], file: Path) -> None:
    """Print how many there are, and where they are listed."""
    if problems:
        counted = ", ".join(f"{code} {count:,}" for code, count in by_code(problems).items())
        print(f"problems: {counted}; listed in {file}")
