"""COCO instances by hand: masks and boxes, crowds, and every fault beside what is good."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from data_prep.annotated import UNREADABLE, AnnotatedData
from data_prep.coco import ONLY_CROWDS, read_coco
from data_prep.difficult import mark_difficult
from data_prep.errors import UserError

SQUARE = [[2, 1, 6, 1, 6, 4, 2, 4]]  # x 2–6, y 1–4
CATEGORIES = [{"id": 18, "name": "dog"}, {"id": 3, "name": "car"}, {"id": 20, "name": " sheep"}]
Rows = list[dict[str, Any]]


def crowd(*runs: int) -> dict[str, object]:
    return {"segmentation": {"size": [8, 10], "counts": list(runs)}, "iscrowd": 1}


def image(number: object, name: object = None, **more: object) -> dict[str, Any]:
    name = f"val/{number}.jpg" if name is None else name
    return {"id": number, "file_name": name, "width": 10, "height": 8, **more}


def annotation(number: int, of: object, category: object = 18, **more: object) -> dict[str, Any]:
    return {
        "id": number, "image_id": of, "category_id": category, "iscrowd": 0,
        "segmentation": SQUARE, "bbox": [2, 1, 4, 3], **more,
    }  # fmt: skip


def read(
    folder: Path,
    images: Rows,
    annotations: Rows,
    categories: Rows = CATEGORIES,
    masks: bool = True,
) -> AnnotatedData:
    for row in images:
        if str(row.get("file_name")).startswith("val/"):
            (folder / "photos/val").mkdir(parents=True, exist_ok=True)
            (folder / "photos" / row["file_name"]).touch()
    path = folder / "instances.json"
    content = {"images": images, "annotations": annotations, "categories": categories}
    path.write_text(json.dumps(content))
    return read_coco(path, folder / "photos", masks)


def told(data: AnnotatedData) -> list[tuple[str, str]]:
    return [(p.where.rpartition("json: ")[2], p.code) for p in data.problems]


def test_masks_and_their_boxes(tmp_path: Path) -> None:
    other = [[0, 5, 3, 5, 3, 8, 0, 8]]
    car = {"size": [8, 10], "counts": [72, 4, 4]}  # the last column's upper half
    data = read(
        tmp_path,
        [image(42), image(7)],
        [
            annotation(1, 42),
            annotation(2, 42, 3, segmentation=car, bbox="unread"),
            annotation(3, 42, segmentation=other),
        ],
    )
    assert data.labels == ("car", "dog", "sheep")
    first, second = data.photos
    assert (first.id, first.width, first.height) == ("val/42", 10, 8)
    assert first.path == tmp_path / "photos/val/42.jpg"
    dog, auto = first.classes
    assert (dog.label, auto.label) == ("dog", "car")
    assert list(dog.boxes) == [(2, 1, 6, 4), (0, 5, 3, 8)]
    assert list(auto.boxes) == [(9, 0, 10, 4)]
    expected = np.zeros((8, 10), bool)
    expected[1:4, 2:6] = expected[5:8, 0:3] = True
    mask = dog.mask()
    assert mask is not None
    assert (mask == expected).all()
    assert dog.area() == 21
    assert (second.id, second.classes) == ("val/7", ())
    assert (data.left_out, told(data)) == ({}, [("image 7", "no object")])


def test_boxes_alone(tmp_path: Path) -> None:
    annotations = [annotation(1, 42, segmentation="unread"), annotation(2, 42, bbox=[8, 6, 3, 1])]
    data = read(tmp_path, [image(42)], annotations, masks=False)
    (dog,) = data.photos[0].classes
    assert list(dog.boxes) == [(2, 1, 6, 4), (8, 6, 10, 7)]
    assert (dog.masks, dog.mask()) == ((), None)
    assert told(data) == [("image 42, annotation 2", "box clipped")]


def test_crowds(tmp_path: Path) -> None:
    data = read(
        tmp_path,
        [image(42), image(43)],
        [
            annotation(1, 42, **crowd(0, 8, 72)),
            annotation(2, 42),
            annotation(3, 42, 3, **crowd(8, 8, 64)),
            annotation(4, 43, 3, **crowd(8, 8, 64)),
        ],
    )
    (dog,) = data.photos[0].classes  # cars are but a crowd
    mask = dog.mask()
    assert mask is not None
    assert mask[:, 0].all()
    assert mask.sum() == 8 + 12
    assert data.photos[1].classes == ()
    assert data.left_out == {ONLY_CROWDS: 2}
    assert data.problems == ()


@pytest.mark.parametrize(
    ("fault", "masks", "code"),
    [
        ({"segmentation": [[1, 1, 3, 1, 3, 3, 1]]}, True, "bad mask"),
        ({"segmentation": [[1, 1, 3, 3]]}, True, "bad mask"),
        ({"segmentation": None}, True, "bad mask"),
        ({"segmentation": {"size": [8, 10], "counts": [79]}}, True, "bad mask"),
        ({"bbox": [1, 1, 0, 4]}, False, "bad box"),
        ({"bbox": [1, 1, 4]}, False, "bad box"),
        ({"bbox": None}, False, "bad box"),
        ({"bbox": [11, 1, 4, 4]}, False, "box outside"),
    ],
)
def test_a_class_with_an_unreadable_region_is_not_asked(
    tmp_path: Path, fault: dict[str, object], masks: bool, code: str
) -> None:
    """It is there all the same, and distracts from the car."""
    annotations = [annotation(1, 42) | fault, annotation(2, 42), annotation(3, 42, 3)]
    data = read(tmp_path, [image(42), image(43)], [*annotations, annotation(4, 43)], masks=masks)
    assert told(data) == [("image 42, annotation 1", code)]
    assert "\n" not in data.problems[0].reason
    first, second = mark_difficult(data, None).photos
    assert [(one.label, one.difficult) for one in first.classes] == [("car", True)]
    assert dict(first.not_asked) == {"dog": UNREADABLE}
    assert [one.label for one in second.classes] == ["dog"]
    assert data.left_out == {UNREADABLE: 1}


def test_unreadable_crowds_are_crowds(tmp_path: Path) -> None:
    broken = annotation(1, 42) | crowd(79)
    data = read(tmp_path, [image(42)], [broken, annotation(2, 42, 3)])
    assert dict(data.photos[0].not_asked) == {"dog": ONLY_CROWDS}
    data = read(tmp_path, [image(42)], [broken, annotation(2, 42)])
    assert dict(data.photos[0].not_asked) == {"dog": UNREADABLE}


@pytest.mark.parametrize(
    ("fault", "masks", "code"),
    [
        ({"segmentation": {"size": [8, 10], "counts": [80]}}, True, "empty mask"),
        ({"segmentation": [[9, 7, 10, 7, 10, 8]]}, True, "empty mask"),
        ({"category_id": 4}, True, "unknown category"),
        ({"category_id": None}, False, "unknown category"),
    ],
)
def test_a_region_that_is_none_is_left_out(
    tmp_path: Path, fault: dict[str, object], masks: bool, code: str
) -> None:
    annotations = [annotation(1, 42) | fault, annotation(2, 42), annotation(3, 42, 3)]
    data = read(tmp_path, [image(42)], annotations, masks=masks)
    assert told(data) == [("image 42, annotation 1", code)]
    assert "\n" not in data.problems[0].reason
    found = [(one.label, len(one.boxes)) for one in data.photos[0].classes]
    assert found == [("dog", 1), ("car", 1)]
    assert data.photos[0].not_asked == {}


def test_bad_images_are_left_out(tmp_path: Path) -> None:
    images = [
        image(1),
        image(2, "val/two.jpg"),
        image(2, "val/twice.jpg"),
        image(None, "val/none.jpg"),
        image(3, "../secret.jpg"),
        image(4, "/etc/passwd"),
        image(5, "missing.jpg"),
        image(6, width=0),
        image(7, height="8"),
        image(8, width=10**6, height=10**6),
        image(9, "val/1.jpg"),
        image(10, 5),
        {"id": 11},
        image("12"),
    ]
    annotations = [annotation(n, n) for n in range(1, 14)] + [annotation(14, 99), {"id": 15}]
    data = read(tmp_path, images, annotations)
    assert [photo.id for photo in data.photos] == ["val/1", "val/12"]
    assert all(len(photo.classes) == 1 for photo in data.photos)
    assert told(data) == [  # in the order of the file, at every run
        ("image 2", "bad id"),
        ("image 2", "bad id"),
        ("image None", "bad id"),
        ("image 3", "bad name"),
        ("image 4", "bad name"),
        ("image 5", "missing"),
        ("image 6", "bad size"),
        ("image 7", "bad size"),
        ("image 8", "bad size"),
        ("image 9", "listed twice"),
        ("image 10", "bad name"),
        ("image 11", "bad name"),
        *((f"image {number}", "unknown image") for number in (13, 99, None)),
    ]
    assert data.problems[-1].reason == "it has annotations (1), but is not listed; add it"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("{", "no JSON"),
        ("[]", "no JSON object"),
        (b"\xff", "invalid UTF-8"),
        ({"images": [image(1)], "annotations": []}, "no `categories`"),
        ({"images": [], "annotations": [], "categories": CATEGORIES}, "no images"),
        ({"images": [image(1)], "annotations": [], "categories": []}, "no categories; give a JSON"),
        ({"images": [1], "annotations": [], "categories": CATEGORIES}, "no list of objects"),
    ],
)
def test_a_broken_file_is_refused(tmp_path: Path, content: object, reason: str) -> None:
    path = tmp_path / "instances.json"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        path.write_text(content if isinstance(content, str) else json.dumps(content))
    with pytest.raises(UserError, match=reason) as error:
        read_coco(path, tmp_path)
    assert str(error.value).startswith(f"{path}: ")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"id": 18, "name": "cat"}, "category 18, 'cat', is listed twice"),
        ({"id": 19, "name": "dog "}, "category 19, 'dog ', is listed twice"),
        ({"id": 19}, "category 19 has no name"),
        ({"id": "19", "name": "cat"}, "without a whole number as its id"),
    ],
)
def test_unclear_categories_are_refused(
    tmp_path: Path, row: dict[str, object], reason: str
) -> None:
    with pytest.raises(UserError, match=reason):
        read(tmp_path, [image(1)], [], [*CATEGORIES, row])


def test_missing_inputs(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"none.json: cannot be read \(No such file"):
        read_coco(tmp_path / "none.json", tmp_path)
    with pytest.raises(UserError, match="nowhere: no such folder; give the folder of the photos"):
        read_coco(tmp_path / "none.json", tmp_path / "nowhere")
