"""The pointing benchmark on drawn photos: its rows are the stage's metrics."""

from pathlib import Path

import pytest

from scripts.benches.pointing import Settings, lines, run_stage
from tests.pipeline.point.made import QUICK, RENAMED, metrics, write_model, write_voc


def test_rows_are_the_lines_of_the_stage(tmp_path: Path) -> None:
    model, root = write_model(tmp_path / "model"), write_voc(tmp_path / "voc")
    keys = [f"model={model}", f"dataset.root={root}", RENAMED, *QUICK]
    keys += ["methods=[centre,cmwp]", "examples=0"]
    out = tmp_path / "out"
    found = run_stage(Settings(keys), out)
    assert found == metrics(out)
    centre, ours = lines(found)
    assert centre["method"] == "centre"
    assert centre["target"] is None
    assert centre["All"] == pytest.approx(100 * found["methods"]["centre"]["all"], abs=0.05)
    assert ours["grid"] == found["methods"]["cmwp"]["grid"]
    low, high = str(ours["All 95 %"]).split("–")
    assert float(low) <= float(str(ours["All"])) <= float(high)


def test_a_refusal_ends_the_benchmark(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="stage=point failed"):
        run_stage(Settings(["model=nowhere", "dataset.root=nowhere"]), tmp_path / "out")
    assert "error: " in capfd.readouterr().err
