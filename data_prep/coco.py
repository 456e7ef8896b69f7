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

from data_prep.annotated import NO_OBJECT, AnnotatedData, AnnotatedPhoto, ClassRegions
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
    in a photo is not asked for there; of any other class they count for a hit too.

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
        names of the categories in the order of their ids. Masks stay run lengths. `left_out` has
        the reasons `ONLY_CROWDS` (pairs) and `NO_OBJECT` (photos; they are among the photos, with
        nothing to ask for). Problems that cost a photo: "bad id", "listed twice", "bad name",
        "bad size", "missing"; that cost a region: "unknown image" (once for each),
        "unknown category", "bad mask", "bad box", "box outside"; that cost nothing: "box clipped".

    Raises
    ------
    UserError
        The file cannot be read or has another layout, two categories have one id or name, or there
        is no folder `images`.
    """
    path, images = Path(path), Path(images)
    if not images.is_dir():
        raise UserError(f"{images}: no such folder; give the folder of the photos")
    data = load(path, REMEDY)
    listed, annotations, categories = (
        part(data, name, path, REMEDY) for name in ("images", "annotations", "categories")
    )
    if not listed:
        raise UserError(f"{path}: no images; {REMEDY}")
    labels = _labels(categories, path)
    reader = _Reader(path, images, labels, masks)
    return AnnotatedData(
        reader.read(listed, annotations),
        tuple(labels.values()),
        tuple(reader.problems),
        dict(reader.left_out),
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
    label: str
    box: Box
    mask: Mapping[str, Any] | None
    crowd: bool


@dataclass
class _Reader:
    """Makes photos of rows; keeps what it could not use."""

    path: Path
    images: Path
    labels: dict[str, str]  # by category id
    masks: bool
    problems: list[Problem] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)

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
                    reason = f"{image['file_name']!r} is of several images; keep one of them"
                    raise Unusable(self._where(image), "listed twice", reason)
                photos[photo.id] = photo
            except Unusable as unusable:
                self.problems.append(unusable.problem)
        for unknown in of_image.keys() - times.keys():
            reason = f"{len(of_image[unknown])} annotations are of no listed image; add it"
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
        classes = self._classes(annotations, width, height, where)
        name = file.relative_to(self.images).with_suffix("").as_posix()
        return AnnotatedPhoto(name, file, width, height, classes)

    def _classes(
        self, annotations: list[Row], width: int, height: int, where: str
    ) -> tuple[ClassRegions, ...]:
        found: dict[str, list[_Region]] = {}
        for row in annotations:
            try:
                region = self._region(row, width, height, f"{where}, annotation {row.get('id')}")
            except Unusable as unusable:
                self.problems.append(unusable.problem)
                continue
            if region is not None:
                found.setdefault(region.label, []).append(region)
        if not found:
            self.left_out[NO_OBJECT] += 1
        classes = []
        for label, regions in found.items():
            if all(region.crowd for region in regions):
                self.left_out[ONLY_CROWDS] += 1
                continue
            masks = tuple(region.mask for region in regions if region.mask is not None)
            classes.append(ClassRegions(label, tuple(region.box for region in regions), masks))
        return tuple(classes)

    def _region(self, row: Row, width: int, height: int, where: str) -> _Region | None:
        label = self.labels.get(key(row.get("category_id")))
        if label is None:
            reason = f"its category_id {row.get('category_id')!r} is of no category; add that one"
            raise Unusable(where, "unknown category", reason)
        crowd = row.get("iscrowd") == 1
        if not self.masks:
            box = read_box(row, width, height, where, self.problems)
            return None if box is None else _Region(label, box, None, crowd)
        try:
            mask = to_rle(row.get("segmentation"), height, width)
        except ValueError as error:
            reason = f"its segmentation is unusable: {error}; correct it"
            raise Unusable(where, "bad mask", reason) from error
        x, y, across, down = map(float, coco_masks.toBbox(mask))
        return _Region(label, (x, y, x + across, y + down), mask, crowd)
