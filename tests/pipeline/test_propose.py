"""Stage `propose`: one run, several processes, interrupted runs, and photos that are unusable."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from hydra import compose, initialize_config_module
from PIL import Image

from data_prep.errors import UserError
from pipeline import propose
from pipeline.proposal_folder import ProposalFolder

WINDOWS = ["proposals=sliding_windows", "proposals.scales=[0.5,0.2]"]


def run(*overrides: str) -> None:
    with initialize_config_module("conf", version_base="1.3"):
        config = compose("config", ["stage=propose", *overrides])
    propose.run(config)


def metrics(out: Path) -> dict:
    return json.loads((out / "metrics.json").read_text())


def contents(out: Path) -> dict[str, bytes]:
    """Give the files of a run that must not depend on how it went."""
    found = {path.name: path.read_bytes() for path in (out / "boxes").iterdir()}
    return found | {"sheet": (out / "contact_sheet.png").read_bytes()}


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make 30 photos with a rectangle in each."""
    folder = tmp_path_factory.mktemp("photos")
    for i in range(30):
        picture = np.full((60, 80, 3), 70, np.uint8)
        picture[10:40, 2 * i : 2 * i + 20] = (220, 5 * i, 40)
        Image.fromarray(picture).save(folder / f"{i:02d}.png")
    return folder


@pytest.fixture(scope="module")
def finished(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("cv2.ximgproc")
    out = tmp_path_factory.mktemp("finished")
    run(f"images={photos}", f"out={out}", "threads=1")
    return out


def test_one_run(finished: Path, photos: Path) -> None:
    written = {path.name for path in finished.iterdir()}
    assert written == {
        *("boxes", "config.yaml", "contact_sheet.png", "done.json", "metrics.json"),
        "proposals.json",
    }
    folder = ProposalFolder(finished)
    counts = [len(folder.proposals(f"{i:02d}", (80, 60)).boxes) for i in range(30)]
    found = metrics(finished)
    assert found["photos"] == found["made_now"] == 30
    assert found["boxes"] == {"total": sum(counts), "median": np.median(counts)}
    assert (found["without_boxes"], found["rejected"]) == (0, {})
    assert found["seconds"] > 0
    assert folder.settings()["mode"] == "fast"
    boxes = folder.proposals("05").boxes
    assert np.abs(boxes - [10, 10, 30, 40]).max(1).min() <= 3


def test_two_processes_give_the_same(photos: Path, finished: Path, tmp_path: Path) -> None:
    run(f"images={photos}", f"out={tmp_path}", "threads=2")
    assert contents(tmp_path) == contents(finished)


def test_interrupted_and_killed(photos: Path, finished: Path, tmp_path: Path) -> None:
    """Ctrl-C, then kill -9, then to the end without what was done."""
    keys = [f"images={photos}", f"out={tmp_path}", "threads=1"]
    done = 0
    for sent in (signal.SIGINT, signal.SIGKILL):
        process = subprocess.Popen(
            [sys.executable, "-m", "pipeline", "stage=propose", *keys],
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        while process.poll() is None and len(list(tmp_path.glob("boxes/*.npz"))) <= done:
            time.sleep(0.002)
        os.kill(process.pid, sent)
        _, errors = process.communicate(timeout=60)
        assert process.returncode == (130 if sent == signal.SIGINT else -sent)
        assert b"Traceback" not in errors
        assert not (tmp_path / "done.json").exists()
        done = len(list(tmp_path.glob("boxes/*.npz")))
    run(*keys)
    assert metrics(tmp_path)["made_now"] == 30 - done < 30
    assert metrics(tmp_path)["boxes"] == metrics(finished)["boxes"]
    assert contents(tmp_path) == contents(finished)


def test_unusable_photos_among_good_ones(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    given = tmp_path / "given"
    given.mkdir()
    (given / "good.png").symlink_to(photos / "00.png")
    (given / "text.jpg").write_text("not a photo")
    (given / "cut.png").write_bytes((photos / "01.png").read_bytes()[:100])
    keys = [*WINDOWS, f"out={tmp_path / 'out'}", "threads=1"]
    run(f"images=[{given},{tmp_path / 'gone.png'}]", *keys)
    lines = (tmp_path / "out" / "rejects.jsonl").read_text().splitlines()
    rejects = {Path(line["image"]).name: line["code"] for line in map(json.loads, lines)}
    assert list(rejects) == ["cut.png", "text.jpg", "gone.png"]
    assert (rejects["text.jpg"], rejects["gone.png"]) == ("not an image", "missing")
    assert metrics(tmp_path / "out")["photos"] == 1
    assert sum(metrics(tmp_path / "out")["rejected"].values()) == 3
    assert capsys.readouterr().err.count("rejected: ") == 3


def test_photos_without_boxes_are_written_and_counted(photos: Path, tmp_path: Path) -> None:
    boxes = tmp_path / "boxes.json"
    boxes.write_text(json.dumps({"00": [], "01": [[1, 2, 3, 4], [5, 5, 5, 5]]}))
    keys = ["proposals=file", f"proposals.path={boxes}", f"out={tmp_path / 'out'}", "threads=1"]
    run(f"images='{photos}/0[0-2].png'", *keys)
    found = metrics(tmp_path / "out")
    assert (found["photos"], found["without_boxes"], found["dropped_boxes"]) == (2, 1, 1)
    assert found["rejected"] == {"no boxes": 1}
    assert ProposalFolder(tmp_path / "out").proposals("00").boxes.shape == (0, 4)


def test_photos_of_one_stem_are_known_by_their_paths(photos: Path, tmp_path: Path) -> None:
    paths = [tmp_path / "a" / "x.png", tmp_path / "b" / "x.png"]
    for path in paths:
        path.parent.mkdir()
        path.symlink_to(photos / "00.png")
    keys = [*WINDOWS, f"out={tmp_path / 'out'}", "threads=1"]
    run(f"images=[{paths[0]},{paths[1]},{photos}/03.png]", *keys)
    folder = ProposalFolder(tmp_path / "out")
    assert all(len(folder.proposals(name).boxes) for name in (*map(str, paths), "03"))
    with pytest.raises(UserError, match="no such file"):
        folder.proposals("x")


def test_another_generator_needs_another_folder_or_overwrite(photos: Path, tmp_path: Path) -> None:
    keys = [f"images={photos}/0*.png", f"out={tmp_path}", "threads=1", *WINDOWS]
    run(*keys)
    before = metrics(tmp_path)["boxes"]
    with pytest.raises(UserError, match=r"with another proposals.stride; give another out="):
        run(*keys, "proposals.stride=0.5")
    run(*keys, "proposals.stride=0.5", "overwrite=true")
    assert metrics(tmp_path)["boxes"]["total"] < before["total"]


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("images=nowhere", "none of 1 photos can be used"),
        ("threads=0", "threads=0: give a whole number"),
        ("max_pixels=x", "max_pixels=x: give a whole number"),
        ("proposals.mode=best", "proposals.mode=best: give one of"),
        ("proposals=edge_boxes", "proposals.model_file is missing"),
        ("proposals=file", "proposals.path is missing"),
    ],
)
def test_refused(override: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=message):
        run("images=nowhere.png", f"out={tmp_path / 'out'}", override)


def test_no_photos_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="images is missing; give images=FOLDER"):
        run(f"out={tmp_path}")
