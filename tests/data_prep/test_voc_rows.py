"""Rows of VOC: order of the classes, difficult ones, lists; agreement with the real XML."""

from pathlib import Path

import pytest
from defusedxml import ElementTree

from data_prep.errors import UserError
from data_prep.voc import VOC_CLASSES
from data_prep.voc_rows import voc_rows
from tests.data_prep.voc_folders import add, annotation, voc_object


def test_rows(tmp_path: Path) -> None:
    easy = [
        voc_object("dog", 1, 1, 10, 10),
        voc_object("cat", 1, 1, 8, 8),
        voc_object("cat", 11, 1, 18, 8),  # together 128 pixels; the dog has 100
        voc_object("person", 1, 1, 30, 30, difficult=1),
        voc_object("Potted_Plant ", 1, 1, 2, 2, difficult=1),
    ]
    some = [voc_object("sofa", 1, 1, 5, 5), voc_object("sofa", 1, 1, 9, 9, difficult=1)]
    add(tmp_path, "000007", annotation(*easy), split="val")
    add(tmp_path, "2008_000003", annotation(*some), split="train")
    add(tmp_path, "000001", annotation(*easy[3:]), split="train")
    batch = voc_rows(tmp_path, ["train", "val"])
    assert len(batch.unreadable) == 0
    assert [tuple(row.values()) for row in batch.rows.to_pylist()] == [
        ("2008_000003", ["sofa"], [], "train"),
        ("000001", [], ["person", "potted plant"], "train"),
        ("000007", ["cat", "dog"], ["person", "potted plant"], "val"),
    ]
    assert batch.rows.schema.names == ["image_id", "tags", "unknown", "split"]


def test_classes_of_one_size_keep_the_order_of_the_file(tmp_path: Path) -> None:
    objects = [voc_object(label, 1, 1, 5, 5) for label in ("sofa", "cat", "dog")]
    add(tmp_path, "000007", annotation(*objects), split="val")
    (row,) = voc_rows(tmp_path, ["val"]).rows.to_pylist()
    assert row["tags"] == ["sofa", "cat", "dog"]


def test_an_image_on_two_lists_is_named(tmp_path: Path) -> None:
    add(tmp_path, "000007", annotation(), split="val")
    add(tmp_path, "000008", annotation(), split="val")
    (tmp_path / "ImageSets/Main/train.txt").write_text("000008\n")
    with pytest.raises(UserError, match="image 000008 is on two lists, train and val; name"):
        voc_rows(tmp_path, ["train", "val"])
    with pytest.raises(UserError, match="data.splits is empty"):
        voc_rows(tmp_path, [])


@pytest.mark.real_data
def test_real_rows_agree_with_a_count_in_the_xml(real_data: Path) -> None:
    root = real_data / "VOCdevkit/VOC2007"
    rows = voc_rows(root, ["train", "val"]).rows.to_pylist()
    listed = [
        (name, split)
        for split in ("train", "val")
        for name in (root / f"ImageSets/Main/{split}.txt").read_text().split()
    ]
    assert [(row["image_id"], row["split"]) for row in rows] == listed
    assert len(listed) == 2476
    unknown = 0
    for row in rows:
        xml = (root / "Annotations" / f"{row['image_id']}.xml").read_bytes()
        area, sure = dict.fromkeys(VOC_CLASSES, 0), set()
        for node in ElementTree.fromstring(xml).iter("object"):
            name = node.findtext("name", "")
            sides = ("xmin", "ymin", "xmax", "ymax")
            x1, y1, x2, y2 = (int(node.findtext(f"bndbox/{side}", "")) for side in sides)
            area[name] += (x2 - x1 + 1) * (y2 - y1 + 1)
            if node.findtext("difficult") == "0":
                sure.add(name)
        assert set(row["tags"]) == sure
        assert set(row["unknown"]) == {name for name in area if area[name]} - sure
        for classes in (row["tags"], row["unknown"]):
            assert len(set(classes)) == len(classes)
            areas = [area[name] for name in classes]
            assert areas == sorted(areas, reverse=True)
        unknown += len(row["unknown"])
    assert unknown > 100
