"""The group `dataset` of photos with classes: every kind is read, every bad key named."""

import json
from pathlib import Path

import pytest
from hydra import compose, initialize_config_module
from omegaconf import DictConfig

from data_prep.errors import UserError
from pipeline.annotated_data import read_annotated
from pipeline.phrase_data import read_phrases
from tests.data_prep.voc_folders import add, annotation, voc_object


def configured(*overrides: str) -> DictConfig:
    with initialize_config_module("conf", version_base="1.3"):
        return compose("config", list(overrides))


@pytest.fixture
def voc(tmp_path: Path) -> Path:
    small, large = voc_object("cat", 1, 1, 5, 5), voc_object("dog", 1, 1, 50, 40)
    for split in ("val", "test"):
        add(tmp_path, f"{split}1", annotation(small, large), split=split)
    return tmp_path


@pytest.fixture
def coco(tmp_path: Path) -> Path:
    square = {"image_id": 1, "category_id": 1, "bbox": [0, 0, 4, 4]}
    images = [{"id": 1, "file_name": "a.jpg", "width": 10, "height": 10}]
    outline = [[0, 0, 2, 0, 2, 2, 0, 2]]
    content = {"images": images, "annotations": [{**square, "id": 1, "segmentation": outline}]}
    path = tmp_path / "instances.json"
    path.write_text(json.dumps({**content, "categories": [{"id": 1, "name": "owl"}]}))
    (tmp_path / "a.jpg").touch()
    return path


@pytest.mark.parametrize(("group", "split"), [("voc07", "test"), ("voc12", "val")])
def test_voc(voc: Path, group: str, split: str) -> None:
    data = read_annotated(configured(f"+dataset={group}", f"dataset.root={voc}"))
    (photo,) = data.photos
    assert photo.id == f"{split}1"
    assert [(one.label, one.difficult) for one in photo.classes] == [("cat", True), ("dog", False)]
    assert data.difficult == {"source": "derived"}


def test_published_flags(voc: Path) -> None:
    flags = voc / "flags.txt"
    flags.write_text(f"test1 {' '.join('0' * 20)}\n")
    keys = ["+dataset=voc07", f"dataset.root={voc}", f"dataset.difficult={flags}"]
    data = read_annotated(configured(*keys))
    assert [one.difficult for one in data.photos[0].classes] == [False, False]
    assert data.difficult["agreement"] == 0.5
    told = r"^dataset.difficult=\S*flags.txt: tells of photos such as 'test1' .* 'val1'"
    with pytest.raises(UserError, match=told):
        read_annotated(configured(*keys, "dataset.split=val"))
    flags.write_text("test1 0 0\n")
    told = r"^dataset.difficult=(\S*flags.txt): \1:1: expected"
    with pytest.raises(UserError, match=told):
        read_annotated(configured(*keys))


@pytest.mark.parametrize(("regions", "side"), [("masks", 2), ("boxes", 4)])
def test_coco(coco: Path, regions: str, side: int) -> None:
    keys = [f"dataset.file={coco}", f"dataset.images={coco.parent}", f"dataset.regions={regions}"]
    data = read_annotated(configured("+dataset=coco", *keys))
    (owl,) = data.photos[0].classes
    assert (owl.label, owl.boxes, owl.difficult) == ("owl", ((0, 0, side, side),), False)
    assert (owl.mask() is not None) == (regions == "masks")


def test_a_coco_file_of_another_layout(coco: Path) -> None:
    coco.write_text("{}")
    keys = ["+dataset=coco", f"dataset.file={coco}", f"dataset.images={coco.parent}"]
    with pytest.raises(UserError, match=rf"^dataset.file={coco}: no `images`; give a JSON object"):
        read_annotated(configured(*keys))


def test_imagenet(tmp_path: Path) -> None:
    for name in ("val_1", "val_2"):
        (tmp_path / f"{name}.xml").write_text(annotation(voc_object("n01440764", 0, 0, 9, 9)))
        (tmp_path / f"{name}.JPEG").touch()
    keys = ["+dataset=imagenet", f"dataset.annotations={tmp_path}", f"dataset.images={tmp_path}"]
    assert [photo.id for photo in read_annotated(configured(*keys)).photos] == ["val_1", "val_2"]
    (tmp_path / "ids.txt").write_text("val_2 1\n")
    (photo,) = read_annotated(configured(*keys, f"dataset.split={tmp_path}/ids.txt")).photos
    assert photo.classes[0].label == "tench"


INSTEAD = "give dataset=voc07, voc12, coco or imagenet instead"


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ("+dataset=entities", f"dataset.kind=entities: {INSTEAD}"),
        ("+dataset=jsonl", f"dataset.kind=jsonl: {INSTEAD}"),
        ("+dataset=refcoco", f"dataset.kind=refcoco: {INSTEAD}"),
        ("+dataset=voc07 dataset.kind=coco", f"dataset.kind=coco: {INSTEAD}"),
        ("+dataset=voc07 dataset.kind=null", f"dataset.kind=None: {INSTEAD}"),
        ("+dataset=voc07 dataset.kind=???", f"dataset.kind=None: {INSTEAD}"),
        ("+dataset=voc07", "dataset.root is missing; give dataset.root=…, the folder that holds"),
        ("+dataset=voc07 dataset.root=5", "dataset.root is 5; give dataset.root=…, the folder"),
        (
            "+dataset=voc07 dataset.root=x",
            "dataset.root=x: there is no such folder; give the folder",
        ),
        (
            "+dataset=voc07 dataset.root=.",
            "dataset.root=., dataset.split=test: ImageSets/Main/test.txt: no such split list; give",
        ),
        (
            "+dataset=voc07 dataset.root=. dataset.difficult=x",
            "dataset.difficult=x: there is no such file; give the file of the difficult flags",
        ),
        (
            "+dataset=voc07 dataset.root=x dataset.split=null",
            "dataset.split is None; give dataset.split=…, the name of a list in ImageSets/Main",
        ),
        (
            "+dataset=voc12 dataset.root=x dataset.difficult=[]",
            r"dataset.difficult is \[\]; give dataset.difficult=…, the file of the difficult flags",
        ),
        ("+dataset=coco", "dataset.file is missing; give dataset.file=…, the JSON file of the"),
        ("+dataset=coco dataset.file=x", "dataset.images is missing; give dataset.images=…, the"),
        (
            "+dataset=coco dataset.file=x dataset.images=. dataset.regions=points",
            "dataset.regions=points: give masks or boxes",
        ),
        ("+dataset=coco dataset.file=x dataset.images=.", "dataset.file=x: there is no such file"),
        ("+dataset=coco dataset.file=. dataset.images=.", "dataset.file=.: there is no such file"),
        (
            "+dataset=imagenet dataset.annotations=x dataset.images=.",
            "dataset.annotations=x: there",
        ),
        (
            "+dataset=imagenet dataset.annotations=. dataset.images=x",
            "dataset.images=x: there is no such folder; give the folder of the photos",
        ),
        (
            "+dataset=imagenet dataset.annotations=. dataset.images=. dataset.split=x",
            "dataset.split=x: there is no such file; give a file of ids, or null",
        ),
        ("+dataset=imagenet", "dataset.annotations is missing; give dataset.annotations=…, the"),
    ],
)
def test_a_bad_key_is_named(overrides: str, message: str) -> None:
    with pytest.raises(UserError, match=message) as error:
        read_annotated(configured(*overrides.split()))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(("group", "kind"), [("voc07", "voc"), ("coco", "coco")])
def test_phrases_are_not_read_from_classes(group: str, kind: str) -> None:
    config = configured("stage=localize", f"dataset={group}")
    message = f"dataset.kind={kind}: give dataset=entities, jsonl or refcoco instead"
    with pytest.raises(UserError, match=message):
        read_phrases(config)
