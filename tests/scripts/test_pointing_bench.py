"""The pointing benchmark on drawn photos: its rows are the stage's metrics."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from scripts.benches import record
from scripts.benches.pointing import Settings, lines, main, run_stage
from tests.pipeline.point.made import QUICK, RENAMED, metrics, write_model, write_voc

A: dict[str, Any] = {
    "target": None,
    "intervals": {},
    "all": 0.5,
    "difficult": None,
    "degenerate": 0,
    "at_border": 1,
}


def test_rows_are_the_lines_of_the_stage(tmp_path: Path) -> None:
    model, root = write_model(tmp_path / "model"), write_voc(tmp_path / "voc")
    keys = [f"model={model}", f"dataset.root={root}", RENAMED, *QUICK]
    keys += ["methods=[centre,cmwp]", "examples=0"]
    found, resumed = run_stage("point", Settings(keys, out=str(tmp_path)))
    assert found == metrics(tmp_path / "point")
    assert not resumed
    centre, ours = lines(found)
    assert centre["method"] == "centre"
    assert centre["target"] is None
    assert centre["All"] == pytest.approx(100 * found["methods"]["centre"]["all"], abs=0.05)
    assert ours["grid"] == found["methods"]["cmwp"]["grid"]
    assert ours["at border"] == found["methods"]["cmwp"]["at_border"]
    low, high = str(ours["All 95 %"]).split("–")
    assert float(low) <= float(str(ours["All"])) <= float(high)


@pytest.mark.parametrize("resumed", [False, True])
def test_a_resumed_run_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, resumed: bool
) -> None:
    if resumed:
        (tmp_path / "point/parts").mkdir(parents=True)
        (tmp_path / "point/parts/000000.parquet").touch()

    def run(command: list[str], **_: object) -> subprocess.CompletedProcess[bytes]:
        out = Path(command[-1].removeprefix("out="))
        out.mkdir(exist_ok=True)
        (out / "metrics.json").write_text(json.dumps(found))
        return subprocess.CompletedProcess(command, 0)

    counts = dict.fromkeys(("photos", "pairs", "difficult_pairs", "processes", "seconds"), 1)
    found = {**counts, "difficult": {"source": "derived"}, "tolerance": 15, "methods": {"a": A}}
    written = []
    monkeypatch.setattr(subprocess, "run", run)
    monkeypatch.setattr(record, "write", lambda *arguments: written.append(arguments))
    monkeypatch.setattr(sys, "argv", ["pointing", f"out={tmp_path}"])
    main()
    assert ("resumed" in written[0][3]) == resumed


@pytest.mark.parametrize(
    ("key", "told"), [("processes=0", "processes=0: give 1 or more"), ("out={}", "a finished run")]
)
def test_refused(key: str, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "point").mkdir()
    (tmp_path / "point/done.json").touch()
    monkeypatch.setattr(sys, "argv", ["pointing", key.format(tmp_path)])
    with pytest.raises(SystemExit, match=told):
        main()


def test_a_refusal_ends_the_benchmark(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="stage=point failed"):
        run_stage("point", Settings(["model=nowhere", "dataset.root=nowhere"], out=str(tmp_path)))
    assert "error: " in capfd.readouterr().err
