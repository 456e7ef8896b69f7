"""Keys that are unusable: each is told in a line, with what to give, before any work."""

import sys
from pathlib import Path

import pytest

from data_prep.errors import UserError
from tests.pipeline.localize.made import PHOTOS, run, write_lines


def _without_group(keys: list[str], override: str) -> list[str]:
    """Leave out the keys of the proposals that other ones replace."""
    return [key for key in keys if not (override.startswith("proposals=") and "proposals" in key)]


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("+maps.x={}", "maps.x: give some of cmwp, mwp, wta, cam, "),
        ("maps.cmwp=14", "maps.cmwp=14: give its keys; --cfg job shows them"),
        ("maps.cmwp.layers=14", "maps.cmwp.layers=14: give grids or layers, as in [7,14]"),
        ("maps.cmwp.layers=[]", "maps.cmwp.layers=[]: give grids"),
        ("maps.cmwp.layers=[nothing]", "no layer 'nothing' in the model"),
        ("maps.cmwp.short_sides=384", "maps.cmwp.short_sides=384: give whole numbers of pixels"),
        ("maps.cmwp.flip=1", "maps.cmwp.flip=1: give true or false"),
        ("+maps.cmwp.foo=1", "maps.cmwp.foo: no such key; there are layers, short_sides, flip"),
        ("+maps.cmwp.method=cam", "maps.cmwp.method: no such key; there are layers, "),
        ("+maps.cam.foo=1", "maps.cam.foo: no such key; there are layers, short_sides, flip"),
        ("~maps.cmwp", "maps={}: give its keys; --cfg job shows them"),
        ("maps=cmwp", "maps=cmwp: give its keys; --cfg job shows them"),
        ("rank=null", "rank=None: give its keys"),
        ("+words.foo=1", "words.foo: no such key; there are tagger, backoff, wordnet, pronouns"),
        ("words.tagger={a:1}", "words.tagger={'a': 1}: give one of hanta, nltk"),
        ("words.backoff=wordnet words.wordnet=5", "words.wordnet=5: give a folder of WordNet's"),
        ("words.tagger=x", "words.tagger=x: give one of hanta, nltk"),
        ("words.backoff=x", "words.backoff=x: give none or wordnet"),
        ("words.pronouns=maybe", "words.pronouns=maybe: give true or false"),
        ("+phrase.foo=1", "phrase.foo: no such key; there are combine, head_weight, unknown, "),
        ("phrase.combine=sum", "phrase.combine=sum: give one of mean, max, product, head, prior"),
        ("phrase.unknown=x", "phrase.unknown=x: give one of seen, centre"),
        ("phrase.head_weight=2", "phrase.head_weight=2: give a number from 0 to 1"),
        ("phrase.centre=0", "phrase.centre=0: give a number from 0.01 to 100, or null"),
        ("phrase.context=-1", "phrase.context=-1: give a number from 0 to 10"),
        ("+rank.foo=1", "rank.foo: no such key; there are score, gamma, size_prior, nms, vote"),
        ("rank.vote=2", "rank.vote=2: give a number from 0 to 1, or null"),
        ("rank.score=x", "rank.score=x: give one of sum, contrast"),
        ("rank.gamma=-1", "rank.gamma=-1: give a number from 0 to 10"),
        ("rank.nms=x", "rank.nms=x: give a number from 0 to 1, or null"),
        ("rank.size_prior=0.3", "rank.size_prior=0.3: give a share of the photo and a spread"),
        ("baselines=sum", "baselines=sum: give some of "),
        ("proposals.kind={a:1}", "proposals.kind={'a': 1}: give one of selective_search, "),
        ("proposals=selective_search proposals.mode={a:1}", "proposals.mode={'a': 1}: give one of"),
        ("proposals=file proposals.path=5", "proposals.path=5: give a text"),
        ("proposals=edge_boxes proposals.model_file=5", "proposals.model_file=5: give a file"),
        ("proposals=folder proposals.folder=5", "proposals.folder=5: give a folder of stage=prop"),
        ("proposals.scales=[1.0,0.0001] proposals.stride=0.01", "windows in a square photo, more"),
        ("dataset.root=5", "dataset.root is 5; give dataset.root=…, the folder that"),
        ("dataset.images=5", "dataset.images is 5; give dataset.images=…, the folder of the"),
        ("dataset.split=5", "dataset.split is 5; give dataset.split=…, the name of a split"),
        ("dataset.captions=5", "dataset.captions is 5; give"),
        ("proposals.kind=x", "proposals.kind=x: give one of selective_search, "),
        ("proposals.scales=0.5", "proposals.scales=0.5: give one number or more"),
        ("size_mismatch=x", "size_mismatch=x: give one of scale, warn, refuse"),
        ("limit=0", "limit=0: give a whole number, 1 or more, or null"),
        ("chunk=0", "chunk=0: give a whole number, 1 or more"),
        ("threads=x", "threads=x: give a whole number, 1 or more"),
        ("seed=-1", "seed=-1: give a whole number, 0 or more"),
        ("dataset.root=nowhere", "nowhere/Sentences: no such folder; give the one of Flickr30k"),
        ("dataset.root=???", "dataset.root is missing; give dataset.root=…"),
        ("dataset.split=x", "x.txt: no such list of a split; give the name of one"),
        ("dataset.captions=x", "dataset.captions=x: give related or all"),
        ("dataset.images=nowhere", "nowhere: no such folder; give the folder of the photos"),
        ("dataset.kind=jsonl", "dataset.kind=jsonl: give dataset=entities, jsonl or refcoco"),
        (
            "model.folder=nowhere",
            "nowhere: no such folder; give that of a finished stage=train, as in model=DIR",
        ),
    ],
)
def test_refused(override: str, message: str, keys: list[str], tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        run(*_without_group(keys, override), f"out={tmp_path / 'out'}", *override.split())
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("dataset", "message"),
    [
        (["jsonl"], "dataset.file is missing; give dataset.file=…, the JSON Lines file"),
        (["refcoco"], "dataset.file is missing; give dataset.file=…, the JSON file"),
        (["jsonl", "dataset.file=a"], "dataset.images is missing; give dataset.images=…, the fold"),
    ],
)
def test_what_of_the_dataset_is_missing(
    dataset: list[str], message: str, keys: list[str], tmp_path: Path
) -> None:
    others = [key for key in keys if not key.startswith("dataset")]
    with pytest.raises(UserError) as caught:
        run(*others, f"dataset={dataset[0]}", *dataset[1:], f"out={tmp_path / 'out'}")
    assert str(caught.value).startswith(message)


def test_what_is_read_does_not_lie_in_out(keys: list[str], root: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="lies in it and could be removed; give another out="):
        run(*keys, f"out={root}")
    boxes = write_lines(tmp_path / "boxes.json", PHOTOS[:0])
    boxes.write_text("{}")
    keys = [key for key in keys if not key.startswith("proposals")]
    with pytest.raises(UserError, match=r"boxes.json lies in it and could be removed"):
        run(*keys, "proposals=file", f"proposals.path={boxes}", f"out={tmp_path}")
    assert boxes.is_file()


def test_a_map_baseline_without_its_package(
    keys: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "captum", None)
    with pytest.raises(UserError, match=r"grad_cam needs Captum; pip install 'tag2box\[peers\]'"):
        run(*keys, f"out={tmp_path / 'out'}", "baselines=[grad_cam]")
    assert not (tmp_path / "out").exists()
