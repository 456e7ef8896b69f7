"""The phrases that the configuration group `dataset` names, and their photos."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from omegaconf import DictConfig, OmegaConf
from PIL import Image

from data_prep.entities import read_entities
from data_prep.errors import UserError, check_number
from data_prep.images import UnusableImage
from data_prep.phrase_lines import read_phrase_lines
from data_prep.phrases import PhraseData, PhrasePhoto, Problem, fit_box
from data_prep.refcoco import read_refcoco

SIZE_MISMATCH = ("scale", "warn", "refuse")
OTHER_SIZE, OTHER_SHAPE = "other size", "other shape"  # codes of a problem
SAME_SHAPE = 1.02  # at most so far apart are the scales of width and height
KEYS = {
    "entities": {"root", "images", "split", "captions"},
    "jsonl": {"file", "images"},
    "refcoco": {"file", "images", "split"},
}

FILE = {"jsonl": "the JSON Lines file", "refcoco": "the JSON file"}
WHAT = {
    "root": "the folder that holds Sentences and Annotations",
    "images": "the folder of the photos",
    "split": "the name of a split",
    "captions": "related or all",
    "kind": "entities, jsonl or refcoco",
}


def read_phrases(config: DictConfig) -> PhraseData:
    """Read the dataset; `config.limit` keeps its first photos only.

    Raises
    ------
    UserError
        A key is unusable, or the dataset cannot be read.
    """
    data = _read(config)
    check_number("limit", config.limit, 1, whole=True, or_null=True)
    return replace(data, photos=data.photos[: config.limit])


def _read(config: DictConfig) -> PhraseData:
    keys = {str(key): _value(config.dataset, str(key)) for key in config.dataset}
    kind = keys.pop("kind", None)
    if KEYS.get(str(kind)) != keys.keys():
        raise UserError(f"dataset.kind={kind}: give dataset=entities, jsonl or refcoco instead")
    if kind == "entities":
        return read_entities(keys["root"], keys["images"], keys["split"], captions=keys["captions"])
    if kind == "jsonl":
        return read_phrase_lines(keys["file"], keys["images"])
    return read_refcoco(keys["file"], keys["images"], keys["split"])


def _value(keys: DictConfig, key: str) -> Any:
    missing = OmegaConf.is_missing(keys, key)
    value = None if missing else keys[key]
    if key == "split" and value is None and not missing:
        return None
    if not isinstance(value, str) or not value:
        given = "is missing" if missing else f"is {value}"
        what = {**WHAT, "file": FILE.get(keys.get("kind"), "a file")}.get(key, "a text")
        raise UserError(f"dataset.{key} {given}; give dataset.{key}=…, {what}")
    return value


def fit_to_photo(
    photo: PhrasePhoto, image: Image.Image, how: str
) -> tuple[PhrasePhoto, list[Problem]]:
    """Bring the boxes of a photo that has another size than its annotation to the photo's size.

    Without an annotated size, the boxes are clipped to the photo; a phrase of which none is left
    is left out.

    Parameters
    ----------
    photo : PhrasePhoto
    image : PIL.Image.Image
        Its picture.
    how : {"scale", "warn", "refuse"}
        With "warn" the boxes stay as they are.

    Returns
    -------
    PhrasePhoto
        With the picture's size.
    list of Problem
        What was found.

    Raises
    ------
    UnusableImage
        The size differs, and `how` is "refuse"; or with "scale" the shape does: the photo has been
        turned or cut.
    """
    size = image.size
    if photo.width is None or photo.height is None:
        return _clipped(replace(photo, width=size[0], height=size[1]))
    if (photo.width, photo.height) == size:
        return photo, []
    reason = (
        f"{size[0]}×{size[1]} pixels, but annotated as {photo.width}×{photo.height}; "
        "get the photo in its original size"
    )
    if how == "refuse":
        message = f"{photo.path}: {reason}, or give size_mismatch=scale"
        raise UnusableImage(message, OTHER_SIZE)
    x, y = size[0] / photo.width, size[1] / photo.height
    rounded = min(abs(y * photo.width - size[0]), abs(x * photo.height - size[1])) <= 1
    if how == "scale" and max(x, y) > SAME_SHAPE * min(x, y) and not rounded:
        message = f"{photo.path}: turned or cut, its boxes cannot be scaled: {reason}"
        raise UnusableImage(message, OTHER_SHAPE)
    code = "boxes scaled" if how == "scale" else OTHER_SIZE
    problem = Problem(str(photo.path), code, reason)
    photo = replace(photo, width=size[0], height=size[1])
    if how == "warn":
        return photo, [problem]
    phrases = tuple(
        replace(p, boxes=tuple((x * x1, y * y1, x * x2, y * y2) for x1, y1, x2, y2 in p.boxes))
        for p in photo.phrases
    )
    return replace(photo, phrases=phrases), [problem]


def _clipped(photo: PhrasePhoto) -> tuple[PhrasePhoto, list[Problem]]:
    problems: list[Problem] = []
    phrases = []
    for p in photo.phrases:
        where = f"{photo.path}: phrase {p.id}"
        fitted = [fit_box(box, photo.width, photo.height, where, problems) for box in p.boxes]
        if boxes := tuple(box for box in fitted if box is not None):
            phrases.append(replace(p, boxes=boxes))
    return replace(photo, phrases=tuple(phrases)), problems
