"""Whole folders: by hand with every fault, drawn scenes read back, and real photos."""

import re
from pathlib import Path

import numpy as np
import pytest

from data_prep.entities import read_entities
from data_prep.errors import UserError
from data_prep.phrases import Phrase, PhraseData
from data_prep.scenes import SceneSettings, captioned_scenes, draw_scene, write_entities

ANNOTATION = """<annotation><size><width>100</width><height>80</height></size>
<object><name>1</name><bndbox><xmin>1</xmin><ymin>2</ymin><xmax>30</xmax><ymax>40</ymax></bndbox>
</object><object><name>1</name><name>2</name>
<bndbox><xmin>51</xmin><ymin>2</ymin><xmax>60</xmax><ymax>90</ymax></bndbox></object>
<object><name>3</name><scene>1</scene><nobndbox>0</nobndbox></object>
<object><name>4</name><scene>0</scene><nobndbox>1</nobndbox></object>
<object><name>5</name>
<bndbox><xmin>9</xmin><ymin>2</ymin><xmax>6</xmax><ymax>9</ymax></bndbox></object>
</annotation>"""
SENTENCES = """[/EN#1/people Two men], [/EN#0/notvisual each other] in [/EN#3/scene a park] .
Nothing in brackets .
[/EN#2/people A man] with [/EN#1/people [broken] .
[/EN#4/x luck] , [/EN#5/x a cap] , [/EN#6/x a dog] and [/EN#2/people/x a man] [/EN#2/x ]
[/EN#1/people A dog] is unrelated .
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for folder in ("Sentences", "Annotations", "photos"):
        (tmp_path / folder).mkdir()
    add(tmp_path, "7", SENTENCES, ANNOTATION)
    (tmp_path / "test.txt").write_text("\ufeff7\r\n\r\n", encoding="utf-8")
    return tmp_path


def add(root: Path, photo_id: str, sentences: str | None, annotation: str | None) -> None:
    for folder, suffix, text in (
        ("Sentences", "txt", sentences),
        ("Annotations", "xml", annotation),
    ):
        if text is not None:
            (root / folder / f"{photo_id}.{suffix}").write_text(text, encoding="utf-8")


def read(root: Path, split: str | None = "test", **options: str) -> PhraseData:
    return read_entities(root, root / "photos", split, **options)  # type: ignore[arg-type]


def faults(root: Path, data: PhraseData) -> list[tuple[str, str]]:
    return [(p.where.removeprefix(f"{root}/"), p.code) for p in data.problems]


def test_phrases_boxes_and_what_is_not_counted(root: Path) -> None:
    (root / "UNRELATED_CAPTIONS").write_text("# format: <imageID> <sentence number>\n7 5\n8 1")
    data = read(root)
    (photo,) = data.photos
    assert (photo.id, photo.width, photo.height) == ("7", 100, 80)
    assert photo.path == root / "photos" / "7.jpg"
    assert photo.captions == (
        "Two men, each other in a park .",
        "Nothing in brackets .",
        "luck , a cap , a dog and a man ",
    )
    left, right = (0, 1, 30, 40), (50, 1, 60, 80)
    # Line 4 of the file is number 3; without the malformed line it is the third caption.
    assert photo.phrases == (
        Phrase("7:0:0", "Two men", 0, 0, 7, (left, right), ("people",), "1"),
        Phrase("7:3:3", "a man", 2, 25, 30, (right,), ("people", "x"), "2"),
    )
    assert data.unrelated == 1
    assert data.not_counted == {
        **{"not visual": 1, "scene": 1, "nobndbox": 1, "bad box": 1, "not annotated": 1},
        **{"blank": 1, "unrelated caption": 1},
    }
    assert faults(root, data) == [
        ("Sentences/7.txt:3", "malformed line"),
        ("Annotations/7.xml: object 2", "box clipped"),
        ("Annotations/7.xml: object 5", "bad box"),
    ]


def test_unrelated_captions_are_kept_on_demand(root: Path) -> None:
    (root / "UNRELATED_CAPTIONS").write_text("7 5\n7 0\n7\n7 five\n")
    data = read(root)
    assert len(data.photos[0].captions) == 3
    bad = [where for where, code in faults(root, data) if where.startswith("UNRELATED")]
    assert bad == [f"UNRELATED_CAPTIONS:{line}" for line in (2, 3, 4)]
    data = read(root, captions="all")
    assert data.photos[0].captions[3] == "A dog is unrelated ."
    assert data.photos[0].phrases[-1].id == "7:4:0"
    assert (data.unrelated, "unrelated caption" in data.not_counted) == (0, False)
    assert not [where for where, _ in faults(root, data) if where.startswith("UNRELATED")]


def test_a_photo_that_cannot_be_read_is_left_out(root: Path) -> None:
    add(root, "8", "Words .", None)
    add(root, "9", None, ANNOTATION)
    add(root, "10", "[/EN#1/people Two men] .", ANNOTATION)
    add(root, "11", "Words .", '<!DOCTYPE a [<!ENTITY x "ha">]><a>&x;</a>')
    (root / "test.txt").write_text("8\n9\n11\n../7\n..\n/7\n10\n7\n10\n")
    data = read(root)
    assert [photo.id for photo in data.photos] == ["10", "7"]
    assert faults(root, data)[:7] == [
        *((f"test.txt:{line}", "bad id") for line in (4, 5, 6)),
        ("test.txt:9", "listed twice"),
        ("Annotations/8.xml", "no annotation"),
        ("Sentences/9.txt", "no sentences"),
        ("Annotations/11.xml", "no annotation"),
    ]
    assert all("\n" not in problem.reason for problem in data.problems)


def test_without_a_split_all_photos_with_sentences(root: Path) -> None:
    add(root, "10", "Words .", ANNOTATION)
    (root / "Sentences" / "a b.txt").write_text("Words .")
    data = read(root, None)
    assert [photo.id for photo in data.photos] == ["10", "7"]
    assert ("Sentences/a b.txt", "bad id") in faults(root, data)


@pytest.mark.parametrize(("suffix", "found"), [("jpeg", "jpeg"), ("png", "png"), ("gif", "jpg")])
def test_photos_of_other_suffixes(root: Path, suffix: str, found: str) -> None:
    (root / "photos" / f"7.{suffix}").touch()
    assert read(root).photos[0].path == root / "photos" / f"7.{found}"


@pytest.mark.parametrize(
    ("split", "captions", "fault"),
    [
        ("val", "related", "val.txt: no such list"),
        ("../test", "related", "no such list"),
        ("empty", "related", "empty.txt: the list is empty"),
        ("test", "some", "dataset.captions=some: give related or all"),
    ],
)
def test_what_the_user_must_correct(root: Path, split: str, captions: str, fault: str) -> None:
    (root / "empty.txt").write_text("\n")
    with pytest.raises(UserError, match=fault):
        read(root, split, captions=captions)


def test_folders_must_be_there(root: Path) -> None:
    with pytest.raises(UserError, match="Sentences: no such folder"):
        read_entities(root / "photos", root / "photos", "test")
    with pytest.raises(UserError, match="nowhere: no such folder"):
        read_entities(root, root / "nowhere", "test")


def test_drawn_scenes_come_back(tmp_path: Path) -> None:
    scenes = list(captioned_scenes(SceneSettings(captioned=160, seed=2, size=160)))
    boxes = [draw_scene(scene.plan).boxes for scene in scenes]
    write_entities(tmp_path, scenes, boxes)
    data = read_entities(tmp_path, tmp_path, None)
    assert data.problems == ()
    assert data.unrelated == sum(len(scene.captions.unrelated) for scene in scenes) > 0
    assert set(data.not_counted) == {"not visual", "scene", "nobndbox", "unrelated caption"}
    of_id = {photo.id: photo for photo in data.photos}
    for scene, drawn in zip(scenes, boxes, strict=True):
        photo = of_id[scene.image_id]
        said = {phrase.chain: phrase for phrase in photo.phrases}
        assert said.keys() == scene.captions.chains.keys()
        for chain, places in scene.captions.chains.items():
            assert np.array_equal(sorted(said[chain].boxes), sorted(drawn[places].tolist()))
        for phrase in photo.phrases:
            assert photo.captions[phrase.caption][phrase.start : phrase.end] == phrase.text
    splits = [read_entities(tmp_path, tmp_path, split).photos for split in ("val", "test")]
    assert sorted(photo.id for part in splits for photo in part) == sorted(of_id)


@pytest.mark.real_data
def test_real_photos(real_data: Path) -> None:
    root = real_data / "flickr30k_entities_dev"
    data = read_entities(root, root / "images", "dev")
    assert (data.problems, data.not_counted) == ((), {})
    assert len(data.photos) == 496
    # One for each bracket; the annotations name no further chain.
    assert sum(len(photo.phrases) for photo in data.photos) == 1696
    for photo in data.photos:
        assert photo.path.is_file()
        source = (root / "Sentences" / f"{photo.id}.txt").read_text()
        brackets = [piece.partition("]")[0] for piece in source.split("[/EN#")[1:]]
        assert [piece.partition(" ")[2] for piece in brackets] == [p.text for p in photo.phrases]
        xml = (root / "Annotations" / f"{photo.id}.xml").read_text()
        boxes = re.findall(r"<xmin>(\d+)\D+(\d+)\D+(\d+)\D+(\d+)", xml)
        expected = [(int(a) - 1, int(b) - 1, int(c), int(d)) for a, b, c, d in boxes]
        chains = {phrase.chain: phrase.boxes for phrase in photo.phrases}
        assert sorted(box for found in chains.values() for box in found) == sorted(expected)
