"""What becomes of a photo's pixels on the way into a shard."""

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from skimage import data

from data_prep.errors import UserError
from data_prep.images import UnusableImage
from data_prep.shards.recipes import Recipe, mirror_square

CAT = Image.fromarray(data.chelsea())  # 451 × 300
SHORT = Recipe("short_side", 100)
TURNED = 6  # EXIF orientation: the top of the photo is on its right


def encoded(image: Image.Image, form: str = "JPEG", **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def exif(orientation: int) -> Image.Exif:
    found = Image.Exif()
    found[0x0112] = orientation
    return found


def decoded(content: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(content))
    assert (image.format, image.mode) == ("JPEG", "RGB")
    image.load()
    return image


def psnr(a: Image.Image, b: Image.Image) -> float:
    """Likeness of two images in decibels; above 40 a person sees no difference."""
    difference = np.asarray(a).astype(float) - np.asarray(b).astype(float)
    return float(10 * np.log10(255**2 / (difference**2).mean()))


@given(st.integers(1, 12), st.integers(1, 12), st.integers(0, 99))
def test_mirror_padding_against_a_slow_loop(width: int, height: int, seed: int) -> None:
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3)).astype(np.uint8)
    squared = np.asarray(mirror_square(Image.fromarray(pixels)))
    side = max(width, height)
    assert squared.shape == (side, side, 3)
    top, left = (side - height) // 2, (side - width) // 2
    for y in range(side):
        for x in range(side):
            expected = pixels[_mirrored(y - top, height), _mirrored(x - left, width)]
            assert squared[y, x].tolist() == expected.tolist()


def _mirrored(place: int, length: int) -> int:
    """Walk into the line, turning round at either edge; the edge counts twice."""
    while not 0 <= place < length:
        place = -1 - place if place < 0 else 2 * length - 1 - place
    return place


@pytest.mark.parametrize(
    ("recipe", "size"),
    [
        (Recipe("short_side", 100), (150, 100)),
        (Recipe("long_side", 100), (100, 67)),
        (Recipe("mirror_square", 100), (100, 100)),
        (Recipe("mirror_square", 600), (600, 600)),
        (Recipe("short_side", 600), (451, 300)),
        (Recipe("long_side", 452), (451, 300)),
        (Recipe("original", None), (451, 300)),
    ],
)
@pytest.mark.parametrize("form", ["JPEG", "PNG"])
def test_sizes(recipe: Recipe, size: tuple[int, int], form: str) -> None:
    content, told = recipe.apply(encoded(CAT, form), "cat")
    assert decoded(content).size == told == size


def test_the_middle_of_the_paper_s_square_is_the_photo() -> None:
    content, _ = Recipe("mirror_square", 451, quality=100).apply(encoded(CAT, "PNG"), "cat")
    assert psnr(decoded(content).crop((0, 75, 451, 375)), CAT) > 40


@pytest.mark.parametrize("recipe", [Recipe("short_side", 300), Recipe("original", None)])
def test_a_jpeg_that_fits_is_copied(recipe: Recipe) -> None:
    for options in ({"quality": 40}, {"progressive": True}, {"exif": exif(1)}, {"exif": exif(0)}):
        content = encoded(CAT, **options)
        assert recipe.apply(content, "cat") == (content, (451, 300))
    square = encoded(CAT.resize((256, 256)))
    assert Recipe("mirror_square", 256).apply(square, "cat")[0] is square


@pytest.mark.parametrize(
    ("image", "options"),
    [(CAT.convert("L"), {}), (CAT.convert("CMYK"), {}), (CAT, {"exif": exif(TURNED)})],
    ids=["grey", "CMYK", "turned"],
)
def test_a_jpeg_of_another_kind_is_made_upright_rgb(image: Image.Image, options: dict) -> None:
    content, size = Recipe("original", None, quality=98).apply(encoded(image, **options), "cat")
    expected = image.convert("RGB")
    if options:
        expected = expected.transpose(Image.Transpose.ROTATE_270)
    assert decoded(content).size == size == expected.size
    assert psnr(decoded(content), expected) > 33


@pytest.mark.parametrize("orientation", [3, TURNED])
@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP"])
def test_a_turned_photo_keeps_its_proportions(form: str, orientation: int) -> None:
    content, size = SHORT.apply(encoded(CAT, form, exif=exif(orientation)), "cat")
    assert size == ((100, 150) if orientation == TURNED else (150, 100))
    turn = Image.Transpose.ROTATE_270 if orientation == TURNED else Image.Transpose.ROTATE_180
    assert psnr(decoded(content), CAT.transpose(turn).resize(size)) > 30


def test_large_jpegs_are_decoded_small_without_a_visible_difference() -> None:
    large = CAT.resize((451 * 6, 300 * 6), Image.Resampling.BICUBIC)
    recipe = Recipe("short_side", 150, quality=100)
    small, _ = recipe.apply(encoded(large), "cat")
    exact = decoded(encoded(large)).resize(decoded(small).size, Image.Resampling.BICUBIC)
    assert psnr(decoded(small), exact) > 40


def test_quality() -> None:
    sizes = [len(Recipe("short_side", 200, q).apply(encoded(CAT), "cat")[0]) for q in (50, 95)]
    assert sizes[0] < sizes[1] / 2


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (encoded(CAT)[:9000], "truncated"),
        (b"no pixels", "not an image"),
        (b"", "not an image"),
        (encoded(CAT, "PNG")[:9000], "truncated"),
    ],
)
@pytest.mark.parametrize("recipe", [SHORT, Recipe("original", None), Recipe("mirror_square", 8)])
def test_damaged_photos(content: bytes, code: str, recipe: Recipe) -> None:
    with pytest.raises(UnusableImage, match=r"^cat\.jpg: ") as caught:
        recipe.apply(content, "cat.jpg")
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("size", "recipe"),
    [
        ((101, 100), Recipe("short_side", 50, max_pixels=10_000)),
        ((1001, 9), Recipe("mirror_square", 50, max_pixels=1_000_000)),
        ((65_501, 2), Recipe("original", None)),
    ],
)
def test_too_large(size: tuple[int, int], recipe: Recipe) -> None:
    with pytest.raises(UnusableImage) as caught:
        recipe.apply(encoded(Image.new("RGB", size), "PNG"), "wide")
    assert caught.value.code == "too large"


@pytest.mark.parametrize(
    ("keys", "named"),
    [
        ({"mode": "stretch", "size": 9}, "resize.mode=stretch"),
        ({"mode": "short_side", "size": None}, "resize.size=None"),
        ({"mode": "short_side", "size": 0}, "resize.size=0"),
        ({"mode": "short_side", "size": True}, "resize.size=True"),
        ({"mode": "original", "size": 9}, "resize.size"),
        ({"mode": "original", "size": None, "quality": 101}, "jpeg_quality=101"),
        ({"mode": "original", "size": None, "max_pixels": 0}, "max_pixels=0"),
    ],
)
def test_keys(keys: dict, named: str) -> None:
    with pytest.raises(UserError, match=named):
        Recipe(**keys)
