"""JSON Lines of phrases: good lines, and every fault beside them."""

import json
from pathlib import Path

import pytest

from data_prep.errors import UserError
from data_prep.phrase_lines import read_phrase_lines
from data_prep.phrases import Phrase, PhraseData

BOX = [10, 20, 30, 40.5]


def read(folder: Path, *lines: object) -> PhraseData:
    path = folder / "phrases.jsonl"
    texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
    path.write_text("\n".join(texts) + "\n", encoding="utf-8")
    return read_phrase_lines(path, folder)


def photo(
    *phrases: object, caption: str = "A dog and a dogsled and a dog .", **more: object
) -> object:
    return {"image": "7.jpg", "caption": caption, "phrases": list(phrases), **more}


def codes(data: PhraseData) -> list[tuple[str, str]]:
    return [
        (p.where.rpartition("/")[2].removeprefix("phrases.jsonl:"), p.code) for p in data.problems
    ]


def test_a_line_with_everything(tmp_path: Path) -> None:
    phrases = [
        {"caption": 1, "text": "a dog", "start": 2, "types": ["animals"], "chain": "3",
         "boxes": [BOX, BOX]},
        {"text": "It", "boxes": [BOX]},
    ]  # fmt: skip
    row = {"image": "./sea/7.jpg", "width": 50, "height": 60, "captions": ["It .", "- a dog"]}
    data = read(tmp_path, "\ufeff" + json.dumps({**row, "phrases": phrases}), "", "  ")
    (found,) = data.photos
    assert (found.id, found.path) == ("sea/7.jpg", tmp_path / "sea" / "7.jpg")
    assert (found.width, found.height, found.captions) == (50, 60, ("It .", "- a dog"))
    box = (10.0, 20.0, 30.0, 40.5)
    assert found.phrases == (
        Phrase("sea/7.jpg:1:0", "a dog", 1, 2, 7, (box, box), ("animals",), "3"),
        Phrase("sea/7.jpg:0:1", "It", 0, 0, 2, (box,)),
    )
    assert (data.problems, data.not_counted) == ((), {})


def test_phrases_without_a_start_are_looked_for(tmp_path: Path) -> None:
    texts = ["dog", "dog", "a dogsled", "dog", "and"]
    data = read(tmp_path, photo(*({"text": text, "boxes": [BOX]} for text in texts)))
    assert [phrase.start for phrase in data.photos[0].phrases] == [2, 26, 10, 2, 6]
    for phrase in data.photos[0].phrases:
        assert data.photos[0].captions[0][phrase.start : phrase.end] == phrase.text


def test_faults_of_phrases_leave_the_others(tmp_path: Path) -> None:
    good = {"text": "A dog", "boxes": [BOX]}
    bad: list[tuple[object, str]] = [
        ("A dog", "bad phrase"),
        ({"boxes": [BOX]}, "bad phrase"),
        (good | {"text": " "}, "bad phrase"),
        (good | {"caption": 1}, "bad phrase"),
        (good | {"caption": -1}, "bad phrase"),
        (good | {"caption": True}, "bad phrase"),
        (good | {"types": "animals"}, "bad phrase"),
        (good | {"chain": 3}, "bad phrase"),
        (good | {"text": "A cat"}, "not in caption"),
        (good | {"text": "sled"}, "not in caption"),
        (good | {"start": 1}, "not in caption"),
        (good | {"start": -31}, "not in caption"),
        (good | {"start": "0"}, "not in caption"),
        (good | {"boxes": BOX}, "bad box"),
        (good | {"boxes": [[1, 2, 3]]}, "bad box"),
        (good | {"boxes": [[1, 2, 3, True]]}, "bad box"),
        (good | {"boxes": [[1, 2, 3, float("nan")]]}, "bad box"),
        (good | {"boxes": [[1, 2, 3, 10**400]]}, "bad box"),
    ]
    data = read(tmp_path, photo(good, *(item for item, _ in bad), good))
    assert [phrase.id for phrase in data.photos[0].phrases] == ["7.jpg:0:0", "7.jpg:0:19"]
    assert codes(data) == [(f"1: phrase {n}", code) for n, (_, code) in enumerate(bad, 1)]
    assert all("\n" not in problem.reason for problem in data.problems)


def test_boxes_are_fitted_to_the_photo(tmp_path: Path) -> None:
    boxes = [[[-1, 0, 9, 60]], [[0, 0, 50.4, 60]], [[9, 9, 9, 10], BOX], [[50, 0, 60, 9]], [], None]
    data = read(tmp_path, photo(*({"text": "dog", "boxes": b} for b in boxes), width=50, height=60))
    found = [phrase.boxes for phrase in data.photos[0].phrases]
    assert found == [((0, 0, 9, 60),), ((0, 0, 50, 60),), ((10, 20, 30, 40.5),)]
    assert codes(data) == [
        ("1: phrase 0", "box clipped"),
        ("1: phrase 2", "bad box"),
        ("1: phrase 3", "box outside"),
    ]
    assert data.not_counted == {"bad box": 1, "no box": 2}


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("{", "malformed line"),
        ("[]", "malformed line"),
        ('{"image": "\\ud800.jpg", "caption": "x"}', "malformed line"),
        ({"image": "8.jpg"}, "malformed line"),
        ({"image": "8.jpg", "captions": "A dog"}, "malformed line"),
        ({"image": "8.jpg", "caption": "A dog", "width": 0}, "malformed line"),
        ({"image": "8.jpg", "caption": "A dog", "height": 2.5}, "malformed line"),
        ({"image": "8.jpg", "caption": "A dog", "phrases": {}}, "malformed line"),
        ({"caption": "A dog"}, "bad name"),
        ({"image": "../8.jpg", "caption": "A dog"}, "bad name"),
        ({"image": "a/../../8.jpg", "caption": "A dog"}, "bad name"),
        ({"image": "/8.jpg", "caption": "A dog"}, "bad name"),
        ({"image": ".", "caption": "A dog"}, "bad name"),
        ({"image": "8\0.jpg", "caption": "A dog"}, "bad name"),
        (photo({"text": "A cat", "boxes": []}), "listed twice"),
    ],
)
def test_a_line_of_no_use_is_told_and_the_others_stay(
    tmp_path: Path, line: object, code: str
) -> None:
    data = read(tmp_path, photo(), line, {"image": "9.jpg", "caption": "Last ."})
    assert [found.id for found in data.photos] == ["7.jpg", "9.jpg"]
    assert (codes(data), data.not_counted) == ([("2", code)], {})


def test_bytes_that_are_not_utf8(tmp_path: Path) -> None:
    path = tmp_path / "p.jsonl"
    path.write_bytes(
        b'{"image": "caf\xe9.jpg", "caption": "x"}\r\n{"image": "8.jpg", "caption": "x"}'
    )
    data = read_phrase_lines(path, tmp_path)
    assert [found.id for found in data.photos] == ["8.jpg"]
    assert "UTF-8" in data.problems[0].reason


def test_what_the_user_must_correct(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="the file is empty"):
        read(tmp_path, "")
    with pytest.raises(UserError, match="cannot be read"):
        read_phrase_lines(tmp_path / "none.jsonl", tmp_path)
    with pytest.raises(UserError, match="give the folder of the photos"):
        read_phrase_lines(tmp_path / "phrases.jsonl", tmp_path / "none")
