"""Reader for PASCAL VOC annotations (2007/2012 layout) and the pointing game's difficult flags."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path
from xml.etree.ElementTree import Element, ParseError

from defusedxml import ElementTree, EntitiesForbidden

from data_prep.errors import UserError

VOC_CLASSES = (
    "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow",
    "diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train",
    "tvmonitor",
)  # fmt: skip

Box = tuple[float, float, float, float]

_NAME = re.compile(r"\w+(-\w+)*")  # an id or split that cannot leave its folder


@dataclass(frozen=True)
class VocObject:
    """One annotated object.

    Attributes
    ----------
    label : str
        Class name as written in the annotation.
    box : tuple of float
        (x1, y1, x2, y2) in pixels from the image's top left corner, half-open.
    difficult : bool
        The VOC flag "hard to recognise"; not the pointing game's difficult subset.
    """

    label: str
    box: Box
    difficult: bool


@dataclass(frozen=True)
class VocImage:
    """One image of a split: its file, its size in pixels and its objects."""

    id: str
    path: Path
    width: int
    height: int
    objects: tuple[VocObject, ...]

    def class_boxes(self) -> dict[str, list[Box]]:
        """Boxes by class, for the pointing game.

        A class whose boxes are all VOC-difficult is left out; otherwise all its boxes count.
        """
        boxes: dict[str, list[Box]] = {}
        for item in self.objects:
            boxes.setdefault(item.label, []).append(item.box)
        easy = {item.label for item in self.objects if not item.difficult}
        return {label: boxes[label] for label in boxes if label in easy}


def read_voc(root: str | Path, split: str) -> list[VocImage]:
    """Read the images of a split with their annotations.

    Parameters
    ----------
    root : str or Path
        The year's folder: it holds ``ImageSets``, ``Annotations`` and ``JPEGImages``.
    split : str
        Name of a list in ``ImageSets/Main``: ``train``, ``val``, ``test`` …

    Returns
    -------
    list of VocImage
        In the order of the list.

    Raises
    ------
    UserError
        A file is missing or malformed. An evaluation on part of a split would not be
        comparable, so nothing is skipped.
    """
    root = Path(root)
    return [_read_image(root, image_id) for image_id in _read_split(root, split)]


def _read_split(root: Path, split: str) -> list[str]:
    path = root / "ImageSets" / "Main" / f"{split}.txt"
    if not _NAME.fullmatch(split) or not path.is_file():
        raise UserError(
            f"{path}: no such split list; give the folder that holds ImageSets "
            "(such as VOCdevkit/VOC2007) and the name of a list in ImageSets/Main"
        )
    ids = path.read_text(encoding="utf-8", errors="replace").split("\n")
    ids = [line.strip() for line in ids if line.strip()]
    for image_id in ids:
        if not _NAME.fullmatch(image_id):
            raise UserError(f"{path}: {image_id!r} is not an image id; write one id a line")
    if not ids:
        raise UserError(f"{path}: the list is empty; write one image id a line")
    if len(set(ids)) < len(ids):
        twice = next(i for n, i in enumerate(ids) if i in ids[:n])
        raise UserError(f"{path}: image {twice} is listed twice; remove one of the lines")
    return ids


def _read_image(root: Path, image_id: str) -> VocImage:
    image = root / "JPEGImages" / f"{image_id}.jpg"
    path = root / "Annotations" / f"{image_id}.xml"
    for file in (image, path):
        if not file.is_file():
            raise UserError(f"{file}: the file is missing; add it or take its id off the list")
    try:
        tree = ElementTree.fromstring(path.read_bytes())
    except EntitiesForbidden as error:
        message = "it declares entities, which is refused; fetch it again"
        raise UserError(f"{path}: {message}") from error
    except (ParseError, ValueError) as error:
        raise UserError(f"{path}: no readable annotation ({error}); fetch it again") from error
    width, height = (_number(tree, f"size/{side}", path) for side in ("width", "height"))
    objects = tuple(_read_object(node, path) for node in tree.findall("object"))
    return VocImage(image_id, image, int(width), int(height), objects)


def _read_object(node: Element, path: Path) -> VocObject:
    label = (node.findtext("name") or "").strip()
    if not label:
        raise UserError(f"{path}: an object has no name; fetch the file again")
    x1, y1, x2, y2 = (
        _number(node, f"bndbox/{key}", path) for key in ("xmin", "ymin", "xmax", "ymax")
    )
    if x2 < x1 or y2 < y1:
        raise UserError(f"{path}: the box of {label!r} is empty; fetch the file again")
    # The file counts pixels from 1 and includes the last one.
    box = (x1 - 1, y1 - 1, x2, y2)
    return VocObject(label, box, (node.findtext("difficult") or "0").strip() == "1")


def _number(node: Element, key: str, path: Path) -> float:
    text = node.findtext(key) or ""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise UserError(f"{path}: <{key}> is {text!r}, not a number; fetch the file again")
    return value


def read_difficult(path: str | Path) -> dict[str, frozenset[str]]:
    """Read the published "difficult" flags of the pointing game.

    Parameters
    ----------
    path : str or Path
        One image a line: its id and 20 flags (0 or 1), one a class in alphabetical order,
        separated by blanks or tabs.

    Returns
    -------
    dict of str to frozenset of str
        Image id to the classes flagged difficult in it. Images without a flag are present, so
        that a missing image can be told from an easy one.

    Raises
    ------
    UserError
        The file is missing or a line does not have this form.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"{path}: no such file; give the file of the difficult flags")
    flags: dict[str, frozenset[str]] = {}
    for number, line in enumerate(
        path.read_text(encoding="utf-8", errors="replace").splitlines(), 1
    ):
        if not line.strip():
            continue
        image_id, *row = line.split()
        if len(row) != len(VOC_CLASSES) or not set(row) <= {"0", "1"} or image_id in flags:
            raise UserError(
                f"{path}:{number}: expected a new image id and {len(VOC_CLASSES)} flags of 0 or 1; "
                "fetch the file again"
            )
        flags[image_id] = frozenset(
            c for c, flag in zip(VOC_CLASSES, row, strict=True) if flag == "1"
        )
    return flags
