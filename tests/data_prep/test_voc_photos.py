"""Photos of VOC for the pointing game: what is asked, left out and told."""

from pathlib import Path

import pytest

from data_prep.annotated import UNREADABLE, ClassRegions
from data_prep.difficult import mark_difficult
from data_prep.errors import UserError
from data_prep.voc import VOC_CLASSES
from data_prep.voc_photos import ONLY_DIFFICULT, read_voc_photos
from tests.data_prep.voc_folders import add, annotation, voc_object


def test_classes_and_what_is_left_out(tmp_path: Path) -> None:
    dog = voc_object("dog", 1, 1, 5, 5)
    hard_dog = voc_object("dog", 3, 1, 9, 5, difficult=1)
    hard_cat = voc_object("cat", 1, 1, 6, 6, difficult=1)
    add(tmp_path, "a1", annotation(hard_dog, hard_cat, dog), split="val")
    add(tmp_path, "a2", annotation(), split="val")
    add(tmp_path, "a3", annotation(hard_cat), split="val")
    add(tmp_path, "a4", annotation(voc_object("dog", 60, 1, 70, 5)), split="val")  # outside
    add(tmp_path, "a5", annotation(voc_object("dog", 31, 1, 70, 5)), split="val")
    add(tmp_path, "a6", annotation(dog), split="val")
    (tmp_path / "JPEGImages/a6.jpg").unlink()
    data = read_voc_photos(tmp_path, "val")
    first = data.photos[0]
    assert (first.id, first.width, first.height) == ("a1", 50, 40)
    assert first.path == tmp_path / "JPEGImages/a1.jpg"
    assert first.classes == (ClassRegions("dog", ((2, 0, 9, 5), (0, 0, 5, 5))),)
    assert [photo.id for photo in data.photos] == ["a1", "a2", "a3", "a4", "a5"]
    assert [len(photo.classes) for photo in data.photos] == [1, 0, 0, 0, 1]
    assert data.photos[4].classes == (ClassRegions("dog", ((30, 0, 50, 5),)),)
    assert data.left_out == {ONLY_DIFFICULT: 2, UNREADABLE: 1}
    assert [(Path(p.where.split(": ")[0]).name, p.code) for p in data.problems] == [
        ("a6.jpg", "missing"),
        ("a2.jpg", "no object"),
        ("a4.jpg", "box outside"),
        ("a5.jpg", "box clipped"),
    ]


def test_a_class_with_an_unreadable_box_is_not_asked(tmp_path: Path) -> None:
    dog, cat = voc_object("dog", 1, 1, 5, 5), voc_object("cat", 1, 1, 5, 5)
    inverted, outside = voc_object("dog", 5, 1, 4, 9), voc_object("dog", 60, 1, 70, 5)
    for number, lost in enumerate((inverted, outside, voc_object("dog", 1, "x", 4, 9))):
        add(tmp_path, f"a{number}", annotation(dog, lost, cat), split="val")
    data = mark_difficult(read_voc_photos(tmp_path, "val"), None)
    for photo in data.photos:
        # The dog is there all the same, and distracts.
        assert [(one.label, one.difficult) for one in photo.classes] == [("cat", True)]
        assert dict(photo.not_asked) == {"dog": UNREADABLE}
    assert [problem.code for problem in data.problems] == ["bad box", "bad box", "box outside"]


def test_labels_of_own_photos_in_this_layout(tmp_path: Path) -> None:
    add(tmp_path, "a1", annotation(voc_object("dog", 1, 1, 5, 5)), split="val")
    data = read_voc_photos(tmp_path, "val")
    assert (data.labels, data.in_order) == (VOC_CLASSES, True)
    add(tmp_path, "a2", annotation(voc_object("axe", 1, 1, 5, 5, difficult=1)), split="val")
    data = read_voc_photos(tmp_path, "val")
    assert (data.labels, data.in_order) == (("axe", "dog"), False)


def test_a_missing_list_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such split list"):
        read_voc_photos(tmp_path, "test")


@pytest.mark.real_data
def test_real_pairs(real_data: Path) -> None:
    data = read_voc_photos(real_data / "VOCdevkit/VOC2007", "val")
    assert len(data.photos) == 1238
    assert sum(len(photo.classes) for photo in data.photos) == 1755
    # Counted in the XML: pairs of photo and class whose every object says <difficult>1.
    assert data.left_out == {ONLY_DIFFICULT: 170}
    assert data.problems == ()
