"""Which pairs the sheets of examples show, and what stands of each."""

from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
import torch
from pycocotools import mask as coco_masks

from data_prep.annotated import AnnotatedPhoto, ClassRegions
from grounding.example_sheet import Example
from pipeline.point_examples import Plays, _choices, _example, write_examples
from tests.pipeline.point.made import PHOTOS, configuration, draw, plays, run

# Of pairs that the first method hits or misses, how many of two others hit.
HITS = {"all": (True, 2), "alone": (True, 0), "with one": (True, 1)}
MISSES = {"worst": (False, 2), "none": (False, 0), "one": (False, 1)}


def played(first: bool, others: int) -> dict[str, tuple[bool, tuple[int, int] | None]]:
    hits = {"cmwp": first, "mwp": others > 1, "cam": others > 0}
    return {method: (hit, (1, 2)) for method, hit in hits.items()}


def pairs(*images: str) -> list[tuple[str, str]]:
    return [(image, "dog") for image in images]


PLAYS: Plays = {(image, "dog"): played(*each) for image, each in {**MISSES, **HITS}.items()}


def test_sheets_show_where_methods_differ_most_first() -> None:
    (_, _, drawn), *others = _choices(PLAYS, "cmwp", 0)
    assert sorted(drawn) == sorted(PLAYS)
    assert others == [
        ("hits", "c-MWP hits, and as few others as possible", pairs("alone", "with one", "all")),
        ("misses", "c-MWP misses, and others hit", pairs("worst", "one", "none")),
    ]


def test_examples_at_random_turn_on_the_seed() -> None:
    drawn = [_choices(PLAYS, "cmwp", seed)[0][2] for seed in (0, 1, 0)]
    assert drawn[0] == drawn[2] != drawn[1]
    assert list(PLAYS) not in drawn


def test_one_method_has_no_others_to_differ_from() -> None:
    alone = {pair: {"cmwp": of["cmwp"]} for pair, of in PLAYS.items()}
    (random, _, _), (name, title, lost) = _choices(alone, "cmwp", 0)
    assert (random, name, title) == ("random", "misses", "c-MWP misses")
    assert sorted(lost) == sorted(pairs(*MISSES))


@pytest.mark.parametrize("masked", [False, True])
def test_an_example_is_of_its_class(masked: bool, tmp_path: Path) -> None:
    (width, height), _ = PHOTOS["1002"]
    draw("1002").save(tmp_path / "1002.png")
    inside = np.zeros((height, width), np.uint8, order="F")
    inside[5:30, 5:20] = 1
    masks = (coco_masks.encode(inside),) if masked else ()
    boxes = ((5, 5, 30, 30), (40, 60, 66, 96))
    regions = (ClassRegions("dog", ((1, 1, 9, 9),)), ClassRegions("cat", boxes, masks))
    photo = AnnotatedPhoto("1002", tmp_path / "1002.png", width, height, regions)
    played = {"cmwp@28": (True, (7, 8)), "centre": (False, (35, 50)), "mwp": (False, None)}

    def maps(_: Any, labels: list[str]) -> dict[str, torch.Tensor]:
        assert labels == ["cat"]
        return {name: torch.full((1, 2, 3), float(len(name))) for name in played}

    config = configuration("max_pixels=10000")
    example = _example(photo, "cat", played, maps, config)  # type: ignore[arg-type]
    assert example.label == "cat"
    assert np.array_equal(np.asarray(example.photo), np.asarray(draw("1002")))
    assert list(example.boxes) == list(boxes)
    assert len(example.masks) == masked
    assert not masked or np.array_equal(example.masks[0], inside)
    shown = {name: (each.point, each.hit) for name, each in example.maps.items()}
    assert shown == {
        "c-MWP@28": ((7, 8), True), "centre": ((35, 50), False), "MWP": (None, False)
    }  # fmt: skip
    seen = {
        name: None if each.attention is None else each.attention.tolist()
        for name, each in example.maps.items()
    }
    assert seen == {"c-MWP@28": [[7] * 3] * 2, "centre": None, "MWP": [[3] * 3] * 2}


def test_sheets_of_a_run(
    keys: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, no_pictures: None
) -> None:
    sheets: dict[str, list[Example]] = {}

    def keep(examples: list[Example], file: Path) -> None:
        assert file.parent == tmp_path / "out"
        sheets[file.name] = examples

    def sheets_alone(config, _, *rest):  # type: ignore[no-untyped-def]
        made = write_examples(config, *rest)
        assert [file.name for _, file in made] == list(sheets)
        return []

    monkeypatch.setattr("pipeline.point_examples.example_sheet", keep)
    monkeypatch.setattr("pipeline.point_output._pictures", sheets_alone)
    run(*keys, "examples=2", "seed=1", f"out={tmp_path / 'out'}")
    rows = {
        (row["width"], row["height"], row["label"], row["method"]): row
        for row in plays(tmp_path / "out")
    }
    objects = {size: objects for size, objects in PHOTOS.values() if size != (80, 64)}
    objects[80, 64] = PHOTOS["1004"][1]  # 1005 has no class that is asked
    for examples in sheets.values():
        assert 0 < len(examples) <= 2
        for example in examples:
            size, label = example.photo.size, example.label
            found = [rows[*size, label, method] for method in ("cmwp", "mwp", "centre")]
            shown = [(each.point, each.hit) for each in example.maps.values()]
            assert shown == [((row["x"], row["y"]), row["hit"]) for row in found]
            assert example.boxes == tuple(box for of, box, _ in objects[size] if of == label)
    drawn = list(dict.fromkeys((row["image"], row["label"]) for row in plays(tmp_path / "out")))
    Random(1).shuffle(drawn)
    assert [(each.photo.size, each.label) for each in sheets["examples_random.jpg"]] == [
        (PHOTOS[image][0], label) for image, label in drawn[:2]
    ]
    for name, hit in (("examples_hits.jpg", True), ("examples_misses.jpg", False)):
        assert all(example.maps["c-MWP"].hit is hit for example in sheets[name])


def test_no_examples(tmp_path: Path) -> None:
    config = configuration("examples=0", f"out={tmp_path}")
    assert write_examples(config, None, [], None) == []  # type: ignore[arg-type]


def test_no_bars_of_too_many_classes(
    keys: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.point_output.MOST_BARS", 2)
    run(*keys, "methods=[centre]", "examples=0", f"out={tmp_path / 'out'}")
    assert not list((tmp_path / "out").glob("classes_*.png"))
    assert (tmp_path / "out" / "classes.csv").is_file()
