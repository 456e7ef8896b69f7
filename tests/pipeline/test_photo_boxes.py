"""Proposals of photos: shares of several processes, and folders made of other sets of photos."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from data_prep.phrases import PhrasePhoto
from grounding.processes import Processes
from grounding.proposals.boxes import Proposals
from pipeline.photo_boxes import find_boxes, make_boxes
from pipeline.proposal_folder import ProposalFolder, prepare_folder
from pipeline.propose import proposal_settings
from tests.pipeline.localize.made import WINDOWS, configuration


def photos_in(folder: Path, *names: str) -> list[PhrasePhoto]:
    photos = []
    for name in names:
        path = folder / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (20, 10)).save(path)
        photos.append(PhrasePhoto(name, path, 20, 10, (), ()))
    return photos


class Second(Processes):
    """The second of two processes; the first has made its share, without one photo."""

    def on_first(self, work: Any) -> Any:
        return None

    def gather(self, value: Any) -> Any:
        return [{}, value]

    def from_first(self, value: Any) -> Any:
        return value


def test_each_process_makes_its_share(tmp_path: Path) -> None:
    photos = photos_in(tmp_path, "a", "b", "c", "d")
    photos[3].path.write_text("no photo")
    config = configuration(*WINDOWS, "threads=4")
    folder = ProposalFolder(tmp_path / "made")
    prepare_folder(folder.path, proposal_settings(config))
    boxes = make_boxes(config, folder, photos, Second(1, 2, torch.device("cpu")))
    assert [path.stem for path in (folder.path / "boxes").iterdir()] == ["b"]
    assert list(boxes.failed) == ["d"]
    found = boxes.read(photos[1])
    assert found is not None
    assert len(found) > 9


@pytest.mark.parametrize("given", ["absolute", "relative"])
def test_a_folder_made_of_a_tree_serves_a_part_of_it(
    given: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stems are shared in the tree, which stage=propose was given in this way or the other."""
    monkeypatch.chdir(tmp_path)
    root = tmp_path if given == "absolute" else Path()
    folder = prepare_folder(tmp_path / "made", {})
    known = {str(root / "sea" / "x.png"): 1, str(root / "land" / "x.png"): 2, "y": 3}
    for name, count in known.items():
        folder.write(name, Proposals(np.ones((count, 4), np.float32)), (20, 10))
    for where in (tmp_path, Path()):
        for names in (["land/x"], ["land/x", "y"], ["y", "sea/x", "land/x"]):
            photos = photos_in(where, *names)
            boxes = find_boxes(folder, photos)
            read = [boxes.read(photo) for photo in photos]
            expected = {"sea/x": 1, "land/x": 2, "y": 3}
            assert [len(one) for one in read if one is not None] == [expected[n] for n in names]
