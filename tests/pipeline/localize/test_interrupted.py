"""Runs that are killed or stopped, and the same command again: it ends as if nothing had been."""

import shutil
import signal
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from PIL import Image

from data_prep.errors import UserError
from grounding.proposals.boxes import Proposals
from pipeline import localize
from pipeline.localized_photo import PhotoLocaliser
from pipeline.parts import is_done, write_part
from pipeline.phrase_table import SCHEMA
from pipeline.proposal_folder import ProposalFolder
from tests.pipeline.localize.made import (
    QUICK,
    lasting,
    metrics,
    run,
    write_model,
)
from tests.pipeline.train.processes import begin, finish, two

pytestmark = pytest.mark.usefixtures("no_report")

WINDOWS_OF = "proposals/boxes/*.npz"


def parts(out: Path) -> list[str]:
    return sorted(path.name for path in out.glob("parts/*.parquet"))


def same(out: Path, other: Path) -> bool:
    """Tell whether two runs came to the same."""
    tables = [pq.read_table(each / "phrases.parquet") for each in (out, other)]
    return tables[0].equals(tables[1]) and lasting(out) == lasting(other)


def interrupt_at(photo: int, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Press Ctrl-C at a photo, counted from 0; give the photos that are begun."""
    rows, begun = PhotoLocaliser.rows, []

    def interrupted(self, one, image, boxes):  # type: ignore[no-untyped-def]
        begun.append(one.id)
        if len(begun) == photo + 1:
            raise KeyboardInterrupt
        return rows(self, one, image, boxes)

    monkeypatch.setattr(PhotoLocaliser, "rows", interrupted)
    return begun


def test_kill_and_the_same_command(keys: list[str], finished: Path, tmp_path: Path) -> None:
    arguments = [*keys, f"out={tmp_path / 'out'}"]
    process = begin(["tests.pipeline.localize.killed"], "stage=localize", *arguments)
    assert finish(process) == ("", "")
    assert process.returncode == -signal.SIGKILL
    assert parts(tmp_path / "out") == ["000000.parquet", "000001.parquet"]
    assert not (tmp_path / "out" / "done.json").exists()
    run(*arguments)
    assert same(tmp_path / "out", finished)
    assert parts(tmp_path / "out") == []


def test_what_is_done_is_not_done_again(
    keys: list[str], finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = [*keys, f"out={tmp_path / 'out'}"]
    with monkeypatch.context() as patched:
        begun = interrupt_at(2, patched)
        with pytest.raises(KeyboardInterrupt):
            run(*arguments)
    assert begun == ["1001", "1002", "1003"]
    assert parts(tmp_path / "out") == ["000000.parquet", "000001.parquet"]
    made = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").glob(WINDOWS_OF)}
    with pytest.raises(UserError, match=r"unfinished run with another rank.gamma; give another o"):
        run(*arguments, "rank.gamma=0.9")
    begun = interrupt_at(99, monkeypatch)
    run(*arguments, "threads=2")
    assert begun == ["1003", "1004"]
    assert {path: path.stat().st_mtime_ns for path in made} == made
    assert same(tmp_path / "out", finished)


@pytest.mark.parametrize(
    "changed", ["nothing", "model", "proposals", "dataset", "photo", "shorter"]
)
def test_parts_made_of_something_else_are_done_again(
    changed: str,
    root: Path,
    model: str,
    finished: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Parts 1001 and 1002 are done when the files of the same configuration change."""
    own = Path(shutil.copytree(root, tmp_path / "own"))
    net = Path(shutil.copytree(model.removeprefix("model.folder="), tmp_path / "net"))
    made = ProposalFolder(Path(shutil.copytree(finished / "proposals", tmp_path / "made")))
    keys = [f"model.folder={net}", f"dataset.root={own}", "chunk=1", *QUICK, "baselines=null"]
    keys += ["proposals=folder", f"proposals.folder={made.path}", f"out={tmp_path / 'out'}"]
    with monkeypatch.context() as patched:
        interrupt_at(2, patched)
        with pytest.raises(KeyboardInterrupt):
            run(*keys)
    if changed == "model":
        shutil.rmtree(net)
        write_model(net, seed=1)
    elif changed == "proposals":
        made.write("1001", Proposals(made.proposals("1001").boxes[:5]), (96, 72))
    elif changed == "dataset":
        (own / "Sentences" / "1001.txt").write_text("[/EN#1/other A red thing] .\n")
    elif changed == "photo":
        Image.new("RGB", (96, 72)).save(own / "images" / "1001.png")
    elif changed == "shorter":
        (own / "test.txt").write_text("1002\n")
    begun = interrupt_at(99, monkeypatch)
    run(*keys)
    again = {"nothing": [], "model": ["1001", "1002"]}.get(changed, ["1001"])
    assert begun == (["1002"] if changed == "shorter" else [*again, "1003", "1004"])
    monkeypatch.undo()
    monkeypatch.setattr("pipeline.localize_output.write_report", lambda *_: None)
    run(*keys[:-1], f"out={tmp_path / 'fresh'}")
    assert same(tmp_path / "out", tmp_path / "fresh")


def test_a_damaged_part_is_done_again(tmp_path: Path) -> None:
    file = tmp_path / "000000.parquet"
    assert not is_done(file, "mark")
    write_part(file, "mark", [], SCHEMA, [], 1.0)
    assert is_done(file, "mark")
    assert not is_done(file, "other")
    file.write_bytes(file.read_bytes()[:-9])
    assert not is_done(file, "mark")


def test_a_kill_before_the_end_loses_no_photo(
    keys: list[str], finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The report is written, the mark of completion is not."""

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    arguments = [*keys, f"out={tmp_path / 'out'}"]
    with monkeypatch.context() as patched:
        patched.setattr("pipeline.localize_output.finish", killed)
        with pytest.raises(KeyboardInterrupt):
            run(*arguments)
    begun = interrupt_at(0, monkeypatch)
    run(*arguments)
    assert begun == []
    assert same(tmp_path / "out", finished)


def test_a_finished_run_does_nothing(
    keys: list[str], finished: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setattr(localize, "read_phrases", None)
    times = {path: path.stat().st_mtime_ns for path in finished.rglob("*")}
    run(*keys, f"out={finished}")
    assert (
        capsys.readouterr().out == f"{finished}: already finished; overwrite=true does it again\n"
    )
    assert {path: path.stat().st_mtime_ns for path in finished.rglob("*")} == times
    with pytest.raises(UserError, match="holds a finished run with another chunk; give another ou"):
        run(*keys, f"out={finished}", "chunk=2")


def test_other_proposals_need_overwrite(keys: list[str], tmp_path: Path) -> None:
    arguments = [*keys, f"out={tmp_path / 'out'}", "limit=1", "baselines=null"]
    run(*arguments)
    first = pq.read_table(tmp_path / "out" / "phrases.parquet")["proposals"][0].as_py()
    run(*arguments, "proposals.stride=0.5", "overwrite=true")
    second = pq.read_table(tmp_path / "out" / "phrases.parquet")["proposals"][0].as_py()
    assert second < first


def test_two_processes_come_to_the_same(keys: list[str], finished: Path, tmp_path: Path) -> None:
    """Each does every other photo and its proposals; the first alone prints."""
    arguments = [*keys, f"out={tmp_path / 'out'}"]
    processes = two(arguments, arguments, stage="localize")
    printed = [finish(process) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], printed
    assert same(tmp_path / "out", finished)
    found = metrics(tmp_path / "out")
    assert found["processes"] == 2
    rate = found["photos"] / (found["seconds"] / 2)
    assert found["photos_per_second"] == pytest.approx(rate, rel=0.02)
    assert "9 phrases of 4 photos" in printed[0][0]
    assert printed[1] == ("", "")
