"""The same phrases from every kind of dataset, and boxes from every kind of proposals."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hydra import compose, initialize_config_module

from data_prep.errors import UserError
from pipeline import propose
from tests.pipeline.localize.made import (
    PHOTOS,
    QUICK,
    WINDOWS,
    draw,
    lasting,
    metrics,
    rejects,
    rows,
    run,
    write_lines,
    write_photos,
    write_refcoco,
)

pytestmark = pytest.mark.usefixtures("no_report")

AS_MADE = (*QUICK, "baselines=null")


def numbers(out: Path) -> dict[str, Any]:
    """Give what does not depend on how a dataset names things."""
    found = lasting(out)
    for key in ("per_type", "not_counted"):
        del found[key]
    return found


def run_propose(*overrides: str) -> None:
    with initialize_config_module("conf", version_base="1.3"):
        propose.run(compose("config", ["stage=propose", "threads=1", *overrides]))


def first_boxes(out: Path) -> list[Any]:
    return [(row["top_boxes"], row["proposals"]) for row in rows(out)]


@pytest.fixture(scope="module")
def photos(root: Path) -> Path:
    return root / "images"


@pytest.fixture(scope="module")
def boxes(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Proposals of stage=propose, the same as those of the finished run."""
    out = tmp_path_factory.mktemp("boxes") / "out"
    run_propose(*WINDOWS, f"images={photos}", f"out={out}")
    return out


def test_json_lines_with_the_boxes_of_stage_propose(
    photos: Path, boxes: Path, model: str, finished: Path, tmp_path: Path
) -> None:
    file = write_lines(tmp_path / "file")
    dataset = ["dataset=jsonl", f"dataset.file={file}", f"dataset.images={photos}"]
    proposals = ["proposals=folder", f"proposals.folder={boxes}"]
    run(model, *dataset, *proposals, *QUICK, f"out={tmp_path / 'out'}")
    assert numbers(tmp_path / "out") == numbers(finished)
    assert first_boxes(tmp_path / "out") == first_boxes(finished)
    assert not (tmp_path / "out" / "proposals").exists()


def test_referring_expressions_stand_alone(
    photos: Path, boxes: Path, root: Path, model: str, finished: Path, tmp_path: Path
) -> None:
    """Each is a caption of its own, so there is no context that it could give way to."""
    file = write_refcoco(tmp_path / "file")
    dataset = ["dataset=refcoco", f"dataset.file={file}", f"dataset.images={photos}"]
    keys = [model, *AS_MADE, "proposals=folder", f"proposals.folder={boxes}"]
    run(*keys, *dataset, f"out={tmp_path / 'out'}")
    run(*keys, f"dataset.root={root}", "phrase.context=0", f"out={tmp_path / 'alone'}")
    assert numbers(tmp_path / "out") == numbers(tmp_path / "alone")
    assert first_boxes(tmp_path / "out") == first_boxes(tmp_path / "alone")
    assert first_boxes(tmp_path / "out") != first_boxes(finished)


def test_boxes_from_a_file(finished: Path, root: Path, model: str, tmp_path: Path) -> None:
    """Those of the finished run, written by somebody else."""
    written = {}
    for photo in PHOTOS:
        with np.load(finished / "proposals" / "boxes" / f"{photo.id}.npz") as found:
            written[photo.id] = found["boxes"].tolist()
    (tmp_path / "boxes.json").write_text(json.dumps(written))
    proposals = ["proposals=file", f"proposals.path={tmp_path / 'boxes.json'}"]
    run(model, f"dataset.root={root}", *proposals, *QUICK, f"out={tmp_path / 'out'}")
    assert numbers(tmp_path / "out") == numbers(finished)
    assert first_boxes(tmp_path / "out") == first_boxes(finished)


def test_a_file_that_lacks_a_photo(root: Path, model: str, tmp_path: Path) -> None:
    """The reason is the file's."""
    boxes = {photo.id: [[5, 5, 40, 40]] for photo in PHOTOS[1:]}
    (tmp_path / "boxes.json").write_text(json.dumps(boxes))
    proposals = ["proposals=file", f"proposals.path={tmp_path / 'boxes.json'}"]
    run(model, f"dataset.root={root}", *proposals, *AS_MADE, f"out={tmp_path / 'out'}")
    (told,) = rejects(tmp_path / "out")
    assert (Path(told["where"]).stem, told["code"]) == (PHOTOS[0].id, "no boxes")
    assert "boxes.json" in told["reason"]
    assert told["reason"].endswith("no boxes of it; check the names there")
    assert metrics(tmp_path / "out")["rejected"] == {"no boxes": 1}


def test_exhaustive(root: Path, model: str, tmp_path: Path) -> None:
    """The windows of a photo are those of whole cells of its grid."""
    keys = [model, f"dataset.root={root}", *AS_MADE, f"out={tmp_path / 'out'}"]
    run(*keys, "proposals=exhaustive", "rank.vote=null")
    for row in rows(tmp_path / "out"):
        wide, high = row["grid_width"], row["grid_height"]
        assert row["proposals"] == wide * (wide + 1) * high * (high + 1) // 4
        for box in row["top_boxes"]:
            shares = np.array(box) / ([row["width"], row["height"]] * 2) * ([wide, high] * 2)
            assert np.allclose(shares, shares.round())
            assert (shares[:2] < shares[2:]).all()
    assert metrics(tmp_path / "out")["upper_bound"] > 0.5
    assert not (tmp_path / "out" / "proposals").exists()


def test_selective_search(root: Path, model: str, tmp_path: Path) -> None:
    """The default; its boxes are made in as many processes as there are cores."""
    pytest.importorskip("cv2.ximgproc")
    keys = [model, f"dataset.root={root}", *AS_MADE, f"out={tmp_path / 'out'}"]
    run(*keys, "threads=2")
    assert metrics(tmp_path / "out")["upper_bound"] > 0.8
    settings = json.loads((tmp_path / "out" / "proposals" / "proposals.json").read_text())
    assert settings["kind"] == "selective_search"


def test_photos_that_share_a_stem(model: str, tmp_path: Path) -> None:
    """JSON Lines names photos by their paths: sea/1001.png is not land/1001.png."""
    for folder in ("sea", "land"):
        write_photos(tmp_path / "photos" / folder, PHOTOS[:2])
    lines = write_lines(tmp_path / "lines.jsonl", PHOTOS[:2]).read_text()
    both = [lines.replace('"image": "', f'"image": "{folder}/') for folder in ("sea", "land")]
    (tmp_path / "lines.jsonl").write_text("".join(both))
    dataset = ["dataset=jsonl", f"dataset.file={tmp_path / 'lines.jsonl'}"]
    keys = [model, *dataset, f"dataset.images={tmp_path / 'photos'}", *AS_MADE]
    run(*keys, *WINDOWS, f"out={tmp_path / 'out'}")
    run_propose(
        *WINDOWS, f"images={tmp_path / 'photos' / '*' / '*.png'}", f"out={tmp_path / 'boxes'}"
    )
    proposals = ["proposals=folder", f"proposals.folder={tmp_path / 'boxes'}"]
    run(*keys, *proposals, f"out={tmp_path / 'again'}")
    assert (metrics(tmp_path / "out")["photos"], metrics(tmp_path / "out")["phrases"]) == (4, 12)
    assert first_boxes(tmp_path / "again") == first_boxes(tmp_path / "out")


def test_a_folder_of_proposals_that_does_not_fit(
    boxes: Path, root: Path, model: str, tmp_path: Path
) -> None:
    """A photo without its file, and one that has grown since: both are left out, and told."""
    folder = tmp_path / "made"
    (folder / "boxes").mkdir(parents=True)
    (folder / "proposals.json").write_bytes((boxes / "proposals.json").read_bytes())
    for photo in PHOTOS[1:]:
        file = f"boxes/{photo.id}.npz"
        (folder / file).write_bytes((boxes / file).read_bytes())
    images = write_photos(tmp_path / "images")
    draw(PHOTOS[2]).resize((180, 180)).save(images / f"{PHOTOS[2].id}.png")
    keys = [model, f"dataset.root={root}", f"dataset.images={images}", *AS_MADE]
    run(*keys, "proposals=folder", f"proposals.folder={folder}", f"out={tmp_path / 'out'}")
    assert [row["image_id"] for row in rows(tmp_path / "out")] == ["1002"] * 3 + ["1004"]
    told = [(Path(one["where"]).stem, one["code"]) for one in rejects(tmp_path / "out")]
    assert told == [("1001", "no boxes"), ("1003", "other boxes")]
    assert metrics(tmp_path / "out")["phrases_left_out"] == 5


def test_no_folder_of_proposals(root: Path, model: str, tmp_path: Path) -> None:
    keys = [model, f"dataset.root={root}", *AS_MADE, f"out={tmp_path / 'out'}", "proposals=folder"]
    with pytest.raises(UserError, match=r"no readable proposals.json there; give a folder of st"):
        run(*keys, f"proposals.folder={root}")
    with pytest.raises(UserError, match=r"proposals.folder=None: give a folder of stage=propose"):
        run(*keys, "proposals.folder=null")
    assert not (tmp_path / "out").exists()
