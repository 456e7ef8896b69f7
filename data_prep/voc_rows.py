"""Annotated photos of PASCAL VOC as rows to clean: the classes in a photo are its tags."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa

from data_prep.crawl.source import UNREADABLE, Batch
from data_prep.errors import UserError
from data_prep.text import normalise
from data_prep.voc import VocImage, read_voc

SCHEMA = pa.schema(
    {
        "image_id": pa.string(),
        "tags": pa.list_(pa.string()),
        "unknown": pa.list_(pa.string()),
        "split": pa.string(),
    }
)


def voc_rows(root: str | Path, splits: Sequence[str]) -> Batch:
    """Read the photos of some splits as rows.

    Parameters
    ----------
    root : str or Path
        The year's folder, as for `read_voc`.
    splits : sequence of str
        Names of lists in ``ImageSets/Main`` that have no photo in common.

    Returns
    -------
    Batch
        `rows`, in the order of the lists: `image_id` (string), `tags` and `unknown` (lists of
        strings, see `classes`) and `split` (string), the list that names the photo.
        `unreadable` is empty.

    Raises
    ------
    UserError
        No split is named, a photo is on two lists, or `read_voc` refuses a file.
    """
    if not splits:
        raise UserError("data.splits is empty; name lists in ImageSets/Main, as in [train,val]")
    split_of: dict[str, str] = {}
    rows = []
    for split in splits:
        for image in read_voc(root, split):
            if image.id in split_of:
                raise UserError(
                    f"{root}: image {image.id} is on two lists, {split_of[image.id]} and {split}; "
                    "name lists in data.splits that have no image in common"
                )
            split_of[image.id] = split
            tags, unknown = classes(image)
            rows.append({"image_id": image.id, "tags": tags, "unknown": unknown, "split": split})
    return Batch(
        pa.RecordBatch.from_pylist(rows, SCHEMA), pa.RecordBatch.from_pylist([], UNREADABLE)
    )


def classes(image: VocImage) -> tuple[list[str], list[str]]:
    """Tell the classes that are in a photo from those that only may be.

    Returns
    -------
    tags : list of str
        Normalised classes with an object that is not VOC-difficult.
    unknown : list of str
        Classes with difficult objects only: as in the classification task of VOC, such a photo
        is neither a positive nor a negative of the class.

    Both have the class with the largest total box area first; ties keep the order of the file.
    """
    areas: defaultdict[str, float] = defaultdict(float)
    certain = set()
    for item in image.objects:
        label = normalise(item.label)
        x1, y1, x2, y2 = item.box
        areas[label] += (x2 - x1) * (y2 - y1)
        if not item.difficult:
            certain.add(label)
    ordered = sorted(areas, key=lambda label: -areas[label])
    return (
        [label for label in ordered if label in certain],
        [label for label in ordered if label not in certain],
    )
