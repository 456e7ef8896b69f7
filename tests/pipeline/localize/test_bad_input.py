"""Faults of photos, annotations and phrases: they are told and kept aside, the rest is done."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from data_prep.errors import UserError
from data_prep.images import UnusableImage
from data_prep.phrases import PhrasePhoto
from grounding.proposals.boxes import Proposals
from pipeline.phrase_data import fit_to_photo
from pipeline.proposal_folder import ProposalFolder
from tests.pipeline.localize.made import (
    PHOTOS,
    QUICK,
    WINDOWS,
    Photo,
    annotation,
    draw,
    metrics,
    rejects,
    rows,
    run,
    write_lines,
)

BOMB = """<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "bbbb"><!ENTITY c "&b;&b;&b;">]>
<annotation><size><width>96</width><height>72</height></size><object><name>&c;</name></object>
</annotation>"""


@pytest.fixture
def own(root: Path, tmp_path: Path) -> Path:
    """Give a dataset that may be spoilt."""
    return Path(shutil.copytree(root, tmp_path / "own"))


@pytest.fixture
def localise(model: str, own: Path, tmp_path: Path) -> Callable[..., Path]:
    def localise(*overrides: str) -> Path:
        out = tmp_path / "out"
        keys = [model, f"dataset.root={own}", *WINDOWS, *QUICK, "baselines=null"]
        run(*keys, f"out={out}", *overrides)
        return out

    return localise


def told(out: Path) -> list[tuple[str, str]]:
    """Give file and code of what is rejected."""
    return [(Path(one["where"].split(":")[0]).name, one["code"]) for one in rejects(out)]


def photos_of(out: Path) -> list[str]:
    return sorted({row["image_id"] for row in rows(out)})


def test_photos_that_cannot_be_read(
    own: Path, localise: Callable[..., Path], capsys: pytest.CaptureFixture
) -> None:
    (own / "images" / "1001.png").unlink()
    photo = own / "images" / "1003.png"
    photo.write_bytes(photo.read_bytes()[:500])
    out = localise()
    assert photos_of(out) == ["1002", "1004"]
    (first, second) = told(out)
    assert first == ("1001.jpg", "missing")
    assert second[0] == "1003.png"
    assert metrics(out)["rejected"] == {"missing": 1, second[1]: 1}
    assert (metrics(out)["phrases"], metrics(out)["phrases_left_out"]) == (4, 5)
    assert "problems: missing 1, " in capsys.readouterr().out
    assert (out / "report.html").is_file()


def test_no_photo_can_be_used_until_there_are_some(
    own: Path, localise: Callable[..., Path]
) -> None:
    """The photos come later: the same command looks for them again."""
    (own / "images").rename(own / "away")
    (own / "images").mkdir()
    with pytest.raises(UserError, match=r"none of 4 photos can be used; the first: .*1001.jpg"):
        localise()
    (own / "images").rmdir()
    (own / "away").rename(own / "images")
    assert len(photos_of(localise())) == 4


@pytest.mark.parametrize("how", ["scale", "warn", "refuse"])
def test_a_photo_of_another_size_than_its_annotation(
    how: str, own: Path, localise: Callable[..., Path]
) -> None:
    draw(PHOTOS[0]).resize((48, 36)).save(own / "images" / "1001.png")
    out = localise(f"size_mismatch={how}")
    codes = {"scale": "boxes scaled", "warn": "other size", "refuse": "other size"}
    assert told(out) == [("1001.png", codes[how])]
    assert "48×36 pixels, but annotated as 96×72" in rejects(out)[0]["reason"]
    found = [row for row in rows(out) if row["image_id"] == "1001"]
    expected = {"scale": [5, 6, 25, 30], "warn": [10, 12, 50, 60]}
    if how == "refuse":
        assert found == []
    else:
        assert found[0]["boxes"] == [expected[how]]
        assert (found[0]["width"], found[0]["height"]) == (48, 36)


@pytest.mark.parametrize(
    ("size", "code"),
    [
        ((72, 96), "other shape"),  # turned
        ((96, 60), "other shape"),  # cut
        ((190, 144), "boxes scaled"),  # within 2 %, and more than rounding
        ((19, 15), "boxes scaled"),  # rounded: 5 % apart
    ],
)
def test_only_photos_of_the_same_shape_are_scaled(
    size: tuple[int, int], code: str, root: Path
) -> None:
    photo = PhrasePhoto("1001", root / "images" / "1001.png", 96, 72, (), ())
    image = Image.new("RGB", size)
    if code == "other shape":
        with pytest.raises(UnusableImage, match="turned or cut, its boxes cannot be scaled") as got:
            fit_to_photo(photo, image, "scale")
        assert got.value.code == code
        assert fit_to_photo(photo, image, "warn")[1][0].code == "other size"
    else:
        fitted, problems = fit_to_photo(photo, image, "scale")
        assert ((fitted.width, fitted.height), problems[0].code) == (size, code)


def test_faults_of_annotations_and_captions(own: Path, localise: Callable[..., Path]) -> None:
    """An XML bomb, a box beyond the photo, another reaching over its edge, a broken bracket."""
    (own / "Annotations" / "1001.xml").write_text(BOMB)
    beyond = Photo("1003", (90, 90), {"1": [("red", (95, 0, 99, 9))]}, ())
    beyond.boxes["2"] = [("red", (30, 50, 120, 84))]
    (own / "Annotations" / "1003.xml").write_text(annotation(beyond))
    with (own / "Sentences" / "1004.txt").open("a") as file:
        file.write("[/EN#1/other A broken line .\n")
    out = localise()
    assert told(out) == [
        ("1001.xml", "no annotation"),
        *[("1003.xml", "box outside"), ("1003.xml", "box clipped")],
        ("1004.txt", "malformed line"),
    ]
    assert photos_of(out) == ["1002", "1003", "1004"]
    (clipped,) = [row for row in rows(out) if row["image_id"] == "1003"]
    assert clipped["boxes"] == [[30, 50, 90, 84]]
    assert metrics(out)["not_counted"] == {"bad box": 1}


def test_boxes_beyond_a_photo_whose_size_is_not_annotated(model: str, tmp_path: Path) -> None:
    """Only the photo tells; its phrase without a box left is left out."""
    (tmp_path / "images").mkdir()
    drawn = Photo("7", (60, 50), {"1": [("red", (10, 10, 40, 40))]}, ())
    draw(drawn).save(tmp_path / "images" / "7.png")
    boxes = {"1": [("", (200, 0, 300, 9))], "2": [("", (10, 10, 70, 40)), ("", (60, 0, 61, 9))]}
    photo = Photo("7", (60, 50), boxes, ("{1|a red box} and {2|a bar} .",))
    keys = ["dataset=jsonl", f"dataset.file={write_lines(tmp_path / 'lines', [photo])}"]
    keys += [f"dataset.images={tmp_path / 'images'}", *WINDOWS, *QUICK, f"out={tmp_path / 'out'}"]
    run(model, *keys)
    assert [row["boxes"] for row in rows(tmp_path / "out")] == [[[10, 10, 60, 40]]]
    codes = [one["code"] for one in rejects(tmp_path / "out")]
    assert codes == ["box outside", "box clipped", "box outside"]
    assert metrics(tmp_path / "out")["phrases_left_out"] == 1


@pytest.mark.parametrize("empty", [PHOTOS[:2], PHOTOS])
def test_photos_without_proposals_are_misses(
    empty: tuple[Photo, ...], finished: Path, root: Path, model: str, tmp_path: Path
) -> None:
    """Their phrases count; with no proposals at all there is neither chance nor order."""
    made = ProposalFolder(Path(shutil.copytree(finished / "proposals", tmp_path / "made")))
    for photo in empty:
        made.write(photo.id, Proposals(np.zeros((0, 4), np.float32)), photo.size)
    keys = [model, f"dataset.root={root}", *QUICK, f"out={tmp_path / 'out'}"]
    run(*keys, "proposals=folder", f"proposals.folder={made.path}")
    left = {photo.id for photo in empty}
    for row, before in zip(rows(tmp_path / "out"), rows(finished), strict=True):
        same = ("point_x", "attention", "words")
        assert [row[key] for key in same] == [before[key] for key in same]
        if row["image_id"] in left:
            assert (row["rank_merged"], row["top_boxes"], row["upper_any"]) == (None, [], False)
        else:
            assert row["top_boxes"] == before["top_boxes"]
    found = metrics(tmp_path / "out")
    assert found["phrases"] == 9
    assert ("random_proposal" in found["baselines"]) == (empty != PHOTOS)


def test_only_unknown_words(
    localise: Callable[..., Path], own: Path, capsys: pytest.CaptureFixture
) -> None:
    """All phrases get the map of what is seen at all, as the one among others did, and count."""
    keys = ["phrase.unknown=seen", "phrase.context=0"]
    seen = {row["image_id"]: row["attention"] for row in rows(localise(*keys)) if not row["words"]}
    for file in (own / "Sentences").iterdir():
        file.write_text("[/EN#1/other qwertz] .\n")
    out = localise(*keys, "overwrite=true")
    assert (metrics(out)["phrases"], metrics(out)["out_of_vocabulary"]) == (4, 1.0)
    assert {row["image_id"]: row["attention"] for row in rows(out)}["1002"] == seen["1002"]
    assert "warning: the model knows no word of most phrases" in capsys.readouterr().out


def test_no_phrase_with_a_box_is_an_error(own: Path, localise: Callable[..., Path]) -> None:
    for file in (own / "Sentences").iterdir():
        file.write_text("[/EN#0/notvisual Fun] and [/EN#9/other more] .\n")
    with pytest.raises(UserError, match=r"^dataset=entities: no phrase with a box in 4 photos, 0"):
        localise()
