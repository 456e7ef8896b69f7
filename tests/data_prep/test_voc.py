"""VOC reader: coordinates, flags, refusals; counts on the real dev half."""

from pathlib import Path

import pytest

from data_prep.errors import UserError
from data_prep.voc import VOC_CLASSES, VocObject, read_difficult, read_voc
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
        ("000007\n000007\n", "listed twice"),
    ],
)
def test_a_bad_list_is_refused(root: Path, lines: str, reason: str) -> None:
    (root / "ImageSets/Main/val.txt").write_text(lines)
    with pytest.raises(UserError, match=reason):
        read_voc(root, "val")


def flags(*classes: str) -> str:
    return "\t".join("1" if label in classes else "0" for label in VOC_CLASSES)


def test_difficult_flags(tmp_path: Path) -> None:
    path = tmp_path / "flags.txt"
    path.write_text(f"000001\t{flags('dog', 'tvmonitor')}\n000003\t{flags()}\n")
    assert read_difficult(path) == {
        "000001": frozenset({"dog", "tvmonitor"}),
        "000003": frozenset(),
    }


@pytest.mark.parametrize(
    "line",
    ["000003\t0\t1", f"000003\t{flags()}\t0", f"000003\t{flags()[:-1]}2", f"000001\t{flags()}"],
)
def test_bad_difficult_flags_name_the_line(tmp_path: Path, line: str) -> None:
    path = tmp_path / "flags.txt"
    path.write_text(f"000001\t{flags()}\n{line}\n")
    with pytest.raises(UserError, match=r"flags\.txt:2: expected a new image id and 20 flags"):
        read_difficult(path)


def test_missing_difficult_flags(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such file"):
        read_difficult(tmp_path / "none.txt")


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
