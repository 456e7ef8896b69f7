"""Captions and annotations, read back as a reader of Flickr30k Entities would."""

import re
from pathlib import Path
from typing import NamedTuple
from xml.etree.ElementTree import Element

import numpy as np
import pytest
from defusedxml import ElementTree

from data_prep.scenes import (
    Captioned,
    Plan,
    SceneSettings,
    captioned_scenes,
    draw_scene,
    write_entities,
)
from data_prep.scenes.captions import Captions
from data_prep.scenes.entities import annotation
from data_prep.scenes.nouns import COLOURS, NOUNS
from data_prep.scenes.plan import plan_scene

TYPES = {
    *("people", "clothing", "bodyparts", "animals", "vehicles", "instruments", "scene", "other"),
    "notvisual",
}


class Phrase(NamedTuple):
    chain: str
    types: list[str]
    words: list[str]


def phrases(line: str) -> list[Phrase]:
    """Read the brackets of a caption token by token, as the official reader does."""
    found: list[Phrase] = []
    inside: list[str] | None = None
    for token in line.split():
        if token.startswith("["):
            assert inside is None
            mark, chain, *types = re.split(r"[#/]", token.removeprefix("[/"))
            assert mark == "EN"
            found.append(Phrase(chain, types, []))
            inside = found[-1].words
        elif inside is not None:
            inside.append(token.removesuffix("]").lower())
        if token.endswith("]"):
            inside = None
    assert inside is None
    return found


@pytest.fixture(scope="module")
def scenes() -> list[Captioned]:
    return list(captioned_scenes(SceneSettings(captioned=160, seed=2, size=200)))


@pytest.fixture(scope="module")
def boxes(scenes: list[Captioned]) -> list[np.ndarray]:
    return [draw_scene(scene.plan).boxes for scene in scenes]


@pytest.fixture(scope="module")
def written(
    tmp_path_factory: pytest.TempPathFactory, scenes: list[Captioned], boxes: list[np.ndarray]
) -> Path:
    folder = tmp_path_factory.mktemp("entities")
    write_entities(folder, scenes, boxes)
    return folder


def read(folder: Path, image_id: str) -> tuple[list[str], Element]:
    text = (folder / "Sentences" / f"{image_id}.txt").read_text()
    root = ElementTree.parse(folder / "Annotations" / f"{image_id}.xml").getroot()
    assert root is not None
    return text.splitlines(), root


def numbers(box: Element) -> list[int]:
    return [int(box.findtext(name) or "") for name in ("xmin", "ymin", "xmax", "ymax")]


def test_chains_of_the_sentences_are_the_names_of_the_objects(
    written: Path, scenes: list[Captioned]
) -> None:
    seen: set[str] = set()
    for scene in scenes:
        lines, root = read(written, scene.image_id)
        assert 2 <= len(lines) <= 5
        said = {phrase.chain for line in lines for phrase in phrases(line)} - {"0"}
        names = {name.text for name in root.iter("name")}
        assert said == names
        assert not seen & said  # ids are of one image
        seen |= said


def test_captions_read_like_english(scenes: list[Captioned]) -> None:
    kinds = set()
    for scene in scenes:
        for line in scene.captions.lines:
            whole = re.fullmatch(r"(?:\[/EN#\d+(?:/[a-z]+)+ [A-Za-z ]+\]|[A-Za-z]+|,| )+ \.", line)
            assert whole, line
            plain = re.sub(r"\[\S+ |\]", "", line)
            assert plain[0].isupper()
            assert plain[1:] == plain[1:].lower()
            assert "  " not in plain
            assert not re.search(r"\ba [aeiou]|\ban [^aeiou]", plain.lower())
            for phrase in phrases(line):
                assert set(phrase.types) <= TYPES
                assert (phrase.chain == "0") == (phrase.types == ["notvisual"])
                kinds.update(phrase.types)
    assert kinds == TYPES


def test_phrases_say_what_their_boxes_show(scenes: list[Captioned]) -> None:
    by_plural = {noun.plural: name for name, noun in NOUNS.items()}
    for scene in scenes:
        boxed = scene.captions.chains
        for number, line in enumerate(scene.captions.lines, 1):
            for phrase in phrases(line):
                if phrase.chain not in boxed:
                    continue
                things = [scene.plan.things[place] for place in boxed[phrase.chain]]
                nouns = {by_plural.get(w, w) for w in phrase.words} & NOUNS.keys()
                assert nouns == {thing.noun for thing in things}
                assert set(phrase.words) & COLOURS.keys() <= {thing.colour for thing in things}
                if len(nouns) == 1:
                    assert (phrase.words[0] == "two") == (len(things) == 2)
                    size = {"small", "little", "big", "large"} & set(phrase.words)
                    usual = {"small": {"small", "little"}, "big": {"big", "large"}}
                    assert size <= usual.get(things[0].size, set())
            if number in scene.captions.unrelated:
                assert not {p.chain for p in phrases(line)} & boxed.keys()
    every = {chain for scene in scenes for chain in scene.captions.chains}
    pairs = [c for s in scenes for c, places in s.captions.chains.items() if len(places) == 2]
    assert 0.02 < len(pairs) / len(every) < 0.4


def test_objects_have_boxes_or_flags_and_some_several_names(
    written: Path, scenes: list[Captioned], boxes: list[np.ndarray]
) -> None:
    flags, several = set(), 0
    for scene, drawn in zip(scenes, boxes, strict=True):
        _, root = read(written, scene.image_id)
        size = [int(root.findtext(f"size/{side}") or "") for side in ("width", "height", "depth")]
        assert size == [scene.plan.width, scene.plan.height, 3]
        assert root.findtext("filename") == f"{scene.image_id}.jpg"
        found = []
        for thing in root.iter("object"):
            several += len(thing.findall("name")) > 1
            box = thing.find("bndbox")
            assert (box is None) == (thing.find("nobndbox") is not None)
            if box is None:
                flags.add((thing.findtext("scene"), thing.findtext("nobndbox")))
            else:
                found.append(numbers(box))
        # 1-based with the last pixel: [x1, x2) is x1 + 1 … x2.
        assert (np.array(found) - [1, 1, 0, 0] == drawn).all()
    assert flags == {("1", "0"), ("0", "1")}
    assert several > 5


def test_an_annotation_by_hand() -> None:
    plan = Plan(200, 150, "sky", plan_scene(200, (0,)).things[:1] * 3, (0,))
    captions = Captions(chains={"4": [0, 1], "5": [2], "6": [0, 1, 2]}, scenes=["7"], boxless=["8"])
    boxes = np.array([[0, 0, 10, 20], [30, 40, 50, 60], [100, 100, 200, 150]])
    root = annotation(Captioned("12", plan, captions), boxes)
    names = [[name.text for name in thing.findall("name")] for thing in root.iter("object")]
    assert names == [["4", "6"], ["4", "6"], ["5", "6"], ["7"], ["8"]]
    found = [numbers(box) for box in root.iter("bndbox")]
    assert found == [[1, 1, 10, 20], [31, 41, 50, 60], [101, 101, 200, 150]]
    texts = [(thing.findtext("scene"), thing.findtext("nobndbox")) for thing in root.iter("object")]
    assert texts == [(None, None)] * 3 + [("1", "0"), ("0", "1")]


def test_splits_and_unrelated_captions(written: Path, scenes: list[Captioned]) -> None:
    val, test = ((written / f"{split}.txt").read_text().split() for split in ("val", "test"))
    assert len(val) == len(test) == 80
    assert set(val) | set(test) == {scene.image_id for scene in scenes}
    assert all(image_id.isdigit() for image_id in val)
    first, *unrelated = (written / "UNRELATED_CAPTIONS").read_text().splitlines()
    assert first == "# format: <imageID> <sentence number>"
    assert unrelated
    for line in unrelated:
        image_id, number = line.split()
        lines, _ = read(written, image_id)
        assert "is all there is to see" in lines[int(number) - 1]


def test_captioned_scenes_are_the_same_again_and_in_no_crawl(scenes: list[Captioned]) -> None:
    again = list(captioned_scenes(SceneSettings(images=5, captioned=20, seed=2, size=200)))
    assert again == scenes[:20]
    assert again != list(captioned_scenes(SceneSettings(captioned=20, seed=3, size=200)))
