"""Reading CSV and TSV: odd rows among good ones, wherever a block ends."""

import csv
import gzip
import io
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_prep.crawl import Source, delimited, open_crawl
from data_prep.crawl.rows import Splitter
from data_prep.errors import UserError
from tests.data_prep.crawl.reading import read_all, types, write_text

HEADER = "image_id,user_id,tags,note\n"


def test_columns_are_text(tmp_path: Path) -> None:
    path = write_text(tmp_path / "a.csv", HEADER + '007,1.5,"cat,dog",2020-01-01\n8,,,""\n')
    rows, lost = read_all(path)
    assert lost == []
    assert rows == [
        {"image_id": "007", "user_id": "1.5", "tags": ["cat", "dog"], "note": "2020-01-01"},
        {"image_id": "8", "user_id": None, "tags": None, "note": None},
    ]
    assert types(path)["image_id"] == pa.string()


def test_windows_text_without_a_last_line_end(tmp_path: Path) -> None:
    text = "\ufeffimage_id\ttags\r\n1\ta,b\r\n\r\n2\tc"
    rows, lost = read_all(write_text(tmp_path / "a.tsv", text))
    assert rows == [{"image_id": "1", "tags": ["a", "b"]}, {"image_id": "2", "tags": ["c"]}]
    assert lost == []


@pytest.mark.parametrize("block", [64, 1 << 22])
def test_odd_rows_cost_only_themselves(
    block: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delimited, "BLOCK_BYTES", block)
    monkeypatch.setattr("data_prep.crawl.lines.PIECE", 16)
    lines = [
        b"1,u,a,x",
        b"2,u,a",  # 3
        b"3,u,a,x,y",  # 4
        b"4,u,\xff,x",  # 5
        b'5,u,a,"two',  # 6 and 7
        b'lines, ""said"" they"',
        b"",
        b",u,a,x",  # 9
        b'6,u,12" vinyl,x',
        b'7,u,"open,x',  # 11
        b"8,u,a,x",
        b'9,u,"a,b",x',
        b"10,u,\xff",  # 14
        b"11,u,a\rb,x",  # 15
        b"12,u,b,x",
    ]
    path = write_text(tmp_path / "a.csv", HEADER.encode() + b"\n".join(lines) + b"\n")
    rows, lost = read_all(path)
    assert [row["image_id"] for row in rows] == ["1", "5", "6", "8", "9", "12"]
    assert rows[1]["note"] == 'two\nlines, "said" they'
    assert rows[2]["tags"] == ['12" vinyl']
    assert rows[4]["tags"] == ["a", "b"]
    told = sorted((row, reason, text) for _, row, reason, text in lost)
    assert [row for row, _, _ in told] == [3, 4, 5, 9, 11, 14, 15]
    assert told[0][1:] == ("3 columns instead of 4", "2,u,a\n")
    assert told[1][1:] == ("5 columns instead of 4", "3,u,a,x,y\n")
    assert told[2][1] == "invalid UTF-8"
    assert told[3][1] == "no image id"
    assert told[4][1].startswith("not well formed")
    assert told[4][2] == '7,u,"open,x\n'
    assert told[5][1:] == ("3 columns instead of 4", "10,u,\ufffd\n")
    assert told[6][1].startswith("not well formed")


def test_two_open_quotes_do_not_swallow_what_is_between(tmp_path: Path) -> None:
    middle = "".join(f"{i},u,a,x\n" for i in range(5000))
    text = HEADER + 'p,u,"open,x\n' + middle + 'q,u,"open,x\n' + middle
    rows, lost = read_all(write_text(tmp_path / "a.csv", text))
    assert len(rows) == 10_000
    assert [(row, text) for _, row, _, text in lost] == [
        (2, 'p,u,"open,x\n'),
        (5003, 'q,u,"open,x\n'),
    ]


def test_a_gzip_file_that_is_cut_off(tmp_path: Path) -> None:
    text = "image_id,tags\n" + "".join(f"{i},tag{i * i}\n" for i in range(100_000))
    data = gzip.compress(text.encode())
    write_text(tmp_path / "a.csv.gz", data[: len(data) // 2])
    rows, lost = read_all(tmp_path)
    assert 20_000 < len(rows) < 80_000
    assert [row["image_id"] for row in rows[:-1]] == [str(i) for i in range(len(rows) - 1)]
    assert "unreadable from here on" in lost[-1][2]


def test_files_without_a_header_among_good_ones(tmp_path: Path) -> None:
    write_text(tmp_path / "a.csv", "")
    write_text(tmp_path / "b.csv", "\n\n")
    write_text(tmp_path / "c.csv", "image_id,tags\n1,a\n".encode("utf-16"))
    write_text(tmp_path / "d.csv", "image_id,tags\n")
    write_text(tmp_path / "e.csv", "image_id,tags\n1,a\n")
    rows, lost = read_all(tmp_path)
    assert rows == [{"image_id": "1", "tags": ["a"]}]
    assert [(file, reason) for file, _, reason, _ in lost] == [
        ("a.csv", "no header line"),
        ("b.csv", "no header line"),
        ("c.csv", "no readable text: UTF-16; save it as UTF-8"),
    ]


def test_headers(tmp_path: Path) -> None:
    path = write_text(tmp_path / "a.csv", ',"image_id",tags,\n0,1,a,z\n')  # pandas: index unnamed
    assert read_all(path)[0] == [{"image_id": "1", "tags": ["a"]}]
    with pytest.raises(UserError, match="two columns are named 'tags'"):
        open_crawl(Source(str(write_text(path, "image_id,tags,tags\n1,2,3\n"))))
    with pytest.raises(UserError, match=r"no column 'tags'.*\(image_id, words\).*data\.tags="):
        open_crawl(Source(str(write_text(path, "image_id,words\n1,2\n"))))


FIELD = st.text(st.sampled_from('a",;\n\r é'), max_size=6)


@settings(max_examples=200, deadline=None)
@given(
    rows=st.lists(st.lists(FIELD, min_size=3, max_size=3), min_size=1, max_size=8),
    delimiter=st.sampled_from(",;"),
    cut=st.integers(0, 100),
)
def test_the_splitter_finds_the_rows_that_csv_wrote(
    rows: list[list[str]], delimiter: str, cut: int
) -> None:
    texts = []
    for row in rows:
        file = io.StringIO()
        csv.writer(file, delimiter=delimiter, lineterminator="\r\n").writerow(row)
        texts.append(file.getvalue().encode())
    texts = [text for text in texts if text.strip(b"\r\n")]
    data = b"".join(texts)
    splitter = Splitter(delimiter.encode(), 3)
    cut = data.rfind(b"\n", 0, cut) + 1  # a block ends anywhere, but with a line
    first = splitter.split(data[:cut], 1, last=False)
    second = splitter.split(first.rest + data[cut:], first.rest_line, last=True)
    assert first.bad + second.bad == []
    assert first.data + second.data == data
    starts = [1 + data[: sum(map(len, texts[:i]))].count(b"\n") for i in range(len(texts))]
    assert first.lines + second.lines == starts


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=60), st.integers(1, 40))
def test_no_line_is_lost_whatever_the_bytes(data: bytes, width: int) -> None:
    block = data.replace(b"\n", b",") + b'\n1,"a\n' + data + b"\n"
    rows = Splitter(b",", width % 4).split(block, 1, last=True)
    told = rows.data + b"".join(text for _, _, text in rows.bad)
    blank = {b"\n", b"\r\n"}
    kept = sorted(line for line in block.splitlines(keepends=True) if line not in blank)
    assert sorted(line for line in told.splitlines(keepends=True) if line not in blank) == kept
