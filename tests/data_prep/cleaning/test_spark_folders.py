"""Folders that a run on Spark writes to: what is removed, and what never is."""

from __future__ import annotations

from pathlib import Path

import fsspec
import pyarrow as pa
import pyarrow.dataset
import pyarrow.parquet as pq
import pytest

from data_prep.cleaning import Rules
from data_prep.cleaning.spark import clean_on_spark
from data_prep.cleaning.spark.folders import Folder, temporary, whole_file
from data_prep.crawl import Source, open_crawl
from data_prep.errors import UserError

TABLE = pa.table({"image_id": [1, 2], "tags": [["a"], ["b"]]})


@pytest.fixture
def crawl(tmp_path: Path) -> Path:
    """A crawl in a folder that is named as one of those of a run."""
    path = tmp_path / "S" / "spool" / "crawl.parquet"
    path.parent.mkdir(parents=True)
    pq.write_table(TABLE, path)
    return path


@pytest.mark.parametrize("storage", ["S", "link", "S/../S"])
@pytest.mark.parametrize("named", ["S/spool", "S/spool/crawl.parquet", "link/*"])
def test_the_crawl_is_never_removed(crawl: Path, tmp_path: Path, storage: str, named: str) -> None:
    """Whatever both are called, and even where the folder bears the mark."""
    (tmp_path / "link").symlink_to(tmp_path / "S")
    read = open_crawl(Source(str(tmp_path / named)))
    paths = [f"{tmp_path}/{storage}/{name}" for name in ("images", "rejects", "spool")]
    for _ in range(2):
        with pytest.raises(UserError, match=r"crawl\.parquet of the crawl lies in it"):
            clean_on_spark(read, Rules(), None, "me", *paths)  # type: ignore[arg-type]
        assert pq.read_table(crawl).equals(TABLE)
        assert [path.name for path in (tmp_path / "S").iterdir()] == ["spool"]
        (crawl.parent / Folder("", "me")._mark).touch()


def test_a_crawl_that_is_the_folder_is_not_removed(crawl: Path) -> None:
    with pytest.raises(UserError, match="of the crawl lies in it"):
        Folder(str(crawl), "me").check([str(crawl)])


def test_on_object_storage() -> None:
    Folder("memory://bucket/spool", "me").check(["memory://bucket/spool2/a", "/bucket/spool/a"])
    with pytest.raises(UserError, match="memory://bucket/spool/x/a of the crawl lies in it"):
        Folder("memory://bucket/spool/", "me").check(["memory://bucket/spool/x/a"])
    folder = Folder("memory://bucket/tables", "me")
    folder.check([])
    folder.clear()
    name = temporary("part")
    with fsspec.open(f"{folder.url}/{name}", "wb") as file:
        file.write(b"x")
    folder.publish([name])
    system = fsspec.filesystem("memory")
    assert [path.rpartition("/")[2][:8] for path in system.ls("/bucket/tables", detail=False)] == [
        "_SUCCESS", "_tag2box", "part",
    ]  # fmt: skip
    folder.remove()
    assert not system.exists("/bucket/tables")


def test_whose_a_folder_is(tmp_path: Path) -> None:
    path = tmp_path / "images"
    mine, other = Folder(str(path), "runs/a"), Folder(str(path), "runs/b")
    mine.check([])  # not there yet
    path.mkdir()
    mine.check([])  # empty
    mine.clear()
    (path / temporary("part-0.parquet")).touch()  # killed
    (path / "part-1.parquet").touch()
    mine.check([])
    with pytest.raises(UserError, match="images: holds a run of another out=; give another"):
        other.check([])
    mine.clear()
    assert len(list(path.iterdir())) == 1
    mine.remove()
    assert not path.exists()


@pytest.mark.parametrize("name", ["notes.txt", ".hidden", "_SUCCESS", "sub/part-0.parquet"])
def test_what_others_wrote_stays(tmp_path: Path, name: str) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("precious")
    with pytest.raises(UserError, match="holds other files; give another spark.storage, or remove"):
        Folder(str(tmp_path), "me").check([])
    file = tmp_path / "images.parquet"  # as the local engine writes
    file.touch()
    with pytest.raises(UserError, match="holds other files"):
        Folder(str(file), "me").check([])


def test_all_folders_are_checked_before_one_is_cleared(crawl: Path, tmp_path: Path) -> None:
    paths = [f"{tmp_path}/out/{name}" for name in ("images", "rejects", "spool")]
    Folder(paths[0], "me").clear()
    (tmp_path / "out" / "images" / "part-0.parquet").touch()
    (tmp_path / "out" / "spool").write_text("a file")
    with pytest.raises(UserError, match="spool: holds other files"):
        clean_on_spark(open_crawl(Source(str(crawl))), Rules(), None, "me", *paths)  # type: ignore[arg-type]
    assert (tmp_path / "out" / "images" / "part-0.parquet").exists()


def test_every_reader_passes_over_what_is_no_part(tmp_path: Path) -> None:
    """In a finished folder, and (but for Polars, which reads none of it) in an unfinished one."""
    polars = pytest.importorskip("polars")
    folder = Folder(str(tmp_path), "me")
    folder.clear()
    names = [temporary(f"part-{number}.parquet") for number in (0, 0, 1)]
    for name in names:
        pq.write_table(TABLE, tmp_path / name)
    with pytest.raises(UserError, match="no such file"):
        open_crawl(Source(str(tmp_path)))
    folder.publish([names[1], names[2]])  # the other is of a task that was lost
    assert sorted(path.name for path in tmp_path.iterdir() if path.name[0] != "_") == [
        "part-0.parquet", "part-1.parquet",
    ]  # fmt: skip
    assert not (tmp_path / names[0]).exists()
    assert (tmp_path / "_SUCCESS").exists()
    assert len(polars.read_parquet(tmp_path)) == 4
    (tmp_path / names[0]).write_bytes(b"half")
    assert pq.read_table(tmp_path).num_rows == 4
    assert pyarrow.dataset.dataset(tmp_path).count_rows() == 4
    crawl = open_crawl(Source(str(tmp_path)))
    assert sum(len(batch.rows) for part in crawl.parts for batch in crawl.read(part)) == 4


def test_a_file_is_whole_or_absent(tmp_path: Path) -> None:
    path = tmp_path / "a.arrow"
    path.write_bytes(b"of an attempt before")
    with pytest.raises(TypeError), whole_file(str(path)) as file:
        file.writelines([b"half", None])  # type: ignore[list-item]
    assert path.read_bytes() == b"of an attempt before"
    with whole_file(str(path)) as file:
        file.write(b"whole")
        assert path.read_bytes() == b"of an attempt before"
    assert path.read_bytes() == b"whole"


def test_storage_that_is_not_shared_is_told(tmp_path: Path) -> None:
    """As on an executor, of a folder that only the driver has."""
    with (
        pytest.raises(UserError, match="not there on this machine; name storage that all"),
        whole_file(str(tmp_path / "nowhere" / "a.arrow")),
    ):
        pass
    assert not (tmp_path / "nowhere").exists()
