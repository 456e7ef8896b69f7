"""Stage `clean` end to end, on generated and damaged crawls and on captions."""

import errno
import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from data_prep.cleaning import Rules, clean
from data_prep.cleaning.spool import Spool
from data_prep.errors import UserError
from data_prep.generator import CrawlSettings, generate_crawl
from tests.pipeline.clean.runs import LOW, PICTURES, TABLES, command, digests, run


def test_what_is_written(crawl: Path, finished: Path) -> None:
    names = {path.name for path in finished.iterdir()}
    assert names == {*TABLES, *PICTURES, "config.yaml", "metrics.json", "done.json"}
    for name in PICTURES:
        assert Image.open(finished / name).width > 1000

    cleaned = clean(pq.read_table(crawl), Rules(min_frequency=20))
    for name in ("images", "rejects", "vocabulary"):
        written = pq.read_table(finished / f"{name}.parquet")
        assert written.to_pylist() == getattr(cleaned, name).to_pylist()
    funnel = json.loads((finished / "metrics.json").read_text())
    assert funnel == cleaned.funnel
    assert min(funnel["dropped"][r] for r in ("few_tags", "alphabetical", "near_duplicate")) > 100
    assert funnel["input"] == funnel["kept"] + sum(funnel["dropped"].values()) == 9000


def test_every_reader_sees_plain_types(finished: Path) -> None:
    schema = pq.read_schema(finished / "images.parquet")
    assert schema.field("tags").type.value_type == pa.string()
    assert schema.field("codes").type.value_type == pa.int32()
    assert schema.names == ["image_id", "user_id", "tags", "width", "height", "codes"]
    rejects = pq.read_schema(finished / "rejects.parquet")
    assert rejects.field("reason").type == rejects.field("detail").type == pa.string()
    images = pq.read_table(finished / "images.parquet")
    vocabulary = pq.read_table(finished / "vocabulary.parquet")["tag"].to_pylist()
    for row in images.slice(0, 200).to_pylist():
        assert [vocabulary[code] for code in row["codes"]] == row["tags"]


@pytest.mark.parametrize("threads", [1, 3])
def test_the_same_bytes_whatever_the_threads(
    crawl: Path, finished: Path, tmp_path: Path, threads: int
) -> None:
    run(f"crawl={crawl}", LOW, f"threads={threads}", f"out={tmp_path}")
    assert digests(tmp_path) == digests(finished)


def test_a_finished_run_is_not_done_again(
    crawl: Path, finished: Path, capsys: pytest.CaptureFixture
) -> None:
    before = (finished / "done.json").stat().st_mtime_ns
    run(f"crawl={crawl}", LOW, f"out={finished}", "threads=1")
    assert "already finished" in capsys.readouterr().out
    assert (finished / "done.json").stat().st_mtime_ns == before
    with pytest.raises(UserError, match="finished run with another clean.min_frequency"):
        run(f"crawl={crawl}", "clean.min_frequency=21", f"out={finished}")


def test_the_funnel_on_the_terminal(
    crawl: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    run(f"crawl={crawl}", LOW, f"out={tmp_path}", "paper=true", "clean.min_alphabetical=null")
    shown = capsys.readouterr().out
    for text in ("9,000", "100.0%", "near_duplicate", "17 M", "18,157", "tags normalised: unicode"):
        assert text in shown
    assert "rule not applied: alphabetical: clean.min_alphabetical=null" in shown


def test_without_users_nothing_is_a_near_duplicate(
    crawl: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    run(f"crawl={crawl}", LOW, f"out={tmp_path}", "data.user_id=null")
    assert "near_duplicate: there is no user column" in capsys.readouterr().out
    funnel = json.loads((tmp_path / "metrics.json").read_text())
    assert funnel["dropped"]["near_duplicate"] == 0
    assert "near_duplicate" in funnel["skipped"]


@pytest.mark.skipif(shutil.which("java") is None, reason="engine=spark needs Java")
def test_spark_gives_the_same_rows(crawl: Path, finished: Path, tmp_path: Path) -> None:
    quick = "spark.driver.extraJavaOptions: '-XX:TieredStopAtLevel=1'"  # compiles half as long
    config = f"spark.config={{spark.ui.enabled: false, {quick}}}"
    keys = ("engine=spark", "spark.master='local[2]'", config)
    run(f"crawl={crawl}", LOW, f"out={tmp_path}", *keys)
    for name in TABLES:
        assert pq.read_table(tmp_path / name).to_pylist() == (
            pq.read_table(finished / name).to_pylist()
        )
    for name in (*PICTURES, "metrics.json"):
        assert (tmp_path / name).read_bytes() == (finished / name).read_bytes()
    assert not (tmp_path / "spool").exists()


def test_damage_never_loses_good_rows(crawl: Path, tmp_path: Path) -> None:
    damaged = tmp_path / "crawl"
    damaged.mkdir()
    for path in crawl.iterdir():
        (damaged / path.name).write_bytes(path.read_bytes())
    whole = (damaged / "1.parquet").read_bytes()
    (damaged / "1.parquet").write_bytes(whole[: len(whole) // 2])
    run(f"crawl={damaged}", LOW, f"out={tmp_path / 'out'}")
    funnel = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert funnel["input"] == 6001
    assert funnel["dropped"]["unreadable"] == 1
    last = pq.read_table(tmp_path / "out" / "rejects.parquet").to_pylist()[-1]
    assert last["reason"] == "unreadable"
    assert last["image_id"] is None
    assert "1.parquet" in last["detail"]


def test_json_lines_with_bad_ones(tmp_path: Path) -> None:
    good = [json.dumps({"image_id": f"p{i}", "tags": ["sea", f"t{i}", "b", "a"]}) for i in range(9)]
    lines = [*good[:4], "{broken", '{"image_id": "x", "tags": 5}', "[]", *good[4:]]
    path = tmp_path / "crawl.jsonl"
    path.write_text("\n".join(lines))
    out = tmp_path / "out"
    run(f"crawl={path}", f"out={out}", "clean.min_frequency=2", "clean.min_tags=3")
    images = pq.read_table(out / "images.parquet")
    assert images["image_id"].to_pylist() == [f"p{i}" for i in range(9)]
    assert images["tags"].to_pylist() == [["sea", "b", "a"]] * 9
    rejects = pq.read_table(out / "rejects.parquet").to_pylist()
    assert [row["reason"] for row in rejects] == ["unreadable"] * 3
    for number, row in zip((5, 6, 7), rejects, strict=True):
        assert f"crawl.jsonl, row {number}: " in row["detail"]


def test_a_data_choice_may_name_the_crawl_and_its_images(crawl: Path, tmp_path: Path) -> None:
    keys = (f"+data.crawl={crawl}", "+data.images=elsewhere")
    run(*keys, LOW, f"out={tmp_path}")
    assert pq.read_metadata(tmp_path / "images.parquet").num_rows > 1000


def test_captions(tmp_path: Path) -> None:
    path = tmp_path / "captions.csv"
    path.write_text(
        "image,caption\n"
        "1.jpg,A brown dog runs on the beach\n"
        "2.jpg,Two men eat hot dogs at a table\n"
        "1.jpg,A dog plays with a ball\n"
        "2.jpg,A man with a hot dog\n"
    )
    out = tmp_path / "out"
    keys = ("clean.min_frequency=1", "clean.min_tags=2", "clean.min_alphabetical=null")
    run("data=captions", f"crawl={path}", f"out={out}", *keys)
    images = pq.read_table(out / "images.parquet").to_pylist()
    assert [row["image_id"] for row in images] == ["1.jpg", "2.jpg"]
    assert images[0]["tags"][0] == "dog"
    assert set(images[1]["tags"][:2]) == {"man", "hot dog"}


def test_a_full_disk(crawl: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Spool, "write", full)
    with pytest.raises(UserError, match="the disk is full; free some"):
        run(f"crawl={crawl}", LOW, f"out={tmp_path}")
    assert [path.name for path in tmp_path.iterdir()] == ["config.yaml"]


LARGE = "clean.min_frequency=50"


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A crawl that takes long enough to be killed in the middle."""
    settings = CrawlSettings(60_000, seed=6, distinct_tags=3000, users=300)
    path = tmp_path_factory.mktemp("large") / "crawl.parquet"
    pq.write_table(pa.Table.from_batches(generate_crawl(settings)), path)
    return path


@pytest.fixture(scope="module")
def whole(large: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("whole")
    run(f"crawl={large}", LARGE, f"out={out}")
    return out


@pytest.mark.parametrize("seen", ["spool/rows.arrow", "images.parquet.part"])
def test_killed_in_the_middle(large: Path, whole: Path, tmp_path: Path, seen: str) -> None:
    """After kill -9 nothing looks finished, and the same command completes."""
    out = tmp_path / "out"
    arguments = (f"crawl={large}", LARGE)
    process = subprocess.Popen(command(*arguments, f"out={out}"), start_new_session=True)
    while not (out / seen).exists():
        assert process.poll() is None, "finished before it could be killed"
        time.sleep(0.001)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert not (out / "done.json").exists()
    assert not (out / "metrics.json").exists()
    assert not (out / "rejects.parquet").exists()

    run(*arguments, f"out={out}")
    assert digests(out) == digests(whole)
    assert not (out / "spool").exists()
    assert not list(out.glob("*.part"))


def test_interrupted(large: Path, tmp_path: Path) -> None:
    """Ctrl-C tells so in one line and leaves no spool behind."""
    out = tmp_path / "out"
    process = subprocess.Popen(
        command(f"crawl={large}", LARGE, f"out={out}"),
        stderr=subprocess.PIPE,
        text=True,
    )
    while not (out / "spool" / "rows.arrow").exists():
        assert process.poll() is None, "finished before it could be interrupted"
        time.sleep(0.001)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert errors.strip() == "Interrupted."
    assert not (out / "spool").exists()
    assert not (out / "done.json").exists()
