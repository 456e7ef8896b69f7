"""How many images each tag is on, and the vocabulary that follows."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from data_prep.errors import UserError


def rank_tags(tags: pa.Array, counts: pa.Array, min_frequency: int) -> pa.Table:
    """Make the vocabulary: the tags on at least `min_frequency` images, most frequent first.

    Parameters
    ----------
    tags : string (D,)
        Distinct.
    counts : int64 (D,)
        Images that each tag is on.
    min_frequency : int

    Returns
    -------
    pa.Table
        `tag` (string), `count` (int64) and `rank` (int64, from 1). A tag's code is its rank less
        one. Tags of equal count are in alphabetical order (by code point).

    Raises
    ------
    UserError
        No tag is frequent enough.
    """
    table = pa.table({"tag": tags, "count": counts})
    frequent = table.filter(pc.greater_equal(counts, min_frequency))
    frequent = frequent.sort_by([("count", "descending"), ("tag", "ascending")])
    if frequent.num_rows == 0:
        found = "there are no tags at all"
        if len(tags):
            best = pc.max(counts)
            found = f"the most frequent, {tags[pc.index(counts, best).as_py()]}, is on {best}"
        raise UserError(
            f"clean.min_frequency={min_frequency}: no tag is on so many images ({found}); "
            "give a smaller number"
        )
    return frequent.append_column("rank", pa.array(np.arange(1, frequent.num_rows + 1)))


def alphabet_places(tags: pa.Array) -> np.ndarray:
    """Give each tag's place in alphabetical order (by code point): string (D,) → int32 (D,)."""
    places = np.empty(len(tags), np.int32)
    places[pc.sort_indices(tags).to_numpy()] = np.arange(len(tags), dtype=np.int32)
    return places
