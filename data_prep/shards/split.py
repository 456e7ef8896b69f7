"""Which photos train the classifier, and which only judge it."""

from __future__ import annotations

from hashlib import blake2b

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from data_prep.shards.index import SPLITS

LEFT_OUT = -1  # a row of neither split


def split_by_hash(
    image_ids: pa.Array, user_ids: pa.Array | None, share: float, seed: int
) -> np.ndarray:
    """Draw the validation split by a hash of the user, or of the image where there is no user.

    The choice depends on nothing but the id and the seed: rows that are added move no other, and
    all photos of a user are in one split.

    Parameters
    ----------
    image_ids, user_ids : pa.Array (N,)
        Of a type that can be spelled out; users may be null.
    share : float
        Of the ids that go into the validation split, 0 to 1.

    Returns
    -------
    ndarray (N,) int8
        Places in `SPLITS`: 0 train, 1 val.
    """
    drawn = _uniform(image_ids, seed)
    if user_ids is not None:
        known = pc.is_valid(user_ids).to_numpy(zero_copy_only=False)
        drawn[known] = _uniform(user_ids.filter(pa.array(known)), seed)
    return (drawn < share).astype(np.int8)


def split_by_column(names: pa.Array) -> tuple[np.ndarray, dict[str, int]]:
    """Take the split from a column that says `train` or `val`.

    Returns
    -------
    splits : ndarray (N,) int8
        Places in `SPLITS`, or `LEFT_OUT`.
    others : dict
        Rows left out, by what the column says.
    """
    places = pc.index_in(names, pa.array(SPLITS, names.type))
    splits = places.fill_null(LEFT_OUT).to_numpy(zero_copy_only=False).astype(np.int8)
    others = pc.value_counts(names.filter(pa.array(splits == LEFT_OUT))).to_pylist()
    return splits, {str(row["values"]): row["counts"] for row in others}


def _uniform(ids: pa.Array, seed: int) -> np.ndarray:
    """Hash ids to float64 (N,) numbers, as if drawn evenly from 0 to 1."""
    encoded = ids.cast(pa.string()).dictionary_encode()
    salt = str(seed).encode()
    hashed = [
        int.from_bytes(blake2b(text.encode(), digest_size=8, salt=salt).digest(), "big")
        for text in encoded.dictionary.to_pylist()
    ]
    drawn = np.array(hashed, dtype=np.uint64) / 2.0**64
    return drawn[encoded.indices.to_numpy(zero_copy_only=False)]
