"""The photos with annotated classes that the configuration group `dataset` names."""

from __future__ import annotations

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


def read_annotated(config: DictConfig) -> AnnotatedData:
    """Read the dataset, with each pair's flag of the difficult subset: published or derived.

    Raises
    ------
    UserError
        A key is unusable, or the dataset cannot be read.
    """
    keys = dataset_keys(config, KEYS, "voc07, voc12, coco or imagenet")
    if keys["kind"] == "voc":
        data = read_voc_photos(keys["root"], keys["split"])
    elif keys["kind"] == "coco":
        if keys["regions"] not in REGIONS:
            raise UserError(f"dataset.regions={keys['regions']}: give {' or '.join(REGIONS)}")
        data = read_coco(keys["file"], keys["images"], masks=keys["regions"] == "masks")
    else:
        data = read_imagenet_boxes(keys["annotations"], keys["images"], keys["split"])
    return mark_difficult(data, keys.get("difficult"))
