"""Decided rows, also of a batch that is a slice of another."""

import numpy as np
import pyarrow as pa

from data_prep.cleaning import output
from data_prep.cleaning.rules import FEW_TAGS

ROWS = pa.record_batch(
    {"image_id": [1, 2, 3], "tags": pa.array([[2], [0, 1, 2], [1]], output.CODES)}
)[1:]


def test_images() -> None:
    rows = output.images(ROWS, np.array([1, -1, 0]), pa.array(["c", "a"]))
    assert rows.to_pylist() == [
        {"image_id": 2, "tags": ["a", "c"], "codes": [1, 0]},
        {"image_id": 3, "tags": [], "codes": []},
    ]


def test_rejects() -> None:
    reasons = np.full(2, FEW_TAGS, np.uint8)
    rows = output.rejects(ROWS, pa.array(["a", "b", "c"]), reasons, pa.array(["x", None]))
    assert rows.to_pylist() == [
        {"image_id": 2, "tags": ["a", "b", "c"], "reason": "few_tags", "detail": "x"},
        {"image_id": 3, "tags": ["b"], "reason": "few_tags", "detail": None},
    ]
