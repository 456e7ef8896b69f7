"""The tag classifier on real photos: what it names, where it points, what it refuses."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skimage.data
import torch
import torchvision
from PIL import Image
from torch import Tensor, nn

import grounding
from data_prep.errors import UserError
from data_prep.vocabulary import Vocabulary
from grounding.classifier import TagClassifier
from grounding.excitation import ExcitationBackprop, State, UnsupportedOperation
from grounding.preprocessing import Preprocessing

CUP = (172, 18, 424, 312)  # drawn by hand: x1, y1, x2, y2
COFFEE = (204, 95, 372, 194)
CATS = range(281, 286)
DOGS = range(151, 269)
PLAIN = Preprocessing((0.5,) * 3, (0.5,) * 3)
CAFFE = {
    "mean": [104, 117, 123],
    "std": [1, 1, 1],
    "white": 255,
    "channels": "BGR",
    "interpolation": "bilinear",
}


@pytest.fixture(scope="module")
def classifier() -> TagClassifier:
    return TagClassifier.pretrained()


@pytest.fixture(scope="module")
def cat() -> Image.Image:
    return Image.fromarray(skimage.data.chelsea())


@pytest.fixture(scope="module")
def cup() -> Image.Image:
    return Image.fromarray(skimage.data.coffee())


def peak(attention: np.ndarray) -> tuple[int, int]:
    y, x = np.unravel_index(attention.argmax(), attention.shape)
    return int(x), int(y)


def inside(attention: np.ndarray, box: tuple[int, int, int, int]) -> float:
    x1, y1, x2, y2 = box
    return float(attention[y1:y2, x1:x2].sum() / attention.sum())


def test_names_the_photos(classifier: TagClassifier, cat: Image.Image, cup: Image.Image) -> None:
    assert int(classifier.logits(cat).argmax()) in CATS
    assert classifier.vocabulary.names[int(classifier.logits(cup).argmax())][0] == "espresso"


def test_points_at_what_is_there(classifier: TagClassifier, cup: Image.Image) -> None:
    maps = classifier.attend(cup, ["cup", "espresso"])
    assert list(maps) == ["cup", "espresso"]
    for word, box in {"cup": CUP, "espresso": COFFEE}.items():
        x, y = peak(maps[word])
        assert box[0] <= x < box[2], word
        assert box[1] <= y < box[3], word
        area = (box[2] - box[0]) * (box[3] - box[1]) / (cup.width * cup.height)
        assert inside(maps[word], box) > 2 * area, word


@pytest.mark.parametrize("method", ["cmwp", "mwp", "wta"])
def test_maps_have_the_photos_size(
    classifier: TagClassifier, cat: Image.Image, method: str
) -> None:
    attention = classifier.attention(cat, ["cat", "dog"], method=method)  # type: ignore[arg-type]
    for map_ in attention.maps.values():
        assert map_.shape == (300, 451)
        assert map_.dtype == np.float32
        assert np.isfinite(map_).all()
        assert (map_ >= 0).all()
        assert map_.max() > 0 or method == "wta"  # the strongest path may die on its way


def test_the_three_lines_of_the_readme(tmp_path: Path, cup: Image.Image) -> None:
    cup.save(tmp_path / "coffee.jpg")
    maps = grounding.TagClassifier.pretrained().attend(tmp_path / "coffee.jpg", ["cup", "espresso"])
    assert {word: map_.shape for word, map_ in maps.items()} == {
        "cup": (400, 600),
        "espresso": (400, 600),
    }


def test_importing_the_engine_alone_imports_no_classifier() -> None:
    code = "import sys, grounding.excitation; sys.exit('timm' in sys.modules)"
    root = Path(__file__).parents[2]
    subprocess.run([sys.executable, "-c", code], cwd=root, check=True)


def test_scores_are_sums_of_probabilities(classifier: TagClassifier, cat: Image.Image) -> None:
    # 451 × 300 has the aspect of 288 × 192, which has about the area of 224 × 224.
    with torch.no_grad():
        batch = classifier.preprocessing(cat, (288, 192))[None]
        probabilities = classifier.model(batch)[0].softmax(0)
    attention = classifier.attention(cat, ["domestic cat", "dogs", "tabby"])
    expected = {"domestic cat": CATS, "dogs": DOGS, "tabby": [281]}
    for word, classes in expected.items():
        assert attention.scores[word] == pytest.approx(float(probabilities[list(classes)].sum()))
    assert attention.scores["domestic cat"] > 0.8
    assert attention.scores["dogs"] < 0.05
    assert [match.word for match in attention.matches] == ["domestic cat", "dogs", "tabby"]


def test_a_general_word_is_asked_as_its_classes_in_proportion(
    classifier: TagClassifier, cat: Image.Image
) -> None:
    probabilities = classifier.logits(cat).softmax(0)[list(CATS)]
    prior = torch.zeros(1, 1000)
    prior[0, list(CATS)] = probabilities / probabilities.sum()
    state = ExcitationBackprop(classifier.model)(classifier.preprocess(cat)[None])
    expected = torch.nn.functional.interpolate(state.cmwp(prior), (300, 451), mode="bilinear")
    map_ = classifier.attend(cat, ["domestic cat"])["domestic cat"]
    np.testing.assert_allclose(map_, expected[0, 0], rtol=1e-4, atol=1e-9)


def test_leak_is_the_mass_that_mwp_lost(classifier: TagClassifier, cat: Image.Image) -> None:
    state = ExcitationBackprop(classifier.model)(classifier.preprocess(cat)[None])
    attention = classifier.attention(cat, ["tabby"], method="mwp")
    assert attention.leak["tabby"] == pytest.approx(1 - float(state.mwp([281]).sum()), abs=1e-4)


def test_repeated_words_are_asked_once_and_a_string_is_one_word(
    classifier: TagClassifier, cat: Image.Image
) -> None:
    assert list(classifier.attend(cat, ["cat", "dog", "cat"])) == ["cat", "dog"]
    assert list(classifier.attend(cat, "fire engine")) == ["fire engine"]


def test_target_and_resolution(classifier: TagClassifier, cat: Image.Image) -> None:
    coarse = classifier.attention(cat, ["cat"], resolution=7)
    fine = classifier.attention(cat, ["cat"], resolution=28)
    assert coarse.target != fine.target
    assert classifier.attention(cat, ["cat"], target=fine.target).target == fine.target
    assert classifier.engine(None, 28) is classifier.engine(None, 28)
    with pytest.raises(UserError, match=r"^model bundled:efficientnet_lite0: .*blocks\.99"):
        classifier.attention(cat, ["cat"], target="blocks.99")


@pytest.mark.parametrize("size", [(1, 1), (3, 900), (2000, 10)])
def test_odd_photos(classifier: TagClassifier, size: tuple[int, int]) -> None:
    map_ = classifier.attend(Image.new("RGB", size, "white"), ["cat"])["cat"]
    assert map_.shape == size[::-1]
    assert np.isfinite(map_).all()


def test_the_model_stays_as_it_was(classifier: TagClassifier, cat: Image.Image) -> None:
    before = {key: value.clone() for key, value in classifier.model.state_dict().items()}
    classifier.attention(cat, ["cat"])
    assert not classifier.model.training
    for key, value in classifier.model.state_dict().items():
        assert torch.equal(value, before[key]), key


def test_what_is_refused(classifier: TagClassifier, cat: Image.Image, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="'catt' is not in the vocabulary; nearest words: cat"):
        classifier.attend(cat, ["cat", "catt"])
    with pytest.raises(UserError, match="method 'cam' is none of cmwp, mwp, wta"):
        classifier.attend(cat, ["cat"], method="cam")
    with pytest.raises(UserError, match=r"nowhere\.jpg: no such file"):
        classifier.attend(tmp_path / "nowhere.jpg", ["cat"])
    with pytest.raises(UserError, match="preprocessing has no 'colour'"):
        TagClassifier.pretrained(preprocessing={"colour": "BGR"})


class Unsupported(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Conv2d(3, 4, 3, padding=1)
        self.head = nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(torch.sin(self.features(x)).mean((2, 3)))


def test_a_net_without_rules_is_refused_in_one_line(cat: Image.Image) -> None:
    vocabulary = Vocabulary.from_tags(["cat", "dog"])
    classifier = TagClassifier(Unsupported().eval(), vocabulary, PLAIN, "odd")
    with pytest.raises(UserError, match="^model odd: ") as caught:
        classifier.attention(cat, ["cat"], target="features")
    assert "\n" not in str(caught.value)


def test_an_operation_refused_by_a_query_is_told_in_one_line(
    cat: Image.Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> Tensor:
        raise UnsupportedOperation("no rule\nfor it")

    classifier = TagClassifier.pretrained()
    monkeypatch.setattr(State, "cmwp", refuse)
    with pytest.raises(UserError, match="^model bundled:efficientnet_lite0: no rule for it$"):
        classifier.attention(cat, ["cat"])


def test_a_photo_too_small_for_the_net(cat: Image.Image) -> None:
    torch.manual_seed(0)
    for name, side in {"alexnet": 32, "inception_v3": 64}.items():
        options = {"init_weights": False} if name == "inception_v3" else {}
        net = torchvision.models.get_model(name, num_classes=2, **options).eval()
        classifier = TagClassifier(net, Vocabulary.from_tags(["cat", "dog"]), PLAIN, name)
        message = rf"^model {name}: .* too small for it; raise short_side$"
        with pytest.raises(UserError, match=message):
            classifier.attention(cat, ["cat"], short_side=side)
        assert classifier.attend(cat, ["cat"], short_side=128)["cat"].shape == (300, 451)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"mean": 5}, "mean=5 is no list; give three numbers"),
        ({"std": "123"}, "std=123 is no list"),
        ({"mean": [1, 2]}, "three numbers each"),
        ({"mean": [1, 2, "x"]}, "is unusable; give finite numbers"),
        ({"white": "abc"}, "white=abc is unusable; give finite numbers"),
        ({"white": float("nan")}, "white=nan is unusable; give finite numbers"),
        ({"size": 22.5}, "size=22.5 is unusable; give whole pixels"),
        ({"channels": 5}, "channels=5 is none of RGB, BGR"),
        (5, "give fields and values"),
    ],
)
def test_unusable_preprocessing_is_told(fields: Any, message: str) -> None:
    with pytest.raises(UserError, match=rf"^preprocessing.*{message}") as caught:
        TagClassifier.pretrained(preprocessing=fields)
    assert "\n" not in str(caught.value)


def test_multi_label_scores_are_sigmoids(tmp_path: Path, cat: Image.Image) -> None:
    torch.manual_seed(0)
    net = torchvision.models.squeezenet1_1(num_classes=5)
    torch.save(net.state_dict(), tmp_path / "net.pth")
    names = (("tabby",), ("siamese",), ("dog",), ("cup",), ("car",))
    vocabulary = Vocabulary(names, (("cat",), ("cat",), (), (), ()))
    classifier = TagClassifier.pretrained(
        "squeezenet1_1", tmp_path / "net.pth", vocabulary=vocabulary, multi_label=True
    )
    scores = classifier.attention(cat, ["dog", "cat"]).scores
    expected = torch.sigmoid(classifier.logits(cat))
    assert scores["dog"] == pytest.approx(float(expected[2]))
    assert scores["cat"] == pytest.approx(float(expected[:2].max()))


@pytest.mark.real_data
def test_weights_converted_from_caffe(real_data: Path, cat: Image.Image, cup: Image.Image) -> None:
    classifier = TagClassifier.pretrained(
        "squeezenet1_0",
        real_data / "weights" / "squeezenet1_0_caffe_bgr.pth",
        preprocessing=CAFFE,
    )
    assert int(classifier.logits(cat).argmax()) in CATS
    attention = classifier.attention(cup, ["espresso"])
    assert attention.scores["espresso"] > 0.5
    x, y = peak(attention.maps["espresso"])
    assert CUP[0] <= x < CUP[2]
    assert CUP[1] <= y < CUP[3]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_a_gpu_gives_the_same_maps(classifier: TagClassifier, cup: Image.Image) -> None:
    there = TagClassifier.pretrained(device="cuda").attention(cup, ["cup", "espresso"])
    here = classifier.attention(cup, ["cup", "espresso"])
    for word, map_ in here.maps.items():
        np.testing.assert_allclose(there.maps[word], map_, atol=1e-3 * float(map_.max()))
        assert there.scores[word] == pytest.approx(here.scores[word], abs=1e-3)
