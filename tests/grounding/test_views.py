"""What a classifier sees of a photo, against the photo's own pixels."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from data_prep.errors import UserError
from grounding.preprocessing import Preprocessing, scoring_size
from grounding.views import View

SIZES = [(1, 1), (3, 500), (500, 3), (1, 40), (37, 91), (256, 256), (640, 427)]
USUAL = Preprocessing((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))


def prepared(size: int = 224, interpolation: str = "bicubic") -> Preprocessing:
    return Preprocessing((0.0, 0.0, 0.0), (1.0, 1.0, 1.0), interpolation, size=size)


def coordinates(width: int, height: int) -> Image.Image:
    """A photo whose red says the column and whose green says the row."""
    columns, rows = np.meshgrid(np.arange(width), np.arange(height))
    return Image.fromarray(np.stack([columns, rows, columns * 0], -1).astype(np.uint8))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("interpolation", ["bicubic", "bilinear"])
def test_whole(size: tuple[int, int], interpolation: str) -> None:
    rng = np.random.default_rng(0)
    image = Image.fromarray(rng.integers(0, 256, (size[1], size[0], 3), np.uint8))
    found = View(prepared(64, interpolation))(image)
    wanted = scoring_size(*size, 64)
    resample = Image.Resampling[interpolation.upper()]
    assert found.dtype == torch.uint8
    np.testing.assert_array_equal(
        found.numpy().transpose(1, 2, 0), np.array(image.resize(wanted, resample))
    )


@pytest.mark.parametrize("interpolation", ["bicubic", "bilinear"])
def test_a_random_crop_at_256_is_a_piece_of_the_photo(interpolation: str) -> None:
    """Not resampled; every place of 33 × 33 is as likely as the next."""
    photo = np.random.default_rng(0).integers(0, 256, (256, 256, 3), np.uint8)
    photo[..., :2] = np.array(coordinates(256, 256))[..., :2]
    view = View(prepared(224, interpolation), "random_crop")
    torch.manual_seed(0)
    places = []
    for _ in range(200):
        pixels = view(Image.fromarray(photo)).permute(1, 2, 0).numpy()
        left, top = (int(value) for value in pixels[0, 0, :2])
        places.append((left, top))
        np.testing.assert_array_equal(pixels, photo[top : top + 224, left : left + 224])
    found = np.array(places)
    assert found.min() == 0
    assert found.max() == 32
    assert np.abs(found.mean(0) - 16).max() < 3 * 9.52 / math.sqrt(200)
    assert abs(np.corrcoef(found.T)[0, 1]) < 0.25


@pytest.mark.parametrize("kind", ["random_crop", "random_resized_crop"])
@given(width=st.integers(1, 90), height=st.integers(1, 90), seed=st.integers(0, 999))
def test_crops_lie_in_the_photo(kind: Any, width: int, height: int, seed: int) -> None:
    torch.manual_seed(seed)
    view = View(prepared(32), kind)
    image = coordinates(width, height)
    top, left, rows, columns = view._crop(image)
    assert 0 <= left < left + columns <= width
    assert 0 <= top < top + rows <= height
    if kind == "random_crop":
        assert rows == columns == max(1, round(min(width, height) * 224 / 256))
    torch.manual_seed(seed)
    pixels = view(image)
    assert pixels.shape == (3, 32, 32)
    for values, low, count in ((pixels[0], left, columns), (pixels[1], top, rows)):
        assert (
            low - 8 <= int(values.min()) <= int(values.max()) <= low + count + 7
        )  # bicubic swings


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("kind", ["random_crop", "random_resized_crop"])
def test_photos_of_odd_sizes(kind: Any, size: tuple[int, int]) -> None:
    for seed in range(20):
        torch.manual_seed(seed)
        assert View(prepared(32), kind, flip=True)(coordinates(*size)).shape == (3, 32, 32)


@pytest.mark.parametrize("scale", [(0.35, 1.0), (0.1, 0.2), (0.5, 0.5), (1.0, 1.0)])
def test_area_and_ratio_of_a_random_resized_crop(scale: tuple[float, float]) -> None:
    """Within rounding of sides of hundreds of pixels."""
    torch.manual_seed(0)
    view = View(USUAL, "random_resized_crop", scale)
    image = Image.new("RGB", (1000, 900))
    boxes = np.array([view._crop(image) for _ in range(500)], float)
    shares, ratios = boxes[:, 2] * boxes[:, 3] / 900_000, boxes[:, 3] / boxes[:, 2]
    assert shares.min() > scale[0] - 0.004
    assert shares.max() < scale[1] + 0.004
    assert ratios.min() > 3 / 4 - 0.01
    assert ratios.max() < 4 / 3 + 0.01
    if scale[0] < scale[1]:  # the whole range is drawn from; large parts fit less often
        spread = scale[1] - scale[0]
        assert shares.min() < scale[0] + spread / 10
        assert shares.max() > scale[1] - spread / 10
        assert ratios.min() < 0.8
        assert ratios.max() > 1.25


def test_half_of_the_photos_are_mirrored() -> None:
    image = coordinates(64, 64)
    straight = View(prepared(64))(image)
    view = View(prepared(64), flip=True)
    torch.manual_seed(0)
    mirrored = 0
    for _ in range(400):
        pixels = view(image)
        is_mirrored = bool(torch.equal(pixels, straight.flip(-1)))
        assert is_mirrored or torch.equal(pixels, straight)
        mirrored += is_mirrored
    assert abs(mirrored - 200) < 3.5 * 10


@pytest.mark.parametrize("kind", ["random_crop", "random_resized_crop"])
def test_the_seed_decides(kind: Any) -> None:
    """That of torch, and of nothing else."""
    view, image = View(prepared(32), kind, flip=True), coordinates(200, 150)

    def drawn(seed: int, of_others: int) -> bytes:
        np.random.seed(of_others)
        torch.manual_seed(seed)
        return b"".join(view(image).numpy().tobytes() for _ in range(3))

    assert drawn(1, 0) == drawn(1, 1)
    assert drawn(1, 0) != drawn(2, 0)


def test_what_varies() -> None:
    assert not View(USUAL).varies
    assert View(USUAL, flip=True).varies
    assert View(USUAL, "random_crop").varies
    assert View(USUAL, "random_resized_crop").varies


@pytest.mark.parametrize(
    "scale",
    [
        *((0.5,), (), (0.1, 0.5, 1.0), (0.9, 0.5), (0, 1), (0.0, 1.0), (-0.1, 0.5), (0.5, 1.1)),
        *((math.nan, 1.0), (0.5, math.nan), (0.1, math.inf), ("0.1", "1"), (0.1, "a")),
        *((None, 1.0), (0.5, True), 0.5, None, "0.35,1", "ab", [[0.1], [1.0]]),
    ],
)
def test_unusable_scales(scale: Any) -> None:
    with pytest.raises(UserError) as caught:
        View(USUAL, "random_resized_crop", scale)
    message = str(caught.value)
    assert message.startswith("train.scale=")
    assert message.endswith("as in [0.35,1]")
    assert "\n" not in message


@pytest.mark.parametrize("scale", [(0.35, 1.0), (1, 1), (0.5, 0.5), (1e-3, 1)])
def test_usable_scales(scale: Any) -> None:
    assert View(USUAL, "random_resized_crop", scale).scale == scale


@pytest.mark.parametrize("kind", ["", "crop", None, 1, ["whole"]])
def test_unknown_kinds(kind: Any) -> None:
    with pytest.raises(UserError, match=r"^train\.view=.*: give one of whole, random_crop, rand"):
        View(USUAL, kind)
