"""Runs that are killed, and runs of two processes: they end as if nothing had been."""

import signal
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from data_prep.errors import UserError
from pipeline.pointed_photo import PhotoPlayer
from tests.pipeline.point.made import lasting, metrics, plays, run, write_model
from tests.pipeline.train.processes import begin, finish, two

pytestmark = pytest.mark.usefixtures("no_pictures")


def same(out: Path, other: Path) -> bool:
    tables = [pq.read_table(each / "plays.parquet") for each in (out, other)]
    return tables[0].equals(tables[1]) and lasting(out) == lasting(other)


def test_kill_and_the_same_command(keys: list[str], finished: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    process = begin(["tests.pipeline.point.killed"], "stage=point", *keys, f"out={out}")
    assert finish(process) == ("", "")
    assert process.returncode == -signal.SIGKILL
    assert sorted(path.name for path in out.glob("parts/*")) == ["000000.parquet", "000001.parquet"]
    run(*keys, f"out={out}")
    assert same(out, finished)
    assert not (out / "parts").exists()


def test_where_no_bar_can_be_shown_a_line_tells_the_place(
    keys: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("pipeline.parts.TELL_SECONDS", -1.0)
    run(*keys, "chunk=3", f"out={tmp_path / 'out'}")
    assert capsys.readouterr().err == "Pointing: 3 of 4 photos\nPointing: 4 of 4 photos\n"


@pytest.fixture
def begun(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Photos that were begun; at the second one the run is interrupted."""
    rows, begun = PhotoPlayer.rows, []

    def interrupted(self, photo, image):  # type: ignore[no-untyped-def]
        begun.append(photo.id)
        if len(begun) == 2:
            raise KeyboardInterrupt
        return rows(self, photo, image)

    monkeypatch.setattr(PhotoPlayer, "rows", interrupted)
    return begun


def test_parts_of_another_model_are_done_again(
    keys: list[str], begun: list[str], tmp_path: Path
) -> None:
    folder = write_model(tmp_path / "model")
    own = [*keys, f"model.folder={folder}", f"out={tmp_path / 'out'}"]
    with pytest.raises(KeyboardInterrupt):
        run(*own)
    write_model(folder, seed=1)
    run(*own)
    assert begun == ["1001", "1002", "1001", "1002", "1003", "1004"]


def test_another_configuration_does_not_go_on(
    keys: list[str], begun: list[str], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    own = [*keys, "methods=[centre]", f"out={out}"]
    with pytest.raises(KeyboardInterrupt):
        run(*own)
    told = "holds an unfinished run with another tolerance; give another out= or overwrite=true"
    with pytest.raises(UserError, match=told):
        run(*own, "tolerance=0")
    assert [path.name for path in out.glob("parts/*")] == ["000000.parquet"]
    assert begun == ["1001", "1002"]
    run(*own, "tolerance=0", "overwrite=true")
    assert begun == ["1001", "1002", "1001", "1002", "1003", "1004"]
    # Within 15 pixels the middle of 1001 is on both; on the dog alone without.
    hits = {row["label"]: row["hit"] for row in plays(out) if row["image"] == "1001"}
    assert hits == {"dog": True, "cat": False}


def test_a_finished_run_does_nothing(
    keys: list[str], finished: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(*keys, f"out={finished}")
    assert "already finished" in capsys.readouterr().out
    with pytest.raises(UserError, match="another tolerance; give another out= or overwrite"):
        run(*keys, "tolerance=3", f"out={finished}")


def test_two_processes_come_to_the_same(keys: list[str], finished: Path, tmp_path: Path) -> None:
    arguments = [*keys, f"out={tmp_path / 'out'}", "examples=0"]
    processes = two(arguments, arguments, stage="point")
    printed = [finish(process) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], printed
    assert same(tmp_path / "out", finished)
    assert metrics(tmp_path / "out")["processes"] == 2
    assert "5 pairs of photo and class" in printed[0][0]
    assert printed[1] == ("", "")
