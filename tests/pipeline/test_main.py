"""The command line as a person meets it: `python -m pipeline` in a process of its own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from data_prep.errors import UserError
from pipeline import __main__ as main


def pipeline(
    folder: Path, *arguments: str, traceback: bool = False, rank: int = 0
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pipeline", *arguments],
        cwd=folder,
        env={**os.environ, "HYDRA_FULL_ERROR": "1" if traceback else "0", "RANK": str(rank)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "no stage is named; add stage=attend, or --help for the list"),
        (["stage=attnd"], "'stage/attnd' Available options in 'stage': attend"),
        (
            ["stage=localize", "dataset=kitti"],
            "error: dataset=kitti: none of conf/dataset: coco, entities, ",
        ),
        (["stage=train", "experiment=a/b"], "experiment=a/b: none of conf/experiment: fine"),
        (["stage=point", "experiment=point/a"], ", ridge, dominant/googlenet_imagenet, point/goo"),
        (["stage=shards", "resize="], "resize=: none of conf/resize: long_side, original, "),
        (["stage=attend", "imge=x"], "unknown config key imge; add --cfg job to see the keys"),
        (["stage=attend", "model.nme=x"], "unknown config key model.nme;"),
        (
            ["stage=attend", "model=none"],
            "model=none: no folder and none of conf/model: effi",
        ),
        (
            ["stage=attend", "caption=a cat, a dog"],
            "quote the value twice: 'caption=",
        ),
        (["stage=attend", "image=a(1).jpg"], "cannot read image=a(1).jpg; quote the value twice"),
        (["stage=attend", "words=[cat"], "cannot read words=[cat; quote the value twice"),
        (["stage=clean", "data=9"], "give the name of a file in conf/, as in data=crawl"),
        (["stage=clean", "data=null"], "give the name of a file in conf/, as in data=crawl"),
        (["stage=attend", "words=[cat]"], "image is missing; give image=PHOTO"),
    ],
)
def test_an_unusable_command_line_is_told_in_one_line(
    tmp_path: Path, arguments: list[str], message: str
) -> None:
    done = pipeline(tmp_path, *arguments)
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith("error: ")
    assert message in done.stderr
    assert done.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_which_process_of_torchrun_failed(tmp_path: Path) -> None:
    done = pipeline(tmp_path, rank=1)
    assert done.returncode == 1
    assert done.stderr.startswith("error (process 1): no stage is named; ")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("rank", "told"), [(None, "Interrupted.\n"), ("0", "Interrupted.\n"), ("1", "")]
)
def test_one_process_tells_of_ctrl_c(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], rank: str | None, told: str
) -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    monkeypatch.setenv("HYDRA_FULL_ERROR", "0")
    monkeypatch.delenv("RANK", raising=False)
    if rank is not None:
        monkeypatch.setenv("RANK", rank)
    monkeypatch.setattr(main, "_read_configs", interrupted)
    assert main.main() == 130
    assert capsys.readouterr().err == told


def test_the_traceback_is_there_on_demand(tmp_path: Path) -> None:
    done = pipeline(tmp_path, "stage=attend", "imge=x", traceback=True)
    assert done.returncode == 1
    assert "Traceback" in done.stderr


def test_help_and_configuration_work_from_any_folder(tmp_path: Path) -> None:
    done = pipeline(tmp_path, "--help")
    assert done.returncode == 0
    assert "stage: attend" in done.stdout
    done = pipeline(tmp_path, "stage=attend", "--cfg", "job")
    assert done.returncode == 0
    assert "words: null" in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_proposals_of_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As for the model; a name of conf/proposals comes before a folder of that name."""
    monkeypatch.chdir(tmp_path)
    for name in ("made", "exhaustive"):
        (tmp_path / name).mkdir()
    (tmp_path / "boxes.json").touch()
    assert main.with_folders(["model=made", "out=made", "proposals=made"]) == [
        *("model=folder", 'model.folder="made"', "out=made"),
        *("proposals=folder", 'proposals.folder="made"'),
    ]
    for name in ("exhaustive", "exhaustive,sliding_windows", "folder"):
        assert main.with_folders([f"proposals={name}"]) == [f"proposals={name}"]
    messages = {
        "no": "^proposals=no: no folder and none of conf/proposals: edge_boxes.*stage=propose$",
        "boxes.json": "a file; give proposals=file proposals.path=boxes.json$",
    }
    for value, message in messages.items():
        with pytest.raises(UserError, match=message):
            main.with_folders([f"proposals={value}"])
