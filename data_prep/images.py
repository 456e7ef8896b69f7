"""Photos as people have them: found by file, folder, glob or list, opened as upright RGB."""

import glob
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import ExifTags, Image, ImageOps

from data_prep.errors import UserError

MAX_PIXELS = 80_000_000  # just under the size at which Pillow warns

# Formats that hold photos. Others that Pillow knows run a program (EPS) or are seldom tested.
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP", "AVIF", "JPEG2000", "PPM")

# Modes whose values are not 8 bits: the values of black and white.
DEEP_RANGES = {"I": (0.0, 65535.0), "F": (0.0, 1.0)}


class UnusableImage(UserError):
    """A file that is no photo for us.

    Attributes
    ----------
    code : str
        Why, in a word or two: missing, not permitted, not an image, too large, truncated, damaged,
        other size, turned.
    """

    def __init__(self, message: str, code: str = "damaged") -> None:
        super().__init__(message)
        self.code = code


def open_image(path: str | Path, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """Open a photo as an upright, opaque RGB image.

    The EXIF orientation is applied, transparency is laid over white, 16-bit and other deep
    levels are scaled to 8 bits, palettes and CMYK are converted. Of several frames the first
    is taken.

    Parameters
    ----------
    path : str or Path
        A file in one of `FORMATS`; its name's ending does not matter.
    max_pixels : int
        Larger photos are refused before they are decoded.

    Returns
    -------
    PIL.Image.Image
        Mode RGB.

    Raises
    ------
    UnusableImage
        The file is missing, no image, damaged or too large.
    """
    with _loaded(Path(path), max_pixels) as image:
        return upright_rgb(image)


def open_annotated(
    path: str | Path, size: tuple[int, int], max_pixels: int = MAX_PIXELS
) -> Image.Image:
    """Open a photo as opaque RGB with the pixels where its annotation has them.

    Some annotations are of the photo as stored (those of VOC, COCO and ImageNet are), others of
    the photo as its EXIF orientation turns it. Their size tells which, or else the photo is
    refused: its boxes may be of either.

    Parameters
    ----------
    path : str or Path
    size : tuple of int
        Width and height in pixels, as annotated.
    max_pixels : int
        As for `open_image`.

    Raises
    ------
    UnusableImage
        As for `open_image`; or the photo has another size ("other size"), or an EXIF orientation
        that leaves the size as it is ("turned").
    """
    with _loaded(Path(path), max_pixels) as image:
        frames = [image, _upright(image)] if _is_turned(image) else [image]
        fitting = [_to_rgb(frame) for frame in frames if frame.size == size]
        width, height = image.size
    if not fitting:
        raise UnusableImage(
            f"{path}: {width}×{height} pixels, but annotated as {size[0]}×{size[1]}; get the photo "
            "in its original size",
            "other size",
        )
    if len(fitting) > 1:
        raise UnusableImage(
            f"{path}: its EXIF orientation turns or mirrors it, and the annotation may be of "
            "either view; save it without EXIF orientation, as it was when it was annotated",
            "turned",
        )
    return fitting[0]


@contextmanager
def _loaded(path: Path, max_pixels: int) -> Iterator[Image.Image]:
    if not path.is_file():
        raise UnusableImage(f"{path}: no such file; check the path", "missing")
    with read_lazily(path, str(path), max_pixels) as image:
        image.load()
        yield image


@contextmanager
def read_lazily(source: Path | BinaryIO, name: str, max_pixels: int) -> Iterator[Image.Image]:
    """Open an image whose pixels are not decoded yet; `name` stands in messages.

    What goes wrong in the `with` block counts as a fault of the file: only decode there.

    Raises
    ------
    UnusableImage
        At the beginning or in the block: the file is no image, damaged or too large.
    """
    try:
        with Image.open(source, formats=FORMATS) as image:
            width, height = image.size
            if width * height > max_pixels:
                raise UnusableImage(
                    f"{name}: {width}×{height} pixels are more than max_pixels={max_pixels}; "
                    "scale the image down or raise max_pixels",
                    "too large",
                )
            yield image
    except UnusableImage:
        raise
    except Image.UnidentifiedImageError:
        message = f"{name}: not an image; give one of {', '.join(FORMATS)}"
        raise UnusableImage(message, "not an image") from None
    except Image.DecompressionBombError:
        message = (
            f"{name}: beyond Pillow's own limit; scale it down or raise PIL.Image.MAX_IMAGE_PIXELS"
        )
        raise UnusableImage(message, "too large") from None
    except PermissionError:
        message = f"{name}: may not be read; check its permissions"
        raise UnusableImage(message, "not permitted") from None
    except Exception as error:  # a damaged file can make a decoder raise anything
        reason = " ".join(str(error).split()) or type(error).__name__
        code = "truncated" if "truncated" in reason else "damaged"
        raise UnusableImage(f"{name}: cannot be decoded ({reason}); save it anew", code) from error


def upright_rgb(image: Image.Image) -> Image.Image:
    """Apply the EXIF orientation and make decoded pixels opaque 8-bit RGB."""
    return _to_rgb(_upright(image))


def _upright(image: Image.Image) -> Image.Image:
    try:
        return ImageOps.exif_transpose(image)
    except Exception:  # broken EXIF data must not lose a good photo
        return image


def _is_turned(image: Image.Image) -> bool:
    try:
        return image.getexif().get(ExifTags.Base.Orientation, 1) in range(2, 9)
    except Exception:  # as above
        return False


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I;16"):
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    elif image.mode in DEEP_RANGES:
        image = Image.fromarray(_to_8_bits(np.asarray(image), *DEEP_RANGES[image.mode]))
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba)
    return image.convert("RGB")


def _to_8_bits(levels: np.ndarray, black: float, white: float) -> np.ndarray:
    """Scale (H, W) levels to uint8; values outside black…white stretch the range to their own."""
    levels = np.nan_to_num(levels.astype(np.float64))
    if levels.min() < black or levels.max() > white:
        black, white = levels.min(), levels.max()
    span = white - black or 1.0
    return np.round(255 * (levels - black) / span).astype(np.uint8)


def list_images(spec: str | Path | Sequence[str | Path]) -> list[Path]:
    """List the files that a file, a folder, a glob (`**` too) or a list of these names.

    Hidden files are left out. A named file is listed even if it does not exist, so that
    `open_image` can tell what is wrong with it.

    Returns
    -------
    list of Path
        Sorted, without repeats.

    Raises
    ------
    UserError
        A folder or a glob holds no file, or the list is empty.
    """
    specs: Iterable[str | Path] = [spec] if isinstance(spec, str | Path) else spec
    paths = sorted({path for one in specs for path in _expand(one)})
    if not paths:
        raise UserError("no image is named; give a file, a folder, a glob or a list of these")
    return paths


def _expand(spec: str | Path) -> list[Path]:
    path = Path(spec).expanduser()
    if path.is_dir():
        found = [p for p in path.iterdir() if p.is_file() and not p.name.startswith(".")]
    elif not path.exists() and glob.has_magic(str(path)):
        found = [p for p in map(Path, glob.glob(str(path), recursive=True)) if p.is_file()]
    else:
        return [path]
    if not found:
        raise UserError(f"{spec}: no file there; give a file, a folder or a glob that holds photos")
    return found
