"""Flickr30k Entities from its folder.

The layout is that of the official release: https://github.com/BryanPlummer/flickr30k_entities
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from data_prep.entities.annotations import Annotation, read_annotation
from data_prep.entities.sentences import NOT_VISUAL, Mention, Sentence, read_sentences
from data_prep.errors import UserError
from data_prep.phrases import Phrase, PhraseData, PhrasePhoto, Problem, Unusable

SUFFIXES = (".jpg", ".jpeg", ".png")

_NAME = re.compile(r"\w[\w.-]*")  # an id or split that cannot leave its folder


def read_entities(
    root: str | Path,
    images: str | Path,
    split: str | None,
    *,
    captions: Literal["related", "all"] = "related",
) -> PhraseData:
    """Read the phrases of a split, with the boxes of what they name.

    A phrase has all boxes that its chain has in the photo. What is unusable is told in `problems`
    and left out: a line, a box, or a photo without sentences or annotation.

    Parameters
    ----------
    root : str or Path
        Folder with `Sentences`, `Annotations`, the lists of the splits and, perhaps,
        `UNRELATED_CAPTIONS`.
    images : str or Path
        Folder of the photos, `ID.jpg` (or .jpeg, .png). They are not opened.
    split : str or None
        Name of a list, such as val or test; None takes every photo that has sentences.
    captions : {"related", "all"}
        Whether the captions of `UNRELATED_CAPTIONS` are left out. The list numbers them from 1:
        its numbers go up to 5, the captions of a photo, and none is 0.

    Returns
    -------
    PhraseData
        `not_counted` has these reasons: "not visual" (chain 0), "scene", "nobndbox", "not
        annotated", "bad box", "blank" (no words) and "unrelated caption". A phrase's id counts
        captions and brackets as in the file, those left out included.

    Raises
    ------
    UserError
        A folder or the list is missing, or the list is empty.
    """
    root, images = Path(root), Path(images)
    if captions not in ("related", "all"):
        raise UserError(f"dataset.captions={captions}: give related or all")
    _check_folders(root, images)
    problems: list[Problem] = []
    ids = list(_ids(root, split, problems))
    left_out = _read_unrelated(root, problems) if captions == "related" else set()
    not_counted: Counter[str] = Counter()
    photos: list[PhrasePhoto] = []
    unrelated = 0
    for photo_id in ids:
        try:
            sentences, faults = read_sentences(root / "Sentences" / f"{photo_id}.txt")
            annotation = read_annotation(root / "Annotations" / f"{photo_id}.xml")
        except Unusable as unusable:
            problems.append(unusable.problem)
            continue
        problems += [*faults, *annotation.problems]
        used = [s for s in sentences if (photo_id, s.number + 1) not in left_out]
        gone = [s for s in sentences if (photo_id, s.number + 1) in left_out]
        unrelated += len(gone)
        not_counted["unrelated caption"] += sum(len(s.mentions) for s in gone)
        phrases = tuple(_phrases(photo_id, used, annotation, not_counted))
        texts = tuple(sentence.text for sentence in used)
        size = annotation.width, annotation.height
        photos.append(PhrasePhoto(photo_id, _photo(images, photo_id), *size, texts, phrases))
    return PhraseData(tuple(photos), dict(+not_counted), tuple(problems), unrelated)


def _check_folders(root: Path, images: Path) -> None:
    for folder in (root / "Sentences", root / "Annotations"):
        if not folder.is_dir():
            raise UserError(f"{folder}: no such folder; give the one of Flickr30k Entities as root")
    if not images.is_dir():
        raise UserError(f"{images}: no such folder; give the folder of the photos")


def _phrases(
    photo_id: str, sentences: list[Sentence], annotation: Annotation, not_counted: Counter[str]
) -> Iterator[Phrase]:
    for caption, sentence in enumerate(sentences):
        for number, mention in enumerate(sentence.mentions):
            start, end, chain, types = mention
            if why := _why_not_counted(mention, annotation):
                not_counted[why] += 1
                continue
            boxes = tuple(annotation.boxes[chain])
            name = f"{photo_id}:{sentence.number}:{number}"
            text = sentence.text[start:end]
            yield Phrase(name, text, caption, start, end, boxes, types, chain)


def _why_not_counted(mention: Mention, annotation: Annotation) -> str:
    if mention.start == mention.end:
        return "blank"
    if mention.chain == NOT_VISUAL:
        return "not visual"
    return "" if mention.chain in annotation.boxes else annotation.why_boxless(mention.chain)


def _ids(root: Path, split: str | None, problems: list[Problem]) -> Iterator[str]:
    """Give the ids of the photos, each once."""
    folder = root / "Sentences"
    if split is None:
        rows = [(str(path), path.stem) for path in sorted(folder.glob("*.txt"))]
        remedy = f"{folder}: no file of sentences; give the folder of Flickr30k Entities as root"
    else:
        path = root / f"{split}.txt"
        if not _NAME.fullmatch(split) or not path.is_file():
            raise UserError(f"{path}: no such list of a split; give the name of one, such as test")
        text = path.read_text(encoding="utf-8-sig", errors="replace")
        rows = [(f"{path}:{n}", line.strip()) for n, line in enumerate(text.split("\n"), 1)]
        remedy = f"{path}: the list is empty; write one photo id a line"
    seen = {""}
    for where, photo_id in rows:
        if not photo_id:
            continue
        if not _NAME.fullmatch(photo_id):
            reason = f"{photo_id!r} is no photo id; use letters, digits, '.', '_' and '-'"
            problems.append(Problem(where, "bad id", reason))
        elif photo_id in seen:
            reason = f"photo {photo_id} is listed twice; remove one of the lines"
            problems.append(Problem(where, "listed twice", reason))
        else:
            seen.add(photo_id)
            yield photo_id
    if len(seen) == 1:
        raise UserError(remedy)


def _read_unrelated(root: Path, problems: list[Problem]) -> set[tuple[str, int]]:
    """Give photo ids and numbers, from 1, of captions that do not fit their photo."""
    path = root / "UNRELATED_CAPTIONS"
    if not path.is_file():
        return set()
    found: set[tuple[str, int]] = set()
    text = path.read_text(encoding="utf-8-sig", errors="replace")
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip() or line.startswith("#"):
            continue
        match = re.fullmatch(r"(\S+)\s+([1-9][0-9]{0,8})", line.strip())
        if match:
            found.add((match[1], int(match[2])))
        else:
            reason = "expected a photo id and the number, from 1, of a caption; correct the line"
            problems.append(Problem(f"{path}:{number}", "malformed line", reason))
    return found


def _photo(images: Path, photo_id: str) -> Path:
    names = [images / f"{photo_id}{suffix}" for suffix in SUFFIXES]
    return next((path for path in names if path.is_file()), names[0])
