"""Photos of PASCAL VOC for the pointing game."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from data_prep.annotated import UNREADABLE, AnnotatedData, AnnotatedPhoto, ClassRegions
from data_prep.phrases import Problem, fit_box
from data_prep.voc import VOC_CLASSES, VocImage, read_voc

ONLY_DIFFICULT = "only VOC-difficult objects"


def read_voc_photos(root: str | Path, split: str) -> AnnotatedData:
    """Read a split of PASCAL VOC (2007/2012 layout), or of own photos in its layout.

    A class whose boxes in a photo are all VOC-difficult is not asked for there; of any other class
    all boxes count for a hit. Nor is a class asked of which a box in the photo is unreadable:
    a hit could not be told from a miss.

    Parameters
    ----------
    root, split
        As for `read_voc`.

    Returns
    -------
    AnnotatedData
        In the order of the list. `labels` are the 20 of VOC, or, where another is found, those
        found, in alphabetical order; these are not `in_order`. Classes are not asked for the
        reasons `ONLY_DIFFICULT` and `UNREADABLE`. Problems: those of `read_voc`, "box outside"
        (the class is left out), "box clipped" and "no object" (the photo is among the photos,
        with nothing to ask for).

    Raises
    ------
    UserError
        There is no such list, or it is malformed.
    """
    problems: list[Problem] = []
    images = read_voc(root, split, problems)
    photos = tuple(to_photo(image, problems) for image in images)
    found = {item.label for image in images for item in image.objects}
    if found <= set(VOC_CLASSES):
        return AnnotatedData(photos, VOC_CLASSES, tuple(problems))
    return AnnotatedData(photos, tuple(sorted(found)), tuple(problems), in_order=False)


def to_photo(image: VocImage, problems: list[Problem]) -> AnnotatedPhoto:
    """Sort the objects by class, with boxes clipped to the photo."""
    fitted, lost = [], list(image.unreadable)
    for item in image.objects:
        where = f"{image.path}: {item.label}"
        box = fit_box(item.box, image.width, image.height, where, problems)
        if box is None:
            lost.append(item.label)
        else:
            fitted.append(replace(item, box=box))
    image = replace(image, objects=tuple(fitted))
    asked = image.class_boxes()
    not_asked = {item.label: ONLY_DIFFICULT for item in fitted if item.label not in asked}
    not_asked |= dict.fromkeys(lost, UNREADABLE)
    classes = tuple(
        ClassRegions(label, tuple(boxes))
        for label, boxes in asked.items()
        if label not in not_asked
    )
    photo = AnnotatedPhoto(image.id, image.path, image.width, image.height, classes, not_asked)
    problems += photo.without_objects(str(image.path))
    return photo
