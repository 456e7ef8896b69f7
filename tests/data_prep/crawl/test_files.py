"""Which files a path, a folder, a glob or a URL stands for."""

import gzip
import pickle
import zipfile
from pathlib import Path

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data_prep.crawl import Source, open_crawl
from data_prep.crawl.files import is_local, list_files
from data_prep.errors import UserError
from tests.data_prep.crawl.reading import read_all


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def listed(folder: Path, path: str = "", form: str = "auto") -> list[str]:
    files, _ = list_files(Source(str(folder / path), form))  # type: ignore[arg-type]
    return [str(Path(file).relative_to(folder)) for file in files]


def test_a_folder_with_all_below_it(tmp_path: Path) -> None:
    names = ["b/1.parquet", "a.parquet", "B.pq"]
    touch(tmp_path, *names, "_tmp/x.parquet", ".x.parquet", "_SUCCESS", "c.parquet.part", "d.tar")
    assert listed(tmp_path) == ["B.pq", "a.parquet", "b/1.parquet"]


def test_globs(tmp_path: Path) -> None:
    touch(tmp_path, "b/1.csv", "a.csv", "c.csv.gz", "x.txt", ".h.csv", "d.csv/part-0.csv")
    assert listed(tmp_path, "*.csv") == ["a.csv", "d.csv/part-0.csv"]
    assert listed(tmp_path, "**/*.csv") == ["a.csv", "b/1.csv", "d.csv/part-0.csv"]
    assert listed(tmp_path, "[ac].csv*") == ["a.csv", "c.csv.gz"]


def test_hidden_is_what_is_hidden_below_the_path_given(tmp_path: Path) -> None:
    touch(tmp_path, ".home/_x/a.csv", ".home/_x/_b.csv", ".home/_x/.y/c.csv", ".home/_x/z/d.csv")
    expected = [".home/_x/a.csv", ".home/_x/z/d.csv"]
    assert listed(tmp_path, ".home/_x") == expected
    assert listed(tmp_path, ".home/_x/**/*.csv") == expected
    assert listed(tmp_path, ".home/_x/*.csv") == expected[:1]
    assert listed(tmp_path, ".home/_x/*") == expected


def test_a_name_that_looks_like_a_glob(tmp_path: Path) -> None:
    touch(tmp_path, "a[1].csv", "a1.csv")
    assert listed(tmp_path, "a[1].csv") == ["a[1].csv"]


def test_a_named_file_of_any_suffix(tmp_path: Path) -> None:
    touch(tmp_path, "rows.dat", "_rows.tsv")
    assert listed(tmp_path, "rows.dat", "csv") == ["rows.dat"]
    assert listed(tmp_path, "_rows.tsv") == ["_rows.tsv"]
    with pytest.raises(UserError, match=r"known suffix.*data\.format="):
        listed(tmp_path, "rows.dat")


def test_mixed_formats_want_a_choice(tmp_path: Path) -> None:
    touch(tmp_path, "a.parquet", "b.csv", "c.csv")
    with pytest.raises(
        UserError, match=r"a\.parquet is parquet but .*b\.csv is csv; .*data\.format"
    ):
        listed(tmp_path)
    assert listed(tmp_path, form="csv") == ["b.csv", "c.csv"]


@pytest.mark.parametrize(
    "path", ["nothing", "*.parquet", "memory://nowhere", "memory://nowhere/*.csv", "nosuch://x"]
)
def test_nothing_there(path: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"(give a file|check the path)"):
        list_files(Source(path if "://" in path else str(tmp_path / path)))


def test_an_unknown_format() -> None:
    with pytest.raises(UserError, match=r"data\.format=xml: give auto, parquet, csv"):
        list_files(Source("x", "xml"))  # type: ignore[arg-type]


@pytest.mark.parametrize("path", ["memory://crawl_of_test", "memory://crawl_of_test/*/?.*"])
@pytest.mark.parametrize("name", ["parquet", "csv", "jsonl"])
def test_urls(path: str, name: str) -> None:
    system = fsspec.filesystem("memory")
    try:
        for i in range(2):
            with system.open(f"/crawl_of_test/x/{i}.{name}", "wb") as file:
                if name == "parquet":
                    pq.write_table(pa.table({"image_id": [f"{i}"], "tags": [["a", "b"]]}), file)
                elif name == "csv":
                    file.write(f'image_id,tags\n{i},"a,b"\n'.encode())
                else:
                    file.write(f'{{"image_id": "{i}", "tags": ["a", "b"]}}\n'.encode())
        rows, lost = read_all(path)
    finally:
        system.rm("/crawl_of_test", recursive=True)
    assert rows == [{"image_id": f"{i}", "tags": ["a", "b"]} for i in range(2)]
    assert lost == []


def test_file_urls(tmp_path: Path) -> None:
    pq.write_table(pa.table({"image_id": [1], "tags": [["a"]]}), tmp_path / "a.parquet")
    assert read_all(f"file://{tmp_path}")[0] == [{"image_id": 1, "tags": ["a"]}]


def test_chained_urls_of_a_file(tmp_path: Path) -> None:
    rows = [{"image_id": "1", "tags": ["a"]}]
    text = b"image_id,tags\n1,a\n"
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "a.parquet")
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.write(tmp_path / "a.parquet", "a.parquet")
        archive.writestr("a.csv", text)
        archive.writestr("b.csv.gz", gzip.compress(text))
    inner = f"{tmp_path}/a.zip"
    for path in (
        f"zip://a.parquet::{inner}",
        f"zip://a.csv::file://{inner}",
        f"zip://b.csv.gz::{inner}",
        f"simplecache::zip://b.csv.gz::file://{inner}",
        f"simplecache::{tmp_path}/a.parquet",
    ):
        crawl = pickle.loads(pickle.dumps(open_crawl(Source(path))))
        assert [part.file for part in crawl.parts] == [path]
        assert not is_local(path)
        assert read_all(path) == (rows, [])


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("zip://*.csv::{}/a.zip", "a chained URL names a single file"),
        ("zip://::{}/a.zip", "a chained URL names a single file"),
        ("zip://c.csv::{}/a.zip", "no such file"),
        ("zip://a.csv::{}/b.zip", "no such file"),
        ("zip://a.csv::{}/no.zip", r"cannot be opened \(File is not a zip file\)"),
    ],
)
def test_chained_urls_that_name_no_file(path: str, message: str, tmp_path: Path) -> None:
    touch(tmp_path, "no.zip")
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("a.csv", "image_id,tags\n1,a\n")
        archive.writestr("b.csv", "image_id,tags\n2,a\n")
    with pytest.raises(UserError, match=message):
        list_files(Source(path.format(tmp_path)))


def test_colons_in_the_name_of_a_file_in_a_folder(tmp_path: Path) -> None:
    (tmp_path / "a::b.csv").write_text("image_id,tags\n1,a\n")
    assert read_all(tmp_path)[0] == [{"image_id": "1", "tags": ["a"]}]
