"""Sheets of examples from a pointing game: what each method looked at."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
from omegaconf import DictConfig

from data_prep.annotated import AnnotatedPhoto
from data_prep.images import open_annotated
from grounding.example_sheet import Example, MethodMap, example_sheet
from pipeline.photo_maps import PhotoMaps
from pipeline.point_tables import in_words

Pair = tuple[str, str]  # photo's id and class
Plays = dict[Pair, dict[str, tuple[bool, tuple[int, int] | None]]]  # method → hit, point


def write_examples(
    config: DictConfig, table: pa.Table, photos: Sequence[AnnotatedPhoto], maps: PhotoMaps
) -> list[tuple[str, Path]]:
    """Write OUT/examples_*.jpg; their maps are made again.

    Returns
    -------
    list of (str, Path)
        Title and file of each sheet that has an example.
    """
    if not config.examples:
        return []
    plays = _plays(table)
    of_photo = {photo.id: photo for photo in photos}
    first = maps.lines[0].name
    made = []
    for name, title, pairs in _choices(plays, first, config.seed):
        examples = []
        for pair in pairs[: config.examples]:
            examples.append(_example(of_photo[pair[0]], pair[1], plays[pair], maps, config))
        if examples:
            file = Path(config.out, f"examples_{name}.jpg")
            example_sheet(examples, file)
            made.append((title, file))
    return made


def _plays(table: pa.Table) -> Plays:
    plays: Plays = {}
    keys = ("image", "label", "method", "hit", "x", "y")
    for image, label, method, hit, x, y in zip(
        *(table[key].to_pylist() for key in keys), strict=True
    ):
        point = None if x is None else (x, y)
        plays.setdefault((image, label), {})[method] = (hit, point)
    return plays


def _choices(plays: Plays, first: str, seed: int) -> list[tuple[str, str, list[Pair]]]:
    """Name, title and pairs of each sheet: at random, and where methods differ most."""
    drawn = list(plays)
    random.Random(seed).shuffle(drawn)
    hits = {pair: sum(hit for hit, _ in of.values()) for pair, of in plays.items()}
    won = sorted((pair for pair in drawn if plays[pair][first][0]), key=lambda pair: hits[pair])
    lost = sorted(
        (pair for pair in drawn if not plays[pair][first][0]), key=lambda pair: -hits[pair]
    )
    others = len(next(iter(plays.values()))) > 1
    title = in_words(first)
    chosen = [("random", "Examples at random", drawn)]
    if others:
        chosen.append(("hits", f"{title} hits, and as few others as possible", won))
    chosen.append(("misses", f"{title} misses" + (", and others hit" if others else ""), lost))
    return chosen


def _example(
    photo: AnnotatedPhoto,
    label: str,
    plays: dict[str, tuple[bool, tuple[int, int] | None]],
    maps: PhotoMaps,
    config: DictConfig,
) -> Example:
    image = open_annotated(photo.path, (photo.width, photo.height), config.max_pixels)
    found = maps(image, [label])
    regions = next(each for each in photo.classes if each.label == label)
    mask = regions.mask()
    return Example(
        photo=image,
        label=label,
        maps={
            in_words(name): MethodMap(
                None if name == "centre" else found[name][0].float().cpu().numpy(), point, hit
            )
            for name, (hit, point) in plays.items()
        },
        boxes=regions.boxes,
        masks=() if mask is None else (mask,),
    )
