"""Cleaning on Spark gives what the local engine gives, row by row."""

from __future__ import annotations

import random
import re
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from data_prep.cleaning import Rules
from data_prep.cleaning.local import LocalCleaner
from data_prep.cleaning.output import image_schema, parquet_file, reject_schema
from data_prep.cleaning.spark import chunks, clean_on_spark, open_session, steps
from data_prep.cleaning.spark.chunks import ChunkSpool, part_groups
from data_prep.cleaning.spark.folders import Folder, temporary
from data_prep.cleaning.spark.steps import find_alike, sortable
from data_prep.crawl import Crawl, Part, Source, open_crawl
from data_prep.errors import UserError
from data_prep.generator import CrawlSettings, generate_crawl
from tests.data_prep.cleaning.crawls import SPELLINGS, TEXT_IDS

pytest.importorskip("pyspark", reason="engine=spark needs pyspark")


@pytest.fixture(scope="module")
def spark() -> Iterator[Any]:
    if shutil.which("java") is None:
        pytest.skip("engine=spark needs Java 17 or newer")
    config = {
        "spark.ui.enabled": False,
        "spark.sql.shuffle.partitions": 2,
        "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1",  # compiles half as long
    }
    session = open_session("local[2]", config)
    yield session
    session.stop()


def check(crawl: Crawl, rules: Rules, spark: Any) -> dict[str, Any]:
    """Clean with both engines; compare files, vocabulary, counts and funnel, or the error."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "spool").mkdir()
        cleaner = LocalCleaner(
            rules, folder / "spool", crawl.schema, crawl.source.order_by or "image_id"
        )
        paths = [str(folder / f"spark/{name}") for name in ("images", "rejects", "scratch")]
        try:
            cleaner.run(batch for part in crawl.parts for batch in crawl.read(part))
        except UserError as error:
            start = str(error).partition("(")[0]  # of equally frequent tags any may be named
            with pytest.raises(UserError, match=re.escape(start)):
                clean_on_spark(crawl, rules, spark, "test", *paths)
            return {}
        with (
            parquet_file(folder / "images", image_schema(crawl.schema)) as images,
            parquet_file(folder / "rejects", reject_schema(crawl.schema)) as rejects,
        ):
            for kept, dropped in cleaner.results():
                images.write_batch(kept)
                rejects.write_batch(dropped)
        vocabulary, counts, funnel = clean_on_spark(crawl, rules, spark, "test", *paths)
        assert vocabulary.equals(cleaner.vocabulary)
        assert counts.tolist() == sorted(cleaner.counts.tolist(), reverse=True)
        assert funnel == cleaner.funnel()
        for name in ("images", "rejects"):
            local, remote = pq.read_table(folder / name), pq.read_table(folder / "spark" / name)
            assert remote.schema.equals(local.schema)
            assert str(remote.to_pylist()) == str(local.to_pylist())  # NaN is NaN
            assert (folder / "spark" / name / "_SUCCESS").exists()
        assert not (folder / "spark" / "scratch").exists()
        assert spark._jsparkSession.sharedState().cacheManager().isEmpty()
    return funnel


def write(folder: Path, table: pa.Table, files: int, row_group_size: int = 1000) -> str:
    folder.mkdir(exist_ok=True)
    step = -(-len(table) // files)
    for number in range(files):
        rows = table[number * step : (number + 1) * step]
        pq.write_table(rows, folder / f"{number}.parquet", row_group_size=row_group_size)
    return str(folder)


INT, FLOAT, TEXT = pa.int64(), pa.float64(), pa.string()


@pytest.mark.parametrize(
    ("ids", "id_type", "users", "times", "time_type", "order_by", "rules"),
    [
        (range(-30, 120), INT, [-7, 0, 4, None], [1], INT, None,
         Rules(min_frequency=20, min_tags=2, first_tags=3, max_shared_first_tags=2)),
        (["007", "1" * 18, *map(str, range(120))], TEXT, ["u", "", None],
         [0.5, -1.0, float("nan"), None], FLOAT, "time",
         Rules(normalise=False, min_frequency=3, min_tags=1, first_tags=3,
               max_shared_first_tags=1, compare_to="kept", order_tags="all", count_tags="all")),
        (["007", "1" * 18, *map(str, range(120))], TEXT, [1, None], [1], INT, None,
         Rules(min_frequency=20, min_tags=2, first_tags=2, max_shared_first_tags=1,
               compare_to="kept", min_alphabetical=None)),
        ([*TEXT_IDS, *(f"{n:x}" for n in range(120))], TEXT, [1, 2, None],
         ["2", "10", "x", "\uff5e", "\U0001f436", None], TEXT, "time",
         Rules(min_frequency=3, min_tags=2, first_tags=3, max_shared_first_tags=2,
               order_tags="all")),
    ],
    ids=["numbers", "by floats, kept", "text that is numbers, kept", "by text"],
)  # fmt: skip
def test_small_crawls(
    ids: Sequence[Any],
    id_type: pa.DataType,
    users: list[Any],
    times: list[Any],
    time_type: pa.DataType,
    order_by: str | None,
    rules: Rules,
    spark: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Some ids twice, spellings of few tags, null ids, users, tags and times."""
    pick = random.Random(5)
    rows = []
    for number, image in enumerate(pick.choices(ids, k=240)):
        tags = pick.choices([*SPELLINGS, None, ""], k=pick.randrange(9))
        rows.append({
            "image_id": image if number % 50 else None,
            "user_id": pick.choice(users),
            "tags": tags if number % 41 else None,
            "note": f"row {number}",
            "time": pick.choice(times),
        })  # fmt: skip
    user_type = TEXT if isinstance(users[0], str) else INT
    types = (id_type, user_type, pa.list_(TEXT), TEXT, time_type)
    table = pa.Table.from_pylist(rows, pa.schema(zip(rows[0], types, strict=True)))
    monkeypatch.setattr(chunks, "CHUNK_ROWS", 50)  # here: parts that a task reads together
    path = write(tmp_path / "crawl", table, 3, 30)
    funnel = check(open_crawl(Source(path, order_by=order_by)), rules, spark)
    at_work = {reason for reason, count in funnel["dropped"].items() if count}
    wanted = {"unreadable", "duplicate_id", "few_tags", "near_duplicate"}
    assert at_work == (wanted | {"alphabetical"} if rules.min_alphabetical else wanted)
    assert funnel["kept"] > 10


def test_generated_crawl(spark: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Many chunks, a user with a fifth of all images, ids in no order and some of them twice."""
    made = CrawlSettings(images=20_000, distinct_tags=5_000, hot_user=0.2)
    generated = pa.Table.from_batches(list(generate_crawl(made)))
    order = np.random.default_rng(0).permutation(len(generated))
    rows = generated.take(pa.array(np.append(order, order[:100])))
    monkeypatch.setattr(chunks, "CHUNK_ROWS", 3000)
    path = write(tmp_path / "crawl", rows, 3)
    funnel = check(open_crawl(Source(path)), Rules(min_frequency=20), spark)
    assert funnel["dropped"]["duplicate_id"] == 100
    for reason in ("alphabetical", "near_duplicate"):
        assert funnel["dropped"][reason] > len(rows) / 20


def test_rows_that_cannot_be_read_are_rejects(spark: Any, tmp_path: Path) -> None:
    """Of a crawl of CSV files with bad lines, and of one with a damaged Parquet file."""
    good = [f"{n},u{n % 2},sea|Sky|kite{n % 3}\n" for n in range(30)]
    for name in "ab":
        lines = ["image_id,user_id,tags\n", *good[:15], "too,few\n", ',u1,"no id"\n']
        (tmp_path / f"{name}.csv").write_text("".join(lines))
        del good[:15]
    rules = Rules(min_frequency=1, min_tags=2, min_alphabetical=None)
    source = Source(str(tmp_path), format="csv", tags_delimiter="|")
    funnel = check(open_crawl(source), rules, spark)
    assert funnel["dropped"]["unreadable"] == 4
    assert funnel["kept"] > 0

    rows = pa.table({"image_id": range(9), "tags": [["b", "a"]] * 9})
    path = write(tmp_path / "parquet", rows, 3)
    (tmp_path / "parquet" / "1.parquet").write_bytes(b"PAR1 no Parquet file")
    funnel = check(open_crawl(Source(path)), rules, spark)
    assert (funnel["kept"], funnel["dropped"]["unreadable"]) == (6, 1)


def test_any_column_is_carried(spark: Any, tmp_path: Path) -> None:
    """Also of types that Spark does not have."""
    carried = {
        "small": pa.array([1, None, 3, 4], pa.uint64()),
        "when": pa.array([4, 3, 2, None], pa.timestamp("ns")),
        "time": pa.array([1, 2, 3, 4], pa.time64("us")),
        "kind": pa.array(["x", "y", None, "x"]).dictionary_encode(),
        "boxes": pa.array([[{"x": 1.5}], None, [], [{"x": 2.5}]]),
    }
    users = pa.array([1, 1, None, 1])
    tags = [["b", "a"], ["a", "b"], ["b", "a"], None]
    rows = pa.table({"image_id": ["d", "c", "b", "a"], "user_id": users, "tags": tags, **carried})
    rules = Rules(min_frequency=1, min_tags=1, min_alphabetical=None, max_shared_first_tags=1)
    path = write(tmp_path / "crawl", rows, 2)
    for order_by in ("small", "kind"):
        funnel = check(open_crawl(Source(path, order_by=order_by)), rules, spark)
        assert funnel["dropped"]["near_duplicate"] == 1


def test_errors_are_told_in_a_line(spark: Any, tmp_path: Path) -> None:
    """Of the driver, and of an executor."""
    rows = pa.table({"image_id": [1, 2], "tags": [["a"], ["b"]]})
    crawl = open_crawl(Source(write(tmp_path / "crawl", rows, 1)))
    paths = [str(tmp_path / name) for name in ("images", "rejects", "scratch")]
    with pytest.raises(UserError, match=r"no tag is on so many images \(.* is on 1\)"):
        clean_on_spark(crawl, Rules(min_frequency=5), spark, "test", *paths)
    (tmp_path / "crawl" / "0.parquet").unlink()
    with pytest.raises(UserError) as caught:
        clean_on_spark(crawl, Rules(min_frequency=1), spark, "test", *paths)
    assert "0.parquet: cannot be read" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "scratch").exists()
    assert not (tmp_path / "images" / "_SUCCESS").exists()


def test_spark_passes_over_what_is_no_part(spark: Any, tmp_path: Path) -> None:
    folder = Folder(str(tmp_path), "test")
    folder.clear()
    for number in range(3):
        name = temporary(f"part-{number}.parquet")
        pq.write_table(pa.table({"image_id": [1, 2]}), tmp_path / name)
    assert all(path.name[0] == "_" for path in tmp_path.iterdir())
    folder.publish([name])
    pq.write_table(pa.table({"image_id": [1, 2]}), tmp_path / temporary("part-1.parquet"))
    assert spark.read.parquet(str(tmp_path)).count() == 2


def test_missing_java_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    monkeypatch.delenv("PYSPARK_GATEWAY_PORT", raising=False)
    with pytest.raises(UserError, match="no Java found; install Java 17"):
        open_session("local[1]")


def test_small_parts_are_read_together() -> None:
    sizes = [200_000, 200_000, 200_000, 900_000, None, None, 0]
    parts = [Part(str(n), 0, 0, rows) for n, rows in enumerate(sizes)]
    groups = [[int(part.file) for part in group] for group in part_groups(parts)]
    assert groups == [[0, 1], [2], [3], [4], [5, 6]]


def test_more_chunks_than_there_are_numbers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chunks, "GROUP_BITS", 1)
    parts = [Part(str(n), 0, 0, None) for n in range(3)]
    assert len(part_groups(parts[:2])) == 2
    with pytest.raises(UserError, match=r"too many files or row groups \(3 .* merge some"):
        part_groups(parts)

    rows = pa.table({"image_id": range(9), "tags": [["a"]] * 9})
    crawl = open_crawl(Source(write(tmp_path / "crawl", rows, 3)))
    monkeypatch.setattr(chunks, "CHUNK_ROWS", 3)
    monkeypatch.setattr(chunks, "CHUNK_BITS", 1)
    with pytest.raises(UserError, match=r"0\.parquet: too large to be read by one task; split it"):
        list(ChunkSpool(str(tmp_path), crawl, True).write(0, crawl.parts))


def test_a_part_is_cut_into_chunks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tags = [[f" T{n % 7}", f"t{n % 5}", "x"] for n in range(20)]
    rows = pa.table({"image_id": [str(n) for n in range(20)], "tags": tags})
    crawl = open_crawl(Source(write(tmp_path / "crawl", rows, 4)))
    monkeypatch.setattr(chunks, "CHUNK_ROWS", 12)
    spool = ChunkSpool(str(tmp_path), crawl, normalised=True)
    found = list(spool.write(3, crawl.parts))
    assert [(s["rows"], s["lost"], s["numbers"]) for s in found] == [(10, 0, True)] * 2
    assert found[0]["chunk"] == 3 << chunks.CHUNK_BITS
    assert spool.holds([s["chunk"] for s in found])
    assert not spool.holds([7])
    read = []
    for summary in found:
        words = spool.tags(summary["chunk"]).to_pylist()
        for row in spool.rows(summary["chunk"]).to_pylist():
            read.append((row["image_id"], [words[tag] for tag in row["tags"]]))
    wanted = [(str(n), dict.fromkeys([f"t{n % 7}", f"t{n % 5}", "x"])) for n in range(20)]
    assert read == [(image, list(words)) for image, words in wanted]


def test_users_are_not_parted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the size of the batches that come, and of what is compared at a time."""
    users = np.repeat([3, 1, 2, 9], [5, 40, 2, 1])
    random = np.random.default_rng(1)
    table = pa.table({
        "row": random.permutation(len(users)),
        "user_id": users,
        "image_id": np.arange(len(users)),
        "first": random.integers(0, 4, (len(users), 5)).tolist(),
    })  # fmt: skip
    rules = Rules(max_shared_first_tags=1)
    whole = pa.Table.from_batches(find_alike(table.to_batches(), rules), steps.DECIDED)
    assert 5 < len(whole) < len(users) - 3
    for compared, size in [(1, 1), (3, 2), (7, 10), (45, 7)]:
        monkeypatch.setattr(steps, "COMPARED_ROWS", compared)
        batches = table.to_batches(max_chunksize=size)
        parted = pa.Table.from_batches(find_alike(batches, rules), steps.DECIDED)
        assert parted.to_pylist() == whole.to_pylist()


def test_what_spark_sorts_by_has_the_same_order() -> None:
    columns = [
        pa.array([3, None, 2**40, 1], pa.uint64()),
        pa.array([4, -3, 2, None], pa.timestamp("ns", "UTC")),
        pa.array([4, -3, 2, None], pa.date32()),
        pa.array([4, 3, 2, None], pa.time32("s")),
        pa.array([4, 3, 2, None], pa.time64("us")),
        pa.array([4, -3, 2, None], pa.float32()),
        pa.array([True, None, False]),
    ]
    for column in columns:
        keys = sortable(column, False, "x")
        assert str(keys.type) in ("int64", "double")
        assert pc.sort_indices(keys).equals(pc.sort_indices(column))
    keys = sortable(pa.array(["10", "9", None, "007"]), True, "x")
    assert pc.sort_indices(keys).to_pylist() == [3, 1, 0, 2]


def test_what_spark_cannot_sort_by_is_told() -> None:
    with pytest.raises(UserError, match="Spark sorts by no column 'boxes' of list"):
        sortable(pa.array([[1]]), False, "boxes")
