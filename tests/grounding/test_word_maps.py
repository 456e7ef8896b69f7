"""Maps over scales, mirror images and layers, against the means taken by hand."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

import grounding.word_maps as module
from data_prep.vocabulary import Vocabulary
from grounding.baselines import baseline_maps
from grounding.classifier import TagClassifier
from grounding.excitation import ExcitationBackprop
from grounding.heads import tag_net
from grounding.pointing import centre, peak
from grounding.preprocessing import Preprocessing, upsampled
from grounding.word_maps import (
    ENGINE,
    METHODS,
    Looks,
    MapSettings,
    Rule,
    product,
    shares,
    word_maps,
)

CLASSES = 4


@pytest.fixture(scope="module")
def classifier() -> TagClassifier:
    """Strides as of a real net, so that two layers have grids of 14 and 7 at 224 pixels."""
    torch.manual_seed(0)
    head = nn.Linear(8, CLASSES)
    nn.init.uniform_(head.weight, 0.0, 1.0)  # no word is without attention
    net = nn.Sequential(
        nn.Conv2d(3, 8, 8, stride=8), nn.ReLU(), nn.Conv2d(8, 8, 2, stride=2), nn.ReLU(),
        nn.Conv2d(8, 8, 2, stride=2), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), head,
    )  # fmt: skip
    vocabulary = Vocabulary.from_tags([f"tag{n}" for n in range(CLASSES)])
    preprocessing = Preprocessing((0.5,) * 3, (0.5,) * 3, "bilinear")
    return TagClassifier(net.eval(), vocabulary, preprocessing, "net")


@pytest.fixture(scope="module")
def photo() -> Image.Image:
    noise = np.random.default_rng(0).integers(0, 256, (6, 9, 3), dtype=np.uint8)
    return Image.fromarray(noise).resize((180, 120))


@pytest.fixture
def priors() -> Tensor:
    table = torch.zeros(2, CLASSES)
    table[0, 1], table[1, 2:] = 1, 0.5
    return table


def plain(
    classifier: TagClassifier, photo: Image.Image, priors: Tensor, side: int, layer: int | str
) -> Tensor:
    """The engine's own map, scaled to sum 1."""
    pixels = classifier.preprocess(photo, side)[None]
    target = (layer, None) if isinstance(layer, str) else (None, layer)
    with torch.no_grad():
        maps = classifier.state(pixels, *target).cmwp(priors)[0]
    return maps / maps.sum((1, 2), keepdim=True)


def finer(maps: Tensor, factor: int) -> Tensor:
    """Bilinear at a whole factor, cell centres where they are, by hand."""
    _, height, width = maps.shape

    def places(size: int) -> tuple[list[int], list[int], Tensor]:
        at = [min(max((i + 0.5) / factor - 0.5, 0), size - 1) for i in range(factor * size)]
        low = [int(place) for place in at]
        high = [min(place + 1, size - 1) for place in low]
        return low, high, torch.tensor([a - b for a, b in zip(at, low, strict=True)])

    top, bottom, down = places(height)
    left, right, across = places(width)
    rows = maps[:, top] * (1 - down[:, None]) + maps[:, bottom] * down[:, None]
    return rows[:, :, left] * (1 - across) + rows[:, :, right] * across


def mean_of(*maps: Tensor) -> Tensor:
    shares = [each / each.sum((1, 2), keepdim=True) for each in maps]
    return torch.stack(shares).mean(0)


def test_one_scale_and_layer_is_the_engines_map(
    classifier: TagClassifier, photo: Image.Image, priors: Tensor
) -> None:
    found = word_maps(Looks(classifier, photo), priors, [MapSettings(short_sides=(128,))])
    assert found.shape == (2, 8, 12)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, plain(classifier, photo, priors, 128, 14))


def test_scales_and_layers_are_averaged_on_the_finest_grid(
    classifier: TagClassifier, photo: Image.Image, priors: Tensor
) -> None:
    settings = MapSettings(layers=(14, "5"), short_sides=(64, 128))
    found = word_maps(Looks(classifier, photo), priors, [settings])
    grids = {
        (side, layer): plain(classifier, photo, priors, side, layer)
        for side in (64, 128)
        for layer in (14, "5")
    }
    sizes = {key: tuple(maps.shape[1:]) for key, maps in grids.items()}
    assert sizes == {(64, 14): (4, 6), (64, "5"): (2, 3), (128, 14): (8, 12), (128, "5"): (4, 6)}
    expected = mean_of(*(finer(maps, 8 // maps.shape[1]) for maps in grids.values()))
    torch.testing.assert_close(found, expected)


def test_flips_are_flipped_back(
    classifier: TagClassifier, photo: Image.Image, priors: Tensor
) -> None:
    settings = MapSettings(short_sides=(128,), flip=True)
    mirrored = photo.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    once = plain(classifier, photo, priors, 128, 14)
    other = plain(classifier, mirrored, priors, 128, 14).flip(-1)
    assert not torch.allclose(once, other)
    found = word_maps(Looks(classifier, photo), priors, [settings])
    torch.testing.assert_close(found, (once + other) / 2)
    torch.testing.assert_close(
        word_maps(Looks(classifier, mirrored), priors, [settings]), found.flip(-1)
    )


def test_methods_with_scales_of_their_own_are_averaged(
    classifier: TagClassifier, photo: Image.Image, priors: Tensor
) -> None:
    """Every map counts alike: four of the first method, one of the second; cells of 16 pixels."""
    two = [MapSettings("cmwp", (14, "5"), (64, 128)), MapSettings("cam", short_sides=(64,))]
    cam = baseline_maps(classifier, "cam", classifier.preprocess(photo, 64)[None], priors)
    looks = [plain(classifier, photo, priors, side, at) for side in (64, 128) for at in (14, "5")]
    expected = mean_of(*(finer(maps, 8 // maps.shape[1]) for maps in (*looks, cam)))
    torch.testing.assert_close(word_maps(Looks(classifier, photo), priors, two), expected)
    torch.testing.assert_close(word_maps(Looks(classifier, photo), priors, two[::-1]), expected)
    once = word_maps(Looks(classifier, photo), priors, two[:1])
    assert not torch.allclose(once, expected, rtol=1e-2)


@pytest.mark.parametrize("method", sorted({*METHODS} - {"wta", "centre"}))
def test_every_map_sums_to_one_or_is_zero(
    classifier: TagClassifier, photo: Image.Image, priors: Tensor, method: str
) -> None:
    layers = (14, 7) if method in ENGINE else None
    settings = MapSettings(method, layers, (64, 96), flip=True)
    found = word_maps(
        Looks(classifier, photo), torch.cat([priors, torch.zeros(1, CLASSES)]), [settings]
    )
    assert (found >= 0).all()
    torch.testing.assert_close(found.sum((1, 2)), torch.tensor([1.0, 1.0, 0.0]))


def test_other_methods_have_their_own_layer(
    classifier: TagClassifier, photo: Image.Image, priors: Tensor
) -> None:
    pixels = classifier.preprocess(photo, 128)[None]
    cam = baseline_maps(classifier, "cam", pixels, priors)
    found = word_maps(Looks(classifier, photo), priors, [MapSettings("cam", short_sides=(128,))])
    torch.testing.assert_close(found, cam / cam.sum((1, 2), keepdim=True))


def test_winner_takes_all_of_the_most_probable_class(
    classifier: TagClassifier, photo: Image.Image
) -> None:
    """One cell for each word: as the engine's own for that class."""
    priors = torch.tensor([[0.1, 0.2, 0.7, 0.0], [0.0, 1.0, 0.0, 0.0]])
    found = word_maps(Looks(classifier, photo), priors, [MapSettings("wta", short_sides=(128,))])
    state = classifier.state(classifier.preprocess(photo, 128)[None], resolution=14)
    torch.testing.assert_close(found, state.wta([2, 1])[0])
    assert found.flatten(1).sort().values.tolist() == [[0.0] * (8 * 12 - 1) + [1.0]] * 2


@pytest.mark.parametrize("size", [(7, 5), (6, 5), (7, 4), (300, 200), (1, 1)])
@pytest.mark.parametrize("flip", [False, True])
def test_centre_is_the_protocols(
    classifier: TagClassifier, priors: Tensor, size: tuple[int, int], flip: bool
) -> None:
    settings = MapSettings("centre", short_sides=(64, 128), flip=flip)
    found = word_maps(Looks(classifier, Image.new("RGB", size)), priors, [settings])
    assert found.shape == (2, *size[::-1])
    assert found.sum((1, 2)).tolist() == [1, 1]
    assert (found == 1).nonzero().tolist() == [
        [word, size[1] // 2, size[0] // 2] for word in (0, 1)
    ]
    if size != (1, 1):
        assert peak(found[0].numpy()) == centre(*size)


def test_options_of_the_engine(
    photo: Image.Image, priors: Tensor, classifier: TagClassifier
) -> None:
    """Of a net with linear bottlenecks and sums of signed values, which they treat."""
    torch.manual_seed(0)
    own = replace(classifier, model=tag_net("efficientnet_lite0", CLASSES, "random")[0])
    looks, pixels = Looks(own, photo), own.preprocess(photo, 96)[None]
    every: list[dict[str, Any]] = [{"residual": "signed"}, {"bottlenecks": "excitatory"}]
    every.append({"bottlenecks": "composed"})
    usual = word_maps(looks, priors, [MapSettings("mwp", short_sides=(96,))])
    for options in every:
        found = word_maps(looks, priors, [MapSettings("mwp", None, (96,), **options)])
        engine = ExcitationBackprop(own.model, resolution=14, **options)
        torch.testing.assert_close(found, shares(engine(pixels).mwp(priors)[0]))
        assert float((found - usual).abs().sum()) > 1e-3


def test_product_is_the_geometric_mean_of_all_maps(
    classifier: TagClassifier, photo: Image.Image, priors: Tensor
) -> None:
    settings = [MapSettings("mwp", (14, "5"), (128,)), MapSettings("cam", short_sides=(64,))]
    maps = [plain_mwp(classifier, photo, priors, layer) for layer in (14, "5")]
    cam = baseline_maps(classifier, "cam", classifier.preprocess(photo, 64)[None], priors)
    together = [shares(finer(each, 8 // each.shape[1])) for each in (*maps, cam)]
    expected = (together[0] * together[1] * together[2]) ** (1 / 3)
    found = word_maps(Looks(classifier, photo), priors, settings, "product")
    torch.testing.assert_close(found, expected / expected.sum((1, 2), keepdim=True))
    with pytest.raises(ValueError, match="rule 'max': choose from mean, product"):
        word_maps(Looks(classifier, photo), priors, settings, "max")  # type: ignore[arg-type]


def plain_mwp(
    classifier: TagClassifier, photo: Image.Image, priors: Tensor, layer: int | str
) -> Tensor:
    target = (layer, None) if isinstance(layer, str) else (None, layer)
    state = classifier.state(classifier.preprocess(photo, 128)[None], *target)
    return state.mwp(priors)[0]


def test_product_leaves_out_zeros_and_falls_back_to_the_mean() -> None:
    maps = torch.tensor([[[0.25, 0.75, 0.0]], [[0.0, 0.0, 0.0]], [[0.64, 0.36, 0.0]]])
    torch.testing.assert_close(product(maps), torch.tensor([[0.4, 0.75**0.5 * 0.6, 0.0]]))
    apart = torch.tensor([[[1.0, 0.0]], [[0.0, 1.0]]])
    assert product(apart).tolist() == [[0.5, 0.5]]
    assert product(torch.zeros(2, 1, 2)).tolist() == [[0, 0]]


@pytest.mark.parametrize("rule", ["mean", "product"])
@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_value_that_is_not_finite_is_not_lost_among_other_scales(
    classifier: TagClassifier,
    photo: Image.Image,
    priors: Tensor,
    rule: Rule,
    bad: float,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One cell of one word at one of two scales: that word points nowhere, the other still does."""
    looks, settings = Looks(classifier, photo), [MapSettings("cam", short_sides=(64, 128))]
    usual = word_maps(looks, priors, settings, rule)
    plain_cam = module.cam_of_features

    def broken(*given: Any) -> Tensor:
        maps = plain_cam(*given)
        if maps.shape[1] == 2:  # of the smaller scale
            maps[1, 0, 0] = bad
        return maps

    monkeypatch.setattr(module, "cam_of_features", broken)
    found = word_maps(looks, priors, settings, rule)
    torch.testing.assert_close(found[0], usual[0])
    assert found[1].isnan().all()
    assert peak(upsampled(found[1], 180, 120)) is None
