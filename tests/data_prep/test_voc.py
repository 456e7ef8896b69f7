"""VOC reader: coordinates, refusals, problems; counts on the real dev half."""

from pathlib import Path

import pytest

from data_prep.errors import UserError
from data_prep.phrases import Problem
from data_prep.voc import VOC_CLASSES, VocObject, read_voc
from tests.data_prep.voc_folders import add, annotation, voc_object


@pytest.fixture
def root(tmp_path: Path) -> Path:
    add(tmp_path, "000007", annotation(voc_object("dog", 1, 2, 30, 40)), split="val")
    return tmp_path


def test_boxes_become_half_open_from_zero(root: Path) -> None:
    (image,) = read_voc(root, "val")
    assert (image.id, image.width, image.height) == ("000007", 50, 40)
    assert image.path == root / "JPEGImages" / "000007.jpg"
    assert image.objects == (VocObject("dog", (0.0, 1.0, 30.0, 40.0), False),)


def test_list_order_and_fractions(root: Path) -> None:
    add(root, "2008_000003", annotation(voc_object("cat", "45.70", 2, 46.5, 3)))
    (root / "ImageSets/Main/val.txt").write_text("2008_000003\n000007\n\n")
    images = read_voc(root, "val")
    assert [image.id for image in images] == ["2008_000003", "000007"]
    assert images[0].objects[0].box == pytest.approx((44.7, 1, 46.5, 3))


def test_a_class_of_difficult_boxes_only_is_not_played(root: Path) -> None:
    objects = [
        voc_object("dog", 1, 1, 5, 5, difficult=1),
        voc_object("cat", 1, 1, 6, 6, difficult=1),
        voc_object("cat", 1, 1, 7, 7),
    ]
    add(root, "000007", annotation(*objects))
    (image,) = read_voc(root, "val")
    assert [item.difficult for item in image.objects] == [True, True, False]
    assert image.class_boxes() == {"cat": [(0, 0, 6, 6), (0, 0, 7, 7)]}


def test_an_image_without_objects_is_kept(root: Path) -> None:
    add(root, "000007", annotation())
    (image,) = read_voc(root, "val")
    assert image.objects == ()
    assert image.class_boxes() == {}


BOMB = '<!DOCTYPE a [<!ENTITY b "b"><!ENTITY c "&b;&b;">]><annotation>&c;</annotation>'


@pytest.mark.parametrize(
    ("xml", "reason"),
    [
        ("<annotation>", "no readable annotation"),
        (BOMB, "xml: it declares entities, which is refused"),
        (annotation(size="<width>50</width>"), "size/height"),
        (annotation(size="<width>50</width><height>0</height>"), "a size of 50 × 0 pixels"),
        (annotation(voc_object("dog", 1, "left", 3, 4)), "'left', not a number"),
        (annotation(voc_object("dog", 1, "nan", 3, 4)), "'nan', not a number"),
        (annotation(voc_object("dog", 5, 1, 4, 9)), "the box of 'dog' is empty"),
        (annotation(voc_object(" ", 5, 1, 9, 9)), "has no name"),
        (annotation("<object><name>dog</name></object>"), "bndbox/xmin"),
    ],
)
def test_a_bad_annotation_is_named(root: Path, xml: str, reason: str) -> None:
    add(root, "000007", xml)
    with pytest.raises(UserError, match=reason) as error:
        read_voc(root, "val")
    assert str(root / "Annotations" / "000007.xml") in str(error.value)
    assert "\n" not in str(error.value)


def test_missing_files_are_named(root: Path) -> None:
    (root / "JPEGImages" / "000007.jpg").unlink()
    with pytest.raises(UserError, match=r"000007\.jpg: the file is missing"):
        read_voc(root, "val")
    add(root, "000007", "")
    (root / "Annotations" / "000007.xml").unlink()
    with pytest.raises(UserError, match=r"000007\.xml: the file is missing"):
        read_voc(root, "val")


@pytest.mark.parametrize("split", ["test", "../val", "/etc/passwd", ""])
def test_a_split_that_is_no_list_is_refused(root: Path, split: str) -> None:
    with pytest.raises(UserError, match="no such split list"):
        read_voc(root, split)


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        ("../../secret\n", "is not an image id"),
        ("000007 -1\n", "is not an image id"),
        ("\n\n", "the list is empty"),
        ("000007\n000007\n", "val.txt: image 000007 is listed twice; remove one of the lines"),
    ],
)
def test_a_bad_list_is_refused(root: Path, lines: str, reason: str) -> None:
    (root / "ImageSets/Main/val.txt").write_text(lines)
    with pytest.raises(UserError, match=reason):
        read_voc(root, "val")


def test_a_list_that_may_not_be_read_is_refused(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> str:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_text", refuse)
    with pytest.raises(UserError, match=r"val.txt: cannot be read \(Permission denied\); check"):
        read_voc(root, "val")


def test_an_image_listed_twice_is_read_once(root: Path) -> None:
    add(root, "000008", annotation(voc_object("cat", 1, 1, 5, 5)), split="val")
    (root / "ImageSets/Main/val.txt").write_text("000007\n000008\n000007\n000007\n")
    problems: list[Problem] = []
    assert [image.id for image in read_voc(root, "val", problems)] == ["000007", "000008"]
    assert [problem.code for problem in problems] == ["listed twice"] * 2
    assert Path(problems[0].where) == root / "ImageSets/Main/val.txt"


def test_problems_do_not_stop_the_rest(root: Path) -> None:
    dog, cat = voc_object("dog", 1, 1, 5, 5), voc_object("cat", 1, 1, 5, 5)
    add(root, "a1", annotation(dog), split="val")
    add(root, "a2", "<annotation>", split="val")
    add(root, "a3", annotation(dog, size="<width>0</width><height>40</height>"), split="val")
    add(root, "a4", annotation(voc_object("dog", 5, 1, 4, 9), voc_object("", 1, 1, 2, 2), cat))
    add(root, "a5", annotation(dog))
    (root / "ImageSets/Main/val.txt").write_text("a1\na2\na3\na4\na5\n000007\n")
    (root / "JPEGImages/a1.jpg").unlink()
    (root / "Annotations/a5.xml").unlink()
    problems: list[Problem] = []
    images = read_voc(root, "val", problems)
    assert [(image.id, [item.label for item in image.objects]) for image in images] == [
        ("a4", ["cat"]),
        ("000007", ["dog"]),
    ]
    assert [(Path(problem.where).name, problem.code) for problem in problems] == [
        ("a1.jpg", "missing"),
        ("a2.xml", "no annotation"),
        ("a3.xml", "bad size"),
        ("a4.xml", "bad box"),
        ("a4.xml", "no name"),
        ("a5.xml", "no annotation"),
    ]


@pytest.mark.real_data
@pytest.mark.parametrize(("split", "objects", "hard"), [("train", 3699, 748), ("val", 3768, 744)])
def test_real_counts(real_data: Path, split: str, objects: int, hard: int) -> None:
    # Counted in the XML with grep: <object>, <difficult>1.
    images = read_voc(real_data / "VOCdevkit/VOC2007", split)
    found = [item for image in images for item in image.objects]
    assert len(images) == 1238
    assert len(found) == objects
    assert sum(item.difficult for item in found) == hard
    assert {item.label for item in found} == set(VOC_CLASSES)
    for image in images:
        for item in image.objects:
            x1, y1, x2, y2 = item.box
            assert 0 <= x1 < x2 <= image.width
            assert 0 <= y1 < y2 <= image.height
