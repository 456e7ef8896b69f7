"""Photos whose classes are annotated with boxes or masks: what the pointing game is played on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from data_prep.phrases import Problem

Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class ClassRegions:
    """Where a class is in a photo.

    Attributes
    ----------
    label : str
        The class as the dataset writes it.
    boxes : tuple of (x1, y1, x2, y2)
        Of every object of the class; pixels, half-open.
    masks : tuple of mapping
        Of every object the mask, as pycocotools' run-length encoding; empty where the dataset has
        boxes only.
    difficult : bool or None
        Whether the pair of photo and class is of the pointing game's difficult subset; None where
        nobody knows: the file of flags does not tell of the photo.
    """

    label: str
    boxes: tuple[Box, ...]
    masks: tuple[Mapping[str, Any], ...] = ()
    difficult: bool | None = False


@dataclass(frozen=True)
class AnnotatedPhoto:
    """A photo with its classes; `width` and `height` in pixels, as annotated."""

    id: str
    path: Path
    width: int
    height: int
    classes: tuple[ClassRegions, ...]


@dataclass(frozen=True)
class AnnotatedData:
    """What a reader gives.

    Attributes
    ----------
    photos : tuple of AnnotatedPhoto
        In the dataset's order; also those without a class to ask for.
    labels : tuple of str
        Every class of the dataset, in its own order.
    problems : tuple of Problem
        What could not be used, and why.
    left_out : mapping of str to int
        Pairs of photo and class that the protocol does not ask for, by reason.
    difficult : mapping
        `source`, "published" or "derived"; of published flags also how the derived ones agree.
    """

    photos: tuple[AnnotatedPhoto, ...]
    labels: tuple[str, ...]
    problems: tuple[Problem, ...] = ()
    left_out: Mapping[str, int] = field(default_factory=dict)
    difficult: Mapping[str, Any] = field(default_factory=dict)
