"""Edge Boxes: windows that wholly enclose many contours."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from data_prep.errors import UserError, check_number
from grounding.proposals.boxes import Proposals, clean
from grounding.proposals.opencv import at_work, reduced, scaled_back, ximgproc


@dataclass(frozen=True)
class EdgeBoxes:
    """OpenCV's Edge Boxes (Zitnick and Dollár, 2014), with its scores.

    Attributes
    ----------
    model_file : str
        The structured forest that finds edges: `model.yml.gz` of OpenCV's extra data.
    long_side : int or None
        The photo is scaled down to it; None: as it is.
    max_boxes : int
    alpha, beta : float
        IoU of neighbouring windows, which sets the step of the search; and IoU above which the
        weaker of two boxes is left out.
    min_score : float

    Raises
    ------
    UserError
        A value is unusable, the model cannot be read, or OpenCV has no Edge Boxes.
    """

    model_file: str | None
    long_side: int | None
    max_boxes: int
    alpha: float
    beta: float
    min_score: float

    def __post_init__(self) -> None:
        check_number("proposals.long_side", self.long_side, 16, whole=True, or_null=True)
        check_number("proposals.max_boxes", self.max_boxes, 1, whole=True)
        for key in ("alpha", "beta"):
            check_number(f"proposals.{key}", getattr(self, key), 0.05, 0.99)
        check_number("proposals.min_score", self.min_score, 0)
        if self.model_file is None:
            raise UserError(
                "proposals.model_file is missing; give the structured forest that finds edges: "
                "model.yml.gz of OpenCV's extra data (ximgproc)"
            )
        if not isinstance(self.model_file, str):
            raise UserError(f"proposals.model_file={self.model_file}: give a file, model.yml.gz")
        _edge_detector(self.model_file)

    def generate(self, image: Image.Image, image_id: str) -> Proposals:
        """Find boxes, the highest score first."""
        assert self.model_file is not None
        picture = reduced(image, self.long_side)
        detector = _edge_detector(self.model_file)
        finder = ximgproc().createEdgeBoxes(
            alpha=self.alpha, beta=self.beta, minScore=self.min_score, maxBoxes=self.max_boxes
        )
        with at_work(image_id):
            edges = detector.detectEdges(picture.astype(np.float32) / 255)
            orientations = detector.computeOrientation(edges)
            thin = detector.edgesNms(edges, orientations)
            rectangles, scores = finder.getBoundingBoxes(thin, orientations)
        boxes = scaled_back(rectangles, picture, image)
        found = [] if scores is None else scores  # None: of no boxes
        return clean(boxes, np.asarray(found, np.float32).reshape(-1), *image.size)


@lru_cache(maxsize=1)  # reading takes a second, and every process needs it once
def _edge_detector(file: str) -> Any:
    ximgproc()
    if not Path(file).is_file():
        raise UserError(f"proposals.model_file={file}: no such file; check the path")
    import cv2

    try:
        return cv2.ximgproc.createStructuredEdgeDetection(file)
    except cv2.error as error:
        raise UserError(
            f"proposals.model_file={file}: no structured forest; give model.yml.gz of OpenCV's "
            "extra data (ximgproc)"
        ) from error
