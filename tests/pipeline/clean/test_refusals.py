"""What stage `clean` refuses, and that nothing is lost by it."""

import shutil
import subprocess
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data_prep.errors import UserError
from tests.pipeline.clean.runs import LOW, command, digests, run


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("engine=gpu", "engine=gpu: give one of local, spark"),
        ("threads=0", "threads=0: give a whole number"),
        ("paper=1", "paper=1: give true or false"),
        ("clean.min_tags=many", "clean.min_tags=many: give a whole number"),
        ("clean.min_tags=0", "clean.min_tags=0: give 1 or more"),
        ("threads=true", "threads=True: give a whole number"),
        ("+clean.foo=3", "clean.foo: no such key"),
        ("clean=null", "clean=None: give its keys"),
        ("spark=null", "spark=None: give its keys"),
        ("data.kind=scenes", "data.kind=scenes: give one of crawl, captions, voc"),
        ("clean.compare_to=both", "clean.compare_to=both: give seen or kept"),
        ("clean.max_shared_first_tags=5", "no image can share more"),
        ("clean.min_frequency=10000", "no tag is on so many images"),
        ("data.tags=words", "no column 'words'"),
        ("data.order_by=uploaded", "data.order_by: there is no column 'uploaded'"),
        ("data.tags=image_id", "column 'image_id' is int64"),
        ("clean.min_tags=51", "none of 9000 images is kept"),
    ],
)
def test_unusable_keys(crawl: Path, tmp_path: Path, override: str, message: str) -> None:
    with pytest.raises(UserError) as caught:
        run(f"crawl={crawl}", LOW, f"out={tmp_path / 'out'}", override)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out" / "done.json").exists()
    assert not (tmp_path / "out" / "spool").exists()


def test_an_empty_crawl(tmp_path: Path) -> None:
    schema = pa.schema([("image_id", pa.int64()), ("tags", pa.list_(pa.string()))])
    pq.write_table(schema.empty_table(), tmp_path / "empty.parquet")
    with pytest.raises(UserError, match="the crawl holds no image"):
        run(f"crawl={tmp_path / 'empty.parquet'}", f"out={tmp_path / 'out'}")


def test_no_crawl(tmp_path: Path) -> None:
    for keys in ((), ("crawl=null",), ("crawl=???",)):
        with pytest.raises(UserError, match="crawl is missing"):
            run(f"out={tmp_path}", *keys)
    with pytest.raises(UserError, match="no such file"):
        run(f"crawl={tmp_path / 'nowhere'}", f"out={tmp_path}")


def test_the_crawl_is_not_overwritten(crawl: Path) -> None:
    with pytest.raises(UserError, match="lies in it"):
        run(f"crawl={crawl}", f"out={crawl}")
    assert len(list(crawl.iterdir())) == 3


def test_files_of_others_are_left_alone(crawl: Path, tmp_path: Path) -> None:
    foreign = tmp_path / "spool" / "precious.txt"
    foreign.parent.mkdir()
    foreign.write_text("mine")
    with pytest.raises(UserError, match="holds other files"):
        run(f"crawl={crawl}", LOW, f"out={tmp_path}")
    assert foreign.read_text() == "mine"


@pytest.mark.parametrize("folder", ["spool", "rejects.parquet"])
def test_a_finished_run_is_kept_where_a_new_one_is_refused(
    finished: Path, crawl: Path, tmp_path: Path, folder: str
) -> None:
    out = tmp_path / "out"
    shutil.copytree(finished, out)
    (out / folder).unlink(missing_ok=True)
    (out / folder).mkdir()
    (out / folder / "notes.txt").write_text("mine")
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    with pytest.raises(UserError, match=r"notes.txt is not of this stage; remove it"):
        run(f"crawl={crawl}", LOW, f"out={out}", "overwrite=true")
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before


def test_foreign_storage_is_refused_first(finished: Path, crawl: Path, tmp_path: Path) -> None:
    out, storage = tmp_path / "out", tmp_path / "storage"
    shutil.copytree(finished, out)
    (storage / "spool").mkdir(parents=True)
    (storage / "spool" / "notes.txt").write_text("mine")
    keys = ("engine=spark", f"spark.storage={storage}", "overwrite=true")
    with pytest.raises(UserError, match="spool: holds other files; give another spark.storage"):
        run(f"crawl={crawl}", LOW, f"out={out}", *keys)
    assert digests(out) == digests(finished)
    assert (storage / "spool" / "notes.txt").read_text() == "mine"


def test_two_runs_into_one_folder(crawl: Path, tmp_path: Path) -> None:
    """The second is refused while the first works, and the first ends well."""
    first = subprocess.Popen(command(f"crawl={crawl}", LOW, f"out={tmp_path}"))
    while not (tmp_path / "spool").exists():
        assert first.poll() is None, "finished before the second began"
        time.sleep(0.001)
    with pytest.raises(UserError, match="another run is writing into it"):
        run(f"crawl={crawl}", LOW, f"out={tmp_path}", "overwrite=true")
    assert first.wait() == 0
    run(f"crawl={crawl}", LOW, f"out={tmp_path}", "overwrite=true")
    run(f"crawl={crawl}", LOW, f"out={tmp_path}", "overwrite=true")
