"""Reader for PASCAL VOC annotations (2007/2012 layout)."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path
from xml.etree.ElementTree import Element, ParseError

from defusedxml import ElementTree, EntitiesForbidden

from data_prep.errors import UserError
from data_prep.phrases import Box, Problem, Unusable

VOC_CLASSES = (
    "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow",
    "diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train",
    "tvmonitor",
)  # fmt: skip

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
    """One image of a split: its file, its size in pixels and its objects.

    `unreadable` has the labels of further objects, whose boxes cannot be read.
    """

    id: str
    path: Path
    width: int
    height: int
    objects: tuple[VocObject, ...]
    unreadable: tuple[str, ...] = ()

    def class_boxes(self) -> dict[str, list[Box]]:
        """Boxes by class, for the pointing game.

        A class whose boxes are all VOC-difficult is left out; otherwise all its boxes count.
        """
        boxes: dict[str, list[Box]] = {}
        for item in self.objects:
            boxes.setdefault(item.label, []).append(item.box)
        easy = {item.label for item in self.objects if not item.difficult}
        return {label: boxes[label] for label in boxes if label in easy}


def read_voc(root: str | Path, split: str, problems: list[Problem] | None = None) -> list[VocImage]:
    """Read the images of a split with their annotations.

    Parameters
    ----------
    root : str or Path
        The year's folder: it holds ``ImageSets``, ``Annotations`` and ``JPEGImages``.
    split : str
        Name of a list in ``ImageSets/Main``: ``train``, ``val``, ``test`` …
    problems : list of Problem, optional
        Gets what is unusable, and the rest is read: "listed twice" (the line), "missing" (a photo),
        "no annotation", "bad size" (both cost the image), "no name", "bad box" (these cost the
        object). Without it the first of them is an error.

    Returns
    -------
    list of VocImage
        In the order of the list.

    Raises
    ------
    UserError
        There is no such list, or it is malformed; without `problems` also where a file is missing
        or malformed.
    """
    root = Path(root)
    images = []
    listed: set[str] = set()
    for image_id in _read_split(root, split):
        try:
            if image_id in listed:
                reason = f"image {image_id} is listed twice; remove one of the lines"
                raise Unusable(str(_list_of(root, split)), "listed twice", reason)
            listed.add(image_id)
            path = root / "JPEGImages" / f"{image_id}.jpg"
            if not path.is_file():
                reason = "the file is missing; add it or take its id off the list"
                raise Unusable(str(path), "missing", reason)
            xml = root / "Annotations" / f"{image_id}.xml"
            images.append(VocImage(image_id, path, *read_annotation(xml, problems)))
        except Unusable as unusable:
            _tell(unusable, problems)
    return images


def read_annotation(
    path: Path, problems: list[Problem] | None = None
) -> tuple[int, int, tuple[VocObject, ...], tuple[str, ...]]:
    """Read one XML file: width, height, objects and labels of unreadable ones, as of a `VocImage`.

    Parameters
    ----------
    path : Path
    problems : list of Problem, optional
        Gets the objects that are unusable; without it the first of them is an error.

    Raises
    ------
    Unusable
        "no annotation": the file is missing, is no XML or declares entities. "bad size".
    UserError
        An object is unusable, and there is no list of problems.
    """
    where = str(path)
    try:
        tree = ElementTree.fromstring(path.read_bytes())
    except FileNotFoundError as error:
        reason = "the file is missing; add it or take its id off the list"
        raise Unusable(where, "no annotation", reason) from error
    except EntitiesForbidden as error:
        reason = "it declares entities, which is refused; fetch it again"
        raise Unusable(where, "no annotation", reason) from error
    except (ParseError, ValueError, LookupError, OSError) as error:
        reason = f"no readable annotation ({error}); fetch it again"
        raise Unusable(where, "no annotation", reason) from error
    width, height = (_number(tree, f"size/{side}", where) for side in ("width", "height"))
    if width < 1 or height < 1:
        reason = f"a size of {width:g} × {height:g} pixels; fetch the file again"
        raise Unusable(where, "bad size", reason)
    objects, unreadable = [], []
    for node in tree.findall("object"):
        label = (node.findtext("name") or "").strip()
        try:
            objects.append(_read_object(node, label, where))
        except Unusable as unusable:
            _tell(unusable, problems)
            unreadable += [label] if label else []
    return int(width), int(height), tuple(objects), tuple(unreadable)


def _tell(unusable: Unusable, problems: list[Problem] | None) -> None:
    problem = unusable.problem
    if problems is None:
        raise UserError(f"{problem.where}: {problem.reason}") from unusable
    problems.append(problem)


def _list_of(root: Path, split: str) -> Path:
    return root / "ImageSets" / "Main" / f"{split}.txt"


def _read_split(root: Path, split: str) -> list[str]:
    path = _list_of(root, split)
    if not _NAME.fullmatch(split) or not path.is_file():
        raise UserError(
            f"{path}: no such split list; give the folder that holds ImageSets "
            "(such as VOCdevkit/VOC2007) and the name of a list in ImageSets/Main"
        )
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").split("\n")
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); check the file") from error
    ids = [line.strip() for line in lines if line.strip()]
    for image_id in ids:
        if not _NAME.fullmatch(image_id):
            raise UserError(f"{path}: {image_id!r} is not an image id; write one id a line")
    if not ids:
        raise UserError(f"{path}: the list is empty; write one image id a line")
    return ids


def _read_object(node: Element, label: str, where: str) -> VocObject:
    if not label:
        raise Unusable(where, "no name", "an object has no name; fetch the file again")
    x1, y1, x2, y2 = (
        _number(node, f"bndbox/{key}", where) for key in ("xmin", "ymin", "xmax", "ymax")
    )
    if x2 < x1 or y2 < y1:
        raise Unusable(where, "bad box", f"the box of {label!r} is empty; fetch the file again")
    # The file counts pixels from 1 and includes the last one.
    box = (x1 - 1, y1 - 1, x2, y2)
    return VocObject(label, box, (node.findtext("difficult") or "0").strip() == "1")


def _number(node: Element, key: str, where: str) -> float:
    text = node.findtext(key) or ""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        reason = f"<{key}> is {text!r}, not a number; fetch the file again"
        raise Unusable(where, "bad size" if key.startswith("size") else "bad box", reason)
    return value
