"""Phrases of captions with the boxes of what they name, whatever file they were read from."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import TypeGuard

Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Phrase:
    """One mention in a caption.

    Attributes
    ----------
    id : str
        Unique in its dataset: "PHOTO:CAPTION:NUMBER", counted from 0 as in the file.
    text : str
        As written in the caption.
    caption, start, end : int
        The caption that it stands in, and its place there in characters, half-open.
    boxes : tuple of Box
        What it names: (x1, y1, x2, y2) in pixels from the photo's top left corner, half-open.
        One or more.
    types : tuple of str
        Kinds of thing, as the dataset has them (people, clothing …); may be empty.
    chain : str
        Mentions of one thing in the captions of a photo share it; may be empty.
    """

    id: str
    text: str
    caption: int
    start: int
    end: int
    boxes: tuple[Box, ...]
    types: tuple[str, ...] = ()
    chain: str = ""


@dataclass(frozen=True)
class PhrasePhoto:
    """One photo with its captions and their phrases.

    Attributes
    ----------
    id : str
        Unique in its dataset.
    path : Path
        The photo; need not exist.
    width, height : int or None
        In pixels, as annotated.
    captions : tuple of str
        Plain text.
    phrases : tuple of Phrase
        Those with a box, in the order of the captions.
    """

    id: str
    path: Path
    width: int | None
    height: int | None
    captions: tuple[str, ...]
    phrases: tuple[Phrase, ...]


@dataclass(frozen=True)
class Problem:
    """Something unusable in a dataset, left out of it.

    Attributes
    ----------
    where : str
        File, and the line in it if there is one.
    code : str
        Why, in a word or two.
    reason : str
        The fault and its remedy.
    """

    where: str
    code: str
    reason: str


@dataclass(frozen=True)
class PhraseData:
    """A dataset of phrases.

    Attributes
    ----------
    photos : tuple of PhrasePhoto
        In the order of the split.
    not_counted : dict of str to int
        Phrases without a box, by reason: chain 0, scene, nobndbox, no annotation …
    problems : tuple of Problem
        What could not be used; the photos and phrases beside it could.
    unrelated : int
        Captions left out because they do not fit their photo.
    """

    photos: tuple[PhrasePhoto, ...]
    not_counted: dict[str, int] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()
    unrelated: int = 0


class Unusable(ValueError):
    """Something that a reader leaves out, going on with what is beside it."""

    def __init__(self, where: str, code: str, reason: str) -> None:
        super().__init__(reason)
        self.problem = Problem(where, code, reason)


def fit_box(
    box: Box, width: int | None, height: int | None, where: str, problems: list[Problem]
) -> Box | None:
    """Clip a box to its photo.

    Parameters
    ----------
    box : Box
    width, height : int or None
        Of the photo, in pixels; None sets no bound.
    where : str
        File, line or object, for the problems.
    problems : list of Problem
        Gets a "box clipped" where more than half a pixel was cut off; less is rounding.

    Returns
    -------
    Box or None
        None, and a "bad box" or "box outside" among the problems, where nothing is left.
    """
    shown = " ".join(f"{value:g}" for value in box)
    if not (box[0] < box[2] and box[1] < box[3]):
        reason = f"the box {shown} is empty; give x1 < x2 and y1 < y2"
        problems.append(Problem(where, "bad box", reason))
        return None
    right, bottom = (math.inf if side is None else side for side in (width, height))
    photo = "the photo" if None in (width, height) else f"the photo, {width} × {height} pixels"
    x1, y1 = max(box[0], 0.0), max(box[1], 0.0)
    x2, y2 = float(min(box[2], right)), float(min(box[3], bottom))
    if x1 >= x2 or y1 >= y2:
        reason = f"the box {shown} lies outside {photo}; correct it, or the size"
        problems.append(Problem(where, "box outside", reason))
        return None
    if max(abs(a - b) for a, b in zip(box, (x1, y1, x2, y2), strict=True)) > 0.5:
        reason = f"the box {shown} was clipped: it reaches beyond {photo}; check both"
        problems.append(Problem(where, "box clipped", reason))
    return x1, y1, x2, y2


def is_box(value: object) -> TypeGuard[list[float]]:
    """Whether a value from a JSON file is a list of four finite numbers."""
    return isinstance(value, list) and len(value) == 4 and all(map(is_number, value))


def is_number(value: object) -> bool:
    """Whether a value from a JSON file is a finite number."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return abs(value) < 1 << 53  # no NaN, no infinity, nothing that is no float


def photo_path(images: Path, name: object, where: str) -> Path:
    """Join a name found in a file to the folder of the photos, which it may not leave.

    Raises
    ------
    Unusable
        "bad name": no text, an absolute path, or one with `..` in it.
    """
    if isinstance(name, str):
        parts = PurePosixPath(name)
        if parts.name and not parts.is_absolute() and ".." not in parts.parts and "\0" not in name:
            return images / parts
    reason = f"{name!r} is no file in the folder of the photos; give a relative path without '..'"
    raise Unusable(where, "bad name", reason)
