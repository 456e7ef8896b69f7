"""Antialiased drawing of one object in coordinates of its own."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw

SUPERSAMPLING = 3  # drawn so many times larger, then averaged
MARGIN = 1.3  # canvas per side of the object: room for a turned square

Point = tuple[float, float]


class Colour(NamedTuple):
    """Red, green and blue: 0 … 255."""

    red: int
    green: int
    blue: int

    def mixed(self, other: Colour, share: float) -> Colour:
        """Mix in a share (0 … 1) of another colour."""
        pairs = zip(self, other, strict=True)
        return Colour(*(round(one + (two - one) * share) for one, two in pairs))


BLACK, WHITE = Colour(0, 0, 0), Colour(255, 255, 255)
INK, CREAM, STEEL = Colour(35, 32, 40), Colour(246, 240, 222), Colour(150, 156, 166)
WOOD, LEAF, GLASS = Colour(124, 82, 46), Colour(66, 132, 58), Colour(176, 214, 234)
SKIN, EMBER = Colour(232, 190, 158), Colour(240, 140, 40)


class Pen:
    """Draws in a unit square, x to the right and y down, that is turned, stretched and mirrored.

    Parameters
    ----------
    side : float
        Pixels of the square's side in the finished sprite.
    main : Colour
        Of what is drawn; `dark` and `light` are shades of it.
    stretch : float
        Width by height of the square: above 1 it is wider, its area stays.
    angle : float
        Degrees, clockwise.
    mirrored : bool
        Left and right are swapped.
    """

    def __init__(
        self,
        side: float,
        main: Colour,
        stretch: float = 1.0,
        angle: float = 0.0,
        mirrored: bool = False,
    ) -> None:
        self.main = main
        self.dark, self.light = main.mixed(BLACK, 0.42), main.mixed(WHITE, 0.45)
        self._side = side * SUPERSAMPLING
        canvas = math.ceil(side * MARGIN) * SUPERSAMPLING
        self._image = Image.new("RGBA", (canvas, canvas), (*self.dark, 0))
        self._draw = ImageDraw.Draw(self._image)
        turn = math.radians(angle)
        wide, high = math.sqrt(stretch), 1 / math.sqrt(stretch)
        across = -wide if mirrored else wide
        self._matrix = self._side * np.array(
            [
                [across * math.cos(turn), -high * math.sin(turn)],
                [across * math.sin(turn), high * math.cos(turn)],
            ]
        )
        self._middle = canvas / 2

    def polygon(self, points: Sequence[Point], fill: Colour, outline: bool = True) -> None:
        """Fill a polygon, with a thin dark line around it."""
        corners = self._place(points)
        self._draw.polygon(corners, fill=fill)
        if outline:
            width = max(2, round(0.018 * self._side))
            edge = fill.mixed(BLACK, 0.6)
            self._draw.line([*corners, *corners[:2]], fill=edge, width=width, joint="curve")

    def ellipse(
        self,
        x: float,
        y: float,
        rx: float,
        ry: float,
        fill: Colour,
        turn: float = 0.0,
        outline: bool = True,
    ) -> None:
        """Fill an ellipse around (x, y), turned by degrees."""
        self.polygon(ring(x, y, rx, ry, turn=turn), fill, outline)

    def box(self, left: float, top: float, right: float, bottom: float, fill: Colour) -> None:
        """Fill a rectangle."""
        self.polygon([(left, top), (right, top), (right, bottom), (left, bottom)], fill)

    def line(self, points: Sequence[Point], width: float, fill: Colour) -> None:
        """Draw a line with round ends; `width` in sides of the square."""
        places = self._place(points)
        thick = max(2, round(width * self._side))
        self._draw.line(places, fill=fill, width=thick, joint="curve")
        for x, y in (places[0], places[-1]):
            self._draw.ellipse(
                (x - thick / 2, y - thick / 2, x + thick / 2, y + thick / 2), fill=fill
            )

    def sprite(self) -> Image.Image:
        """Return what was drawn, cut tight: RGBA."""
        small = self._image.reduce(SUPERSAMPLING)
        return small.crop(small.getchannel("A").point(lambda alpha: alpha > 32 and 255).getbbox())

    def _place(self, points: Sequence[Point]) -> list[Point]:
        placed = (np.asarray(points) - 0.5) @ self._matrix.T + self._middle
        return [(x, y) for x, y in placed.tolist()]


def ring(
    x: float, y: float, rx: float, ry: float, turn: float = 0.0, start: float = 0, end: float = 360
) -> list[Point]:
    """Points of an ellipse from one angle to another, in degrees clockwise from the right."""
    steps = max(8, round(abs(end - start) / 10))
    angles = np.radians(np.linspace(start, end, steps, endpoint=abs(end - start) < 360))
    along, down = rx * np.cos(angles), ry * np.sin(angles)
    cos, sin = math.cos(math.radians(turn)), math.sin(math.radians(turn))
    pairs = zip(along.tolist(), down.tolist(), strict=True)
    return [(x + a * cos - d * sin, y + a * sin + d * cos) for a, d in pairs]


def star(x: float, y: float, outer: float, inner: float, points: int) -> list[Point]:
    """Corners of a star, the first at the top."""
    corners = []
    for step in range(2 * points):
        angle, radius = math.pi * step / points, inner if step % 2 else outer
        corners.append((x + radius * math.sin(angle), y - radius * math.cos(angle)))
    return corners
