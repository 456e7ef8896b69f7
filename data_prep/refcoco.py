"""Referring expressions (RefCOCO, RefCOCO+, RefCOCOg) from JSON in the style of COCO.

The pickles of the original release (`refs(unc).p`, https://github.com/lichengunc/refer) are not
read: to open a pickle runs whatever program is in it. Load one that you trust, and save it as
JSON together with the images and annotations of its `instances.json`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from data_prep.coco_json import Row, key, load, part, read_box, side
from data_prep.errors import UserError
from data_prep.phrases import (
    Phrase,
    PhraseData,
    PhrasePhoto,
    Problem,
    Unusable,
    photo_path,
)

REMEDY = (
    "give a JSON object with images, annotations and, perhaps, refs (a pickle such as refs(unc).p "
    "is not read, for it can run programs: load it where you trust it and save it as JSON)"
)


class _Expression(NamedTuple):
    """An expression, the image that it is of, and the annotations of what it names."""

    where: str
    text: object
    image: Row | None
    annotations: list[Row]


def read_refcoco(path: str | Path, images: str | Path, split: str | None = None) -> PhraseData:
    """Read referring expressions: each is a caption, and one phrase that spans it.

    Two layouts are known; in both, `images` have id, file_name, width, height, and `annotations`
    have image_id and bbox: x, y, width, height in pixels from the photo's top left corner.

    - With `refs`, as in refer: each has ann_id, image_id, split, and sentences with `sent` or
      `raw`. The box is that of the annotation with this id.
    - Without, as in MDETR: an image has an expression as its caption, and stands in the list as
      often as there are expressions. The boxes are all annotations with its image_id.

    Parameters
    ----------
    path : str or Path
        UTF-8.
    images : str or Path
        Folder of the photos, which no file_name may leave. They are not opened.
    split : str, optional
        Takes the refs, or the images, with this `split`; all by default.

    Returns
    -------
    PhraseData
        One photo for each file_name, which is its id, in the order of the first expression.
        `not_counted` has the reasons "no box" and "bad box". Problems: "no annotation" (a ref's
        ann_id is of none), "bad name" (the image is unknown, or has no usable file_name), "listed
        twice" (an id of two images, so that boxes are anybody's), "bad phrase" (no text), "bad
        box", "box outside" (the box is left out) and "box clipped".

    Raises
    ------
    UserError
        The file cannot be read or has another layout, there is no folder `images`, or nothing is
        of the split.
    """
    path, images = Path(path), Path(images)
    if not images.is_dir():
        raise UserError(f"{images}: no such folder; give the folder of the photos")
    listed, annotations, refs = _load(path)
    problems: list[Problem] = []
    if refs:
        refs = _of_split(refs, split, path)
        expressions = _from_refs(path, listed, annotations, refs, problems)
    else:
        listed = _of_split(listed, split, path)
        expressions = _from_captions(path, listed, annotations, problems)
    return _collect(expressions, images, problems)


def _load(path: Path) -> tuple[list[Row], list[Row], list[Row]]:
    """Give the images, the annotations and the refs, if there are any."""
    data = {"refs": [], **load(path, REMEDY)}
    images, annotations, refs = (
        part(data, name, path, REMEDY) for name in ("images", "annotations", "refs")
    )
    if not images:
        raise UserError(f"{path}: no images; {REMEDY}")
    if not refs and not any("caption" in image for image in images):
        raise UserError(f"{path}: no refs, and no image has a caption; {REMEDY}")
    return images, annotations, refs


def _of_split(rows: list[Row], split: str | None, path: Path) -> list[Row]:
    kept = [row for row in rows if split is None or row.get("split") == split]
    if not kept:
        known = ", ".join(sorted({str(row["split"]) for row in rows if "split" in row}))
        remedy = f"give one of {known}" if known else "the file has none, so leave the split out"
        raise UserError(f"{path}: nothing is of split {split!r}; {remedy}")
    return kept


def _from_refs(
    path: Path,
    images: list[Row],
    annotations: list[Row],
    refs: list[Row],
    problems: list[Problem],
) -> Iterator[_Expression]:
    image_of = {key(image["id"]): image for image in images if "id" in image}
    annotation_of = {key(row["id"]): row for row in annotations if "id" in row}
    for number, ref in enumerate(refs):
        where = f"{path}: ref {ref.get('ref_id', number)}"
        image = image_of.get(key(ref.get("image_id")))
        annotation = annotation_of.get(key(ref.get("ann_id")))
        if annotation is None:
            reason = f"its ann_id {ref.get('ann_id')!r} is of none of the annotations; add that one"
            problems.append(Problem(where, "no annotation", reason))
        sentences = ref.get("sentences")
        for sentence in sentences if isinstance(sentences, list) else [None]:
            said = sentence if isinstance(sentence, dict) else {}
            text = said.get("sent") or said.get("raw")
            yield _Expression(where, text, image, [annotation] if annotation else [])


def _from_captions(
    path: Path, images: list[Row], annotations: list[Row], problems: list[Problem]
) -> Iterator[_Expression]:
    of_image: dict[str, list[Row]] = {}
    for row in annotations:
        if "image_id" in row:
            of_image.setdefault(key(row["image_id"]), []).append(row)
    times = Counter(key(image.get("id")) for image in images)
    for number, image in enumerate(images):
        where, own = f"{path}: image {image.get('id', number)}", key(image.get("id"))
        if times[own] > 1:
            reason = "the id is of several images; give each expression's image an id of its own"
            problems.append(Problem(where, "listed twice", reason))
        else:
            yield _Expression(where, image.get("caption"), image, of_image.get(own, []))


def _collect(
    expressions: Iterator[_Expression], images: Path, problems: list[Problem]
) -> PhraseData:
    """Bring the expressions of a photo together."""
    not_counted: Counter[str] = Counter()
    photos: dict[str, PhrasePhoto] = {}
    for where, text, image, found in expressions:
        try:
            photo = _photo(image, images, where)
            if not isinstance(text, str) or not text.strip():
                raise Unusable(where, "bad phrase", "an expression without text; give its words")
        except Unusable as unusable:
            problems.append(unusable.problem)
            continue
        photo = photos.get(photo.id, photo)
        boxes = tuple(
            box
            for row in found
            if (box := read_box(row, photo.width, photo.height, where, problems)) is not None
        )
        if not boxes:
            not_counted["bad box" if found else "no box"] += 1
            continue
        text, caption = text.strip(), len(photo.captions)
        phrase = Phrase(f"{photo.id}:{caption}:0", text, caption, 0, len(text), boxes)
        captions, phrases = (*photo.captions, text), (*photo.phrases, phrase)
        photos[photo.id] = replace(photo, captions=captions, phrases=phrases)
    return PhraseData(tuple(photos.values()), dict(not_counted), tuple(problems))


def _photo(image: Row | None, images: Path, where: str) -> PhrasePhoto:
    if image is None:
        reason = "its image_id is of none of the images; add the image"
        raise Unusable(where, "bad name", reason)
    file = photo_path(images, image.get("file_name"), where)
    width, height = (side(image.get(name)) for name in ("width", "height"))
    return PhrasePhoto(file.relative_to(images).as_posix(), file, width, height, (), ())
