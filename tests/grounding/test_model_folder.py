"""A trained classifier on disk and back: the same logits, and what is said of a bad folder."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
import skimage.data
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from data_prep.errors import UserError
from data_prep.vocabulary import Vocabulary
from grounding.classifier import TagClassifier
from grounding.heads import tag_net

TAGS = ("dog", "coffee cup", "sky", "grass", "table")
RECORD = {"config": {"epochs": 3}, "data": "abc", "metrics": {"map_macro": 0.5}}


def classifier(name: str = "squeezenet1_1", tags: tuple[str, ...] = TAGS) -> TagClassifier:
    torch.manual_seed(0)
    model, preprocessing, full_name = tag_net(name, len(tags), "random")
    return TagClassifier(model, Vocabulary.from_tags(tags), preprocessing, full_name, True)


@pytest.fixture(scope="module")
def coffee() -> Image.Image:
    return Image.fromarray(skimage.data.coffee())


@pytest.mark.parametrize("name", ["squeezenet1_1", "googlenet", "efficientnet_lite0"])
def test_the_same_after_loading(tmp_path: Path, name: str, coffee: Image.Image) -> None:
    saved = classifier(name)
    saved.model.train()(torch.randn(2, 3, 64, 64))  # statistics of batch norm other than fresh
    saved.model.eval()
    saved.save(tmp_path / "model", RECORD)
    assert {path.name for path in (tmp_path / "model").iterdir()} == {
        "weights.safetensors",
        "vocabulary.json",
        "classifier.json",
        "training.json",
    }
    assert json.loads((tmp_path / "model" / "training.json").read_text()) == RECORD
    random = torch.get_rng_state()
    for folder in (tmp_path / "model", tmp_path):
        loaded = TagClassifier.load(folder)
        assert torch.equal(loaded.logits(coffee), saved.logits(coffee))
        assert loaded.vocabulary == saved.vocabulary
        assert loaded.preprocessing == saved.preprocessing
        assert (loaded.name, loaded.multi_label) == (saved.name, True)
        assert not loaded.model.training
    assert torch.equal(torch.get_rng_state(), random)


def test_a_loaded_classifier_attends(tmp_path: Path, coffee: Image.Image) -> None:
    """A plural is asked as its tag; a score is the tag's own probability."""
    saved = classifier()
    saved.save(tmp_path, RECORD)
    attention = TagClassifier.load(tmp_path).attention(coffee, ["coffee cups", "dog"])
    expected = saved.logits(coffee).sigmoid()
    assert attention.scores["coffee cups"] == pytest.approx(float(expected[1]))
    assert attention.scores["dog"] == pytest.approx(float(expected[0]))
    for map_ in attention.maps.values():
        assert map_.shape == (400, 600)
        assert map_.max() > 0


def test_saving_changes_no_random_number_and_replaces_the_model_before(tmp_path: Path) -> None:
    classifier(tags=("a", "b")).save(tmp_path, {})
    (tmp_path / "notes.txt").write_text("mine")
    now = classifier()
    random = torch.get_rng_state()
    now.save(tmp_path, RECORD)
    assert torch.equal(torch.get_rng_state(), random)
    assert TagClassifier.load(tmp_path).vocabulary == now.vocabulary
    assert (tmp_path / "notes.txt").read_text() == "mine"


def edit(**values: object) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        path = folder / "classifier.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | values))

    return change


def without_a_key(folder: Path) -> None:
    path = folder / "classifier.json"
    path.write_text(json.dumps({"format": 1, "backbone": "resnet18"}))


def weights_of(name: str, tags: tuple[str, ...]) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        save_file(classifier(name, tags).model.state_dict(), folder / "weights.safetensors")

    return change


BAD: dict[str, tuple[Callable[[Path], None], str]] = {
    "no weights": (
        lambda folder: (folder / "weights.safetensors").unlink(),
        r": weights\.safetensors is missing; train",
    ),
    "no vocabulary": (
        lambda folder: (folder / "vocabulary.json").unlink(),
        r": vocabulary\.json is missing; train",
    ),
    "no classifier": (
        lambda folder: (folder / "classifier.json").unlink(),
        r": classifier\.json is missing, no finished model; give",
    ),
    "cut weights": (
        lambda folder: os.truncate(folder / "weights.safetensors", 5000),
        r"weights\.safetensors: no weights that can be read",
    ),
    "another vocabulary": (
        lambda folder: Vocabulary.from_tags(["a", "b"]).save(folder / "vocabulary.json"),
        r"vocabulary\.json: has 2 tags, the model 5 outputs; give",
    ),
    "weights of another net": (
        weights_of("resnet18", TAGS),
        r"weights\.safetensors: does not fit torchvision:squeezenet1_1: features\.0\.weight .*miss",
    ),
    "weights of another head": (
        weights_of("squeezenet1_1", ("a", "b")),
        r"classifier\.3\.weight is \(2, 512\) in the file and \(5, 512\)",
    ),
    "a later format": (edit(format=2), r"has format 2, this version reads up to 1; upgrade"),
    "an unknown net": (edit(backbone="torchvision:resnet5"), "no such model .*resnet50"),
    "another kind": (edit(classes="five"), r"classifier\.json: classes is missing or no int"),
    "a missing key": (without_a_key, r"classifier\.json: classes is missing"),
    "a strange preprocessing": (edit(preprocessing={"black": 0}), "preprocessing has no 'black'"),
    "no JSON": (
        lambda folder: (folder / "classifier.json").write_text("{"),  # type: ignore[dict-item]
        r"classifier\.json: not JSON",
    ),
    "a list": (
        lambda folder: (folder / "classifier.json").write_text("[]"),  # type: ignore[dict-item]
        r"classifier\.json: format is missing",
    ),
}


@pytest.mark.parametrize(("spoil", "message"), BAD.values(), ids=BAD)
def test_bad_folders(tmp_path: Path, spoil: Callable[[Path], None], message: str) -> None:
    classifier().save(tmp_path, RECORD)
    spoil(tmp_path)
    with pytest.raises(UserError, match=message) as caught:
        TagClassifier.load(tmp_path)
    assert "\n" not in str(caught.value)


def test_no_folder(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="nowhere: no such folder; give"):
        TagClassifier.load(tmp_path / "nowhere")


def test_what_cannot_be_saved(tmp_path: Path) -> None:
    good = classifier()
    other = TagClassifier(good.model, Vocabulary.from_tags("ab"), good.preprocessing, good.name)
    with pytest.raises(UserError, match="has 5 outputs, its vocabulary 2 tags"):
        other.save(tmp_path, RECORD)
    renamed = TagClassifier(good.model, good.vocabulary, good.preprocessing, "resnet18")
    with pytest.raises(UserError, match=r"model resnet18: .* cannot be saved: conv1\.weight"):
        renamed.save(tmp_path, RECORD)
    assert not list(tmp_path.iterdir())
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="file: the model cannot be written .*give another"):
        good.save(tmp_path / "file", RECORD)


def test_a_save_that_breaks_off_leaves_the_model_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk is full when the vocabulary comes."""
    classifier(tags=("a", "b")).save(tmp_path, {})
    before = load_file(tmp_path / "weights.safetensors")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Vocabulary, "save", full)
    with pytest.raises(UserError, match="No space left on device.*make room"):
        classifier().save(tmp_path, RECORD)
    assert {path.suffix for path in tmp_path.iterdir()} == {".json", ".safetensors"}
    assert load_file(tmp_path / "weights.safetensors").keys() == before.keys()
    assert len(TagClassifier.load(tmp_path).vocabulary) == 2
