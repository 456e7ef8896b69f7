"""Referring expressions in both layouts, by hand."""

import json
import pickle
from pathlib import Path
from typing import Any

import pytest

from data_prep.errors import UserError
from data_prep.phrases import Phrase, PhraseData
from data_prep.refcoco import read_refcoco

IMAGES = [
    {"id": 1, "file_name": "a.jpg", "width": 100, "height": 80, "caption": "the left dog"},
    {"id": 2, "file_name": "b.jpg", "width": 50, "height": 50, "caption": "a cat "},
    {"id": 3, "file_name": "a.jpg", "width": 100, "height": 80, "caption": "both dogs"},
]
ANNOTATIONS = [
    {"id": 11, "image_id": 3, "bbox": [50, 0, 50.004, 20]},
    {"id": 12, "image_id": 1, "bbox": [10, 20, 30, 40.5]},
    {"id": 13, "image_id": 2, "bbox": [0, 0, 50, 50]},
    {"id": 14, "image_id": 3, "bbox": [10, 20, 30, 40.5]},
]
REFS = [
    {"ref_id": 5, "ann_id": 13, "image_id": 2, "split": "val",
     "sentences": [{"sent": "the cat", "raw": "The cat!"}, {"raw": "cat"}]},
    {"ref_id": 6, "ann_id": 12, "image_id": "1", "split": "testA", "sentences": [{"sent": "dog"}]},
]  # fmt: skip


def read(
    folder: Path,
    images: object = IMAGES,
    annotations: object = ANNOTATIONS,
    split: str | None = None,
    **more: object,
) -> PhraseData:
    path = folder / "expressions.json"
    path.write_text(json.dumps({"images": images, "annotations": annotations, **more}))
    return read_refcoco(path, folder, split)


def codes(data: PhraseData) -> list[tuple[str, str]]:
    return [(p.where.rpartition(": ")[2], p.code) for p in data.problems]


def test_captions_of_images(tmp_path: Path) -> None:
    data = read(tmp_path)
    first, second = data.photos
    assert (first.id, first.path) == ("a.jpg", tmp_path / "a.jpg")
    assert (first.width, first.height) == (100, 80)
    assert first.captions == ("the left dog", "both dogs")
    one, other = (10, 20, 40, 60.5), (50, 0, 100, 20)  # a rounding error beyond the edge is none
    assert first.phrases == (
        Phrase("a.jpg:0:0", "the left dog", 0, 0, 12, (one,)),
        Phrase("a.jpg:1:0", "both dogs", 1, 0, 9, (other, one)),
    )
    assert second.phrases == (Phrase("b.jpg:0:0", "a cat", 0, 0, 5, ((0, 0, 50, 50),)),)
    assert (data.problems, data.not_counted) == ((), {})


def test_refs(tmp_path: Path) -> None:
    data = read(tmp_path, refs=REFS)
    assert [(p.id, p.captions) for p in data.photos] == [
        ("b.jpg", ("the cat", "cat")),
        ("a.jpg", ("dog",)),
    ]
    assert [phrase.boxes for phrase in data.photos[0].phrases] == [((0, 0, 50, 50),)] * 2
    assert data.photos[1].phrases == (Phrase("a.jpg:0:0", "dog", 0, 0, 3, ((10, 20, 40, 60.5),)),)
    assert not data.problems


def test_a_split(tmp_path: Path) -> None:
    data = read(tmp_path, refs=REFS, split="testA")
    assert [photo.captions for photo in data.photos] == [("dog",)]
    images = [IMAGES[0] | {"split": "train"}, IMAGES[1] | {"split": "val"}, IMAGES[2]]
    data = read(tmp_path, images, split="val")
    assert [photo.captions for photo in data.photos] == [("a cat",)]
    with pytest.raises(UserError, match="nothing is of split 'test'; give one of testA, val"):
        read(tmp_path, refs=REFS, split="test")
    with pytest.raises(UserError, match="the file has none, so leave the split out"):
        read(tmp_path, split="val")


def test_faults_leave_the_other_expressions(tmp_path: Path) -> None:
    bad: list[tuple[dict[str, Any], list[object], str]] = [
        ({"file_name": "../a.jpg"}, [[1, 2, 3, 4]], "bad name"),
        ({"file_name": None}, [[1, 2, 3, 4]], "bad name"),
        ({"caption": " "}, [[1, 2, 3, 4]], "bad phrase"),
        ({"caption": None}, [[1, 2, 3, 4]], "bad phrase"),
        ({}, [[1, 2, 0, 4]], "bad box"),
        ({}, [[1, 2, -3, 4]], "bad box"),
        ({}, [[1, 2, 3]], "bad box"),
        ({}, [None], "bad box"),
        ({}, [[100, 2, 3, 4]], "box outside"),
        ({}, [[90, 2, 30, 4]], "box clipped"),
    ]
    images, annotations = list(IMAGES), list(ANNOTATIONS)
    for number, (change, boxes, _) in enumerate(bad, 20):
        images.append({**IMAGES[0], "id": number, **change})
        annotations += [{"image_id": number, "bbox": box} for box in boxes]
    data = read(tmp_path, [*images, IMAGES[0] | {"id": 99}], annotations)
    assert codes(data) == [(f"image {n}", code) for n, (_, _, code) in enumerate(bad, 20)]
    assert data.not_counted == {"bad box": 5, "no box": 1}
    assert [len(photo.phrases) for photo in data.photos] == [3, 1]
    assert data.photos[0].phrases[-1].boxes == ((90, 2, 100, 6),)


def test_a_size_of_no_use_is_none(tmp_path: Path) -> None:
    data = read(tmp_path, [IMAGES[0] | {"width": True, "height": -1}])
    assert (data.photos[0].width, data.photos[0].height) == (None, None)


def test_an_id_of_two_images_is_nobodys(tmp_path: Path) -> None:
    data = read(tmp_path, [*IMAGES, IMAGES[1] | {"caption": "again"}])
    assert codes(data) == [("image 2", "listed twice")] * 2
    assert [photo.id for photo in data.photos] == ["a.jpg"]


def test_faults_of_refs(tmp_path: Path) -> None:
    refs = [
        {**REFS[0], "ref_id": 1, "image_id": 77},
        {**REFS[0], "ref_id": 2, "ann_id": 77},
        {**REFS[0], "ref_id": 3, "sentences": None},
        {**REFS[0], "ref_id": 4, "sentences": ["cat", {"sent": 3}]},
        REFS[1],
    ]
    data = read(tmp_path, refs=refs)
    assert codes(data) == [
        *[("ref 1", "bad name")] * 2,
        ("ref 2", "no annotation"),
        ("ref 3", "bad phrase"),
        *[("ref 4", "bad phrase")] * 2,
    ]
    assert "its ann_id 77 is of none of the annotations" in data.problems[2].reason
    assert data.not_counted == {"no box": 2}
    assert [photo.id for photo in data.photos] == ["a.jpg"]


def test_a_pickle_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "refs(unc).p"
    path.write_bytes(pickle.dumps(REFS))
    with pytest.raises(UserError, match=r"a pickle .* is not read.*save it as JSON"):
        read_refcoco(path, tmp_path)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({}, "no `images`"),
        ({"images": []}, "no `annotations`"),
        ({"images": [], "annotations": []}, "no images"),
        ({"images": {}, "annotations": []}, "`images` is no list of objects"),
        ({"images": IMAGES, "annotations": None}, "`annotations` is no list of objects"),
        ({"images": IMAGES, "annotations": ["x"]}, "`annotations` is no list of objects"),
        ({"images": IMAGES, "annotations": [], "refs": {}}, "`refs` is no list of objects"),
        ({"images": [{"id": 1}], "annotations": []}, "no refs, and no image has a caption"),
    ],
)
def test_another_layout(tmp_path: Path, data: object, message: str) -> None:
    path = tmp_path / "expressions.json"
    path.write_text(json.dumps(data))
    with pytest.raises(UserError) as caught:
        read_refcoco(path, tmp_path)
    start = f"{path}: {message}; give a JSON object with images, annotations"
    assert str(caught.value).startswith(start)
    assert "\n" not in str(caught.value)


def test_paths_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be read"):
        read_refcoco(tmp_path / "none.json", tmp_path)
    with pytest.raises(UserError, match="give the folder of the photos"):
        read_refcoco(tmp_path / "none.json", tmp_path / "none")
