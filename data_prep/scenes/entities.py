"""Captioned scenes in the layout of Flickr30k Entities.

The layout is that of the official release: https://github.com/BryanPlummer/flickr30k_entities
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree as ET  # to write; what is read goes through defusedxml

import numpy as np

from data_prep.scenes.captions import Captions, write_captions
from data_prep.scenes.plan import Plan, plan_scene
from data_prep.scenes.settings import SceneSettings

FIRST_ID = 5_000_000_000
CHAINS_PER_SCENE = 20
STREAM = 3  # of random numbers, beside those of the crawl


class Captioned(NamedTuple):
    """A scene with captions.

    Attributes
    ----------
    image_id : str
        Digits, as in Flickr30k.
    plan : Plan
        Of the picture.
    captions : Captions
        About it.
    """

    image_id: str
    plan: Plan
    captions: Captions


def captioned_scenes(settings: SceneSettings) -> Iterator[Captioned]:
    """Give the captioned scenes, none of which is in the crawl."""
    for index in range(settings.captioned):
        seed = (settings.seed, STREAM, index)
        plan = plan_scene(settings.size, seed)
        random = np.random.default_rng([*seed, 2])
        captions = write_captions(plan, 1 + CHAINS_PER_SCENE * index, random)
        yield Captioned(str(FIRST_ID + 7 * index), plan, captions)


def write_entities(folder: Path, scenes: list[Captioned], boxes: list[np.ndarray]) -> None:
    """Write sentences, annotations, the splits and the list of unrelated captions.

    Parameters
    ----------
    folder : Path
        Gets `Sentences/ID.txt`, `Annotations/ID.xml`, `val.txt`, `test.txt` and
        `UNRELATED_CAPTIONS`.
    scenes : list of Captioned
        Every other one is of the test split.
    boxes : list of np.ndarray
        Of each scene's things: x1, y1, x2, y2 in pixels, half-open; (things, 4) int64.
    """
    for kind in ("Sentences", "Annotations"):
        (folder / kind).mkdir(parents=True, exist_ok=True)
    for scene, found in zip(scenes, boxes, strict=True):
        _write(folder / "Sentences" / f"{scene.image_id}.txt", scene.captions.lines)
        tree = ET.ElementTree(annotation(scene, found))
        ET.indent(tree, "\t")
        tree.write(folder / "Annotations" / f"{scene.image_id}.xml", encoding="utf-8")
    for place, split in enumerate(("val", "test")):
        _write(folder / f"{split}.txt", [scene.image_id for scene in scenes[place::2]])
    unrelated = [
        f"{scene.image_id} {number}" for scene in scenes for number in scene.captions.unrelated
    ]
    _write(folder / "UNRELATED_CAPTIONS", ["# format: <imageID> <sentence number>", *unrelated])


def annotation(scene: Captioned, boxes: np.ndarray) -> ET.Element:
    """Give the annotation of a scene: one object for each box, and for each chain without one.

    An object bears the ids of all chains that it belongs to. Boxes are written 1-based with
    their last pixel; the parameters are those of `write_entities`.
    """
    root = ET.Element("annotation")
    _add(root, "filename", f"{scene.image_id}.jpg")
    size = ET.SubElement(root, "size")
    for name, value in (("width", scene.plan.width), ("height", scene.plan.height), ("depth", 3)):
        _add(size, name, value)
    for place, (x1, y1, x2, y2) in enumerate(boxes.tolist()):
        chains = [chain for chain, places in scene.captions.chains.items() if place in places]
        box = ET.SubElement(_object(root, chains), "bndbox")
        for name, value in (("xmin", x1 + 1), ("ymin", y1 + 1), ("xmax", x2), ("ymax", y2)):
            _add(box, name, value)
    for chain in scene.captions.scenes:
        _flags(_object(root, [chain]), scene=1, nobndbox=0)
    for chain in scene.captions.boxless:
        _flags(_object(root, [chain]), scene=0, nobndbox=1)
    return root


def _object(root: ET.Element, chains: list[str]) -> ET.Element:
    found = ET.SubElement(root, "object")
    for chain in chains:
        _add(found, "name", chain)
    return found


def _flags(found: ET.Element, **values: int) -> None:
    for name, value in values.items():
        _add(found, name, value)


def _add(parent: ET.Element, name: str, value: object) -> None:
    ET.SubElement(parent, name).text = str(value)


def _write(path: Path, lines: list[str]) -> None:
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
