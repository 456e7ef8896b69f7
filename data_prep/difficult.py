"""The pointing game's difficult subset: flags of a file, or derived from the annotation.

A pair of photo and class is difficult where the objects of the class cover less than a quarter of
the photo and another class distracts (Zhang et al. 2016). What that leaves open was
settled with the published flags of 2,476 images of the test set of VOC 2007, all 3,493 pairs of
which this reading gives as they are:

- Boxes that overlap count once: the area is that of their union. Their sum misses 16 pairs.
- VOC-difficult boxes count for the area. Without them 18 pairs are too many.
- A distractor is a class that is asked for as well. Classes with VOC-difficult boxes only do not
  distract; if they did, 61 pairs would be too many. (One that is not asked only since an object
  of it is unreadable is there all the same, and distracts.)

Whether exactly a quarter would be difficult cannot be told from them; here it is not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from data_prep.annotated import UNREADABLE, AnnotatedData, AnnotatedPhoto
from data_prep.errors import UserError
from data_prep.phrases import Problem

LARGE = 0.25  # share of the photo

Flags = Mapping[str, frozenset[str]]


def is_difficult(photo: AnnotatedPhoto) -> list[bool]:
    """Derive for each class of a photo whether it is difficult, as the module says."""
    large = LARGE * photo.width * photo.height
    distracted = len(photo.classes) + [*photo.not_asked.values()].count(UNREADABLE) > 1
    return [distracted and regions.area() < large for regions in photo.classes]


def mark_difficult(data: AnnotatedData, flags: str | Path | None) -> AnnotatedData:
    """Set `difficult` of every pair by the file `flags`; where None, derive it.

    Parameters
    ----------
    data : AnnotatedData
    flags : str or Path or None
        As for `read_difficult`, with the data's labels. It may tell of other photos too.

    Returns
    -------
    AnnotatedData
        `difficult` has `source`: "derived", or "published" and these counts: `pairs` that the file
        tells of, those `published` as difficult, `derived`, and `both`; `agreement`, the share of
        pairs that both have alike; `not_asked`, flags of classes that these photos lack or are
        not asked for; `other_photos` that the file tells of. Pairs of photos that the file does
        not tell of are None, with a problem "no difficult flags" for each photo; they are not
        derived, for the subset would be of two kinds.

    Raises
    ------
    UserError
        `read_difficult` refuses the file, or it tells of none of the photos.
    """
    if flags is None:
        photos = tuple(_marked(photo, is_difficult(photo)) for photo in data.photos)
        return replace(data, photos=photos, difficult={"source": "derived"})
    published = read_difficult(flags, data.labels)
    asked = [photo for photo in data.photos if photo.classes]
    untold = [photo for photo in asked if photo.id not in published]
    if asked and len(untold) == len(asked):
        raise UserError(
            f"{flags}: tells of photos such as {next(iter(published), 'none')!r} and of none of "
            f"these, such as {asked[0].id!r}; give the difficult flags of these photos, or none"
        )
    reason = f"{flags} does not tell of the photo, so it counts in All alone; add its flags"
    problems = tuple(Problem(str(photo.path), "no difficult flags", reason) for photo in untold)
    return replace(
        data,
        photos=tuple(_marked(photo, _flagged(photo, published)) for photo in data.photos),
        problems=data.problems + problems,
        difficult={
            "source": "published",
            **_agreement(asked, published),
            "other_photos": len(published.keys() - {photo.id for photo in data.photos}),
        },
    )


def _marked(photo: AnnotatedPhoto, flags: Sequence[bool | None]) -> AnnotatedPhoto:
    pairs = zip(photo.classes, flags, strict=True)
    return replace(photo, classes=tuple(replace(one, difficult=flag) for one, flag in pairs))


def _flagged(photo: AnnotatedPhoto, published: Flags) -> list[bool | None]:
    flagged = published.get(photo.id)
    return [None if flagged is None else one.label in flagged for one in photo.classes]


def _agreement(photos: Sequence[AnnotatedPhoto], published: Flags) -> dict[str, Any]:
    told = [photo for photo in photos if photo.id in published]
    pairs = [
        (one.label in published[photo.id], derived)
        for photo in told
        for one, derived in zip(photo.classes, is_difficult(photo), strict=True)
    ]
    flagged = sum(flag for flag, _ in pairs)
    return {
        "pairs": len(pairs),
        "published": flagged,
        "derived": sum(derived for _, derived in pairs),
        "both": sum(flag and derived for flag, derived in pairs),
        "agreement": sum(flag == derived for flag, derived in pairs) / len(pairs)
        if pairs
        else None,
        "not_asked": sum(len(published[photo.id]) for photo in told) - flagged,
    }


def read_difficult(path: str | Path, labels: Sequence[str]) -> dict[str, frozenset[str]]:
    """Read published "difficult" flags of the pointing game.

    Parameters
    ----------
    path : str or Path
        One image a line: its id and a flag (0 or 1) for each class, separated by blanks or tabs.
    labels : sequence of str
        The classes in the order of the flags: alphabetical for VOC, by category id for COCO.

    Returns
    -------
    dict of str to frozenset of str
        Image id to the classes flagged difficult in it. Images without a flag are present, so
        that a missing image can be told from an easy one.

    Raises
    ------
    UserError
        The file cannot be read or a line does not have this form.
    """
    path = Path(path)
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError as error:
        raise UserError(
            f"{path}: cannot be read ({error.strerror}); give the file of the difficult flags"
        ) from error
    flags: dict[str, frozenset[str]] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        image_id, *row = line.split()
        if image_id in flags:
            raise UserError(f"{path}:{number}: {image_id} stands there twice; remove one line")
        if len(row) != len(labels) or not set(row) <= {"0", "1"}:
            raise UserError(
                f"{path}:{number}: expected an image id and {len(labels)} flags of 0 or 1, one for "
                f"each class of the dataset ({labels[0]} … {labels[-1]}); give its own flags"
            )
        flags[image_id] = frozenset(
            label for label, flag in zip(labels, row, strict=True) if flag == "1"
        )
    return flags
