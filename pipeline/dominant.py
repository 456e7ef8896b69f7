"""Stage `dominant`: boxes of the dominant object from thresholded maps.

Beside this module: `annotated_data` (the dataset), `photo_maps` (the maps),
`parts` (what a kill leaves), `dominant_output` (what is left behind). The method itself is in
`grounding.dominant`.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import pyarrow as pa
from omegaconf import DictConfig, OmegaConf
from PIL import Image

from data_prep.annotated import AnnotatedData, AnnotatedPhoto
from data_prep.errors import UserError, check_number
from grounding.dominant import FACTORS, best_overlaps, dominant_boxes
from grounding.preprocessing import upsampled
from grounding.processes import processes
from pipeline.annotated_data import read_annotated
from pipeline.dominant_output import WRITES, Splits, write_results
from pipeline.method_lines import method_lines
from pipeline.parts import PARTS
from pipeline.photo_maps import (
    ABSENT,
    PhotoMaps,
    Row,
    check_common,
    inputs,
    mapping,
    photo_maps,
    work_on_photos,
)
from pipeline.problems import first_of
from pipeline.published import check_published
from pipeline.stage import device, disk_full, is_finished, start, strings

PAIRS = ("single", "all")
SEVERAL = "several classes"  # a reason in what photos were left out
SCHEMA = pa.schema(
    [
        pa.field("photo", pa.string()),
        pa.field("label", pa.string()),
        pa.field("word", pa.string()),
        pa.field("method", pa.string()),  # a line's name
        pa.field("threshold", pa.string()),  # a key of FACTORS
        pa.field("boxes", pa.list_(pa.int32())),  # 4 for each factor; zeros: no box
        pa.field("overlaps", pa.list_(pa.float64())),  # of each box, the best with the class
    ]
)


def run(config: DictConfig) -> None:
    """Write the boxes, the metrics and the curves of the tuning.

    Under torchrun the processes share the photos; the first one merges and prints. A killed run
    goes on with the parts that it had not finished, or that were made of something else.

    Raises
    ------
    UserError
        A key is unusable, model or photos cannot be found, or there is nothing to tune or measure
        on.
    """
    _check(config)
    with processes(device(config)) as here:
        if here.on_first(lambda: is_finished(config)):
            return
        data = _read(config)
        maps, absent = photo_maps(config, data, here.device)
        splits = _splits(config, data, maps, absent)
        maps.try_out()
        here.on_first(lambda: start(config, inputs(config), WRITES, (PARTS,), resume=()))
        with disk_full(config.out, "free some, and the same command goes on"):
            of_photo = partial(_of_photo, maps=maps, kinds=strings(config.thresholds))
            work_on_photos(config, splits.photos, SCHEMA, maps, of_photo, here, "Boxes")
            here.wait()
            here.on_first(lambda: write_results(config, splits, maps, here.world))


def _read(config: DictConfig) -> list[AnnotatedData]:
    """Read the photos to measure on and, if they are apart, those to tune on."""
    data = [read_annotated(config)]
    if config.tune_split is not None:
        if "split" not in config.dataset:
            raise UserError(
                f"tune_split={config.tune_split}: dataset={config.dataset.kind} has no splits; "
                "leave it null"
            )
        if config.tune_split == config.dataset.split:
            raise UserError(
                f"tune_split={config.tune_split}: the same as dataset.split; give another one, or "
                "null to tune on half of its photos"
            )
        tuning = OmegaConf.merge(config, {"dataset": {"split": config.tune_split}})
        assert isinstance(tuning, DictConfig)
        try:
            data.append(read_annotated(tuning))
        except UserError as error:
            split = f"split={config.tune_split}"
            raise UserError(str(error).replace(f"dataset.{split}", f"tune_{split}")) from error
        shared = {photo.path for photo in data[0].photos} & {photo.path for photo in data[1].photos}
        if shared:
            raise UserError(
                f"tune_split={config.tune_split}: {len(shared):,} of its photos are of "
                f"dataset.split={config.dataset.split} too, {min(shared)} for one; give others"
            )
    return data


def _splits(
    config: DictConfig, data: Sequence[AnnotatedData], maps: PhotoMaps, absent: Sequence[str]
) -> Splits:
    """Choose the photos that tune and those that are measured."""
    chosen = []
    left_out, photos_left_out = Counter({ABSENT: 0}), Counter({SEVERAL: 0})
    remedy = "; pairs=all takes photos of several classes too" if config.pairs == "single" else ""
    for each, key in zip(data, (f"dataset={config.dataset.kind}", "tune_split"), strict=False):
        kept = [p for p in each.photos if config.pairs == "all" or _annotated_classes(p) < 2]
        photos_left_out[SEVERAL] += len(each.photos) - len(kept)
        left_out[ABSENT] += sum(one.label in absent for photo in kept for one in photo.classes)
        left_out.update(replace(each, photos=tuple(kept)).left_out)
        chosen.append([photo for photo in kept if maps.asked(photo)][: config.limit])
        if not chosen[-1]:
            raise UserError(
                f"{key}: no photo to ask for a class among {len(each.photos):,}, "
                f"{len(each.problems):,} problems{first_of(each.problems)}{remedy}"
            )
    if config.tune_split is None:
        if len(chosen[0]) == 1:
            raise UserError(
                "tune_split=null: a single photo to ask for a class cannot both tune and be "
                f"measured; give more, or a larger limit{remedy}"
            )
        chosen = _halves(chosen[0], config.seed)
    problems = tuple(problem for each in data for problem in each.problems)
    measured, tuning = map(tuple, chosen)
    return Splits(measured, tuning, left_out, photos_left_out, tuple(absent), problems)


def _annotated_classes(photo: AnnotatedPhoto) -> int:
    return len(photo.classes) + len(photo.not_asked)


def _halves(photos: Sequence[AnnotatedPhoto], seed: int) -> list[list[AnnotatedPhoto]]:
    """Photos to measure and to tune on, each in their order."""
    tuning = set(random.Random(seed).sample(range(len(photos)), len(photos) // 2))
    halves: list[list[AnnotatedPhoto]] = [[], []]
    for place, photo in enumerate(photos):
        halves[place in tuning].append(photo)
    return halves


def _of_photo(
    photo: AnnotatedPhoto, image: Image.Image, maps: PhotoMaps, kinds: Sequence[str]
) -> list[Row]:
    """Give a row of `SCHEMA` for each class, line and kind of threshold."""
    asked = maps.asked(photo)
    rows = []
    for method, grids in maps(image, [regions.label for regions in asked]).items():
        for regions, grid in zip(asked, grids, strict=True):
            attention = upsampled(grid, *image.size)
            for kind in kinds:
                boxes = dominant_boxes(attention, kind)
                row = {
                    "photo": str(photo.path),
                    "label": regions.label,
                    "word": maps.words[regions.label].word,
                    "method": method,
                    "threshold": kind,
                    "boxes": boxes.ravel().tolist(),
                    "overlaps": best_overlaps(boxes, regions.boxes).tolist(),
                }
                rows.append(row)
    return rows


def _check(config: DictConfig) -> None:
    check_common(config)
    if config.pairs not in PAIRS:
        raise UserError(f"pairs={config.pairs}: give one of {', '.join(PAIRS)}")
    kinds = strings(config.thresholds)
    if not kinds or len(set(kinds)) < len(kinds) or not FACTORS.keys() >= set(kinds):
        raise UserError(f"thresholds={kinds}: give some of {', '.join(FACTORS)}, each once")
    for name, error in mapping(config, "published").items():
        check_number(f"published.{name}", error, 0, 100)
    check_published(config)
    for line in method_lines(config):
        if any(settings.method == "centre" for settings in line.maps):
            raise UserError(
                f"methods={line.name}: the centre is a point and has no box; leave it out, a box "
                "in the middle is measured anyway"
            )
