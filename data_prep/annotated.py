"""Photos whose classes are annotated with boxes or masks: what the pointing game is played on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_masks

from data_prep.phrases import Box, Problem

UNREADABLE = "classes with an object whose place cannot be read"  # in `AnnotatedPhoto.not_asked`


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

    def mask(self) -> NDArray[np.bool_] | None:
        """Draw all masks into one, (height, width) of the photo; None of boxes only."""
        if not self.masks:
            return None
        return coco_masks.decode(coco_masks.merge(list(self.masks))).astype(bool)

    def area(self) -> float:
        """Area in pixels that masks, or else boxes, cover together; overlaps count once."""
        if self.masks:
            return float(coco_masks.area(coco_masks.merge(list(self.masks))))
        x1, y1, x2, y2 = np.array(self.boxes).T
        xs, ys = np.unique((x1, x2)), np.unique((y1, y2))
        # The corners' coordinates cut the plane into cells, each in a box as a whole or not.
        in_x = (x1[:, None] <= xs[:-1]) & (xs[1:] <= x2[:, None])  # (boxes, columns)
        in_y = (y1[:, None] <= ys[:-1]) & (ys[1:] <= y2[:, None])  # (boxes, rows)
        covered = (in_y[:, :, None] & in_x[:, None, :]).any(0)
        return float(np.diff(ys) @ covered @ np.diff(xs))


@dataclass(frozen=True)
class AnnotatedPhoto:
    """A photo with the classes to ask for.

    Attributes
    ----------
    id : str
        Unique in its dataset.
    path : Path
    width, height : int
        In pixels, as annotated.
    classes : tuple of ClassRegions
        Those to ask for; there may be none.
    not_asked : mapping of str to str
        Labels of the other annotated classes, each with its reason. Of one that is `UNREADABLE`
        a hit could not be told from a miss.
    """

    id: str
    path: Path
    width: int
    height: int
    classes: tuple[ClassRegions, ...]
    not_asked: Mapping[str, str] = field(default_factory=dict)

    def without_objects(self, where: str) -> list[Problem]:
        """Name the photo if nothing usable is annotated in it; `where` stands in the problem."""
        if self.classes or self.not_asked:
            return []
        reason = "no usable object is annotated, so nothing is asked of it; add one if there is any"
        return [Problem(where, "no object", reason)]


@dataclass(frozen=True)
class AnnotatedData:
    """What a reader gives.

    Attributes
    ----------
    photos : tuple of AnnotatedPhoto
        In the dataset's order; also those without a class to ask for.
    labels : tuple of str
        Every class of the dataset.
    problems : tuple of Problem
        What could not be used, and why.
    difficult : mapping
        `source`, "published" or "derived"; of published flags also how the derived ones agree
        (see `difficult.mark_difficult`).
    in_order : bool
        Whether the labels are in the dataset's own order; False where they are only those found
        in these photos.
    """

    photos: tuple[AnnotatedPhoto, ...]
    labels: tuple[str, ...]
    problems: tuple[Problem, ...] = ()
    difficult: Mapping[str, Any] = field(default_factory=dict)
    in_order: bool = True

    @property
    def left_out(self) -> dict[str, int]:
        """Pairs of photo and class that are not asked, by reason."""
        return dict(Counter(why for photo in self.photos for why in photo.not_asked.values()))
