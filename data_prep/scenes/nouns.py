"""What a scene can show: nouns, colours and sizes."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from data_prep.scenes.figures import built, living, things
from data_prep.scenes.pen import Colour, Pen


class Noun(NamedTuple):
    """How a noun is drawn and spoken of.

    Attributes
    ----------
    draw : callable
        Draws it with a pen.
    plural : str
        Its plural.
    types : str
        Types of Flickr30k Entities, separated by strokes.
    """

    draw: Callable[[Pen], None]
    plural: str
    types: str


NOUNS = {
    "arrow": Noun(things.arrow, "arrows", "other"),
    "ball": Noun(things.ball, "balls", "other"),
    "balloon": Noun(things.balloon, "balloons", "other"),
    "boat": Noun(built.boat, "boats", "vehicles"),
    "butterfly": Noun(living.butterfly, "butterflies", "animals"),
    "cactus": Noun(living.cactus, "cacti", "other"),
    "car": Noun(built.car, "cars", "vehicles"),
    "cat": Noun(living.cat, "cats", "animals"),
    "clock": Noun(things.clock, "clocks", "other"),
    "cup": Noun(things.cup, "cups", "other"),
    "drum": Noun(built.drum, "drums", "instruments"),
    "fish": Noun(living.fish, "fish", "animals"),
    "flower": Noun(living.flower, "flowers", "other"),
    "guitar": Noun(built.guitar, "guitars", "instruments"),
    "hand": Noun(living.hand, "hands", "bodyparts"),
    "hat": Noun(things.hat, "hats", "clothing"),
    "house": Noun(built.house, "houses", "other"),
    "key": Noun(things.key, "keys", "other"),
    "ladder": Noun(things.ladder, "ladders", "other"),
    "lamp": Noun(things.lamp, "lamps", "other"),
    "mushroom": Noun(living.mushroom, "mushrooms", "other"),
    "person": Noun(living.person, "people", "people"),
    "rocket": Noun(built.rocket, "rockets", "vehicles/other"),
    "shirt": Noun(things.shirt, "shirts", "clothing"),
    "snowman": Noun(living.snowman, "snowmen", "people/other"),
    "star": Noun(things.star, "stars", "other"),
    "tree": Noun(living.tree, "trees", "other"),
    "umbrella": Noun(things.umbrella, "umbrellas", "other"),
}

COLOURS = {
    "black": Colour(48, 46, 52),
    "blue": Colour(40, 86, 204),
    "brown": Colour(126, 76, 36),
    "green": Colour(44, 150, 66),
    "orange": Colour(242, 130, 26),
    "pink": Colour(244, 128, 178),
    "purple": Colour(124, 58, 168),
    "red": Colour(208, 34, 40),
    "white": Colour(244, 244, 240),
    "yellow": Colour(246, 208, 40),
}

# Side of an object's square by the short side of the image: least and most.
SIZES = {"small": (0.26, 0.32), "medium": (0.4, 0.5), "big": (0.6, 0.7)}
