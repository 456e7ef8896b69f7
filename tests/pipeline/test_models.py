"""model=DIR: a trained classifier on the command line, and what is said of other values."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import skimage
import torch
from hydra import compose, initialize_config_module
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import example, given
from hypothesis import strategies as st

from data_prep.errors import UserError
from data_prep.vocabulary import Vocabulary
from grounding.classifier import TagClassifier
from grounding.heads import tag_net
from pipeline.__main__ import _quoted, with_folders
from pipeline.models import classifier

COFFEE = Path(skimage.__path__[0]) / "data" / "coffee.png"
TAGS = ("dog", "cup", "sky")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the folder of a run of stage=train, the model in its subfolder."""
    torch.manual_seed(0)
    model, preprocessing, name = tag_net("squeezenet1_1", len(TAGS), "random")
    folder = tmp_path_factory.mktemp("a run, x=1 (of 2)")
    tagger = TagClassifier(model, Vocabulary.from_tags(TAGS), preprocessing, name, True)
    tagger.save(folder / "model", {})
    return folder


def load(*overrides: str) -> TagClassifier:
    with initialize_config_module("conf", version_base="1.3"):
        return classifier(compose("config", ["stage=attend", "device=cpu", *overrides]))


def test_attend_with_a_folder_from_the_command_line(trained: Path, tmp_path: Path) -> None:
    """Blanks, commas, brackets and equals signs in the path, which is quoted once, by the shell."""
    out = tmp_path / "out"
    keys = [f"model={trained / 'model'}", f"image={COFFEE}", "words=[cups,dog]", f"out={out}"]
    command = [sys.executable, "-m", "pipeline", "stage=attend", "device=cpu", *keys]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    words = json.loads((out / "metrics.json").read_text())["photos"][0]["words"]
    assert words["cups"]["classes"] == ["cup"]
    expected = TagClassifier.load(trained).attend(COFFEE, ["cups", "dog"])
    with np.load(out / "attention.npz") as found:
        for word, map_ in expected.items():
            np.testing.assert_allclose(found[word], map_, rtol=1e-4, atol=1e-9)


def test_the_folder_above_and_names(trained: Path) -> None:
    overrides = with_folders([f"model={trained}"])
    assert overrides[0] == "model=folder"
    assert load(*overrides).vocabulary == Vocabulary.from_tags(TAGS)
    assert load("model=efficientnet_lite0").name == "bundled:efficientnet_lite0"


def test_what_is_no_folder_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name of conf/model comes before a folder of that name; other keys are not looked at."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "efficientnet_lite0").mkdir()
    arguments = ["stage=attend", "model=efficientnet_lite0", "model.name=x", "image=a,b", "--help"]
    assert with_folders(arguments) == arguments
    arguments = ["model=folder", "model.folder=x"]
    assert with_folders(arguments) == arguments
    assert with_folders(["model=./efficientnet_lite0"])[1].endswith('"./efficientnet_lite0"')
    assert with_folders(["model='runs/${run}/model'"])[1].endswith('="runs/${run}/model"')


def test_several_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("a", "b", "c,d"):
        (tmp_path / name).mkdir()
    assert with_folders(["model=a,b"]) == ["model=folder", 'model.folder="a","b"']
    assert with_folders(["model=c,d"]) == ["model=folder", 'model.folder="c,d"']


@given(st.text(st.characters(blacklist_categories=["Cc", "Cs"]), min_size=1))
@example("back\\")
@example('a\\"b\\\\')
def test_quoting(text: str) -> None:
    override = OverridesParser.create().parse_override(f"model.folder={_quoted(text)}")
    assert override.value() == text


def test_unusable_values(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "weights.pth").touch()
    (tmp_path / "empty").mkdir()
    messages = {
        "xyz": "^model=xyz: no folder and none of conf/model: efficientnet_lite0.*model.name=",
        "": "^model=: no folder and none of",
        "empty,xyz": "^model=xyz: no folder",
        "weights.pth": "^model=weights.pth: a file; .* model.weights=weights.pth",
    }
    for value, message in messages.items():
        with pytest.raises(UserError, match=message) as caught:
            with_folders([f"model={value}"])
        assert "\n" not in str(caught.value)
    with pytest.raises(UserError, match="empty: classifier.json is missing"):
        load(*with_folders(["model=empty"]))
    with pytest.raises(
        UserError, match="^runs/default/train: no such folder; give that of .* model=DIR$"
    ):
        load("model=folder")


def test_a_stage_without_a_dataset_has_no_vocabulary_of_it() -> None:
    with pytest.raises(
        UserError, match="^model.vocabulary=dataset: here is no dataset that has its"
    ):
        load("model.vocabulary=dataset")
