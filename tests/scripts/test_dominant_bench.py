"""The benchmark of dominant objects on drawn photos: its rows are the stage's metrics."""

from pathlib import Path

import pytest

from scripts.benches.dominant import NOTES, lines
from scripts.benches.pointing import Settings, run_stage
from tests.pipeline.dominant.made import TRAIN, VAL, write_voc
from tests.pipeline.localize.made import write_model


def test_rows_are_the_lines_and_the_baselines(tmp_path: Path) -> None:
    root = tmp_path / "voc"
    write_voc(root, "train", TRAIN)
    write_voc(root, "val", VAL)
    quick = [f"model={write_model(tmp_path / 'model')}", "device=cpu", "short_sides=[64]"]
    quick += ["dataset=voc07", f"dataset.root={root}", "dataset.split=val", "tune_split=train"]
    quick += ["methods=[cmwp]", "layers=[28]"]
    found, resumed = run_stage("dominant", Settings(quick, out=str(tmp_path)))
    assert not resumed
    assert "thresholds tuned on 2 others in 2 photos" in NOTES.format(**found)
    highest, mean, *baselines = lines(found)
    cuts = found["methods"]["cmwp"]["thresholds"]
    for row, kind in ((highest, "max"), (mean, "mean")):
        assert row["threshold"] == f"{cuts[kind]['factor']:g} × {kind}"
        assert row["error"] == pytest.approx(100 * cuts[kind]["error"], abs=0.05)
        assert row["target"] == found["methods"]["cmwp"]["target"]
    assert [row["method"] for row in baselines] == ["whole_image", "centre_box"]
