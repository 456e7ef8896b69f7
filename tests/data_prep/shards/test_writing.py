"""What is in a shard, and that nothing but its rows decides its bytes."""

import io
import json
import signal
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import webdataset
from PIL import Image

from data_prep.errors import UserError
from data_prep.shards.index import SPLITS, ShardIndex, fingerprint
from data_prep.shards.merging import merge
from data_prep.shards.photos import FolderPhotos
from data_prep.shards.recipes import Recipe
from data_prep.shards.writing import PARTS, ShardWriter, Task, plan
from data_prep.workers import run_tasks
from tests.data_prep.shards.cleaned import TAGS, cleaned_rows, write_photos


def writer(out: Path, photos: Path) -> ShardWriter:
    for folder in (*SPLITS, PARTS):
        (out / folder).mkdir(parents=True, exist_ok=True)
    files = FolderPhotos(photos, "{image_id}", 10**6)
    return ShardWriter(out, files, Recipe("short_side", 16), TAGS)


def batch(rows: list[dict]) -> pa.RecordBatch:
    kept = [{name: value for name, value in row.items() if name != "tags"} for row in rows]
    return pa.RecordBatch.from_pylist(kept)


def tasks(rows: list[dict], seed: int = 0, salt: str = "") -> list[Task]:
    """Two of three rows train, every sixth is in no split."""
    splits = np.array([(0, 0, 1, 0, 0, -1)[n % 6] for n in range(len(rows))], np.int8)
    return list(plan(batch(rows), splits, 4, seed, salt))


def test_every_row_is_in_one_shard_of_its_split() -> None:
    rows = cleaned_rows(40)
    planned = tasks(rows)
    ids = {split: [] for split in SPLITS}  # type: dict[str, list[str]]
    for task in planned:
        ids[task.split] += task.rows["image_id"].to_pylist()
    expected = [row["image_id"] for n, row in enumerate(rows) if n % 6 in (0, 1, 3, 4)]
    assert sorted(ids["train"]) == expected != ids["train"]
    assert sorted(ids["val"]) == [row["image_id"] for n, row in enumerate(rows) if n % 6 == 2]
    assert [len(task.rows) for task in planned] == [4] * 6 + [3, 4, 3]
    assert [task.file for task in planned][-3:] == [
        "train/000006.tar",
        "val/000000.tar",
        "val/000001.tar",
    ]


def test_digests_tell_rows_apart() -> None:
    rows = cleaned_rows(40)

    def digests(**keys: object) -> list[str]:
        return [task.digest for task in tasks(rows, **keys)]  # type: ignore[arg-type]

    assert digests() == digests()
    assert len(set(digests()) | set(digests(seed=1)) | set(digests(salt="x"))) == 27


def test_samples(tmp_path: Path) -> None:
    rows = [row | {"unknown": [3]} for row in cleaned_rows(30)]
    rows[1]["user_id"] = None
    rows[4] |= {"tags": [], "codes": []}
    photos = write_photos(tmp_path / "photos", rows)
    (photos / "0003.jpg").unlink()
    made = writer(tmp_path / "out", photos)
    planned = tasks(rows)
    reports = [made.write(task) for task in planned]
    of_id = {row["image_id"]: row for row in rows}
    seen = []
    for report in reports:
        dataset = webdataset.WebDataset(str(made.out / report.file), shardshuffle=False)
        for place, sample in enumerate(dataset):
            described = json.loads(sample["json"])
            row = of_id[described["image_id"]]
            seen.append(described["image_id"])
            assert described["tags"] == row["tags"]
            assert described["codes"] == row["codes"]
            assert described["unknown"] == [3]
            assert described.get("user_id", None) == row["user_id"]
            image = Image.open(io.BytesIO(sample["jpg"]))
            assert image.size == (described["width"], described["height"]) == (24, 16)
            assert sample["__key__"].startswith(f"{Path(report.file).stem}_0000")
            assert int(sample["__key__"][-1]) >= place
    expected = [row["image_id"] for n, row in enumerate(rows) if n % 6 != 5 and n not in (3, 4)]
    assert sorted(seen) == expected
    rejects = sorted(reject for report in reports for reject in report.rejects)
    assert rejects == [["0003", "missing"], ["0004", "no tags"]]


@pytest.mark.parametrize("processes", [1, 2])
def test_the_same_bytes_every_time(tmp_path: Path, processes: int) -> None:
    rows = cleaned_rows(30)
    photos = write_photos(tmp_path / "photos", rows)
    here, there = (writer(tmp_path / name, photos) for name in ("here", "there"))
    expected = [here.write(task) for task in tasks(rows)]
    found = list(run_tasks(there.write, iter(tasks(rows)), processes))
    assert sorted(found, key=lambda r: r.file) == sorted(expected, key=lambda r: r.file)
    for report in expected:
        content = (here.out / report.file).read_bytes()
        assert (there.out / report.file).read_bytes() == content
        assert len(content) == report.bytes
    with tarfile.open(here.out / expected[0].file) as tar:
        assert {(m.mtime, m.uid, m.gid, m.uname, m.mode) for m in tar} == {(0, 0, 0, "", 0o644)}


def test_what_counts_as_finished(tmp_path: Path) -> None:
    rows = cleaned_rows(12)
    made = writer(tmp_path / "out", write_photos(tmp_path / "photos", rows[:6]))
    first, *_, last = planned = tasks(rows)
    assert made.finished(first) is None
    reports = [made.write(task) for task in planned]
    assert [made.finished(task) for task in planned] == reports
    other = tasks(rows, salt="other")[0]
    assert made.finished(other) is None
    tar = made.out / first.file
    tar.write_bytes(tar.read_bytes()[:-1])
    assert made.finished(first) is None
    (made.out / last.report).write_text("{")
    assert made.finished(last) is None


def test_merged(tmp_path: Path) -> None:
    rows = cleaned_rows(30)
    photos = write_photos(tmp_path / "photos", rows)
    (photos / "0000.jpg").write_bytes(b"no photo")
    (photos / "0002.jpg").unlink()
    made = writer(tmp_path / "out", photos)
    (made.out / "train" / "000077.tar").write_bytes(b"of an earlier run")
    (made.out / "val" / "000000.tar.part").write_bytes(b"of an earlier run")
    reports = [made.write(task) for task in tasks(rows)]
    vocabulary = pa.table({"tag": TAGS, "count": [9] * 4, "rank": [1, 2, 3, 4]})
    metrics = merge(list(reversed(reports)), vocabulary, made.out)

    index = ShardIndex.load(made.out)
    assert (index.vocabulary, index.tags) == (fingerprint(TAGS), 4)
    assert (index.samples("train"), index.samples("val")) == (19, 4)
    tars = sorted(made.out.glob("*/*.tar*"))
    assert [shard.file for shard in (*index.train, *index.val)] == [
        str(path.relative_to(made.out)) for path in tars
    ]
    assert sum(path.stat().st_size for path in tars) == metrics["bytes_written"]
    assert metrics["rejected"] == {"missing": 1, "not an image": 1}
    rejects = pq.read_table(made.out / "rejects.parquet")
    assert sorted(map(tuple, (row.values() for row in rejects.to_pylist()))) == [
        ("0000", "not an image"),
        ("0002", "missing"),
    ]
    written = pq.read_table(made.out / "vocabulary.parquet")
    assert written.column_names == ["tag", "count", "rank", "train", "val"]
    for split, places in (("train", (0, 1, 3, 4)), ("val", (2,))):
        kept = [row for n, row in enumerate(rows) if n % 6 in places and n not in (0, 2)]
        expected = [sum(tag in row["tags"] for row in kept) for tag in TAGS]
        assert written[split].to_pylist() == expected
        assert written.schema.field(split).type == pa.int64()


def test_a_shard_without_a_sample_is_no_file(tmp_path: Path) -> None:
    rows = cleaned_rows(12)
    made = writer(tmp_path / "out", tmp_path / "nowhere")
    reports = [made.write(task) for task in tasks(rows)]
    assert list(made.out.glob("*/*.tar*")) == []
    assert [made.finished(task) for task in tasks(rows)] == reports
    vocabulary = pa.table({"tag": TAGS, "count": [9] * 4, "rank": [1, 2, 3, 4]})
    assert merge(reports, vocabulary, made.out)["rejected"] == {"missing": 10}


def _kill_itself(_: int) -> int:
    signal.raise_signal(signal.SIGKILL)
    return 0


def test_a_worker_that_is_killed(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="a worker process was killed.*fewer threads="):
        list(run_tasks(_kill_itself, [1, 2, 3], 2))


PARENT = """
import time
from data_prep.workers import run_tasks

def work(number):
    print(number, flush=True)
    time.sleep(600)

if __name__ == "__main__":
    list(run_tasks(work, [1, 2], 2))
"""


def test_workers_do_not_outlive_a_parent_that_is_killed(tmp_path: Path) -> None:
    script = tmp_path / "parent.py"
    script.write_text(PARENT)
    command = [sys.executable, str(script)]
    parent = subprocess.Popen(command, stdout=subprocess.PIPE, env={"PYTHONPATH": "."}, text=True)
    assert parent.stdout is not None
    assert {parent.stdout.readline(), parent.stdout.readline()} == {"1\n", "2\n"}
    parent.kill()
    rest, _ = parent.communicate(timeout=20)  # the workers hold the pipe open until they end
    assert rest == ""
