"""Stage `attend`: where a classifier sees each word in photos."""

import json
import re
import time
import zipfile
from collections import Counter
from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, get_args

import numpy as np
from omegaconf import DictConfig, OmegaConf
from PIL import Image
from rich.console import Console
from rich.progress import track

from data_prep.errors import UserError
from data_prep.images import UnusableImage, list_images, open_image
from grounding.classifier import Attention, Method, TagClassifier
from grounding.drawing import contact_row, contact_sheet, overlay
from grounding.words import caption_words, resolve
from pipeline.models import classifier
from pipeline.stage import finish, is_finished, start, strings

SHEET_PHOTOS = 40  # on the contact sheet; every photo has its own pictures besides
LARGEST_SIDE = 4096  # pixels; more is a slip, and would fill the memory

PICTURES = ("attention.npz", "overlay_*.png")  # of a photo
WRITES = (*PICTURES, *(f"*/{name}" for name in PICTURES), "contact_sheet.png", "rejects.jsonl")


def run(config: DictConfig) -> None:
    """Write attention maps, and pictures of them, for every photo and word.

    One photo's files go straight into `out`; of several each has a folder there. Photos that
    cannot be used are told, and listed in `rejects.jsonl`.

    Raises
    ------
    UserError
        A key is unusable, a word is not in the vocabulary, or no photo could be read.
    """
    _check(config)
    if is_finished(config):
        return
    began = time.perf_counter()
    paths = list_images(strings(config.image))
    tagger = classifier(config)
    words = _words(config, tagger)
    target = None if config.target is None else str(config.target)
    tagger.engine(target, config.resolution)  # a net it cannot treat is told at once
    ask = partial(
        tagger.attention,
        words=words,
        method=config.method,
        short_side=config.short_side,
        target=target,
        resolution=config.resolution,
    )
    if len(paths) == 1:
        open_image(paths[0], config.max_pixels)  # or an earlier run would be removed for nothing
    out = start(config, paths, WRITES)
    names = ["."] if len(paths) == 1 else safe_names(path.stem for path in paths)

    console = Console(stderr=True)
    photos: list[dict[str, Any]] = []
    rejects: list[dict[str, str]] = []
    rows: list[Image.Image] = []
    for path, name in track(
        list(zip(paths, names, strict=True)),
        "Photos",
        console=console,
        transient=True,
        disable=not console.is_terminal,
    ):
        try:
            image = open_image(path, config.max_pixels)
            attention = ask(image)
        except UserError as error:
            if len(paths) == 1:
                raise
            reason = str(error).removeprefix(f"{path}: ")
            rejects.append({"image": str(path), "code": _code(error), "reason": reason})
            console.print(
                f"rejected: {path}: {reason}", markup=False, highlight=False, soft_wrap=True
            )
            continue
        _write(out / name, image, attention.maps)
        size = {"width": image.width, "height": image.height}
        photos.append({"image": str(path), "folder": name, **size, **_measured(attention)})
        if len(rows) < SHEET_PHOTOS:
            rows.append(contact_row(image, attention.maps))
        scores = ", ".join(f"{word} {score:.2g}" for word, score in attention.scores.items())
        print(f"{path.name}: {scores}")

    if rejects:
        lines = "".join(json.dumps(reject, ensure_ascii=False) + "\n" for reject in rejects)
        (out / "rejects.jsonl").write_text(lines, encoding="utf-8")
    if not photos:
        raise UserError(f"image={config.image}: none of {len(paths)} files is a usable photo")
    contact_sheet(rows).save(out / "contact_sheet.png")
    metrics = {
        "photos": photos,
        "done": len(photos),
        "rejected": Counter(reject["code"] for reject in rejects),
        "seconds": round(time.perf_counter() - began, 3),
    }
    finish(out, metrics)
    print(f"{len(photos)} done, {len(rejects)} rejected; pictures: {out / 'contact_sheet.png'}")


def safe_names(texts: Iterable[str]) -> list[str]:
    """Turn texts into names for files: no separators, no two alike on any file system."""
    names: list[str] = []
    taken: set[str] = set()
    for text in texts:
        base = re.sub(r"[^\w-]+", "_", text).strip("_")[:80] or "unnamed"
        name, count = base, 1
        while name.casefold() in taken:
            count += 1
            name = f"{base}_{count}"
        taken.add(name.casefold())
        names.append(name)
    return names


def _code(error: UserError) -> str:
    """Say in a word or two why a photo was rejected."""
    if isinstance(error, UnusableImage):
        return error.code
    return "too small" if "raise short_side" in str(error) else "other"


def _check(config: DictConfig) -> None:
    if OmegaConf.is_missing(config, "image"):
        raise UserError("image is missing; give image=PHOTO, or a folder, a glob or a list of them")
    if config.method not in get_args(Method):
        raise UserError(f"method={config.method}: give one of {', '.join(get_args(Method))}")
    for key in ("short_side", "max_pixels", "resolution"):
        number = config[key]
        if key == "resolution" and number is None:
            continue
        if not isinstance(number, int) or number < 1:
            raise UserError(f"{key}={number}: give a whole number of pixels, 1 or more")
    if config.short_side > LARGEST_SIDE:
        raise UserError(f"short_side={config.short_side}: give {LARGEST_SIDE} pixels or fewer")
    if config.target is not None and config.resolution is not None:
        raise UserError("target= and resolution= both choose the layer; give one of them")


def _words(config: DictConfig, tagger: TagClassifier) -> list[str]:
    if (config.words is None) == (config.caption is None):
        raise UserError('give either words=[cat,espresso] or caption="A cat drinks espresso"')
    if config.caption is None:
        words = list(dict.fromkeys(strings(config.words)))
        for word in words:
            resolve(word, tagger.vocabulary)
    else:
        words = caption_words(str(config.caption), tagger.vocabulary)
    if not words:
        raise UserError("words= or caption= holds no word of the vocabulary; name what to look for")
    return words


def _write(folder: Path, image: Image.Image, maps: Mapping[str, np.ndarray]) -> None:
    folder.mkdir(exist_ok=True)
    for name, attention in zip(safe_names(maps), maps.values(), strict=True):
        picture = overlay(image, attention)
        picture.save(folder / f"overlay_{name}.png", compress_level=1)  # 6: +4 s per 12 megapixels
    # np.savez takes the words as keyword arguments, so that "file" could not be one.
    with zipfile.ZipFile(folder / "attention.npz", "w") as archive:
        for word, attention in maps.items():
            with archive.open(f"{word}.npy", "w", force_zip64=True) as file:
                np.lib.format.write_array(file, attention)


def _measured(attention: Attention) -> dict[str, Any]:
    return {
        "target": attention.target,
        "seconds": round(attention.seconds, 4),
        "words": {
            match.word: {
                "classes": match.names,
                "indices": match.classes,
                "how": match.how,
                "score": attention.scores[match.word],
                "leak": attention.leak[match.word],
            }
            for match in attention.matches
        },
    }
