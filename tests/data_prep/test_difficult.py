"""The difficult subset: the rule by hand, flag files, and both on the real dev half."""

from pathlib import Path

import pytest

from data_prep.annotated import AnnotatedData, AnnotatedPhoto, ClassRegions
from data_prep.difficult import is_difficult, mark_difficult, read_difficult
from data_prep.errors import UserError
from data_prep.phrases import Box
from data_prep.voc import VOC_CLASSES
from data_prep.voc_photos import read_voc_photos

LABELS = ("cat", "dog", "owl")


def photo(name: str = "p1", **boxes: list[Box]) -> AnnotatedPhoto:
    classes = tuple(ClassRegions(label, tuple(each)) for label, each in boxes.items())
    return AnnotatedPhoto(name, Path(f"{name}.jpg"), 40, 10, classes)


def difficult(data: AnnotatedData) -> dict[str, list[bool | None]]:
    return {photo.id: [one.difficult for one in photo.classes] for photo in data.photos}


def test_small_beside_another_class() -> None:
    half: Box = (0, 0, 20, 10)
    assert is_difficult(photo(cat=[(0, 0, 2, 2)], dog=[half])) == [True, False]
    assert is_difficult(photo(cat=[(0, 0, 2, 2)])) == [False]
    assert is_difficult(photo()) == []


def test_less_than_a_quarter_of_the_union() -> None:
    other: Box = (30, 0, 31, 1)
    quarter: Box = (0, 0, 10, 10)
    assert is_difficult(photo(cat=[quarter], dog=[other]))[0] is False
    assert is_difficult(photo(cat=[(0, 0, 10, 9.9)], dog=[other]))[0] is True
    # The sum of these is 38 % of the photo, their union 23 %.
    assert is_difficult(photo(cat=[(0, 0, 8, 10), (1, 0, 9, 8)], dog=[other]))[0] is True


def flag_file(folder: Path, *lines: str) -> Path:
    path = folder / "flags.txt"
    path.write_text("\n".join(lines) + "\n")
    return path


def test_published_flags_and_how_derived_ones_agree(tmp_path: Path) -> None:
    small: Box = (0, 0, 2, 2)
    half: Box = (0, 0, 20, 10)
    data = AnnotatedData((photo("p1", cat=[small], dog=[half]), photo("p2", owl=[small])), LABELS)
    flags = flag_file(tmp_path, "p1 1 1 0", "p2\t1\t0\t0", "elsewhere 0 0 0")
    marked = mark_difficult(data, flags)
    assert difficult(marked) == {"p1": [True, True], "p2": [False]}
    assert marked.problems == ()
    assert marked.difficult == {
        "source": "published",
        "pairs": 3,
        "published": 2,
        "derived": 1,
        "both": 1,
        "agreement": pytest.approx(2 / 3),
        "not_asked": 1,
        "other_photos": 1,
    }
    derived = mark_difficult(data, None)
    assert difficult(derived) == {"p1": [True, False], "p2": [False]}
    assert derived.difficult == {"source": "derived"}


def test_photos_without_flags_are_named_and_not_guessed(tmp_path: Path) -> None:
    small: Box = (0, 0, 2, 2)
    photos = (photo("p1", cat=[small], dog=[small]), photo("p2", owl=[small]), photo("p3"))
    marked = mark_difficult(AnnotatedData(photos, LABELS), flag_file(tmp_path, "p2 0 0 1"))
    assert difficult(marked) == {"p1": [None, None], "p2": [True], "p3": []}
    (problem,) = marked.problems  # p3 has nothing to ask for
    assert (problem.where, problem.code) == ("p1.jpg", "no difficult flags")
    assert marked.difficult["pairs"] == 1


def test_flags_of_other_photos_only_are_refused(tmp_path: Path) -> None:
    data = AnnotatedData((photo("p1", cat=[(0, 0, 2, 2)]),), LABELS)
    flags = flag_file(tmp_path, "2007_01 0 0 0")
    with pytest.raises(UserError, match=r"flags.txt: tells of photos such as '2007_01' and .*'p1'"):
        mark_difficult(data, flags)


def test_read_difficult(tmp_path: Path) -> None:
    path = flag_file(tmp_path, "000001\t1\t0\t1", "", "000003 0 0 0")
    assert read_difficult(path, LABELS) == {
        "000001": frozenset({"cat", "owl"}),
        "000003": frozenset(),
    }


@pytest.mark.parametrize("line", ["000003\t0\t1", "000003 0 0 0 0", "000003 0 0 2"])
def test_bad_flags_name_the_line(tmp_path: Path, line: str) -> None:
    path = flag_file(tmp_path, "000001 0 0 0", line)
    with pytest.raises(
        UserError, match=r"flags\.txt:2: expected an image id and 3 flags .*\(cat … "
    ):
        read_difficult(path, LABELS)


def test_flags_that_stand_there_twice(tmp_path: Path) -> None:
    path = flag_file(tmp_path, "000001 0 0 0", "000001 0 0 0")
    with pytest.raises(UserError, match=r"flags\.txt:2: 000001 stands there twice; remove one"):
        read_difficult(path, LABELS)


def test_missing_flags(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="none.txt: cannot be read"):
        read_difficult(tmp_path / "none.txt", LABELS)


@pytest.mark.real_data
@pytest.mark.parametrize(("split", "pairs", "flagged"), [("train", 1738, 544), ("val", 1755, 570)])
def test_derived_as_published(real_data: Path, split: str, pairs: int, flagged: int) -> None:
    # Every other reading of the paper's words differs somewhere: see the module.
    root = real_data / "VOCdevkit/VOC2007"
    flags = root / "pointing_game_difficult.txt"
    marked = mark_difficult(read_voc_photos(root, split), flags)
    assert (len(marked.photos), marked.labels, marked.problems) == (1238, VOC_CLASSES, ())
    assert marked.difficult == {
        "source": "published",
        "pairs": pairs,
        "published": flagged,
        "derived": flagged,
        "both": flagged,
        "agreement": 1.0,
        "not_asked": 0,
        "other_photos": 1238,  # of the other split
    }
    assert difficult(marked) == difficult(mark_difficult(marked, None))
