"""Photos of COCO for the pointing game: objects from its "instances" JSON.

Masks are turned by pycocotools. Its class `COCO` is not used: it stops at the first annotation
without an image, and of two images with one id it forgets one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from pycocotools import mask as coco_masks

from data_prep.annotated import UNREADABLE, AnnotatedData, AnnotatedPhoto, ClassRegions
from data_prep.coco_json import Row, key, load, part, read_box, side
from data_prep.errors import UserError
from data_prep.images import MAX_PIXELS
from data_prep.masks import to_rle
from data_prep.phrases import Box, Problem, Unusable, photo_path

ONLY_CROWDS = "only crowd regions"
REMEDY = "give a JSON object with images, annotations and categories, as instances_val2014.json"


def read_coco(path: str | Path, images: str | Path, masks: bool = True) -> AnnotatedData:
    """Read the objects of photos.

    Crowd regions (`iscrowd`: 1) are treated as VOC-difficult boxes are: a class with nothing else
    in a photo is not asked for there; of any other class they count for a hit too. Nor is a class
    asked of which a mask or box in the photo is unreadable: a hit could not be told from a miss.

    Parameters
    ----------
    path : str or Path
        JSON, UTF-8: `images` with id, file_name, width, height; `annotations` with image_id,
        category_id, segmentation (polygons or run lengths) or bbox (x, y, width, height), and
        perhaps iscrowd; `categories` with id and name.
    images : str or Path
        Folder of the photos, which no file_name may leave.
    masks : bool
        Read the segmentation, and take the boxes around the masks; otherwise the bbox alone.

    Returns
    -------
    AnnotatedData
        In the file's order; a photo's id is its file_name without the ending. `labels` are the
        names of the categories in the order of their ids. Masks stay run lengths. Classes are not
        asked for the reasons `ONLY_CROWDS` and `UNREADABLE`. Problems that cost a photo: "bad id",
        "listed twice", "bad name", "bad size", "missing", "no object" (it is among the photos,
        with nothing to ask for); a class in a photo: "bad mask", "bad box", "box outside"; a
        region: "unknown image" (once for each), "unknown category", "empty mask"; nothing: "box
        clipped".

    Raises
    ------
    UserError
        The file cannot be read or has another layout, there is no category, two have one id or
        name, or there is no folder `images`.
    """
    path, images = Path(path), Path(images)
    if not images.is_dir():
        raise UserError(f"{images}: no such folder; give the folder of the photos")
    data = load(path, REMEDY)
    listed, annotations, categories = (
        part(data, name, path, REMEDY) for name in ("images", "annotations", "categories")
    )
    for name, rows in (("images", listed), ("categories", categories)):
        if not rows:
            raise UserError(f"{path}: no {name}; {REMEDY}")
    labels = _labels(categories, path)
    reader = _Reader(path, images, labels, masks)
    return AnnotatedData(
        reader.read(listed, annotations),
        tuple(labels.values()),
        tuple(reader.problems),
    )


def _labels(categories: list[Row], path: Path) -> dict[str, str]:
    """Give the names by id, in the order of the ids."""
    labels: dict[str, str] = {}
    ids = [row.get("id") for row in categories]
    if not all(type(one) is int for one in ids):
        raise UserError(f"{path}: a category without a whole number as its id; {REMEDY}")
    for row in sorted(categories, key=lambda row: int(row["id"])):
        name = row.get("name")
        if not isinstance(name, str) or not name.strip():
            raise UserError(f"{path}: category {row['id']} has no name; {REMEDY}")
        if key(row["id"]) in labels or name.strip() in labels.values():
            raise UserError(f"{path}: category {row['id']}, {name!r}, is listed twice; remove one")
        labels[key(row["id"])] = name.strip()
    return labels


class _Region(NamedTuple):
    crowd: bool
    box: Box | None  # None: unreadable
    mask: Mapping[str, Any] | None


@dataclass
class _Reader:
    """Makes photos of rows; keeps what it could not use."""

    path: Path
    images: Path
    labels: dict[str, str]  # by category id
    masks: bool
    problems: list[Problem] = field(default_factory=list)

    def read(self, listed: list[Row], annotations: list[Row]) -> tuple[AnnotatedPhoto, ...]:
        of_image: dict[str, list[Row]] = {}
        for row in annotations:
            of_image.setdefault(key(row.get("image_id")), []).append(row)
        times = Counter(key(image["id"]) for image in listed if image.get("id") is not None)
        photos: dict[str, AnnotatedPhoto] = {}
        for image in listed:
            own = key(image.get("id"))
            try:
                if times[own] != 1:
                    reason = "it has no id, or that of another image; give each its own"
                    raise Unusable(self._where(image), "bad id", reason)
                photo = self._photo(image, of_image.get(own, []))
                if photo.id in photos:
                    reason = f"another image is {photo.id!r} too; keep one of them"
                    raise Unusable(self._where(image), "listed twice", reason)
                photos[photo.id] = photo
                self.problems += photo.without_objects(self._where(image))
            except Unusable as unusable:
                self.problems.append(unusable.problem)
        for unknown in [each for each in of_image if each not in times]:
            reason = f"it has annotations ({len(of_image[unknown]):,}), but is not listed; add it"
            self.problems.append(Problem(f"{self.path}: image {unknown}", "unknown image", reason))
        return tuple(photos.values())

    def _where(self, image: Row) -> str:
        return f"{self.path}: image {image.get('id')}"

    def _photo(self, image: Row, annotations: list[Row]) -> AnnotatedPhoto:
        where = self._where(image)
        file = photo_path(self.images, image.get("file_name"), where)
        width, height = side(image.get("width")), side(image.get("height"))
        if width is None or height is None or width * height > MAX_PIXELS:
            size = f"{image.get('width')!r} × {image.get('height')!r}"
            reason = f"{size} is no size in pixels, up to {MAX_PIXELS:,}; correct it"
            raise Unusable(where, "bad size", reason)
        if not file.is_file():
            reason = f"there is no {file}; add it, or take the image off the list"
            raise Unusable(where, "missing", reason)
        name = file.relative_to(self.images).with_suffix("").as_posix()
        classes, not_asked = [], {}
        for label, regions in self._regions(annotations, width, height, where).items():
            boxes = tuple(each.box for each in regions if each.box is not None)
            masks = tuple(each.mask for each in regions if each.mask is not None)
            if all(each.crowd for each in regions):
                not_asked[label] = ONLY_CROWDS
            elif len(boxes) < len(regions):
                not_asked[label] = UNREADABLE
            else:
                classes.append(ClassRegions(label, boxes, masks))
        return AnnotatedPhoto(name, file, width, height, tuple(classes), not_asked)

    def _regions(
        self, annotations: list[Row], width: int, height: int, where: str
    ) -> dict[str, list[_Region]]:
        """Give those of each class of a photo."""
        found: dict[str, list[_Region]] = {}
        for row in annotations:
            at = f"{where}, annotation {row.get('id')}"
            label = self.labels.get(key(row.get("category_id")))
            if label is None:
                category = repr(row.get("category_id"))
                reason = (
                    f"its category_id {category} is of no category; correct it, or add that one"
                )
                self.problems.append(Problem(at, "unknown category", reason))
                continue
            read = self._mask if self.masks else self._box
            region = read(row, width, height, at)
            if region is not None:
                found.setdefault(label, []).append(region)
        return found

    def _box(self, row: Row, width: int, height: int, where: str) -> _Region:
        return _Region(_is_crowd(row), read_box(row, width, height, where, self.problems), None)

    def _mask(self, row: Row, width: int, height: int, where: str) -> _Region | None:
        """Give None for a mask without a pixel, which changes nothing."""
        try:
            mask = to_rle(row.get("segmentation"), height, width)
        except ValueError as error:
            reason = f"its segmentation is unusable: {error}; correct it"
            self.problems.append(Problem(where, "bad mask", reason))
            return _Region(_is_crowd(row), None, None)
        if not coco_masks.area(mask):
            reason = "its segmentation covers no pixel; correct it, or remove it"
            self.problems.append(Problem(where, "empty mask", reason))
            return None
        x, y, across, down = map(float, coco_masks.toBbox(mask))
        return _Region(_is_crowd(row), (x, y, x + across, y + down), mask)


def _is_crowd(row: Row) -> bool:
    return bool(row.get("iscrowd") == 1)
