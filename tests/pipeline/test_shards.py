"""Stage `shards` end to end: what is written, what is refused, and runs that are cut short."""

import errno
import json
import os
import signal
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from hydra import compose, initialize_config_module
from PIL import Image

from data_prep.errors import UserError
from data_prep.shards.index import ShardIndex
from data_prep.shards.writing import ShardWriter, Task
from pipeline import shards as stage
from tests.data_prep.shards.cleaned import cleaned_rows, photo, write_cleaned, write_photos

ROWS = cleaned_rows(60)
SAME = ("index.json", "vocabulary.parquet", "rejects.parquet", "contact_sheet.png")


def run(*overrides: str) -> None:
    with initialize_config_module("conf", version_base="1.3"):
        config = compose("config", ["stage=shards", *overrides])
    stage.run(config)


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """60 rows, two without a usable photo; the keys that name them."""
    folder = tmp_path_factory.mktemp("inputs")
    images = write_photos(folder / "photos", ROWS)
    (images / "0005.jpg").unlink()
    (images / "0006.jpg").write_bytes(photo(6)[:-100])
    cleaned = write_cleaned(folder / "clean", ROWS)
    keys = ["shard_samples=10", "val=0.3", "threads=1"]
    return [f"cleaned={cleaned}", f"images={images}", *keys]


@pytest.fixture(scope="module")
def finished(inputs: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("finished") / "shards"
    run(*inputs, f"out={out}")
    return out


def contents(out: Path) -> dict[str, bytes]:
    """What must be the same for every run of the same rows."""
    paths = [*out.glob("*/*.tar"), *(out / name for name in SAME)]
    return {str(path.relative_to(out)): path.read_bytes() for path in paths}


def samples(out: Path, split: str) -> list[dict]:
    found = []
    for shard in getattr(ShardIndex.load(out), split):
        with tarfile.open(out / shard.file) as tar:
            for member in tar:
                if member.name.endswith(".json"):
                    file = tar.extractfile(member)
                    assert file is not None
                    found.append(json.load(file))
    return found


def test_what_is_written(finished: Path) -> None:
    names = {path.name for path in finished.iterdir()}
    assert names == {*SAME, "train", "val", "metrics.json", "config.yaml", "done.json"}
    assert Image.open(finished / "contact_sheet.png").width > 1000
    train, val = samples(finished, "train"), samples(finished, "val")
    assert sorted(s["image_id"] for s in train + val) == [
        row["image_id"] for row in ROWS if row["image_id"] not in ("0005", "0006")
    ]
    assert {s["user_id"] for s in train}.isdisjoint(s["user_id"] for s in val)
    assert len(val) > 5
    rejects = pq.read_table(finished / "rejects.parquet").to_pylist()
    assert sorted(rejects, key=lambda row: row["image_id"]) == [
        {"image_id": "0005", "reason": "missing"},
        {"image_id": "0006", "reason": "truncated"},
    ]
    metrics = json.loads((finished / "metrics.json").read_text())
    assert metrics["samples"] == {"train": len(train), "val": len(val)}
    assert metrics["rejected"] == {"missing": 1, "truncated": 1}
    assert metrics["copied"] == 58
    assert metrics["seconds"] > 0


def test_what_is_told(inputs: list[str], tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    run(*inputs, f"out={tmp_path}", "val=1e-9")
    told = capsys.readouterr().out
    assert "rejected: missing 1, truncated 1" in told
    assert "no sample in val" in told
    assert f"58 train + 0 val samples in 6 shards, 2 rejected: {tmp_path}" in told
    assert ShardIndex.load(tmp_path).val == ()
    run(*inputs, f"out={tmp_path}", "val=1e-9", "threads=3")
    assert "already finished" in capsys.readouterr().out


def test_the_same_bytes_whatever_the_processes(
    inputs: list[str], finished: Path, tmp_path: Path
) -> None:
    run(*inputs, f"out={tmp_path}", "threads=2")
    assert contents(tmp_path) == contents(finished)


@pytest.mark.parametrize(
    ("recipe", "size"),
    [("short_side", (48, 32)), ("original", (48, 32)), ("paper", (256, 256))],
)
def test_recipes(inputs: list[str], tmp_path: Path, recipe: str, size: tuple) -> None:
    run(*inputs, f"out={tmp_path}", f"resize={recipe}")
    assert {(s["width"], s["height"]) for s in samples(tmp_path, "train")} == {size}


def test_a_column_says_the_split(
    inputs: list[str], tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    names = ["train", "val", "test", None]
    rows = [row | {"part": names[n % 4]} for n, row in enumerate(ROWS)]
    cleaned = write_cleaned(tmp_path / "clean", rows)
    run(*inputs, f"cleaned={cleaned}", "split_column=part", f"out={tmp_path / 'out'}")
    for place, split in enumerate(names[:2]):
        found = sorted(s["image_id"] for s in samples(tmp_path / "out", str(split)))
        expected = [row["image_id"] for row in ROWS[place::4]]
        assert found == [one for one in expected if one not in ("0005", "0006")]
    assert "left out: " in (told := capsys.readouterr().out)
    assert "test 15" in told
    assert "None 15" in told


def test_img2dataset(finished: Path, inputs: list[str], tmp_path: Path) -> None:
    tars = tmp_path / "tars"
    tars.mkdir()
    for number, begin in enumerate(range(0, 60, 20)):
        with tarfile.open(tars / f"{number:05d}.tar", "w") as tar:
            for row in ROWS[begin : begin + 20]:
                path = Path(inputs[1].removeprefix("images="), f"{row['image_id']}.jpg")
                if path.is_file():
                    tar.add(path, path.name)
    run(*inputs, f"images={tars}", f"out={tmp_path / 'out'}")
    assert contents(tmp_path / "out") == contents(finished)

    damaged = tars / "00002.tar"
    damaged.write_bytes(damaged.read_bytes()[: damaged.stat().st_size // 3])
    run(*inputs, f"images={tars}", f"out={tmp_path / 'cut'}", "val=1e-9")
    found = [s["image_id"] for s in samples(tmp_path / "cut", "train")]
    assert 38 < len(found) < 58
    assert set(found) >= {row["image_id"] for row in ROWS[:40]} - {"0005", "0006"}


def test_cut_short_and_resumed(
    inputs: list[str], finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = ShardWriter.write
    written: list[str] = []

    def write_three(self: ShardWriter, task: Task) -> object:
        if len(written) == 3:
            (self.out / f"{task.file}.part").write_bytes(b"half a tar")
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        written.append(task.file)
        return write(self, task)

    monkeypatch.setattr(ShardWriter, "write", write_three)
    with pytest.raises(UserError, match="disk is full; free some and run again: finished"):
        run(*inputs, f"out={tmp_path}")
    assert not (tmp_path / "done.json").exists()
    with pytest.raises(UserError, match="unfinished run with another seed"):
        run(*inputs, f"out={tmp_path}", "seed=1")

    again: list[str] = []

    def write_and_note(self: ShardWriter, task: Task) -> object:
        again.append(task.file)
        return write(self, task)

    monkeypatch.setattr(ShardWriter, "write", write_and_note)
    (tmp_path / written[0]).unlink()
    run(*inputs, f"out={tmp_path}")
    assert set(written[1:]).isdisjoint(again)
    assert written[0] in again
    assert contents(tmp_path) == contents(finished)
    assert not [*tmp_path.rglob("*.part"), *tmp_path.glob("parts")]


def test_rows_that_changed_meanwhile_are_written_anew(
    inputs: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cleaned = write_cleaned(tmp_path / "clean", ROWS)
    keys = [*inputs, f"cleaned={cleaned}", f"out={tmp_path / 'out'}"]

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(stage, "merge", interrupted)
        with pytest.raises(KeyboardInterrupt):
            run(*keys)
    assert len(list((tmp_path / "out" / "parts").glob("*.json"))) == 7
    write_cleaned(cleaned, ROWS[:30])
    run(*keys)
    run(*keys, f"out={tmp_path / 'fresh'}")
    assert contents(tmp_path / "out") == contents(tmp_path / "fresh")


def test_interrupted_and_killed(inputs: list[str], finished: Path, tmp_path: Path) -> None:
    """Ctrl-C, then kill -9, then to the end."""
    command = [sys.executable, "-m", "pipeline", "stage=shards", *inputs, f"out={tmp_path}"]
    command += ["threads=2"]
    for sent in (signal.SIGINT, signal.SIGKILL):
        process = subprocess.Popen(command, stderr=subprocess.PIPE, start_new_session=True)
        reports = len(list(tmp_path.glob("parts/*.json")))
        while process.poll() is None and len(list(tmp_path.glob("parts/*.json"))) <= reports:
            time.sleep(0.002)
        os.kill(process.pid, sent) if sent == signal.SIGKILL else os.killpg(process.pid, sent)
        _, errors = process.communicate(timeout=60)
        assert process.returncode == (130 if sent == signal.SIGINT else -sent)
        assert b"Traceback" not in errors
        assert not (tmp_path / "done.json").exists()
    run(*inputs, f"out={tmp_path}")
    assert contents(tmp_path) == contents(finished)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("images=null", "images is missing; give images=FOLDER"),
        ("images=nowhere", "images=nowhere: no such folder"),
        ("cleaned=nowhere", "cleaned=nowhere: no such folder; run stage=clean first"),
        ("format=zip", "format=zip: give one of auto, files, img2dataset"),
        ("format=img2dataset", r"no \*.tar there"),
        ("file=photo", "file=photo: give columns in braces"),
        ("file='{title}'", "no column title; there are image_id"),
        ("split_column=part", "no column part; there are image_id"),
        ("split_column=user_id", "no row of 60 is left to train on"),
        ("split_by=tag", "split_by=tag: give one of"),
        ("val=1", "val=1: give a share"),
        ("val=true", "val=True: give a share"),
        ("shard_samples=0", "shard_samples=0: give a whole number from 1"),
        ("threads=0", "threads=0"),
        ("seed=-1", "seed=-1"),
        ("jpeg_quality=0", "jpeg_quality=0"),
        ("max_pixels=0", "max_pixels=0"),
        ("resize.mode=stretch", "resize.mode=stretch: give one of"),
        ("resize.size=a", "resize.size=a"),
    ],
)
def test_refused(inputs: list[str], tmp_path: Path, override: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        run(*inputs, f"out={tmp_path}", override)
    assert list(tmp_path.iterdir()) == []


def test_no_user_to_split_by(inputs: list[str], tmp_path: Path) -> None:
    rows = [{k: v for k, v in row.items() if k != "user_id"} for row in ROWS]
    cleaned = write_cleaned(tmp_path / "clean", rows)
    with pytest.raises(UserError, match="split_by=user: the rows have no user_id"):
        run(*inputs, f"cleaned={cleaned}", "split_by=user", f"out={tmp_path / 'out'}")
    run(*inputs, f"cleaned={cleaned}", f"out={tmp_path / 'out'}")
    assert "user_id" not in samples(tmp_path / "out", "train")[0]


def test_photos_that_appear_after_all(inputs: list[str], tmp_path: Path) -> None:
    images = tmp_path / "photos"
    images.mkdir()
    keys = [*inputs, f"images={images}", f"out={tmp_path / 'out'}"]
    with pytest.raises(UserError, match=r"no photo of 60 rows can be trained on; .*rejects"):
        run(*keys)
    assert pq.read_table(tmp_path / "out" / "rejects.parquet").num_rows == 60
    write_photos(images, ROWS)
    run(*keys)
    assert ShardIndex.load(tmp_path / "out").samples("train") > 30


def test_inputs_in_out_are_refused(inputs: list[str], tmp_path: Path) -> None:
    cleaned = write_cleaned(tmp_path / "clean", ROWS)
    with pytest.raises(UserError, match="lies in it"):
        run(*inputs, f"cleaned={cleaned}", f"out={tmp_path}")


@pytest.mark.real_data
def test_voc(real_data: Path, tmp_path: Path) -> None:
    images = real_data / "VOCdevkit" / "VOC2007" / "JPEGImages"
    names = sorted(path.stem for path in images.glob("*.jpg"))[:40]
    rows = [{"image_id": name, "tags": ["dog"], "codes": [0]} for name in names]
    cleaned = write_cleaned(tmp_path / "clean", rows)
    run(f"cleaned={cleaned}", f"images={images}", f"out={tmp_path / 'out'}", "threads=1")
    found = samples(tmp_path / "out", "train") + samples(tmp_path / "out", "val")
    assert sorted(s["image_id"] for s in found) == names
    assert {min(s["width"], s["height"]) for s in found} <= set(range(100, 257))
