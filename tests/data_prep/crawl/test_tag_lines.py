"""Plain text with an image's tags on every line."""

from pathlib import Path

import pytest

from data_prep.crawl import Source, open_crawl
from data_prep.errors import UserError


def read(path: Path, delimiter: str = " ") -> tuple[list[dict], list[dict]]:
    crawl = open_crawl(Source(str(path), "lines", tags_delimiter=delimiter))
    batches = [batch for part in crawl.parts for batch in crawl.read(part)]
    rows = [row for batch in batches for row in batch.rows.to_pylist()]
    return rows, [row for batch in batches for row in batch.unreadable.to_pylist()]


def test_every_line_is_an_image(tmp_path: Path) -> None:
    path = tmp_path / "tags.txt"
    path.write_bytes(b"sea sky\n\nhot-dog caf\xc3\xa9\nlast")
    rows, unreadable = read(path)
    assert rows == [
        {"image_id": 1, "tags": ["sea", "sky"]},
        {"image_id": 2, "tags": [""]},
        {"image_id": 3, "tags": ["hot-dog", "café"]},
        {"image_id": 4, "tags": ["last"]},
    ]
    assert unreadable == []


def test_a_line_that_is_no_text_costs_only_itself(tmp_path: Path) -> None:
    path = tmp_path / "tags.txt"
    path.write_bytes(b"a,b\n\xff\xfe\xfd,c\nd\n")
    rows, unreadable = read(path, ",")
    assert [row["image_id"] for row in rows] == [1, 3]
    assert [row["row"] for row in unreadable] == [2]


def test_many_blocks_count_on(tmp_path: Path) -> None:
    path = tmp_path / "tags.txt"
    count = 200_000  # three blocks
    path.write_text("".join(f"tag{n} x\n" for n in range(count)))
    rows, _ = read(path)
    assert [row["image_id"] for row in rows] == list(range(1, count + 1))
    assert rows[-1]["tags"] == [f"tag{count - 1}", "x"]


def test_only_one_file(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / f"{name}.txt").write_text("x\n")
    with pytest.raises(UserError, match=r"b.txt: data.format=lines reads a single file"):
        read(tmp_path / "*.txt")
