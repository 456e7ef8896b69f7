"""Boxes from files of every layout, made by hand."""

import json
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from data_prep.errors import UserError
from grounding.proposals.boxes import NoProposals, Proposals
from grounding.proposals.files import BoxFiles

PHOTO = Image.new("RGB", (20, 10))
BOXES = [[5.0, 4.0, 9.0, 8.0], [0.0, 0.0, 20.0, 10.0]]
SCORES = [0.25, 0.5]


def look_up(path: Path, image_id: str = "one", **changed: object) -> Proposals:
    keys = {"variable": "boxes", "order": "xyxy", "first": 0, "inclusive": False}
    return BoxFiles(str(path), **(keys | changed)).generate(PHOTO, image_id)  # type: ignore[arg-type]


def cells(*values: object) -> np.ndarray:
    found = np.empty(len(values), object)
    for i, value in enumerate(values):
        found[i] = value
    return found


def write_json(file: Path, content: object) -> None:
    file.write_text(json.dumps(content))


ONE: dict[str, Callable[[Path], None]] = {
    "one.npz": lambda file: np.savez(file, boxes=BOXES, scores=SCORES),
    "one.json": lambda file: write_json(file, {"boxes": BOXES, "scores": SCORES}),
    "one.mat": lambda file: savemat(file, {"boxes": BOXES, "scores": SCORES}),
}
OTHER = [[1.0, 1.0, 2.0, 2.0]]
ALL: dict[str, Callable[[Path], None]] = {
    "all.npz": lambda file: np.savez(file, one=BOXES, two=OTHER),
    "all.json": lambda file: write_json(file, {"one": BOXES, "two": {"boxes": OTHER}}),
    "all.mat": lambda file: savemat(
        file, {"images": cells("two", "one"), "boxes": cells(OTHER, BOXES)}
    ),
}


@pytest.mark.parametrize("name", ONE)
def test_a_file_for_each_photo(name: str, tmp_path: Path) -> None:
    ONE[name](tmp_path / name)
    found = look_up(tmp_path)
    assert found.boxes.tolist() == BOXES
    assert found.scores is not None
    assert found.scores.tolist() == SCORES
    with pytest.raises(NoProposals) as error:
        look_up(tmp_path, "two")
    assert error.value.code == "no boxes"


@pytest.mark.parametrize("name", ALL)
def test_one_file_for_all_photos(name: str, tmp_path: Path) -> None:
    ALL[name](tmp_path / name)
    assert look_up(tmp_path / name).boxes.tolist() == BOXES
    assert look_up(tmp_path / name, "two").boxes.tolist() == OTHER
    assert look_up(tmp_path / name, "two").scores is None
    with pytest.raises(NoProposals, match=f"{name}: three: no boxes of it") as error:
        look_up(tmp_path / name, "three")
    assert error.value.code == "no boxes"


def test_scores_in_a_file_of_all(tmp_path: Path) -> None:
    write_json(tmp_path / "all.json", {"one": {"boxes": BOXES, "scores": SCORES}})
    content = {"images": cells("one"), "boxes": cells(BOXES), "scores": cells(SCORES)}
    savemat(tmp_path / "all.mat", content)
    for file in tmp_path.iterdir():
        scores = look_up(file).scores
        assert scores is not None
        assert scores.tolist() == SCORES


@pytest.mark.parametrize(
    ("order", "first", "inclusive", "row"),
    [
        ("xyxy", 0, False, [5, 4, 9, 8]),
        ("xyxy", 0, True, [5, 4, 8, 7]),
        ("xyxy", 1, True, [6, 5, 9, 8]),
        ("xyxy", 1, False, [6, 5, 10, 9]),
        ("yxyx", 1, True, [5, 6, 8, 9]),  # of MCG and Selective Search
        ("xywh", 0, False, [5, 4, 4, 4]),
        ("xywh", 1, True, [6, 5, 4, 4]),
    ],
)
def test_conventions(
    order: str, first: int, inclusive: bool, row: list[int], tmp_path: Path
) -> None:
    """The same box, columns 5 to 8 and rows 4 to 7, as each of them writes it."""
    savemat(tmp_path / "one.mat", {"bboxes": np.array([row], np.uint16)})
    found = look_up(tmp_path, variable="bboxes", order=order, first=first, inclusive=inclusive)
    assert found.boxes.tolist() == [[5, 4, 9, 8]]


def test_unsigned_boxes_at_the_border_do_not_wrap(tmp_path: Path) -> None:
    np.savez(tmp_path / "one.npz", boxes=np.array([[0, 0, 3, 3]], np.uint8))
    assert look_up(tmp_path, first=1, inclusive=True).boxes.tolist() == [[0, 0, 3, 3]]


def test_names_of_files_as_ids(tmp_path: Path) -> None:
    """A stem is found where it is clear; a name as written always."""
    file = tmp_path / "all.json"
    write_json(file, {"a/one.jpg": OTHER, "a/two.jpg": OTHER, "b/two.jpg": BOXES})
    assert look_up(file).boxes.tolist() == OTHER
    assert look_up(file, "b/two.jpg").boxes.tolist() == BOXES
    with pytest.raises(NoProposals):
        look_up(file, "two")


@pytest.mark.parametrize("boxes", [np.zeros(0), np.zeros((0, 4)), np.zeros((0, 0))])
def test_no_boxes(boxes: np.ndarray, tmp_path: Path) -> None:
    np.savez(tmp_path / "one.npz", boxes=boxes)
    assert look_up(tmp_path).boxes.shape == (0, 4)


def test_unusable_boxes_are_counted(tmp_path: Path) -> None:
    rows: list[list[float]] = [[5, 5, 5, 8], [np.nan, 0, 1, 1], [30, 0, 40, 5], [-3, 2, 50, 60]]
    np.savez(tmp_path / "one.npz", boxes=rows)
    found = look_up(tmp_path)
    assert found.boxes.tolist() == [[0, 2, 20, 10]]
    assert found.dropped == 3


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"boxes": [[1, 2, 3]]}, r"one.json: an array \(1, 3\); give \(N, 4\)"),
        ({"boxes": [[1, 2, 3, "x"]]}, "not numbers"),
        ({"boxes": [[1, 2, 3, 4], [1]]}, "not numbers"),
        ({"boxes": BOXES, "scores": [1]}, "1 scores of 2 boxes"),
        ({"rois": BOXES}, "no boxes in it; set proposals.variable"),
        (3, "neither an object nor a list"),
    ],
)
def test_damaged_boxes_of_one_photo(content: object, message: str, tmp_path: Path) -> None:
    write_json(tmp_path / "one.json", content)
    with pytest.raises(NoProposals, match=message) as error:
        look_up(tmp_path)
    assert error.value.code == "damaged boxes"


@pytest.mark.parametrize("name", ["all.npz", "all.json", "all.mat"])
def test_a_damaged_file_of_all_photos(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b"\x80damaged")
    with pytest.raises(UserError, match=f"{name}: cannot be read .*; write it anew"):
        look_up(tmp_path / name)


def test_files_that_are_refused(tmp_path: Path) -> None:
    hdf = tmp_path / "new.mat"
    hdf.write_bytes(b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM" + bytes(400))
    objects = tmp_path / "objects.npz"
    np.savez(objects, one=np.array([{}]))  # pickled
    short = tmp_path / "short.mat"
    savemat(short, {"images": cells("one", "two"), "boxes": cells(BOXES)})
    plain = tmp_path / "plain.mat"
    savemat(plain, {"boxes": BOXES})
    (tmp_path / "list.json").write_text("[]")
    (tmp_path / "boxes.csv").write_text("1,2,3,4")
    for file, message in (
        (hdf, "format 7.3; save it by"),
        (objects, "Object arrays cannot be loaded"),
        (short, "differ in length"),
        (plain, "no cell arrays images and boxes"),
        (tmp_path / "list.json", "a list; give an object"),
        (tmp_path / "boxes.csv", "ends in .npz, .json, .mat"),
        (tmp_path / "none", "no such file or folder"),
    ):
        with pytest.raises(UserError, match=message):
            look_up(file)


def test_an_id_that_leads_out_of_the_folder(tmp_path: Path) -> None:
    np.savez(tmp_path / "one.npz", boxes=BOXES)
    (tmp_path / "folder").mkdir()
    with pytest.raises(NoProposals):
        look_up(tmp_path / "folder", "../one")


@pytest.mark.parametrize(
    ("key", "value"), [("order", "xyhw"), ("first", 2), ("first", True), ("inclusive", 1)]
)
def test_keys_that_are_refused(key: str, value: object, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=f"^proposals.{key}={value}: give "):
        look_up(tmp_path, **{key: value})  # type: ignore[arg-type]


def test_can_be_sent_to_a_process(tmp_path: Path) -> None:
    np.savez(tmp_path / "all.npz", one=BOXES)
    files = BoxFiles(str(tmp_path / "all.npz"), "boxes", "xyxy", 0, inclusive=False)
    assert pickle.loads(pickle.dumps(files)).generate(PHOTO, "one").boxes.tolist() == BOXES
