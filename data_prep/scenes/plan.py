"""What is in a scene and where, before any pixel."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from data_prep.scenes.backgrounds import SETTINGS
from data_prep.scenes.nouns import COLOURS, NOUNS, SIZES
from data_prep.scenes.pen import Colour

ASPECTS = ((4, 3), (3, 2), (1, 1), (16, 9), (3, 4), (2, 3))
THINGS = (0.3, 0.37, 0.22, 0.11)  # share of scenes with 1, 2, 3, 4 things
PAIRS = 0.25  # share of those with two or more that have two of the same
MOST_OVERLAP = 0.04  # of two squares, by the smaller
TRIES = 80
SHADE_SPREAD = 14  # most by which a shade's parts differ from those of its colour


@dataclass(frozen=True)
class Thing:
    """One object of a scene.

    Attributes
    ----------
    noun, colour, size : str
        Of `NOUNS`, `COLOURS`, `SIZES`.
    paint : Colour
        A shade of the colour.
    x, y, side : float
        Middle and side, in pixels, of the square that it is drawn in.
    stretch, angle, mirrored : float, float, bool
        See `data_prep.scenes.pen.Pen`.
    """

    noun: str
    colour: str
    size: str
    paint: Colour
    x: float
    y: float
    side: float
    stretch: float
    angle: float
    mirrored: bool


@dataclass(frozen=True)
class Plan:
    """A scene before it is drawn.

    Attributes
    ----------
    width, height : int
        Pixels.
    setting : str
        Background, of `SETTINGS`.
    things : tuple of Thing
        The biggest first; those of one noun are alike in colour and size, and stand together.
    seed : tuple of int
        Of the pixels: clutter and grain.
    """

    width: int
    height: int
    setting: str
    things: tuple[Thing, ...]
    seed: tuple[int, ...]

    def groups(self) -> dict[str, list[int]]:
        """Places of the things of each noun."""
        found: dict[str, list[int]] = {}
        for place, thing in enumerate(self.things):
            found.setdefault(thing.noun, []).append(place)
        return found


def plan_scene(size: int, seed: tuple[int, ...]) -> Plan:
    """Plan the scene of a seed.

    Parameters
    ----------
    size : int
        Long side in pixels.
    seed : tuple of int
        Same seed, same scene.
    """
    random = np.random.default_rng([*seed, 0])
    across, down = ASPECTS[int(random.integers(len(ASPECTS)))]
    scale = size / max(across, down)
    width, height = round(across * scale), round(down * scale)
    setting = str(random.choice(list(SETTINGS)))
    things: list[Thing] = []
    for noun, colour, kind in _choose(random):
        thing = _put(noun, colour, kind, things, (width, height), random)
        if thing:
            things.append(thing)
    return Plan(width, height, setting, tuple(things), seed)


def vary(plan: Plan, seed: tuple[int, ...]) -> Plan:
    """Plan nearly the same scene: things a little moved, turned and scaled, other clutter."""
    random = np.random.default_rng([*seed, 0])
    short = min(plan.width, plan.height)
    things = [
        replace(
            thing,
            x=thing.x + random.uniform(-0.02, 0.02) * short,
            y=thing.y + random.uniform(-0.02, 0.02) * short,
            side=thing.side * random.uniform(0.95, 1.0),
            angle=thing.angle + random.uniform(-5, 5),
        )
        for thing in plan.things
    ]
    return replace(plan, things=tuple(things), seed=seed)


def _choose(random: np.random.Generator) -> list[tuple[str, str, str]]:
    """Noun, colour and size of each thing, the biggest first; one is big at the most."""
    count = 1 + int(random.choice(len(THINGS), p=THINGS))
    pair = count > 1 and random.random() < PAIRS
    nouns = random.choice(list(NOUNS), count - pair, replace=False).tolist()
    colours = random.choice(list(COLOURS), len(nouns)).tolist()
    sizes = random.choice(("small", "medium"), len(nouns)).tolist()
    if not pair and random.random() < 0.5:
        sizes[0] = "big"
    kinds = list(zip(nouns, colours, sizes, strict=True))
    kinds = [kinds[0], *kinds] if pair else kinds
    return sorted(kinds, key=lambda kind: list(SIZES).index(kind[2]), reverse=True)


def _put(
    noun: str,
    colour: str,
    size: str,
    others: list[Thing],
    room: tuple[int, int],
    random: np.random.Generator,
) -> Thing | None:
    """Find a place where a thing hides next to nothing of the others, if there is one."""
    side = float(random.uniform(*SIZES[size])) * min(room)
    stretch, angle = float(random.uniform(0.85, 1.18)), float(random.normal(0, 6))
    mirrored = bool(random.random() < 0.5)
    shift = random.uniform(-SHADE_SPREAD, SHADE_SPREAD, 3)
    paint = Colour(*map(int, (np.array(COLOURS[colour]) + shift).clip(0, 255).tolist()))
    for _ in range(TRIES):
        x, y = (float(random.uniform(side / 2, length - side / 2)) for length in room)
        thing = Thing(noun, colour, size, paint, x, y, side, stretch, angle, mirrored)
        if all(_overlap(thing, other) <= MOST_OVERLAP for other in others):
            return thing
    return None


def _overlap(one: Thing, two: Thing) -> float:
    """Share of the smaller square that the larger covers."""
    reach = (one.side + two.side) / 2
    wide, high = reach - abs(one.x - two.x), reach - abs(one.y - two.y)
    return max(0.0, wide) * max(0.0, high) / min(one.side, two.side) ** 2
