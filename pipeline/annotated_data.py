"""The photos with annotated classes that the configuration group `dataset` names."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from data_prep.annotated import AnnotatedData
from data_prep.coco import read_coco
from data_prep.difficult import mark_difficult
from data_prep.errors import UserError
from data_prep.imagenet_boxes import read_imagenet_boxes
from data_prep.voc_photos import read_voc_photos
from pipeline.dataset_keys import OR_NULL, dataset_keys

IMAGES = "the folder of the photos"
DIFFICULT = f"the file of the difficult flags{OR_NULL}"
REGIONS = ("masks", "boxes")
KEYS = {
    "voc": {
        "root": "the folder that holds ImageSets, Annotations and JPEGImages",
        "split": "the name of a list in ImageSets/Main",
        "difficult": DIFFICULT,
    },
    "coco": {
        "file": "the JSON file of the instances",
        "images": IMAGES,
        "regions": " or ".join(REGIONS),
        "difficult": DIFFICULT,
    },
    "imagenet": {
        "annotations": "the folder of the XML files",
        "images": IMAGES,
        "split": f"a file of ids{OR_NULL}",
    },
}
FOLDERS = ("root", "images", "annotations")
FILES = {"voc": ("difficult",), "coco": ("file", "difficult"), "imagenet": ("split",)}
# What the readers' messages are about, beside the file that they name.
READ = {"voc": ("root", "split"), "coco": ("file",), "imagenet": ("annotations", "split")}


def read_annotated(config: DictConfig) -> AnnotatedData:
    """Read the dataset, with each pair's flag of the difficult subset: published or derived.

    Raises
    ------
    UserError
        A key is unusable, or the dataset cannot be read.
    """
    keys = dataset_keys(config, KEYS, "voc07, voc12, coco or imagenet")
    if keys.get("regions", REGIONS[0]) not in REGIONS:
        raise UserError(f"dataset.regions={keys['regions']}: give {' or '.join(REGIONS)}")
    _check_paths(keys)
    try:
        data = _read(keys)
    except UserError as error:
        raise UserError(_about(error, keys, *READ[keys["kind"]])) from error
    try:
        return mark_difficult(data, keys.get("difficult"))
    except UserError as error:
        raise UserError(_about(error, keys, "difficult")) from error


def _check_paths(keys: Mapping[str, Any]) -> None:
    """Refuse folders and files that are not there."""
    kind = keys["kind"]
    for key, what in KEYS[kind].items():
        path = keys[key]
        if path is None:
            continue
        if key in FOLDERS and not Path(path).is_dir():
            raise UserError(f"dataset.{key}={path}: there is no such folder; give {what}")
        if key in FILES[kind] and not Path(path).is_file():
            raise UserError(f"dataset.{key}={path}: there is no such file; give {what}")


def _about(error: UserError, keys: Mapping[str, Any], *names: str) -> str:
    """Tell the keys that a message is about, and no path twice."""
    given = [name for name in names if keys[name] is not None]
    message = str(error)
    for name in given:
        message = message.removeprefix(f"{keys[name]}: ")
    return f"{', '.join(f'dataset.{name}={keys[name]}' for name in given)}: {message}"


def _read(keys: Mapping[str, Any]) -> AnnotatedData:
    if keys["kind"] == "voc":
        return read_voc_photos(keys["root"], keys["split"])
    if keys["kind"] == "coco":
        return read_coco(keys["file"], keys["images"], masks=keys["regions"] == "masks")
    return read_imagenet_boxes(keys["annotations"], keys["images"], keys["split"])
