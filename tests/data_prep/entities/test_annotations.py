"""Boxes of chains, from annotations made by hand."""

from pathlib import Path

import pytest

from data_prep.entities.annotations import Annotation, read_annotation
from data_prep.phrases import Unusable

SIZE = "<size><width>100</width><height>80</height><depth>3</depth></size>"
BOMB = """<!DOCTYPE a [<!ENTITY x "ha"><!ENTITY y "&x;&x;&x;">]>
<annotation><object><name>&y;</name></object></annotation>"""


def thing(names: str, inside: str) -> str:
    return "<object>" + "".join(f"<name>{n}</name>" for n in names.split()) + inside + "</object>\n"


def box(x1: object, y1: object, x2: object, y2: object) -> str:
    corners = {"xmin": x1, "ymin": y1, "xmax": x2, "ymax": y2}
    return "<bndbox>" + "".join(f"<{k}>{v}</{k}>" for k, v in corners.items()) + "</bndbox>"


def flags(scene: int, nobndbox: int) -> str:
    return f"<scene>{scene}</scene><nobndbox>{nobndbox}</nobndbox>"


def read(folder: Path, *objects: str, size: str = SIZE) -> Annotation:
    path = folder / "7.xml"
    path.write_text(f"<annotation>{size}{''.join(objects)}</annotation>", encoding="utf-8")
    return read_annotation(path)


def codes(annotation: Annotation) -> list[tuple[str, str]]:
    return [(p.where.rpartition("/")[2], p.code) for p in annotation.problems]


def test_chains_have_the_boxes_of_all_their_objects(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        thing("1", box(1, 1, 100, 80)),
        thing("2 3", box(11, 21, 11, 30)),
        thing("3 3", box(5, 6, 7, 8) + flags(0, 0)),
        thing("4", flags(1, 0)),
        thing("5", flags(0, 1)),
        thing("6", flags(1, 1)),
        thing("7", flags(0, 0)),
        thing("1", flags(0, 1)),
        thing("9", flags(0, 1)) + thing("9", flags(1, 0)),  # the first object says why
        thing("8", "") + thing("8", box(2, 2, 3, 3)),
    )
    assert (found.width, found.height, found.problems) == (100, 80, [])
    assert found.boxes == {
        "1": [(0, 0, 100, 80)],  # 1-based with the last pixel: the whole photo
        "2": [(10, 20, 11, 30)],  # one pixel wide
        "3": [(10, 20, 11, 30), (4, 5, 7, 8)],
        "8": [(1, 1, 3, 3)],
    }
    assert found.boxless == {
        "4": "scene",
        "5": "nobndbox",
        "6": "scene",
        "7": "not annotated",
        "9": "nobndbox",
    }
    assert found.why_boxless("99") == "not annotated"


def test_bad_boxes_are_told_and_the_others_stay(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        thing("1", box(10, 10, 20, 20)),
        thing("1", box(20, 10, 10, 20)),
        thing("2", box(10, "ten", 20, 20)),
        thing("3", box(10, 10, "nan", 20)),
        thing("4", "<bndbox><xmin>1</xmin></bndbox>"),
        thing("5", box(-4, 0, 120, 90)),
        thing("6", box(101, 10, 120, 20)),
        thing("", box(1, 1, 2, 2)),
        thing("7", box(1, 1, 2.5, "\n 3 ")),
    )
    assert found.boxes == {
        "1": [(9, 9, 20, 20)],
        "5": [(0, 0, 100, 80)],
        "7": [(0, 0, 2.5, 3)],
    }
    assert found.boxless == dict.fromkeys("2346", "bad box")
    assert codes(found) == [
        ("7.xml: object 2", "bad box"),
        ("7.xml: object 3", "bad box"),
        ("7.xml: object 4", "bad box"),
        ("7.xml: object 5", "bad box"),
        ("7.xml: object 6", "box clipped"),
        ("7.xml: object 7", "box outside"),
        ("7.xml: object 8", "no name"),
    ]


@pytest.mark.parametrize("size", ["", "<size><width>0</width><height>80</height></size>"])
def test_without_a_size_boxes_are_kept_unchecked(tmp_path: Path, size: str) -> None:
    found = read(tmp_path, thing("1", box(0, 1, 900, 800)), size=size)
    assert found.width is None
    assert found.boxes == {"1": [(0, 0, 900, 800 if not size else 80)]}
    assert codes(found)[0] == ("7.xml", "no size")


def test_an_xml_bomb_is_told(tmp_path: Path) -> None:
    (tmp_path / "7.xml").write_text(BOMB)
    with pytest.raises(Unusable) as caught:
        read_annotation(tmp_path / "7.xml")
    reason = "it declares entities, which is refused; fetch it again"
    assert caught.value.problem.reason == reason


@pytest.mark.parametrize(
    "content",
    [b"", b"<annotation><object>", b"\xff\xfe\x00", BOMB.encode(), b"<a>\x00</a>",
     b'<?xml version="1.0" encoding="no-such"?><a/>'],
)  # fmt: skip
def test_no_readable_xml(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "7.xml"
    path.write_bytes(content)
    with pytest.raises(Unusable) as caught:
        read_annotation(path)
    assert (caught.value.problem.where, caught.value.problem.code) == (str(path), "no annotation")
    assert "\n" not in caught.value.problem.reason
    path.unlink()
    with pytest.raises(Unusable, match="No such file"):
        read_annotation(path)
