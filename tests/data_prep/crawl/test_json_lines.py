"""Reading JSON Lines: odd lines among good ones."""

import json
from pathlib import Path

import pyarrow as pa
import pytest

from data_prep.crawl import Source, json_lines, open_crawl
from data_prep.errors import UserError
from tests.data_prep.crawl.reading import read_all, types, write_text

GOOD = b'{"image_id": 1, "tags": ["a", null], "n": 1}'
BAD = [
    (b'{"image_id": 1, "tags": ["a"]', "no JSON"),
    (b'{"image_id": 1, "tags": ["a"]} {"image_id": 2}', "no JSON"),
    (b'["image_id", 1]', "no JSON object"),
    (b"5", "no JSON object"),
    (b"[" * 100_000, "no JSON"),
    (b'{"image_id": 1, "tags": ["\xff"]}', "invalid UTF-8"),
    (b'{"image_id": 1, "tags": ["\\ud800"]}', "invalid UTF-8"),
    (b'{"image_id": 1, "tags": 5}', "column 'tags' is list"),
    (b'{"image_id": 1, "tags": [5]}', "column 'tags' is list"),
    (b'{"image_id": 1, "tags": {"a": 1}}', "column 'tags' is list"),
    (b'{"image_id": "x", "tags": ["a"]}', "column 'image_id' is int64, and not \"x\""),
    (b'{"image_id": "007", "tags": ["a"]}', "column 'image_id'"),
    (b'{"image_id": 1.5, "tags": ["a"]}', "column 'image_id'"),
    (b'{"image_id": true, "tags": ["a"]}', "column 'image_id'"),
    (b'{"image_id": 99999999999999999999, "tags": ["a"]}', "column 'image_id'"),
    (b'{"image_id": 1, "tags": ["a"], "n": "many"}', "column 'n' is int64"),
    (b'{"tags": ["a"]}', "no image id"),
    (b'{"image_id": null, "tags": ["a"]}', "no image id"),
]


@pytest.fixture
def short_look(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take types from the first lines (of about 600 bytes) only."""
    monkeypatch.setattr(json_lines, "BLOCK_BYTES", 600)
    monkeypatch.setattr("data_prep.crawl.lines.PIECE", 32)


@pytest.mark.usefixtures("short_look")
@pytest.mark.parametrize(("line", "reason"), BAD, ids=range(len(BAD)))
def test_an_odd_line_costs_only_itself(line: bytes, reason: str, tmp_path: Path) -> None:
    path = write_text(tmp_path / "a.jsonl", b"\n".join([*[GOOD] * 20, b"", line, GOOD]))
    rows, lost = read_all(path)
    assert rows == [{"image_id": 1, "tags": ["a", None], "n": 1}] * 21
    [(file, row, why, text)] = lost
    assert (file, row) == ("a.jsonl", 22)
    assert why.startswith(reason)
    if reason != "no image id":
        assert text == line.decode("utf-8", "replace")[:200]


@pytest.mark.usefixtures("short_look")
@pytest.mark.parametrize(
    ("line", "row"),
    [
        ('{"image_id": "12", "tags": ["a"], "n": 2.0}', (12, ["a"], 2)),
        ('{"image_id": 3, "tags": "a,b"}', (3, ["a", "b"], None)),
        ('{"image_id": 3, "tags": null, "more": {}}', (3, None, None)),
        ('{"image_id": 3}', (3, None, None)),
        ('{"tags": [], "image_id": -9223372036854775808}', (-(2**63), [], None)),
        ('{"image_id": 3, "tags": ["\\ud83d\\ude00"]}', (3, ["😀"], None)),
        ('{"image_id": 3, "image_id": 4}', (4, None, None)),  # the last one counts, as in Python
    ],
)
def test_values_that_fit_somehow(line: str, row: tuple, tmp_path: Path) -> None:
    path = write_text(tmp_path / "a.jsonl", (GOOD + b"\n") * 20 + line.encode())
    rows, lost = read_all(path)
    assert lost == []
    assert (rows[20]["image_id"], rows[20]["tags"], rows[20]["n"]) == row


def test_types_of_columns(tmp_path: Path) -> None:
    values: dict[str, list] = {
        "a": [1, None], "b": [1, 2.5], "c": [True, False], "d": ["x", None], "e": [1, "x"],
        "f": [None, None], "g": [{"k": 1}, {"k": 2}], "h": [[1], [2]], "i": [2**70, 1],
        "j": [{}, 3], "k": [[], []], "l": ["2020-01-01 00:00:00", None],
    }  # fmt: skip
    lines = [
        {"image_id": i, "tags": []} | {name: column[i] for name, column in values.items()}
        for i in range(2)
    ]
    path = write_text(tmp_path / "a.jsonl", "".join(json.dumps(line) + "\n" for line in lines))
    text = pa.string()
    expected = [
        pa.int64(), pa.float64(), pa.bool_(), text, text, text,
        pa.struct({"k": pa.int64()}), pa.list_(pa.int64()), text, text, text, text,
    ]  # fmt: skip
    found = types(path)
    assert [found[name] for name in values] == expected
    rows, lost = read_all(path)
    assert lost == []
    assert [rows[0][name] for name in "abcdefghijkl"] == [
        1, 1.0, True, "x", "1", None, {"k": 1}, [1], str(2**70), "{}", "[]", "2020-01-01 00:00:00"
    ]  # fmt: skip


def test_an_odd_value_decides_no_type(tmp_path: Path) -> None:
    odd = ['{"image_id": [1], "tags": ["a"]}', '{"image_id": true, "tags": []}',
           '{"image_id": 1.5, "tags": []}', '{"image_id": 2, "tags": [5]}',
           '{"image_id": 2, "tags": {}}']  # fmt: skip
    lines = [*odd, '{"image_id": 3, "tags": ["b"]}', '{"image_id": 4.0, "tags": "c,d"}']
    path = write_text(tmp_path / "a.jsonl", "\n".join(lines))
    rows, lost = read_all(path)
    assert rows == [{"image_id": 3, "tags": ["b"]}, {"image_id": 4, "tags": ["c", "d"]}]
    assert [row for _, row, _, _ in lost] == [1, 2, 3, 4, 5]


def test_text_ids_take_numbers(tmp_path: Path) -> None:
    lines = '{"image_id": "x", "tags": "a"}\n{"image_id": 7, "tags": "b"}\n'
    rows, lost = read_all(write_text(tmp_path / "a.jsonl", lines))
    assert [row["image_id"] for row in rows] == ["x", "7"]
    assert [row["tags"] for row in rows] == [["a"], ["b"]]
    assert lost == []


def test_numbers_of_lines_across_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_lines, "BLOCK_BYTES", 100)
    monkeypatch.setattr("data_prep.crawl.lines.PIECE", 32)
    lines = [json.dumps({"image_id": i, "tags": ["a"] * (i % 5)}) for i in range(200)]
    lines[50] = lines[51] = lines[120] = "{"
    rows, lost = read_all(write_text(tmp_path / "a.jsonl", "\n".join(lines)))
    assert [row["image_id"] for row in rows] == [i for i in range(200) if i not in (50, 51, 120)]
    assert [row for _, row, _, _ in lost] == [51, 52, 121]


def test_no_line_is_an_object(tmp_path: Path) -> None:
    path = write_text(tmp_path / "a.json", '[\n{"image_id": 1, "tags": []},\n]')
    with pytest.raises(UserError, match=r"a\.json: not readable as jsonl"):
        open_crawl(Source(str(path)))


def test_tags_of_the_wrong_type_everywhere(tmp_path: Path) -> None:
    path = write_text(tmp_path / "a.jsonl", '{"image_id": 1, "tags": [1, 2]}')
    with pytest.raises(UserError, match=r"column 'tags' is list<.*data\.tags"):
        open_crawl(Source(str(path)))
