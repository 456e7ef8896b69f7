"""Stage `clean` on annotated photos of PASCAL VOC."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data_prep.errors import UserError
from data_prep.voc import VOC_CLASSES
from data_prep.voc_rows import voc_rows
from tests.data_prep.voc_folders import add, annotation, voc_object
from tests.pipeline.clean.runs import run

KEYS = ("data=voc", "clean.min_frequency=1", "clean.min_tags=1", "clean.min_alphabetical=null")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Three photos; the objects of the second are all difficult."""
    dog, car = voc_object("dog", 1, 1, 9, 9), voc_object("car", 1, 1, 20, 20)
    hard = voc_object("person", 1, 1, 5, 5, difficult=1)
    root = tmp_path / "VOC2007"
    add(root, "000001", annotation(dog, hard, car), split="train")
    add(root, "000002", annotation(hard), split="train")
    add(root, "000003", annotation(dog), split="val")
    return root


def test_rows_of_voc(root: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run(*KEYS, f"crawl={root}", f"out={out}")
    images = pq.read_table(out / "images.parquet")
    assert images.schema.field("unknown").type == pa.list_(pa.string())
    assert images.drop_columns("codes").to_pylist() == [
        {"image_id": "000001", "tags": ["car", "dog"], "unknown": ["person"], "split": "train"},
        {"image_id": "000003", "tags": ["dog"], "unknown": [], "split": "val"},
    ]
    (reject,) = pq.read_table(out / "rejects.parquet").to_pylist()
    assert (reject["image_id"], reject["reason"], reject["unknown"]) == (
        *("000002", "few_tags"),
        ["person"],
    )
    assert pq.read_table(out / "vocabulary.parquet")["tag"].to_pylist() == ["dog", "car"]


def test_one_split(root: Path, tmp_path: Path) -> None:
    run(*KEYS, f"crawl={root}", f"out={tmp_path / 'out'}", "data.splits=val")
    images = pq.read_table(tmp_path / "out" / "images.parquet")
    assert images["image_id"].to_pylist() == ["000003"]


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("crawl=nowhere", "nowhere/ImageSets/Main/train.txt: no such split list; give the folder"),
        ("data.splits=[train,trainval]", "trainval.txt: no such split list"),
        ("data.splits=[val,train,val]", "image 000003 is on two lists, val and val"),
        ("data.splits=null", "data.splits is empty; name lists"),
        ("engine=spark", "engine=spark reads crawls only; give engine=local for data=voc"),
    ],
)
def test_refusals(root: Path, tmp_path: Path, override: str, message: str) -> None:
    with pytest.raises(UserError) as caught:
        run(*KEYS, f"crawl={root}", f"out={tmp_path / 'out'}", override)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_a_finished_run_outlives_a_damaged_annotation(root: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run(*KEYS, f"crawl={root}", f"out={out}")
    (root / "Annotations" / "000003.xml").write_text("<annotation>")
    with pytest.raises(UserError, match=r"000003.xml: no readable annotation"):
        run(*KEYS, f"crawl={root}", f"out={out}", "overwrite=true")
    assert (out / "done.json").exists()
    assert pq.read_metadata(out / "images.parquet").num_rows == 2


def test_the_folder_of_voc_is_no_folder_to_write_to(root: Path) -> None:
    for out in (root, root.parent):
        with pytest.raises(UserError, match="lies in it and could be removed"):
            run(*KEYS, f"crawl={root}", f"out={out}")


@pytest.mark.real_data
def test_real_voc(real_data: Path, tmp_path: Path) -> None:
    root = real_data / "VOCdevkit/VOC2007"
    run(*KEYS, f"crawl={root}", f"out={tmp_path}")
    rows = voc_rows(root, ["train", "val"]).rows.to_pylist()
    with_tags = [row for row in rows if row["tags"]]
    images = pq.read_table(tmp_path / "images.parquet").drop_columns("codes")
    assert images.to_pylist() == with_tags
    dropped = json.loads((tmp_path / "metrics.json").read_text())["dropped"]
    assert len(rows) == 2476
    assert dropped["few_tags"] == sum(dropped.values()) == len(rows) - len(with_tags)
    vocabulary = pq.read_table(tmp_path / "vocabulary.parquet")["tag"].to_pylist()
    assert sorted(vocabulary) == list(VOC_CLASSES)
