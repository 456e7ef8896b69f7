"""Things that one can hold or wear."""

import math

from data_prep.scenes.pen import CREAM, EMBER, INK, STEEL, WHITE, WOOD, Pen, ring
from data_prep.scenes.pen import star as star_points


def ball(pen: Pen) -> None:
    """A beach ball: panels that meet at a cap."""
    for step in range(6):
        panel = [(0.5, 0.42), *ring(0.5, 0.5, 0.49, 0.49, start=60 * step, end=60 * step + 60)]
        pen.polygon(panel, pen.main if step % 2 else WHITE)
    pen.ellipse(0.5, 0.42, 0.07, 0.06, pen.dark)


def star(pen: Pen) -> None:
    """Five points, with a lighter star inside."""
    pen.polygon(star_points(0.5, 0.53, 0.52, 0.22, 5), pen.main)
    pen.polygon(star_points(0.5, 0.53, 0.26, 0.11, 5), pen.light, outline=False)


def cup(pen: Pen) -> None:
    """A mug with a handle, full of coffee, on a saucer."""
    pen.ellipse(0.45, 0.9, 0.44, 0.09, pen.light)
    pen.line(ring(0.74, 0.5, 0.18, 0.17, start=-110, end=110), 0.075, pen.dark)
    pen.polygon([(0.12, 0.24), (0.78, 0.24), (0.68, 0.88), (0.22, 0.88)], pen.main)
    pen.ellipse(0.45, 0.24, 0.33, 0.09, CREAM)
    pen.ellipse(0.45, 0.25, 0.27, 0.06, WOOD, outline=False)
    pen.line([(0.18, 0.45), (0.72, 0.45)], 0.05, pen.light)


def ladder(pen: Pen) -> None:
    """Two rails and six rungs."""
    for step in range(6):
        y = 0.1 + 0.16 * step
        pen.line([(0.33, y), (0.67, y)], 0.055, pen.dark)
    for left, right in ((0.34, 0.26), (0.66, 0.74)):
        pen.line([(left, 0.02), (right, 0.98)], 0.075, pen.dark)
        pen.line([(left, 0.02), (right, 0.98)], 0.05, pen.main)


def umbrella(pen: Pen) -> None:
    """Canopy of four panels over a hooked stick."""
    pen.line([(0.5, 0.02), (0.5, 0.86)], 0.035, INK)
    pen.line(ring(0.58, 0.86, 0.08, 0.1, start=0, end=180), 0.04, INK)
    panels = (((0.0, 0.26), pen.main), ((0.26, 0.5), pen.light))
    for (left, right), fill in panels:
        for a, b in ((left, right), (1 - right, 1 - left)):
            rim = ring((a + b) / 2, 0.5, (b - a) / 2, 0.06, start=0, end=-180)
            arc = [(x, 0.5 - 0.42 * math.sqrt(max(0, 1 - (2 * x - 1) ** 2))) for x in _steps(a, b)]
            pen.polygon([*arc, *rim], fill)


def _steps(start: float, end: float) -> list[float]:
    return [start + (end - start) * step / 8 for step in range(9)]


def key(pen: Pen) -> None:
    """A round bow, a shaft and two teeth."""
    pen.line([(0.34, 0.5), (0.95, 0.5)], 0.12, pen.dark)
    pen.line([(0.34, 0.5), (0.95, 0.5)], 0.085, pen.main)
    for x, length in ((0.72, 0.17), (0.88, 0.22)):
        pen.line([(x, 0.52), (x, 0.5 + length)], 0.1, pen.dark)
        pen.line([(x, 0.5), (x, 0.5 + length)], 0.065, pen.main)
    bow = ring(0.22, 0.5, 0.16, 0.18)
    pen.line([*bow, bow[0]], 0.14, pen.dark)
    pen.line([*bow, bow[0]], 0.1, pen.main)


def balloon(pen: Pen) -> None:
    """Shining, with a knot and a curly string."""
    string = [(0.5 + 0.05 * math.sin(step), 0.7 + 0.03 * step) for step in range(11)]
    pen.line(string, 0.018, INK)
    pen.polygon([(0.5, 0.66), (0.44, 0.75), (0.56, 0.75)], pen.dark)
    pen.ellipse(0.5, 0.35, 0.29, 0.34, pen.main)
    pen.ellipse(0.4, 0.22, 0.07, 0.11, pen.light.mixed(WHITE, 0.5), turn=25, outline=False)


def clock(pen: Pen) -> None:
    """A white face with marks and hands, two bells on top."""
    for side in (-1, 1):
        pen.line([(0.5 + side * 0.2, 0.8), (0.5 + side * 0.3, 0.97)], 0.06, pen.dark)
        pen.ellipse(0.5 + side * 0.26, 0.14, 0.15, 0.11, pen.dark, turn=side * 35)
    pen.ellipse(0.5, 0.54, 0.41, 0.41, pen.main)
    pen.ellipse(0.5, 0.54, 0.32, 0.32, WHITE)
    for step in range(12):
        angle = math.radians(30 * step)
        ends = [(0.5 + r * math.cos(angle), 0.54 + r * math.sin(angle)) for r in (0.25, 0.29)]
        pen.line(ends, 0.02, INK)
    pen.line([(0.5, 0.54), (0.5, 0.32)], 0.025, INK)
    pen.line([(0.5, 0.54), (0.66, 0.6)], 0.035, INK)


def arrow(pen: Pen) -> None:
    """A broad one, to the right."""
    shaft = [(0.02, 0.38), (0.55, 0.38), (0.55, 0.16), (0.98, 0.5)]
    pen.polygon([*shaft, (0.55, 0.84), (0.55, 0.62), (0.02, 0.62)], pen.main)
    pen.line([(0.1, 0.5), (0.74, 0.5)], 0.05, pen.light)


def lamp(pen: Pen) -> None:
    """A shade on a stand, with a pull string."""
    pen.ellipse(0.5, 0.93, 0.22, 0.06, STEEL)
    pen.line([(0.5, 0.4), (0.5, 0.92)], 0.055, STEEL)
    pen.line([(0.68, 0.45), (0.68, 0.64)], 0.015, INK)
    pen.ellipse(0.5, 0.47, 0.28, 0.07, CREAM)
    pen.polygon([(0.36, 0.05), (0.64, 0.05), (0.86, 0.48), (0.14, 0.48)], pen.main)
    pen.polygon([(0.2, 0.36), (0.8, 0.36), (0.84, 0.43), (0.16, 0.43)], pen.light, outline=False)


def hat(pen: Pen) -> None:
    """Broad brim, dented crown, a ribbon."""
    pen.ellipse(0.5, 0.7, 0.49, 0.15, pen.main)
    crown = [(0.24, 0.68), (0.3, 0.26), (0.42, 0.2), (0.5, 0.27), (0.58, 0.2), (0.7, 0.26)]
    pen.polygon([*crown, (0.76, 0.68)], pen.main)
    pen.polygon([(0.26, 0.54), (0.74, 0.54), (0.76, 0.68), (0.24, 0.68)], INK)
    pen.line([(0.72, 0.55), (0.84, 0.3)], 0.04, EMBER)


def shirt(pen: Pen) -> None:
    """Short sleeves, a collar and buttons."""
    left = [(0.36, 0.08), (0.22, 0.12), (0.02, 0.36), (0.16, 0.48), (0.25, 0.4), (0.25, 0.95)]
    pen.polygon([*left, *((1 - x, y) for x, y in reversed(left))], pen.main)
    pen.polygon([(0.36, 0.08), (0.5, 0.24), (0.42, 0.3), (0.3, 0.12)], pen.light)
    pen.polygon([(0.64, 0.08), (0.5, 0.24), (0.58, 0.3), (0.7, 0.12)], pen.light)
    pen.line([(0.5, 0.26), (0.5, 0.94)], 0.014, pen.dark)
    for y in (0.4, 0.56, 0.72, 0.88):
        pen.ellipse(0.5, y, 0.022, 0.022, CREAM)
    pen.box(0.6, 0.44, 0.7, 0.54, pen.light)
