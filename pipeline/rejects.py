"""Samples that could not be used: each counted once, and not forgotten by a run that goes on."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

from data_prep.shards.reading import Lost


class Rejects:
    """The lost samples that a process has met.

    Attributes
    ----------
    met : set of Lost
    """

    def __init__(self) -> None:
        self.met: set[Lost] = set()
        self._path: Path | None = None

    def keep_in(self, folder: Path, process: int) -> None:
        """Take in what an earlier run has left in a folder, and write there from now on.

        Each process has a file of its own, and reads those of all: a run may go on with fewer
        processes. A line that was cut off by a kill is passed over: its sample will be met again.
        """
        self._path = folder / f"rejects-{process}.jsonl"
        for path in folder.glob("rejects-*.jsonl"):
            for line in path.read_bytes().splitlines():
                try:
                    self.met.add(Lost(**json.loads(line)))
                except (ValueError, TypeError):
                    continue
        if self._path.is_file() and not self._path.read_bytes().endswith(b"\n"):
            with self._path.open("ab") as file:
                file.write(b"\n")

    def add(self, lost: Iterable[Lost]) -> None:
        """Take in samples; those that are new are written down at once."""
        new = set(lost) - self.met
        self.met |= new
        if new and self._path is not None:
            lines = [json.dumps(asdict(one), ensure_ascii=False) + "\n" for one in new]
            with self._path.open("a", encoding="utf-8") as file:
                file.writelines(lines)

    def by_reason(self) -> dict[str, int]:
        """Count them by their reason, the most frequent first."""
        return dict(Counter(one.reason for one in self.met).most_common())


def write_rejects(path: Path, rejects: Rejects) -> None:
    """Write all samples in order to a file of their own, if there are any, and tell of them."""
    if not rejects.met:
        return
    ordered = sorted(rejects.met, key=lambda one: (one.file, one.place))
    lines = [json.dumps(asdict(one), ensure_ascii=False) for one in ordered]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    why = ", ".join(f"{reason} ({count:,})" for reason, count in rejects.by_reason().items())
    print(f"rejected: {len(ordered):,} samples, listed in {path}: {why}")
