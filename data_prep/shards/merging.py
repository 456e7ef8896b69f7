"""Puts together what is known of all shards, once they are written."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from data_prep.shards.index import SPLITS, VOCABULARY, Shard, ShardIndex, fingerprint
from data_prep.shards.writing import Report

REJECTS = "rejects.parquet"


def merge(reports: Sequence[Report], vocabulary: pa.Table, out: Path) -> dict[str, Any]:
    """Write index, vocabulary and rejects of a folder of shards, and remove stray tars.

    Parameters
    ----------
    reports : sequence of Report
        Of every shard, in any order.
    vocabulary : pa.Table
        tag, count, rank, in the order of the codes.
    out : Path
        The folder.

    Returns
    -------
    dict
        Metrics: samples, shards, copied (photos taken over byte for byte), rejected by
        reason, bytes_read, bytes_written.
    """
    reports = sorted(reports, key=lambda report: report.file)
    shards = {
        split: tuple(
            Shard(report.file, report.samples, report.bytes)
            for report in reports
            if report.split == split and report.samples
        )
        for split in SPLITS
    }
    _remove_strays(out, {shard.file for row in shards.values() for shard in row})
    for split in SPLITS:
        counts = np.zeros(len(vocabulary), np.int64)
        for report in reports:
            if report.split == split:
                codes = np.array(report.codes, np.int64)
                counts[codes] += np.array(report.counts, np.int64)
        vocabulary = vocabulary.append_column(split, pa.array(counts))
    rejects = [reject for report in reports for reject in report.rejects]
    _write_table(vocabulary, out / VOCABULARY)
    columns = {
        name: pa.array([reject[place] for reject in rejects], pa.string())
        for place, name in enumerate(("image_id", "reason"))
    }
    _write_table(pa.table(columns), out / REJECTS)
    index = ShardIndex(
        vocabulary=fingerprint(vocabulary["tag"].to_pylist()), tags=len(vocabulary), **shards
    )
    index.save(out)
    return {
        "samples": {split: index.samples(split) for split in SPLITS},
        "shards": {split: len(shards[split]) for split in SPLITS},
        "rejected": dict(sorted(Counter(reason for _, reason in rejects).items())),
        "copied": sum(report.copied for report in reports),
        "bytes_read": sum(report.bytes_read for report in reports),
        "bytes_written": sum(report.bytes for report in reports),
    }


def _remove_strays(out: Path, files: set[str]) -> None:
    """Remove what a run before this one has begun and this one did not write."""
    for split in SPLITS:
        for pattern in ("*.tar", "*.tar.part"):
            for path in (out / split).glob(pattern):
                if f"{split}/{path.name}" not in files:
                    path.unlink()


def _write_table(table: pa.Table, path: Path) -> None:
    part = path.with_name(path.name + ".part")
    pq.write_table(table, part)
    part.replace(path)
