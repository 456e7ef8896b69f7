"""The funnel: what became of the rows of a crawl."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from data_prep.cleaning.rules import KEPT, REASONS, Rules


def make_funnel(
    by_reason: Sequence[int],
    counts: np.ndarray,
    vocabulary: pa.Table,
    changed: Mapping[str, int],
    without_user: int,
    skipped: Mapping[str, str],
) -> dict[str, Any]:
    """Put the numbers of a cleaning run together.

    Parameters
    ----------
    by_reason : sequence of int
        Rows of each reason, by its code; unreadable ones included.
    counts : int64 (D,)
        Images that each distinct tag is on; 0 for one on none.
    vocabulary : pa.Table
    changed : mapping
        What normalisation changed, as `TagTable.changed`.
    without_user : int
        Rows read that name no user though there is such a column; they are never compared.
    skipped : mapping
        As `skipped_rules` gives it.

    Returns
    -------
    dict
        `input`, `kept` (rows), `dropped` (rows by reason), `vocabulary`, `distinct_tags`, `tags`
        (on all images), `normalised` (tags by kind of change), `without_user`, `skipped`.
    """
    return {
        "input": sum(by_reason),
        "kept": by_reason[KEPT],
        "dropped": {name: by_reason[code] for code, name in enumerate(REASONS) if code != KEPT},
        "vocabulary": vocabulary.num_rows,
        "distinct_tags": int(np.count_nonzero(counts)),
        "tags": int(counts.sum()),
        "normalised": dict(changed),
        "without_user": without_user,
        "skipped": dict(skipped),
    }


def skipped_rules(rules: Rules, columns: Sequence[str]) -> dict[str, str]:
    """Name the rules that are not applied, and why: to rows with these columns."""
    skipped = {}
    if rules.min_alphabetical is None:
        skipped["alphabetical"] = "clean.min_alphabetical=null"
    if rules.max_shared_first_tags is None:
        skipped["near_duplicate"] = "clean.max_shared_first_tags=null"
    elif "user_id" not in columns:
        skipped["near_duplicate"] = "there is no user column"
    return skipped
