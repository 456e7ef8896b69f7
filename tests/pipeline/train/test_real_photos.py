"""The whole way from PASCAL VOC's annotated photos to a classifier that knows what is in others."""

from pathlib import Path

import pytest
from hydra import compose, initialize_config_module

from data_prep.voc import VOC_CLASSES
from grounding import TagClassifier
from pipeline import clean, shards, train
from tests.pipeline.train.made import metrics

PHOTOS = 250  # of each split; all 1,238 give a mAP of 0.86: benchmarks/train.md


@pytest.fixture
def voc(tmp_path: Path, real_data: Path) -> Path:
    """Give the first photos of both splits."""
    whole, some = real_data / "VOCdevkit" / "VOC2007", tmp_path / "VOC2007"
    lists = some / "ImageSets" / "Main"
    lists.mkdir(parents=True)
    for name in ("Annotations", "JPEGImages"):
        (some / name).symlink_to(whole / name)
    for split in ("train", "val"):
        ids = (whole / "ImageSets" / "Main" / f"{split}.txt").read_text().split()
        (lists / f"{split}.txt").write_text("\n".join(ids[:PHOTOS]))
    return some


@pytest.mark.real_data
def test_a_head_learns_the_classes_of_voc(voc: Path, tmp_path: Path) -> None:
    kept, packed, out = (tmp_path / name for name in ("clean", "shards", "train"))
    rules = ("min_frequency=1", "min_tags=1", "min_alphabetical=null")
    split, photos = "split_column=split", f"images={voc / 'JPEGImages'}"
    stages = (
        (clean, ["data=voc", f"crawl={voc}", *(f"clean.{rule}" for rule in rules)], kept),
        (shards, ["data=voc", f"cleaned={kept}", photos, split], packed),
        (train, [f"shards={packed}", "experiment=frozen", "device=cpu"], out),
    )
    with initialize_config_module("conf", version_base="1.3"):
        for stage, keys, folder in stages:
            name = stage.__name__.removeprefix("pipeline.")
            stage.run(compose("config", [f"stage={name}", f"out={folder}", *keys]))
    found = metrics(out)
    assert (found["train"], found["val"], found["tags"]) == (PHOTOS, PHOTOS, len(VOC_CLASSES))
    assert found["validation"]["map_macro"] > 0.7  # by chance about 0.08
    assert set(TagClassifier.load(out).vocabulary.names) == {(name,) for name in VOC_CLASSES}
