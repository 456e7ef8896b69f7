"""Every kind of file a person may hand over as a photo."""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import ExifTags, Image
from skimage import data

from data_prep.errors import UserError
from data_prep.images import UnusableImage, list_images, open_annotated, open_image

CAT = Image.fromarray(data.chelsea())


def save(path: Path, image: Image.Image, **options: object) -> Path:
    image.save(path, **options)  # type: ignore[arg-type]
    return path


def pixels(image: Image.Image) -> np.ndarray:
    assert image.mode == "RGB"
    return np.asarray(image).astype(int)


def bmp_header(width: int, height: int) -> bytes:
    """Return a BMP that claims to be large and holds no pixel."""
    header = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 24, 0, 0, 0, 0, 0, 0)
    return struct.pack("<2sIHHI", b"BM", 54, 0, 0, 54) + header


def test_plain_photo_is_unchanged(tmp_path: Path) -> None:
    image = open_image(save(tmp_path / "cat.png", CAT))
    np.testing.assert_array_equal(pixels(image), pixels(CAT))


def test_ending_of_the_name_does_not_matter(tmp_path: Path) -> None:
    save(tmp_path / "cat.png", CAT).rename(tmp_path / "cat")
    assert open_image(tmp_path / "cat").size == CAT.size


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("text.jpg", b"these are no pixels"),
        ("empty.jpg", b""),
        ("page.eps", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\nshowpage\n"),
    ],
)
def test_not_an_image(tmp_path: Path, name: str, content: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(UserError, match=rf"{name}: not an image; give one of JPEG"):
        open_image(path)


@pytest.mark.parametrize("ending", ["jpg", "png", "webp", "tif", "gif"])
def test_truncated(tmp_path: Path, ending: str) -> None:
    path = save(tmp_path / f"cut.{ending}", CAT)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(
        UserError, match=rf"cut\.{ending}: (cannot be decoded \(|not an image)"
    ) as e:
        open_image(path)
    assert "\n" not in str(e.value)


def test_missing_and_folder(tmp_path: Path) -> None:
    for path in (tmp_path / "none.jpg", tmp_path):
        with pytest.raises(UserError, match="no such file"):
            open_image(path)


@pytest.mark.parametrize("ending", ["png", "tif", "pgm"])
def test_16_bit_grey_keeps_its_levels(tmp_path: Path, ending: str) -> None:
    grey = np.asarray(CAT.convert("L"))
    deep = Image.fromarray(grey.astype(np.uint16) * 257)
    image = open_image(save(tmp_path / f"deep.{ending}", deep))
    np.testing.assert_allclose(pixels(image)[..., 0], grey, atol=1)


def test_16_bit_colour_png(tmp_path: Path) -> None:
    rows = (data.chelsea().astype(">u2") * 257)[:20, :30]
    raw = b"".join(b"\0" + row.tobytes() for row in rows)

    def chunk(kind: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    path = tmp_path / "deep.png"
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">IIBBBBB", 30, 20, 16, 2, 0, 0, 0))
        + chunk(b"IDAT", zlib.compress(raw))
        + chunk(b"IEND", b"")
    )
    np.testing.assert_array_equal(pixels(open_image(path)), data.chelsea()[:20, :30])


@pytest.mark.parametrize("scale", [1.0, 40.0])
def test_float_tiff(tmp_path: Path, scale: float) -> None:
    grey = np.linspace(0, 1, 256, dtype=np.float32)[None].repeat(4, 0)
    image = open_image(save(tmp_path / "float.tif", Image.fromarray(scale * grey)))
    np.testing.assert_array_equal(pixels(image)[0, :, 1], np.arange(256))


def test_float_tiff_of_one_level(tmp_path: Path) -> None:
    flat = Image.fromarray(np.full((3, 3), 7, np.float32))
    assert pixels(open_image(save(tmp_path / "flat.tif", flat))).max() == 0


def test_cmyk_jpeg(tmp_path: Path) -> None:
    image = open_image(save(tmp_path / "cmyk.jpg", CAT.convert("CMYK"), quality=98))
    assert np.abs(pixels(image) - pixels(CAT)).mean() < 3


@pytest.mark.parametrize("mode", ["P", "L", "1"])
def test_palette_grey_and_bilevel(tmp_path: Path, mode: str) -> None:
    image = open_image(save(tmp_path / "image.png", CAT.convert(mode)))
    np.testing.assert_array_equal(pixels(image), pixels(CAT.convert(mode).convert("RGB")))


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_transparency_is_laid_over_white(tmp_path: Path, mode: str) -> None:
    image = Image.new("RGBA", (8, 4), (200, 0, 0, 255))
    image.paste((0, 0, 0, 0), (0, 0, 4, 4))
    path = save(tmp_path / "clear.png", image.convert(mode))
    opened = pixels(open_image(path))
    assert (opened[:, :4] == 255).all()
    assert opened[:, 4:].std(axis=(0, 1)).max() == 0
    assert opened[0, 7].sum() < 300


STORED = {  # by orientation: how a camera held in each of the eight ways stores an upright scene
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.transpose(1, 0, 2),
    6: lambda a: np.rot90(a),
    7: lambda a: np.rot90(a, 2).transpose(1, 0, 2),
    8: lambda a: np.rot90(a, -1),
}


def save_turned(path: Path, upright: np.ndarray, orientation: int) -> np.ndarray:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    stored = np.ascontiguousarray(STORED[orientation](upright))
    save(path, Image.fromarray(stored), exif=exif)
    return stored


@pytest.mark.parametrize("orientation", STORED)
def test_exif_rotation_comes_out_upright(tmp_path: Path, orientation: int) -> None:
    path = tmp_path / "turned.png"
    save_turned(path, data.chelsea(), orientation)
    np.testing.assert_array_equal(pixels(open_image(path)), data.chelsea())


@pytest.mark.parametrize("orientation", STORED)
def test_annotated_photos_are_seen_as_annotated(tmp_path: Path, orientation: int) -> None:
    """A size that fits one view alone tells which was annotated; of two that fit, none is taken."""
    path, upright = tmp_path / "turned.png", data.chelsea()[:20, :30]
    stored = save_turned(path, upright, orientation)
    for view in (stored, upright):
        height, width = view.shape[:2]
        if orientation in (2, 3, 4):
            with pytest.raises(UnusableImage, match="turned.png: its EXIF orientation") as refused:
                open_annotated(path, (width, height))
            assert refused.value.code == "turned"
        else:
            np.testing.assert_array_equal(pixels(open_annotated(path, (width, height))), view)
    with pytest.raises(UnusableImage, match=r"annotated as 31×20; get the photo") as refused:
        open_annotated(path, (31, 20))
    assert refused.value.code == "other size"
    save_turned(path, upright[:, :20], orientation)
    if orientation == 1:
        assert open_annotated(path, (20, 20)).size == (20, 20)
    else:
        with pytest.raises(UnusableImage, match="may be of either view; save it without EXIF"):
            open_annotated(path, (20, 20))


def test_broken_exif_does_not_lose_the_photo(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 1
    buffer = io.BytesIO()
    CAT.save(buffer, "JPEG", exif=exif)
    broken = buffer.getvalue().replace(b"Exif\0\0MM\0*", b"Exif\0\0MM\0?")
    assert broken != buffer.getvalue()
    (tmp_path / "broken.jpg").write_bytes(broken)
    assert open_image(tmp_path / "broken.jpg").size == CAT.size
    assert open_annotated(tmp_path / "broken.jpg", CAT.size).size == CAT.size


def test_one_pixel(tmp_path: Path) -> None:
    image = open_image(save(tmp_path / "dot.png", Image.new("RGB", (1, 1), "red")))
    assert pixels(image).tolist() == [[[255, 0, 0]]]


def test_too_large_is_refused_before_decoding(tmp_path: Path) -> None:
    path = tmp_path / "large.bmp"
    path.write_bytes(bmp_header(10_000, 8_500))
    with pytest.raises(UserError, match=r"10000×8500 pixels are more than max_pixels=80000000"):
        open_image(path)
    path.write_bytes(bmp_header(20_000, 20_000))
    with pytest.raises(UserError, match=r"large\.bmp: beyond Pillow"):
        open_image(path)


def test_max_pixels_is_inclusive(tmp_path: Path) -> None:
    path = save(tmp_path / "cat.png", CAT)
    count = CAT.width * CAT.height
    assert open_image(path, max_pixels=count).size == CAT.size
    with pytest.raises(UserError, match="max_pixels"):
        open_image(path, max_pixels=count - 1)


def test_list_images(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    names = ["b.jpg", "a.png", "deep/c.jpg", ".hidden.jpg", "odd[1].jpg"]
    for name in names:
        (tmp_path / name).touch()
    a, b, c, odd = (tmp_path / name for name in ("a.png", "b.jpg", "deep/c.jpg", "odd[1].jpg"))
    assert list_images(tmp_path) == [a, b, odd]
    assert list_images(str(tmp_path / "*.jpg")) == [b, odd]
    assert list_images(str(tmp_path / "**" / "*.jpg")) == [b, c, odd]
    assert list_images(str(odd)) == [odd]
    assert list_images([str(b), tmp_path / "deep", str(b)]) == [b, c]
    assert list_images(tmp_path / "none.jpg") == [tmp_path / "none.jpg"]


def test_list_images_without_any(tmp_path: Path) -> None:
    for spec in (tmp_path, str(tmp_path / "*.jpg")):
        with pytest.raises(UserError, match="no file there"):
            list_images(spec)
    with pytest.raises(UserError, match="no image is named"):
        list_images([])
