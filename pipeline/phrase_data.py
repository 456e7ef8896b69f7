"""The phrases that the configuration group `dataset` names, and their photos."""

from __future__ import annotations

from dataclasses import replace

from omegaconf import DictConfig
from PIL import Image

from data_prep.entities import read_entities
from data_prep.errors import check_number
from data_prep.images import UnusableImage
from data_prep.phrase_lines import read_phrase_lines
from data_prep.phrases import PhraseData, PhrasePhoto, Problem, fit_box
from data_prep.refcoco import read_refcoco
from pipeline.dataset_keys import OR_NULL, dataset_keys

SIZE_MISMATCH = ("scale", "warn", "refuse")
OTHER_SIZE, OTHER_SHAPE = "other size", "other shape"  # codes of a problem
SAME_SHAPE = 1.02  # at most so far apart are the scales of width and height
IMAGES = "the folder of the photos"
SPLIT = f"the name of a split{OR_NULL}"
KEYS = {
    "entities": {
        "root": "the folder that holds Sentences and Annotations",
        "images": IMAGES,
        "split": SPLIT,
        "captions": "related or all",
    },
    "jsonl": {"file": "the JSON Lines file", "images": IMAGES},
    "refcoco": {"file": "the JSON file", "images": IMAGES, "split": SPLIT},
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
    keys = dataset_keys(config, KEYS, "entities, jsonl or refcoco")
    if keys["kind"] == "entities":
        return read_entities(keys["root"], keys["images"], keys["split"], captions=keys["captions"])
    if keys["kind"] == "jsonl":
        return read_phrase_lines(keys["file"], keys["images"])
    return read_refcoco(keys["file"], keys["images"], keys["split"])


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
