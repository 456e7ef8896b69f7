"""Captions, phrases and boxes as JSON Lines: a simple format for data of one's own."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeGuard

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


def read_phrase_lines(path: str | Path, images: str | Path) -> PhraseData:
    """Read photos with captions, phrases and boxes.

    Each line is an object, one photo a line; without the breaks::

        {"image": "sea/7.jpg", "width": 500, "height": 375,
         "captions": ["A dog by the sea .", "Waves ."],
         "phrases": [{"caption": 0, "text": "A dog", "start": 0, "types": ["animals"],
                      "chain": "1", "boxes": [[10, 20, 110, 95.5]]}]}

    `image` is relative to `images`. `caption` with one text may stand for `captions`. Of a phrase
    `text` and `boxes` are needed: x1, y1, x2, y2 in pixels from the photo's top left corner,
    half-open (x2 and y2 are one past the last pixel). Without `start`, the phrase is looked for in
    its caption: whole words, the next occurrence for a text that comes again. `caption` is 0,
    `types`, `chain` and the size are empty if absent.

    Parameters
    ----------
    path : str or Path
        UTF-8, one object a line; blank lines are skipped.
    images : str or Path
        Folder of the photos, which no name may leave. They are not opened.

    Returns
    -------
    PhraseData
        A photo's id is its `image`. `not_counted` has the reasons "no box" and "bad box".
        Problems: "malformed line", "bad name", "listed twice" (the line is left out), "bad
        phrase", "not in caption" (the phrase is), "bad box" (the phrase, if it is not four
        numbers, else the box), "box outside" (the box is) and "box clipped".

    Raises
    ------
    UserError
        The file cannot be read or holds nothing, or there is no folder `images`.
    """
    path, images = Path(path), Path(images)
    if not images.is_dir():
        raise UserError(f"{images}: no such folder; give the folder of the photos")
    try:
        lines = path.read_bytes().removeprefix(b"\xef\xbb\xbf").split(b"\n")
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); check the path") from error
    problems: list[Problem] = []
    not_counted: Counter[str] = Counter()
    photos: dict[str, PhrasePhoto] = {}
    for number, line in enumerate(lines, 1):
        if line.strip():
            where = f"{path}:{number}"
            try:
                row = parse(line)
                file = photo_path(images, row.get("image"), where)
                name = file.relative_to(images).as_posix()
                if name in photos:
                    reason = f"photo {name} is listed twice; put its captions on one line"
                    raise Unusable(where, "listed twice", reason)
                photos[name] = _photo(name, file, row, where, not_counted, problems)
            except Misfit as misfit:
                problems.append(_malformed(where, str(misfit)).problem)
            except Unusable as unusable:
                problems.append(unusable.problem)
    if not photos and not problems:
        raise UserError(f"{path}: the file is empty; write one JSON object a photo")
    return PhraseData(tuple(photos.values()), dict(not_counted), tuple(problems))


def _photo(
    name: str,
    file: Path,
    row: dict[str, Any],
    where: str,
    not_counted: Counter[str],
    problems: list[Problem],
) -> PhrasePhoto:
    captions = row.get("captions", [row.get("caption")])
    if not isinstance(captions, list) or not all(isinstance(text, str) for text in captions):
        raise _malformed(where, '"captions" must be a list of texts, or "caption" a text')
    size = [row.get(side) for side in ("width", "height")]
    if not all(side is None or (_is_whole(side) and side > 0) for side in size):
        raise _malformed(where, '"width" and "height" must be whole numbers above 0')
    written = row.get("phrases", [])
    if not isinstance(written, list):
        raise _malformed(where, '"phrases" must be a list of objects')
    photo = PhrasePhoto(name, file, size[0], size[1], tuple(captions), ())
    phrases: list[Phrase] = []
    next_of: dict[tuple[int, str], int] = {}  # caption and text → where to look from
    for number, item in enumerate(written):
        here = f"{where}: phrase {number}"
        try:
            phrase = _place(photo, number, item, here, next_of)
            listed = _listed(item.get("boxes") or [], here)
        except Unusable as unusable:
            problems.append(unusable.problem)
            continue
        fitted = [fit_box(box, photo.width, photo.height, here, problems) for box in listed]
        boxes = tuple(box for box in fitted if box is not None)
        if boxes:
            phrases.append(replace(phrase, boxes=boxes))
        else:
            not_counted["bad box" if listed else "no box"] += 1
    return replace(photo, phrases=tuple(phrases))


def _place(
    photo: PhrasePhoto,
    number: int,
    item: object,
    where: str,
    next_of: dict[tuple[int, str], int],
) -> Phrase:
    """Find a phrase in its caption; it has no boxes yet."""
    if not isinstance(item, dict):
        raise Unusable(where, "bad phrase", "no object; write one with text and boxes")
    text, types, chain = item.get("text"), item.get("types", []), item.get("chain", "")
    if not isinstance(text, str) or not text.strip():
        raise Unusable(where, "bad phrase", 'it has no "text"; give its words')
    if not isinstance(types, list) or not all(isinstance(kind, str) for kind in types):
        raise Unusable(where, "bad phrase", '"types" must be a list of texts')
    if not isinstance(chain, str):
        raise Unusable(where, "bad phrase", '"chain" must be a text')
    text, caption, start = text.strip(), item.get("caption", 0), item.get("start")
    if not _is_whole(caption) or not 0 <= caption < len(photo.captions):
        reason = f'"caption" must be a whole number from 0 to {len(photo.captions) - 1}'
        raise Unusable(where, "bad phrase", reason)
    whole = photo.captions[caption]
    if start is None:
        pattern = re.compile(rf"(?<!\w){re.escape(text)}(?!\w)")
        found = pattern.search(whole, next_of.get((caption, text), 0)) or pattern.search(whole)
        start = found.start() if found else -1
    if not _is_whole(start) or start < 0 or not whole.startswith(text, start):
        reason = f"caption {caption} does not have {text!r} there; write it as in the caption"
        raise Unusable(where, "not in caption", reason)
    end = start + len(text)
    next_of[caption, text] = end
    return Phrase(
        f"{photo.id}:{caption}:{number}", text, caption, start, end, (), tuple(types), chain
    )


def _listed(boxes: object, where: str) -> list[Box]:
    if not isinstance(boxes, list) or not all(map(is_box, boxes)):
        reason = '"boxes" must be a list of [x1, y1, x2, y2], four numbers in pixels'
        raise Unusable(where, "bad box", reason)
    return [(float(x1), float(y1), float(x2), float(y2)) for x1, y1, x2, y2 in boxes]


def _malformed(where: str, fault: str) -> Unusable:
    return Unusable(where, "malformed line", f"{fault}; correct the line")


def _is_whole(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool)
