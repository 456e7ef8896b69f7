"""The phrases that the configuration group `dataset` names, and their photos."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from omegaconf import DictConfig, OmegaConf
from PIL import Image

from data_prep.entities import read_entities
from data_prep.errors import UserError
from data_prep.phrase_lines import read_phrase_lines
from data_prep.phrases import PhraseData, PhrasePhoto, Problem
from data_prep.refcoco import read_refcoco

SIZE_MISMATCH = ("scale", "warn", "refuse")


def read_phrases(config: DictConfig) -> PhraseData:
    """Read the dataset; `config.limit` keeps its first photos only.

    Raises
    ------
    UserError
        A key is unusable, or the dataset cannot be read.
    """
    data = _read(config)
    limit = config.limit
    if limit is None:
        return data
    if not isinstance(limit, int) or isinstance(limit, bool) or limit < 1:
        raise UserError(f"limit={limit}: give a whole number of photos, 1 or more, or null")
    return replace(data, photos=data.photos[:limit])


def _read(config: DictConfig) -> PhraseData:
    keys = {str(key): _value(config.dataset, str(key)) for key in config.dataset}
    kind = keys.pop("kind", None)
    if kind == "entities":
        return read_entities(keys["root"], keys["images"], keys["split"], captions=keys["captions"])
    if kind == "jsonl":
        return read_phrase_lines(keys["file"], keys["images"])
    if kind == "refcoco":
        return read_refcoco(keys["file"], keys["images"], keys["split"])
    raise UserError(f"dataset.kind={kind}: give dataset=entities, jsonl or refcoco")


def _value(keys: DictConfig, key: str) -> Any:
    missing = OmegaConf.is_missing(keys, key)
    value = None if missing else keys[key]
    if key == "split" and value is None and not missing:
        return None
    if not isinstance(value, str) or not value:
        given = "is missing" if missing else f"is {value}"
        raise UserError(f"dataset.{key} {given}; give dataset.{key}=…, a text")
    return value


def fit_to_photo(
    photo: PhrasePhoto, image: Image.Image, how: str
) -> tuple[PhrasePhoto, Problem | None]:
    """Bring the boxes of a photo that has another size than its annotation to the photo's size.

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
    Problem or None
        What was found.

    Raises
    ------
    UserError
        The size differs, and `how` is "refuse".
    """
    annotated, size = (photo.width, photo.height), image.size
    if annotated == size or photo.width is None or photo.height is None:
        return replace(photo, width=size[0], height=size[1]), None
    reason = (
        f"{size[0]}×{size[1]} pixels, but annotated as {photo.width}×{photo.height}; "
        "get the photo in its original size"
    )
    if how == "refuse":
        raise UserError(f"{photo.path}: {reason}, or give size_mismatch=scale")
    code = "boxes scaled" if how == "scale" else "other size"
    problem = Problem(str(photo.path), code, reason)
    photo = replace(photo, width=size[0], height=size[1])
    if how == "warn":
        return photo, problem
    x, y = size[0] / annotated[0], size[1] / annotated[1]  # type: ignore[operator]
    phrases = tuple(
        replace(p, boxes=tuple((x * x1, y * y1, x * x2, y * y2) for x1, y1, x2, y2 in p.boxes))
        for p in photo.phrases
    )
    return replace(photo, phrases=phrases), problem
