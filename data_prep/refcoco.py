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
from typing import Any, NamedTuple

from data_prep.crawl.json_values import Misfit, parse
from data_prep.errors import UserError
from data_prep.phrases import (
    Box,
    Phrase,
    PhraseData,
    PhrasePhoto,
    Problem,
    Unusable,
    fit_box,
    is_box,
    photo_path,
)

REMEDY = (
    "give a JSON object with images, annotations and, perhaps, refs (a pickle such as refs(unc).p "
    "is not read, for it can run programs: load it where you trust it and save it as JSON)"
)


Row = dict[str, Any]


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
    try:
        data = parse(path.read_bytes().removeprefix(b"\xef\xbb\xbf"))
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); check the path") from error
    except Misfit as misfit:
        raise UserError(f"{path}: {misfit}; {REMEDY}") from misfit
    parts = {"refs": [], **data}
    images, annotations, refs = (
        _part(parts, name, path) for name in ("images", "annotations", "refs")
    )
    if not images:
        raise UserError(f"{path}: no images; {REMEDY}")
    if not refs and not any("caption" in image for image in images):
        raise UserError(f"{path}: no refs, and no image has a caption; {REMEDY}")
    return images, annotations, refs


def _part(data: Row, name: str, path: Path) -> list[Row]:
    if name not in data:
        raise UserError(f"{path}: no `{name}`; {REMEDY}")
    rows = data[name]
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise UserError(f"{path}: `{name}` is no list of objects; {REMEDY}")
    return rows


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
    image_of = {_key(image["id"]): image for image in images if "id" in image}
    annotation_of = {_key(row["id"]): row for row in annotations if "id" in row}
    for number, ref in enumerate(refs):
        where = f"{path}: ref {ref.get('ref_id', number)}"
        image = image_of.get(_key(ref.get("image_id")))
        annotation = annotation_of.get(_key(ref.get("ann_id")))
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
            of_image.setdefault(_key(row["image_id"]), []).append(row)
    times = Counter(_key(image.get("id")) for image in images)
    for number, image in enumerate(images):
        where, key = f"{path}: image {image.get('id', number)}", _key(image.get("id"))
        if times[key] > 1:
            reason = "the id is of several images; give each expression's image an id of its own"
            problems.append(Problem(where, "listed twice", reason))
        else:
            yield _Expression(where, image.get("caption"), image, of_image.get(key, []))


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
        boxes = tuple(_boxes(found, photo, where, problems))
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
    width, height = (_side(image.get(name)) for name in ("width", "height"))
    return PhrasePhoto(file.relative_to(images).as_posix(), file, width, height, (), ())


def _boxes(
    annotations: list[Row], photo: PhrasePhoto, where: str, problems: list[Problem]
) -> Iterator[Box]:
    for row in annotations:
        written = row.get("bbox")
        if not is_box(written):
            reason = f"the bbox {written!r} is not [x, y, width, height]; correct it"
            problems.append(Problem(where, "bad box", reason))
            continue
        x, y, width, height = (float(value) for value in written)
        corners = x, y, x + width, y + height
        box = fit_box(corners, photo.width, photo.height, where, problems)
        if box is not None:
            yield box


def _side(value: object) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        return None
    return value


def _key(value: object) -> str:
    """Give an id of any JSON kind as text, so that 7 and "7" are one."""
    return str(value)
