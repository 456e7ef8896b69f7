"""ImageNet's boxes by hand: labels, layouts of folders and lists, faults."""

from pathlib import Path

import pytest

from data_prep.annotated import UNREADABLE, ClassRegions
from data_prep.errors import UserError
from data_prep.imagenet_boxes import labels_by_wnid, read_imagenet_boxes
from tests.data_prep.voc_folders import annotation, voc_object

TENCH, CRANE, MACHINE = "n01440764", "n02012849", "n03126707"


def add(root: Path, name: str, *objects: str) -> None:
    for file in (root / "xml" / f"{name}.xml", root / "photos" / f"{name}.JPEG"):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(annotation(*objects))


def test_labels() -> None:
    labels = labels_by_wnid()
    assert len(labels) == len(set(labels.values())) == 1000
    assert list(labels.values())[:2] == ["tench", "goldfish"]  # outputs 0 and 1
    assert list(labels).index(MACHINE) == 517
    assert labels[CRANE] == "crane (n02012849)"
    assert labels[MACHINE] == "crane (n03126707)"
    assert sum("(" in label for label in labels.values()) == 6


def test_all_files_of_the_folder(tmp_path: Path) -> None:
    add(tmp_path, "val_2", voc_object(CRANE, 0, 0, 50, 40))
    add(tmp_path, "n01440764/val_1", voc_object(TENCH, 3, 4, 30, 20), voc_object(TENCH, 5, 4, 9, 9))
    add(tmp_path, "val_3")
    data = read_imagenet_boxes(tmp_path / "xml", tmp_path / "photos")
    fish, bird, nothing = data.photos
    assert (fish.id, fish.width, fish.height) == ("n01440764/val_1", 50, 40)
    assert fish.path == tmp_path / "photos/n01440764/val_1.JPEG"
    assert fish.classes == (ClassRegions("tench", ((3, 4, 30, 20), (5, 4, 9, 9))),)
    assert bird.classes == (ClassRegions("crane (n02012849)", ((0, 0, 50, 40),)),)
    assert nothing.classes == ()
    (problem,) = data.problems
    assert (problem.where, problem.code) == (str(nothing.path), "no object")
    assert data.left_out == {}
    assert data.labels == tuple(labels_by_wnid().values())


def test_a_list_and_its_faults(tmp_path: Path) -> None:
    add(
        tmp_path,
        "val_1",
        voc_object("Scottish_deerhound", 3, 4, 9, 9),
        voc_object(TENCH, 3, 4, 9, 9),
    )
    for name in ("val_2", "val_3", "val_4", "val_5"):
        add(tmp_path, name, voc_object(TENCH, 3, 4, 9, 9))
    (tmp_path / "xml/val_2.xml").unlink()
    (tmp_path / "xml/val_3.xml").write_text("<annotation>")
    (tmp_path / "photos/val_4.JPEG").unlink()
    (tmp_path / "secret.JPEG").touch()
    ids = tmp_path / "val.txt"
    ids.write_text("val_1 17\nval_2 2\nval_3\n\nval_4\n../secret\n/etc/passwd\nval_1 17\n")
    data = read_imagenet_boxes(tmp_path / "xml", tmp_path / "photos", ids)
    (photo,) = data.photos  # val_5 is not on the list
    assert photo.classes == (ClassRegions("tench", ((3, 4, 9, 9),)),)
    assert [(p.where.removeprefix(f"{tmp_path}/"), p.code) for p in data.problems] == [
        ("xml/val_1.xml", "unknown class"),
        ("xml/val_2.xml", "no annotation"),
        ("xml/val_3.xml", "no annotation"),
        ("photos/val_4.JPEG", "missing"),
        ("val.txt: ../secret", "bad name"),
        ("val.txt: /etc/passwd", "bad name"),
        ("val.txt: val_1", "listed twice"),
    ]
    assert "'Scottish_deerhound' is no WordNet id" in data.problems[0].reason


def test_a_class_with_an_unreadable_box_is_not_asked(tmp_path: Path) -> None:
    good, inverted = voc_object(TENCH, 3, 4, 9, 9), voc_object(TENCH, 9, 4, 3, 9)
    add(tmp_path, "val_1", good, inverted, voc_object(CRANE, 0, 0, 50, 40))
    add(tmp_path, "val_2", good, voc_object(CRANE, 7, 7, 7, 9))  # empty: half-open
    data = read_imagenet_boxes(tmp_path / "xml", tmp_path / "photos")
    assert [[one.label for one in photo.classes] for photo in data.photos] == [
        ["crane (n02012849)"],
        ["tench"],
    ]
    assert [dict(photo.not_asked) for photo in data.photos] == [
        {"tench": UNREADABLE},
        {"crane (n02012849)": UNREADABLE},
    ]
    assert [problem.code for problem in data.problems] == ["bad box", "bad box"]


def test_missing_inputs(tmp_path: Path) -> None:
    add(tmp_path, "val_1")
    xml, photos, none = (tmp_path / name for name in ("xml", "photos", "none"))
    with pytest.raises(UserError, match="none: no such folder; give the folder of the XML files"):
        read_imagenet_boxes(none, photos)
    with pytest.raises(UserError, match="none: no such folder; give the folder of the photos"):
        read_imagenet_boxes(xml, none)
    with pytest.raises(UserError, match="none: cannot be read"):
        read_imagenet_boxes(xml, photos, none)
    with pytest.raises(UserError, match="photos: nothing is in it"):
        read_imagenet_boxes(photos, photos)
