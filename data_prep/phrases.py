"""Phrases of captions with the boxes of what they name, whatever file they were read from."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Phrase:
    """One mention in a caption.

    Attributes
    ----------
    id : str
        Unique in its dataset.
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
    """

    photos: tuple[PhrasePhoto, ...]
    not_counted: dict[str, int] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()
