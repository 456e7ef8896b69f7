"""What stage=dominant refuses, each in one line that names the key."""

import json
from pathlib import Path

import pytest

from data_prep.errors import UserError
from tests.pipeline.dominant.made import run


@pytest.mark.parametrize(
    ("key", "complaint"),
    [
        ("pairs=some", "pairs=some: give one of single, all"),
        ("thresholds=[]", r"thresholds=\[\]: give some of max, mean"),
        ("thresholds=[max,median]", "give some of max, mean, each once"),
        ("thresholds=[max,max]", "give some of max, mean, each once"),
        ("tune_split=val", "tune_split=val: the same as dataset.split"),
        ("tune_split=both", "tune_split=both: 1 of its photos are of dataset.split=val too, "),
        ("tune_split=nowhere", ", tune_split=nowhere: .*nowhere.txt: no such split list"),
        ("tune_split=crowd", "tune_split: no photo to ask for a class among 1,"),
        ("dataset.split=several", "dataset=voc: no photo to ask for a class among 1,"),
        ("published=3", "published=3: give keys and values"),
        ("published={cmwp@28: 387}", "published.cmwp@28=387: give a number from 0 to 100"),
        (
            "published={peer@28: 38.7}",
            "peer@28: no line of that name; the lines are cmwp@28, cmwp@14",
        ),
        ("published_source=[a]", r"published_source=\['a'\]: give a few words, or null"),
        (
            "methods=[cmwp,centre]",
            "methods=centre: the centre is a point and has no box; leave it ",
        ),
        ("classes={car: red}", "classes.car: the dataset has no such class"),
        ("classes={purple: pink}", "classes.purple=pink: "),
        ("methods=[]", "methods is empty"),
        ("layers=[nowhere]", "nowhere"),
        ("limit=0", "limit=0: give a whole number, 1 or more"),
        ("chunk=0", "chunk=0: give a whole number, 1 or more"),
        ("seed=-1", "seed=-1: give a whole number, 0 or more"),
    ],
)
def test_bad_keys_are_told_in_a_line_before_any_work(
    key: str, complaint: str, keys: list[str], root: Path, tmp_path: Path
) -> None:
    lists = root / "ImageSets" / "Main"
    (lists / "both.txt").write_text("t1\nv1\n")
    (lists / "crowd.txt").write_text("t3\n")
    (lists / "several.txt").write_text("v3\n")
    with pytest.raises(UserError, match=complaint) as error:
        run(*keys, key, f"out={tmp_path / 'out'}")
    assert "\n" not in str(error.value)
    assert not (tmp_path / "out").exists()


def test_a_remedy_that_is_none_is_not_given(keys: list[str], root: Path, tmp_path: Path) -> None:
    lists = root / "ImageSets" / "Main"
    (lists / "purple.txt").write_text("v4\n")
    (lists / "one.txt").write_text("v1\nv4\n")
    remedy = "; pairs=all takes photos of several classes too"
    none = "dataset=voc: no photo to ask for a class among 1, 0 problems"
    single = "tune_split=null: a single photo to ask for a class cannot both tune and be measured"
    for split, tuning, told in (
        ("purple", "train", none),
        ("one", "null", f"{single}; give more, or a larger limit"),
    ):
        for pairs, more in {"single": remedy, "all": ""}.items():
            own = [f"dataset.split={split}", f"tune_split={tuning}", f"pairs={pairs}"]
            with pytest.raises(UserError) as error:
                run(*keys, *own, f"out={tmp_path / 'out'}")
            assert str(error.value) == told + more


def test_a_blend_with_the_centre_has_no_box(keys: list[str], tmp_path: Path) -> None:
    blend = ["methods=[both]", "+blends.both={cmwp: {}, centre: {}}"]
    with pytest.raises(UserError, match="methods=both: the centre is a point and has no box"):
        run(*keys, *blend, f"out={tmp_path / 'out'}")


def test_data_without_splits_cannot_be_split_by_name(model: Path, tmp_path: Path) -> None:
    file = tmp_path / "instances.json"
    box = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 1, 9, 9], "area": 81, "iscrowd": 0}
    content = {
        "images": [{"id": 1, "file_name": "a.jpg", "width": 20, "height": 20}],
        "annotations": [box],
        "categories": [{"id": 1, "name": "red"}],
    }
    file.write_text(json.dumps(content))
    keys = ["dataset=coco", f"dataset.file={file}", f"dataset.images={tmp_path}"]
    with pytest.raises(UserError, match="tune_split=val: dataset=coco has no splits; leave it nu"):
        run(*keys, "dataset.regions=boxes", f"model.folder={model}", "tune_split=val")
