"""Preprocessing: against the libraries' own transforms, and the sizes it chooses."""

import numpy as np
import pytest
import torch
import torchvision
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from timm.data import create_transform

from data_prep.errors import UserError
from grounding.preprocessing import LONGEST, Preprocessing, attention_size, scoring_size

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
SIDES = st.integers(1, 20_000)


@pytest.fixture
def photo() -> Image.Image:
    noise = np.random.default_rng(0).integers(0, 256, (300, 300, 3), dtype=np.uint8)
    return Image.fromarray(noise).resize((500, 500), Image.Resampling.BICUBIC)


def test_as_torchvision(photo: Image.Image) -> None:
    weights = torchvision.models.ResNet50_Weights.IMAGENET1K_V1
    theirs = weights.transforms(crop_size=224, resize_size=224)(photo)
    ours = Preprocessing(MEAN, STD, "bilinear")(photo, (224, 224))
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=0)


@pytest.mark.parametrize("interpolation", ["bicubic", "bilinear"])
def test_as_timm(photo: Image.Image, interpolation: str) -> None:
    transform = create_transform(
        (3, 224, 224), mean=MEAN, std=STD, interpolation=interpolation, crop_pct=1.0
    )
    ours = Preprocessing(MEAN, STD, interpolation)(photo, (224, 224))
    torch.testing.assert_close(ours, transform(photo), atol=1e-5, rtol=0)


def test_caffe_weights_see_bgr_levels() -> None:
    caffe = Preprocessing((104, 117, 123), (1, 1, 1), "bilinear", white=255, channels="BGR")
    red = Image.new("RGB", (10, 10), (255, 0, 0))
    torch.testing.assert_close(
        caffe(red, (32, 32))[:, 5, 5], torch.tensor([-104.0, -117, 255 - 123])
    )


def test_size_is_width_then_height(photo: Image.Image) -> None:
    assert Preprocessing(MEAN, STD)(photo, (320, 224)).shape == (3, 224, 320)


@given(SIDES, SIDES, st.sampled_from([224, 320, 384]))
def test_attention_size(width: int, height: int, short_side: int) -> None:
    size = attention_size(width, height, short_side)
    assert all(side % 32 == 0 and side >= 32 for side in size)
    assert max(size) <= LONGEST * short_side
    aspect = max(width, height) / min(width, height)
    if aspect <= LONGEST:
        assert min(size) == short_side
        assert abs(max(size) - aspect * short_side) <= 16  # half a step of the grid
    assert (width >= height) == (size[0] >= size[1]) or size[0] == size[1]
    assert attention_size(height, width, short_side) == size[::-1]


@given(SIDES, SIDES, st.sampled_from([224, 299]))
def test_scoring_size(width: int, height: int, side: int) -> None:
    size = scoring_size(width, height, side)
    assert all(each % 32 == 0 and each >= 32 for each in size)
    assert 0.75 <= size[0] * size[1] / side**2 <= 1.3
    assert scoring_size(height, width, side) == size[::-1]


@pytest.mark.parametrize(
    "fields",
    [
        {"mean": (1, 2)},
        {"std": (1, 1, 0)},
        {"interpolation": "nearest"},
        {"channels": "GBR"},
        {"white": 0},
        {"size": 0},
    ],
)
def test_impossible_values_are_refused(fields: dict[str, object]) -> None:
    with pytest.raises(UserError, match="^preprocessing: "):
        Preprocessing(**{"mean": MEAN, "std": STD, **fields})  # type: ignore[arg-type]
