"""Drawn scenes: boxes against pixels, objects against each other."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from data_prep.scenes import draw_scene
from data_prep.scenes.backgrounds import SETTINGS, paint_background
from data_prep.scenes.drawing import save_scenes
from data_prep.scenes.nouns import COLOURS, NOUNS, SIZES
from data_prep.scenes.pen import SUPERSAMPLING, Colour, Pen, ring, star
from data_prep.scenes.plan import ASPECTS, plan_scene, vary
from data_prep.text import normalise, singular


def pixels(image: Image.Image) -> np.ndarray:
    return np.asarray(image, np.int16)


@settings(max_examples=40)
@given(st.integers(0, 10_000))
def test_a_box_is_where_the_scene_differs_from_one_without_the_thing(seed: int) -> None:
    plan = plan_scene(320, (seed,))
    whole = draw_scene(plan)
    for place, box in enumerate(whole.boxes.tolist()):
        others = plan.things[:place] + plan.things[place + 1 :]
        rest = draw_scene(replace(plan, things=others))
        differs = (pixels(whole.image) != pixels(rest.image)).any(2)
        rows, columns = np.nonzero(differs)
        seen = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
        assert np.abs(np.array(seen) - box).max() <= 1, plan.things[place]


def test_the_box_of_a_plain_rectangle_is_exact(monkeypatch: pytest.MonkeyPatch) -> None:
    def block(pen: Pen) -> None:
        pen.box(0.0, 0.25, 1.0, 0.75, pen.main)

    noun = NOUNS["key"]._replace(draw=block)
    monkeypatch.setitem(NOUNS, "key", noun)
    plan = plan_scene(320, (1,))
    thing = replace(plan.things[0], noun="key", x=100.0, y=90.0, side=80.0, stretch=1.0, angle=0.0)
    drawing = draw_scene(replace(plan, things=(thing,)))
    # 60 … 140 by 70 … 110, and half of the outline, 0.018 of the side.
    assert np.allclose(drawing.boxes, [[59.3, 69.3, 140.7, 110.7]], atol=1)


@pytest.mark.parametrize("seed", range(60))
def test_things_lie_in_the_picture_and_hardly_hide_each_other(seed: int) -> None:
    plan = plan_scene(320, (7, seed))
    assert 1 <= len(plan.things) <= 4
    assert max(plan.width, plan.height) == 320
    boxes = draw_scene(plan).boxes
    assert boxes.shape == (len(plan.things), 4)
    assert (boxes[:, :2] >= 0).all()
    assert (boxes[:, 2:] <= (plan.width, plan.height)).all()
    longest = (boxes[:, 2:] - boxes[:, :2]).max(1)
    assert (longest >= 0.15 * min(plan.width, plan.height)).all()
    for thing, box in zip(plan.things, boxes, strict=True):
        alone = draw_scene(replace(plan, things=(thing,))).boxes[0]
        whole, left = (np.prod(some[2:] - some[:2]) for some in (alone, box))
        assert left >= 0.75 * whole


def test_scenes_differ_in_everything() -> None:
    plans = [plan_scene(320, (3, index)) for index in range(600)]
    things = [thing for plan in plans for thing in plan.things]
    assert {thing.noun for thing in things} == set(NOUNS)
    assert {thing.colour for thing in things} == set(COLOURS)
    assert {thing.size for thing in things} == set(SIZES)
    assert {plan.setting for plan in plans} == set(SETTINGS)
    assert {len(plan.things) for plan in plans} == {1, 2, 3, 4}
    assert len({(plan.width, plan.height) for plan in plans}) == len(ASPECTS)
    assert any(len(found) == 2 for plan in plans for found in plan.groups().values())
    for plan in plans:
        sides = [list(SIZES).index(thing.size) for thing in plan.things]
        assert sides == sorted(sides, reverse=True)
        for places in plan.groups().values():
            alike = {(plan.things[place].colour, plan.things[place].size) for place in places}
            assert len(alike) == 1


def test_the_same_plan_gives_the_same_file(tmp_path: Path) -> None:
    plan = plan_scene(200, (5, 9))
    one, two, other = (tmp_path / f"{name}.jpg" for name in ("one", "two", "other"))
    boxes = save_scenes({one: plan, two: plan_scene(200, (5, 9)), other: plan_scene(200, (5, 10))})
    assert list(boxes) == [one, two, other]
    assert (boxes[one] == boxes[two]).all()
    assert (boxes[one] == draw_scene(plan).boxes).all()
    assert one.read_bytes() == two.read_bytes() != other.read_bytes()
    with Image.open(one) as image:
        assert image.size == (plan.width, plan.height)


def test_a_varied_scene_is_nearly_the_same() -> None:
    plan = plan_scene(320, (2, 0))
    other = vary(plan, (2, 1))
    assert [thing.noun for thing in other.things] == [thing.noun for thing in plan.things]
    one, two = draw_scene(plan), draw_scene(other)
    assert (np.abs(one.boxes - two.boxes) <= 0.12 * 320).all()
    assert (pixels(one.image) != pixels(two.image)).any()


@pytest.mark.parametrize("name", SETTINGS)
def test_a_background_covers_all_and_is_cluttered(name: str) -> None:
    image = paint_background(name, 160, 120, np.random.default_rng(4))
    levels = pixels(image)
    assert image.size == (160, 120)
    assert levels.sum(2).min() > 0  # nothing is left unpainted
    assert min(levels[rows].std() for rows in np.array_split(np.arange(120), 4)) > 8


def test_nouns_look_different_from_each_other() -> None:
    masks = {}
    for name, noun in NOUNS.items():
        pen = Pen(64, COLOURS["red"])
        noun.draw(pen)
        sprite = pen.sprite()
        canvas = Image.new("RGBA", (64, 64), (128, 128, 128, 255))
        canvas.alpha_composite(sprite.resize((64, 64)))
        masks[name] = pixels(canvas)[..., :3]
    for one in masks:
        for two in masks:
            if one < two:
                assert np.abs(masks[one] - masks[two]).mean() > 12, (one, two)


@pytest.mark.parametrize("name", NOUNS)
def test_a_noun_fills_its_square_and_shows_its_colour(name: str) -> None:
    shown = []
    for colour in ("red", "blue"):
        pen = Pen(100, COLOURS[colour])
        NOUNS[name].draw(pen)
        sprite = pen.sprite()
        assert 90 <= max(sprite.size) <= 108
        assert min(sprite.size) >= 40
        shown.append(pixels(sprite))
    change = np.abs(shown[0] - shown[1]).max(2) > 60
    assert change.sum() >= 0.12 * (shown[0][..., 3] > 128).sum()


def test_nouns_are_spelled_as_tags_are() -> None:
    for name, noun in NOUNS.items():
        assert normalise(name) == name
        assert singular(noun.plural) in (name, "people")  # people has no singular
    assert len(NOUNS) >= 24
    assert len(COLOURS) >= 8


def test_the_pen_turns_stretches_and_mirrors() -> None:
    def box(**how: float | bool) -> tuple[int, ...]:
        pen = Pen(100, Colour(200, 0, 0), **how)  # type: ignore[arg-type]
        pen.polygon([(0, 0), (1, 0), (1, 0.5), (0, 0.5)], pen.main, outline=False)
        found = pen._image.reduce(SUPERSAMPLING).getchannel("A").getbbox()
        assert found
        return found

    # The canvas has 130 pixels a side, the square lies in its middle: 15 … 115.
    assert np.allclose(box(), (15, 15, 115, 65), atol=1)
    assert np.allclose(box(angle=90), (65, 15, 115, 115), atol=1)
    assert np.allclose(box(angle=180), (15, 65, 115, 115), atol=1)
    assert np.allclose(box(angle=90, mirrored=True), (65, 15, 115, 115), atol=1)
    assert np.allclose(box(stretch=1.21), (10, 65 - 50 / 1.1, 120, 65), atol=1)


def test_rings_and_stars_by_hand() -> None:
    assert np.allclose(ring(0.5, 0.5, 0.2, 0.1)[0], (0.7, 0.5))
    assert np.allclose(ring(0.5, 0.5, 0.2, 0.1, turn=90)[0], (0.5, 0.7))
    half = ring(0, 0, 1, 1, start=180, end=360)
    assert np.allclose([half[0], half[-1]], [(-1, 0), (1, 0)])
    assert min(y for _, y in half) == pytest.approx(-1, abs=0.01)  # y down: the upper half
    corners = star(0, 0, 2, 1, 4)
    assert np.allclose(corners[::2], [(0, -2), (2, 0), (0, 2), (-2, 0)])
