"""Masks as COCO files have them, brought to pycocotools' run-length encoding (RLE).

Everything is checked first: the C code of pycocotools trusts what it gets. It reads beyond a text
of counts that ends too early, decodes counts that do not fill the photo to what the memory held
before, and takes a polygon of two points for a box.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from pycocotools import mask as coco_masks

from data_prep.phrases import is_number

# Groups of 5 bits, of which all but a number's last are marked; 7 groups hold 32 bits with sign.
_NUMBERS = re.compile(r"(?:[P-o]{0,6}[0-O])+")
_NUMBER = re.compile(r"[P-o]*[0-O]")


def to_rle(segmentation: object, height: int, width: int) -> Mapping[str, Any]:
    """Bring a `segmentation` of any kind to compressed RLE.

    Parameters
    ----------
    segmentation : object
        From JSON. A list of polygons, each x, y, x, y … in pixels; or a mapping of `size`
        (height, width) and `counts`, run lengths down the columns, background first: a list, or
        their compressed text.
    height, width : int
        Of the photo.

    Returns
    -------
    mapping
        `size` and `counts` (bytes), as `pycocotools.mask` takes them; perhaps of no pixel.

    Raises
    ------
    ValueError
        It is none of these or does not fit the photo; the message says why.
    """
    if isinstance(segmentation, list):
        _check_polygons(segmentation, height, width)
        rle = coco_masks.merge(coco_masks.frPyObjects(segmentation, height, width))
    elif isinstance(segmentation, dict):
        size = [height, width]
        if segmentation.get("size") != size:
            raise ValueError(f"its size is {segmentation.get('size')!r}, the photo's is {size}")
        counts = _counts(segmentation.get("counts"))
        if sum(counts) != height * width:
            raise ValueError(f"its counts add up to {sum(counts)}, not to {height} × {width}")
        rle = coco_masks.frPyObjects({"size": size, "counts": counts}, height, width)
    else:
        raise ValueError("it is neither a list of polygons nor run lengths")
    return rle


def _check_polygons(polygons: list[Any], height: int, width: int) -> None:
    if not polygons:
        raise ValueError("there is no polygon")
    for polygon in polygons:
        if not isinstance(polygon, list) or not all(map(is_number, polygon)):
            raise ValueError("a polygon is no list of numbers")
        if len(polygon) % 2 or len(polygon) < 6:
            raise ValueError(f"a polygon has {len(polygon)} coordinates, not three pairs or more")
        xs, ys = polygon[::2], polygon[1::2]
        # The outline is drawn point by point, so that a far one would fill the memory.
        if min(xs) < -width or max(xs) > 2 * width or min(ys) < -height or max(ys) > 2 * height:
            raise ValueError("a polygon lies far outside the photo")


def _counts(counts: object) -> list[int]:
    if isinstance(counts, str):
        return _decompress(counts)
    if not isinstance(counts, list) or not all(type(one) is int and one >= 0 for one in counts):
        raise ValueError("its counts are no run lengths")
    return counts


def _decompress(text: str) -> list[int]:
    """Read run lengths from text, where those after the third are told from the one before last.

    A character is 48 more than six bits: five of a number, the lowest first, and 32 where another
    character of it follows. In the last one 16 is the sign.
    """
    if not _NUMBERS.fullmatch(text):
        raise ValueError("its counts are no compressed run lengths")
    counts: list[int] = []
    for number in _NUMBER.findall(text):
        bits = [ord(character) - 48 for character in number]
        value = sum((five & 31) << 5 * place for place, five in enumerate(bits))
        if bits[-1] & 16:
            value -= 1 << 5 * len(bits)
        counts.append(value + (counts[-2] if len(counts) > 2 else 0))
    if min(counts) < 0:
        raise ValueError("its counts are no compressed run lengths")
    return counts
