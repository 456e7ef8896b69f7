"""Proposals that somebody else made, read from files: of MCG, Bottom-Up or an RPN."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from PIL import Image

from data_prep.errors import UserError
from grounding.proposals.box_files import SUFFIXES, Content, read_all, read_one
from grounding.proposals.boxes import NoProposals, Proposals, clean

NO_BOXES, DAMAGED = "no boxes", "damaged boxes"  # codes of rejected photos
ORDERS = ("xyxy", "yxyx", "xywh")


@dataclass(frozen=True)
class BoxFiles:
    """Boxes from a folder with a file for each photo, or from one file with those of all.

    A folder holds ID.npz, ID.json or ID.mat. What the files hold: `grounding.proposals.box_files`.

    Attributes
    ----------
    path : str
        The folder or the file.
    variable : str
        Name of the boxes in a file of one photo, and in a mat file.
    order : {"xyxy", "yxyx", "xywh"}
        Of a box's four numbers; w and h are counts of pixels.
    first : {0, 1}
        Number of the first pixel.
    inclusive : bool
        x2 and y2 are the last pixels in the box, not the first after it.

    Raises
    ------
    UserError
        A value is unusable, or there is no such file or folder.
    """

    path: str | None
    variable: str
    order: str
    first: int
    inclusive: bool

    def __post_init__(self) -> None:
        if self.path is None:
            raise UserError(
                "proposals.path is missing; give a folder with ID.npz, ID.json or ID.mat for each "
                "photo, or a file with the boxes of all"
            )
        for key in ("path", "variable"):
            if not isinstance(value := getattr(self, key), str):
                raise UserError(f"proposals.{key}={value}: give a text")
        if self.order not in ORDERS:
            raise UserError(f"proposals.order={self.order}: give one of {', '.join(ORDERS)}")
        if self.first not in (0, 1) or isinstance(self.first, bool):
            raise UserError(f"proposals.first={self.first}: give 0 or 1")
        if not isinstance(self.inclusive, bool):
            raise UserError(f"proposals.inclusive={self.inclusive}: give true or false")
        if not Path(self.path).exists():
            raise UserError(f"proposals.path={self.path}: no such file or folder; check the path")
        if Path(self.path).is_file():
            _of_all(self.path, self.variable)

    def generate(self, image: Image.Image, image_id: str) -> Proposals:
        """Look up the boxes of a photo; their order stays.

        Raises
        ------
        NoProposals
            There are none of this photo, or they are no boxes.
        """
        assert self.path is not None
        where = f"{self.path}: {image_id}"
        if Path(self.path).is_file():
            found = _of_all(self.path, self.variable).get(image_id)
            if found is None:
                raise NoProposals(f"{where}: no boxes of it; check the names there", NO_BOXES)
        else:
            file = self._file(image_id)
            where = str(file)
            try:
                found = read_one(file, self.variable)
            except UserError as error:
                raise NoProposals(str(error), DAMAGED) from error
        boxes, scores = _arrays(found, where)
        return clean(self._half_open(boxes), scores, *image.size)

    def _file(self, image_id: str) -> Path:
        assert self.path is not None
        folder = Path(self.path)
        for suffix in SUFFIXES:
            file = folder / f"{image_id}{suffix}"
            if file.resolve().is_relative_to(folder.resolve()) and file.is_file():
                return file
        endings = ", ".join(SUFFIXES)
        raise NoProposals(f"{folder / image_id}: no such file with {endings}", NO_BOXES)

    def _half_open(self, boxes: np.ndarray) -> np.ndarray:
        """Turn boxes (N, 4) as written into x1, y1, x2, y2, zero-based and half-open."""
        if self.order == "yxyx":
            boxes = boxes[:, [1, 0, 3, 2]]
        start = boxes[:, :2] - self.first
        if self.order == "xywh":
            return np.concatenate([start, start + boxes[:, 2:]], axis=1)
        return np.concatenate([start, boxes[:, 2:] - self.first + int(self.inclusive)], axis=1)


def _arrays(content: Content, where: str) -> tuple[np.ndarray, np.ndarray | None]:
    """Give boxes (N, 4) and scores (N,) as float64."""
    try:
        boxes = np.asarray(content.boxes, np.float64)
        scores = None if content.scores is None else np.asarray(content.scores, np.float64)
    except (TypeError, ValueError):
        raise NoProposals(f"{where}: not numbers; give four for each box", DAMAGED) from None
    if boxes.size == 0:
        boxes = boxes.reshape(0, 4)
    if boxes.ndim != 2 or boxes.shape[1] != 4:
        raise NoProposals(
            f"{where}: an array {boxes.shape}; give (N, 4), four numbers a box", DAMAGED
        )
    if scores is None:
        return boxes, None
    if scores.size != len(boxes):
        raise NoProposals(
            f"{where}: {scores.size} scores of {len(boxes)} boxes; give as many", DAMAGED
        )
    return boxes, scores.reshape(-1)


@lru_cache(maxsize=1)  # once in a process
def _of_all(file: str, variable: str) -> Mapping[str, Content]:
    """Read one file's boxes, by the photos' ids as written and, where that is clear, by stem."""
    return _by_stem_too(read_all(Path(file), variable))


def _by_stem_too(boxes: Mapping[str, Any]) -> dict[str, Any]:
    stems = Counter(PurePosixPath(name).stem for name in boxes)
    by_stem = {stem: boxes[name] for name in boxes if stems[stem := PurePosixPath(name).stem] == 1}
    return by_stem | dict(boxes)
