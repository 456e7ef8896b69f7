"""Photos of PASCAL VOC for the pointing game."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

from data_prep.annotated import NO_OBJECT, AnnotatedData, AnnotatedPhoto, ClassRegions
from data_prep.phrases import Problem, fit_box
from data_prep.voc import VOC_CLASSES, VocImage, read_voc

ONLY_DIFFICULT = "only VOC-difficult objects"


def read_voc_photos(root: str | Path, split: str) -> AnnotatedData:
    """Read a split of PASCAL VOC (2007/2012 layout), or of own photos in its layout.

    A class whose boxes in a photo are all VOC-difficult is not asked for there; of any other class
    all boxes count for a hit.

    Parameters
    ----------
    root, split
        As for `read_voc`.

    Returns
    -------
    AnnotatedData
        In the order of the list. `labels` are the 20 of VOC, or, where another is found, those
        found, in alphabetical order. `left_out` has the reasons `ONLY_DIFFICULT` (pairs) and
        `NO_OBJECT` (photos; they are among the photos, with nothing to ask for). Problems: those
        of `read_voc`, and "box outside" (the box is left out) and "box clipped".

    Raises
    ------
    UserError
        There is no such list, or it is malformed.
    """
    problems: list[Problem] = []
    left_out: Counter[str] = Counter()
    images = read_voc(root, split, problems)
    photos = tuple(to_photo(image, problems, left_out) for image in images)
    found = {item.label for image in images for item in image.objects}
    labels = VOC_CLASSES if found <= set(VOC_CLASSES) else tuple(sorted(found))
    return AnnotatedData(photos, labels, tuple(problems), dict(left_out))


def to_photo(image: VocImage, problems: list[Problem], left_out: Counter[str]) -> AnnotatedPhoto:
    """Sort the objects by class, with boxes clipped to the photo; count what is not asked for."""
    fitted = [
        replace(item, box=box)
        for item in image.objects
        if (
            box := fit_box(
                item.box, image.width, image.height, f"{image.path}: {item.label}", problems
            )
        )
    ]
    image = replace(image, objects=tuple(fitted))
    asked = image.class_boxes()
    if hard := {item.label for item in fitted} - asked.keys():
        left_out[ONLY_DIFFICULT] += len(hard)
    if not fitted:
        left_out[NO_OBJECT] += 1
    classes = tuple(ClassRegions(label, tuple(boxes)) for label, boxes in asked.items())
    return AnnotatedPhoto(image.id, image.path, image.width, image.height, classes)
