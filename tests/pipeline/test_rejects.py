"""Samples that could not be used are counted once, by a run that goes on as by an unbroken one."""

import json
from dataclasses import asdict
from pathlib import Path

import pytest

from data_prep.shards.reading import Lost
from pipeline.rejects import Rejects, write_rejects

FIRST, SECOND = Lost("a/000000.tar", 3, "it has no tags"), Lost("ä/000001.tar", 0, "größer")
THIRD = Lost("a/000000.tar", 1, "it has no tags")


def resumed(folder: Path, process: int = 0) -> Rejects:
    rejects = Rejects()
    rejects.keep_in(folder, process)
    return rejects


def lines(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_the_same_sample_twice(tmp_path: Path) -> None:
    rejects = resumed(tmp_path)
    for lost in ([FIRST], [FIRST, SECOND], [], [SECOND]):
        rejects.add(lost)
    assert rejects.met == {FIRST, SECOND}
    assert rejects.by_reason() == {"it has no tags": 1, "größer": 1}
    assert lines(tmp_path / "rejects-0.jsonl") == [asdict(FIRST), asdict(SECOND)]


def test_what_an_earlier_run_has_left(tmp_path: Path) -> None:
    """Nothing of it is written again."""
    resumed(tmp_path).add([FIRST, SECOND])
    rejects = resumed(tmp_path)
    assert rejects.met == {FIRST, SECOND}
    rejects.add([SECOND, THIRD])
    assert lines(tmp_path / "rejects-0.jsonl")[2:] == [asdict(THIRD)]
    assert resumed(tmp_path).met == {FIRST, SECOND, THIRD}


def test_what_more_processes_have_left(tmp_path: Path) -> None:
    """A run may go on with fewer of them."""
    resumed(tmp_path, 0).add([FIRST])
    resumed(tmp_path, 1).add([SECOND])
    assert resumed(tmp_path, 0).met == {FIRST, SECOND}


@pytest.mark.parametrize("kept", [1, 11, 30, -1])
def test_a_line_that_a_kill_cut_off(tmp_path: Path, kept: int) -> None:
    """After any byte, also within a letter; what comes after it is not lost to a third run."""
    resumed(tmp_path).add([FIRST])
    path = tmp_path / "rejects-0.jsonl"
    whole = path.read_bytes()
    last = json.dumps(asdict(SECOND), ensure_ascii=False).encode()
    path.write_bytes(whole + last[:kept])
    rejects = resumed(tmp_path)
    assert rejects.met == {FIRST}
    rejects.add([THIRD])
    assert resumed(tmp_path).met == {FIRST, THIRD}


def test_the_list_is_in_the_order_of_the_disk(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rejects = Rejects()
    write_rejects(tmp_path / "rejects.jsonl", rejects)
    assert not list(tmp_path.iterdir())
    rejects.add([SECOND, FIRST, THIRD])
    write_rejects(tmp_path / "rejects.jsonl", rejects)
    assert lines(tmp_path / "rejects.jsonl") == [asdict(one) for one in (THIRD, FIRST, SECOND)]
    assert capsys.readouterr().out == (
        f"rejected: 3 samples, listed in {tmp_path / 'rejects.jsonl'}: "
        "it has no tags (2), größer (1)\n"
    )
