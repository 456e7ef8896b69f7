"""Folders of proposals: what is kept, what is made anew, what is refused."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from data_prep.errors import UserError
from grounding.proposals.boxes import Proposals
from pipeline.proposal_folder import Outcome, ProposalFolder, make_proposals

WINDOWS = {"kind": "sliding_windows", "scales": [0.5], "aspect_ratios": [1.0], "stride": 0.5}
IDS = ["one", "a/two", "a_two", "Žluť 3", "x" * 200, "..", "a\\b"]


@pytest.fixture
def photos(tmp_path: Path) -> dict[str, Path]:
    """Photos of different sizes."""
    found = {}
    for i, image_id in enumerate(IDS):
        found[image_id] = tmp_path / f"photo{i}.png"
        Image.new("RGB", (20 + i, 10)).save(found[image_id])
    return found


def make(photos: dict[str, Path], folder: Path, **changed: object) -> list[Outcome]:
    return make_proposals(photos, WINDOWS | changed, folder, 1, 10**6)


def test_round_trip(tmp_path: Path) -> None:
    folder = ProposalFolder(tmp_path)
    (tmp_path / "boxes").mkdir()
    boxes = np.array([[0.5, 1, 2, 3], [0, 0, 4, 4]], np.float32)
    for scores in (None, np.array([0.25, 0.5], np.float32)):
        folder.write("one", Proposals(boxes, scores, dropped=3), (4, 5))
        found = folder.proposals("one", (4, 5))
        assert found.boxes.dtype == np.float32
        assert np.array_equal(found.boxes, boxes)
        assert found.dropped == 3
        if scores is None:
            assert found.scores is None
        else:
            assert found.scores is not None
            assert found.scores.tolist() == [0.25, 0.5]
    assert [path.name for path in (tmp_path / "boxes").iterdir()] == ["one.npz"]


def test_ids_that_are_no_file_names(photos: dict[str, Path], tmp_path: Path) -> None:
    out = tmp_path / "out"
    outcomes = make(photos, out)
    assert [outcome.image_id for outcome in outcomes] == IDS
    folder = ProposalFolder(out)
    assert {path.parent for path in map(folder.file, IDS)} == {out / "boxes"}
    assert len(list((out / "boxes").iterdir())) == len(IDS)
    for i, (image_id, outcome) in enumerate(zip(IDS, outcomes, strict=True)):
        found = folder.proposals(image_id, (20 + i, 10))
        assert found.boxes[:, 2].max() == 20 + i
        assert outcome.boxes == len(found.boxes) > 0


def test_only_what_is_missing_or_damaged_is_made(photos: dict[str, Path], tmp_path: Path) -> None:
    out = tmp_path / "out"
    first = make({"one": photos["one"], "..": photos[".."]}, out)
    assert all(outcome.made for outcome in first)
    folder = ProposalFolder(out)
    folder.file("..").write_bytes(folder.file("..").read_bytes()[:100])
    again = make(photos, out)
    assert [one.image_id for one in again if not one.made] == ["one"]
    assert (again[0].boxes, again[0].path) == (first[0].boxes, first[0].path)
    assert len(folder.proposals("..").boxes) == first[1].boxes


def test_other_settings_are_refused(photos: dict[str, Path], tmp_path: Path) -> None:
    make(photos, tmp_path / "out")
    with pytest.raises(UserError, match="made with another proposals.stride; remove it"):
        make(photos, tmp_path / "out", stride=0.25)


def test_reading_what_does_not_fit(photos: dict[str, Path], tmp_path: Path) -> None:
    out = tmp_path / "out"
    make({"one": photos["one"]}, out)
    folder = ProposalFolder(out)
    with pytest.raises(UserError, match=r"one.npz: made for a photo of 20×10 pixels, not of 10×20"):
        folder.proposals("one", (10, 20))
    with pytest.raises(UserError, match=r"two.npz: no such file; make proposals of two"):
        folder.proposals("two")
    folder.file("one").rename(folder.file("two"))
    with pytest.raises(UserError, match="holds boxes of one, not of two"):
        folder.proposals("two")
    folder.file("two").write_bytes(b"")
    with pytest.raises(UserError, match=r"two.npz: cannot be read"):
        folder.proposals("two")


def test_settings(photos: dict[str, Path], tmp_path: Path) -> None:
    make({"one": photos["one"]}, tmp_path / "out")
    assert ProposalFolder(tmp_path / "out").settings() == WINDOWS
    with pytest.raises(UserError, match=r"no readable proposals.json there"):
        ProposalFolder(tmp_path).settings()
