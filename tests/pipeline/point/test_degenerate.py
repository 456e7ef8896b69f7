"""Maps that are all zero are misses, and counted, in stage=point."""

from pathlib import Path

import pytest

from tests.pipeline.point.made import WORDS, metrics, plays, run
from tests.pipeline.zero_maps import zero_maps


@pytest.mark.usefixtures("no_pictures")
def test_zero_maps_are_counted_as_misses(
    keys: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    zero_maps(monkeypatch, "mwp", WORDS.index("cat"))
    out = tmp_path / "out"
    run(*keys, "methods=[cmwp,mwp]", "tolerance=1000", f"out={out}")  # all else is a hit
    nowhere = [row for row in plays(out) if row["x"] is None]
    assert {(row["method"], row["image"], row["label"]) for row in nowhere} == {
        ("mwp", "1001", "cat"),
        ("mwp", "1002", "cat"),
    }
    assert all(row["y"] is None for row in nowhere)
    assert all(row["hit"] == (row not in nowhere) for row in plays(out))
    found = metrics(out)["methods"]
    assert {name: each["degenerate"] for name, each in found.items()} == {"cmwp": 0, "mwp": 2}
    assert found["mwp"]["classes"]["cat"]["all"] == 0
    assert found["mwp"]["all"] == pytest.approx(2 / 3)
