"""Maps that are all zero are misses without a box, and counted, in stage=dominant."""

from pathlib import Path

import pytest

from tests.pipeline.dominant.made import metrics, rows, run
from tests.pipeline.localize.made import TAGS
from tests.pipeline.zero_maps import zero_maps


def test_zero_maps_are_counted_as_misses(
    keys: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    zero_maps(monkeypatch, "mwp", TAGS.index("red"))
    out = tmp_path / "out"
    run(*keys, "pairs=all", "layers=[28]", f"out={out}")
    of_max = [row for row in rows(out) if row["threshold"] == "max"]  # always a box, if any map
    nowhere = [row for row in of_max if row["x1"] is None]
    assert {(row["method"], row["image"], row["label"]) for row in nowhere} == {
        ("mwp", image, "red") for image in ("v1", "v3", "v6")
    }
    zero = [row for row in rows(out) if (row["method"], row["label"]) == ("mwp", "red")]
    assert len(zero) == 6  # by both thresholds
    for row in zero:
        assert [row[corner] for corner in ("x1", "y1", "x2", "y2")] == [None] * 4
        assert (row["iou"], row["hit"]) == (0, False)
    found = metrics(out)["methods"]
    assert {name: each["degenerate"] for name, each in found.items()} == {"cmwp": 0, "mwp": 3}
    for kind, cut in found["mwp"]["thresholds"].items():
        own = [r for r in rows(out) if (r["method"], r["threshold"]) == ("mwp", kind)]
        assert cut["error"] == sum(not row["hit"] for row in own) / 6
        assert min(cut["tuning_errors"]) >= 0.5  # red is asked of 2 of 4 pairs
