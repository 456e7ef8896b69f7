"""The part of OpenCV that makes proposals, `cv2.ximgproc`, which not every installation has."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from PIL import Image

from data_prep.errors import UserError
from grounding.proposals.boxes import NoProposals


def ximgproc() -> Any:
    """Return the module `cv2.ximgproc`.

    Raises
    ------
    UserError
        OpenCV or this part of it is not installed.
    """
    try:
        import cv2

        return cv2.ximgproc
    except (ImportError, AttributeError) as error:
        raise UserError(
            "these proposals need cv2.ximgproc: pip install --force-reinstall --no-deps "
            "opencv-contrib-python-headless (another opencv package, such as the "
            "opencv-python-headless of grad-cam, overwrites it); or use proposals=sliding_windows"
        ) from error


@contextmanager
def at_work(image_id: str) -> Iterator[None]:
    """Keep OpenCV to one thread, as photos are done side by side, and tell which one it refuses.

    Raises
    ------
    NoProposals
        In the block OpenCV refuses the photo.
    """
    import cv2

    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    except cv2.error as error:
        reason = " ".join(str(error).split())
        raise NoProposals(f"{image_id}: OpenCV fails ({reason}); leave it out", "opencv") from error
    finally:
        cv2.setNumThreads(before)


def reduced(image: Image.Image, long_side: int | None) -> np.ndarray:
    """Scale a photo down until its long side is `long_side`; a smaller one stays as it is.

    Returns
    -------
    ndarray (H, W, 3) uint8
        RGB.
    """
    scale = min(1.0, (long_side or max(image.size)) / max(image.size))
    size = (max(1, round(scale * image.width)), max(1, round(scale * image.height)))
    return np.asarray(image if size == image.size else image.resize(size))


def scaled_back(rectangles: Any, picture: np.ndarray, image: Image.Image) -> np.ndarray:
    """Turn OpenCV's rectangles in a reduced picture into boxes of the photo.

    Parameters
    ----------
    rectangles : array_like (N, 4)
        x, y, width, height; an empty tuple if there are none.
    picture : ndarray (H, W, 3)
        The reduced photo.
    image : PIL.Image.Image
        The photo.

    Returns
    -------
    ndarray (N, 4) float64
        x1, y1, x2, y2.
    """
    boxes = np.asarray(rectangles, np.float64).reshape(-1, 4)
    boxes[:, 2:] += boxes[:, :2]
    across, down = image.width / picture.shape[1], image.height / picture.shape[0]
    return boxes * [across, down, across, down]
