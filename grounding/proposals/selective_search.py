"""Selective search: boxes of the regions that similar neighbours are merged into."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image

from data_prep.errors import UserError, check_number
from grounding.proposals.boxes import Proposals, clean
from grounding.proposals.opencv import at_work, reduced, scaled_back, ximgproc

MODES = {
    "single": "switchToSingleStrategy",
    "fast": "switchToSelectiveSearchFast",
    "quality": "switchToSelectiveSearchQuality",
}


@dataclass(frozen=True)
class SelectiveSearch:
    """OpenCV's selective search (Uijlings et al., 2013).

    Attributes
    ----------
    mode : {"fast", "quality", "single"}
        How many colour spaces, similarities and segmentations are searched.
    long_side : int or None
        The photo is scaled down to it for the search; None: as it is.
    min_side : float
        Boxes with a shorter side, in pixels of the photo, are left out.
    max_boxes : int or None
        At most so many, the first of the order.
    seed : int
        Of the order.

    Raises
    ------
    UserError
        A value is unusable, or OpenCV has no selective search.
    """

    mode: str
    long_side: int | None
    min_side: float
    max_boxes: int | None
    seed: int

    def __post_init__(self) -> None:
        if not isinstance(self.mode, str) or self.mode not in MODES:
            raise UserError(f"proposals.mode={self.mode}: give one of {', '.join(MODES)}")
        check_number("proposals.long_side", self.long_side, 16, whole=True, or_null=True)
        check_number("proposals.max_boxes", self.max_boxes, 1, whole=True, or_null=True)
        check_number("proposals.min_side", self.min_side, 0)
        check_number("proposals.seed", self.seed, 0, 2**32, whole=True)
        ximgproc()

    def generate(self, image: Image.Image, image_id: str) -> Proposals:
        """Search a photo.

        The order is the paper's with size for place in the hierarchy: a box's rank by area, the
        largest 1, times a random number. OpenCV's own order depends on the C library's `rand`.
        """
        picture = reduced(image, self.long_side)
        search = ximgproc().segmentation.createSelectiveSearchSegmentation()
        with at_work(image_id):
            search.setBaseImage(np.ascontiguousarray(picture[:, :, ::-1]))
            getattr(search, MODES[self.mode])()
            rectangles = np.unique(np.asarray(search.process()).reshape(-1, 4), axis=0)
        boxes = scaled_back(rectangles, picture, image)
        sides = boxes[:, 2:] - boxes[:, :2]
        large = (sides >= self.min_side).all(1)
        boxes, areas = boxes[large], sides[large].prod(1)
        ranks = 1 + np.argsort(np.argsort(-areas, kind="stable"))
        draws = np.random.default_rng(self.seed).random(len(boxes))
        order = np.argsort(ranks * draws, kind="stable")
        return clean(boxes[order][: self.max_boxes], None, *image.size)
