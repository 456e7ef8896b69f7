"""Buildings, vehicles and instruments."""

from data_prep.scenes.pen import CREAM, EMBER, GLASS, INK, STEEL, WHITE, WOOD, Pen, ring


def house(pen: Pen) -> None:
    """A gable, a door, two windows and a chimney."""
    pen.box(0.68, 0.1, 0.8, 0.4, WOOD)
    pen.box(0.12, 0.42, 0.88, 1.0, CREAM)
    pen.polygon([(0.5, 0.04), (1.0, 0.46), (0.0, 0.46)], pen.main)
    pen.box(0.42, 0.66, 0.58, 1.0, pen.dark)
    for left in (0.2, 0.66):
        pen.box(left, 0.58, left + 0.15, 0.75, GLASS)
        pen.line([(left + 0.075, 0.58), (left + 0.075, 0.75)], 0.014, INK)
        pen.line([(left, 0.665), (left + 0.15, 0.665)], 0.014, INK)


def car(pen: Pen) -> None:
    """From the side."""
    pen.polygon([(0.22, 0.48), (0.34, 0.26), (0.68, 0.26), (0.82, 0.48)], pen.main)
    pen.polygon([(0.28, 0.47), (0.37, 0.31), (0.5, 0.31), (0.5, 0.47)], GLASS)
    pen.polygon([(0.54, 0.47), (0.54, 0.31), (0.66, 0.31), (0.76, 0.47)], GLASS)
    body = [(0.02, 0.5), (0.12, 0.46), (0.84, 0.46), (0.97, 0.52), (0.99, 0.7), (0.01, 0.7)]
    pen.polygon(body, pen.main)
    pen.line([(0.52, 0.48), (0.52, 0.68)], 0.012, pen.dark)
    pen.ellipse(0.95, 0.56, 0.035, 0.04, CREAM)
    for x in (0.25, 0.76):
        pen.ellipse(x, 0.7, 0.13, 0.13, INK)
        pen.ellipse(x, 0.7, 0.06, 0.06, STEEL)


def boat(pen: Pen) -> None:
    """A hull with two sails and a flag."""
    pen.line([(0.5, 0.04), (0.5, 0.74)], 0.03, WOOD)
    pen.polygon([(0.53, 0.08), (0.92, 0.64), (0.53, 0.64)], WHITE)
    pen.polygon([(0.47, 0.16), (0.47, 0.64), (0.16, 0.64)], pen.light)
    pen.polygon([(0.5, 0.02), (0.36, 0.06), (0.5, 0.11)], EMBER)
    pen.polygon([(0.04, 0.72), (0.98, 0.72), (0.8, 0.96), (0.2, 0.96)], pen.main)
    pen.line([(0.12, 0.79), (0.91, 0.79)], 0.03, pen.dark)


def rocket(pen: Pen) -> None:
    """Taking off, with a porthole and a flame."""
    pen.polygon([(0.4, 0.78), (0.6, 0.78), (0.56, 0.9), (0.5, 1.0), (0.44, 0.9)], EMBER)
    for side in (-1, 1):
        fin = ((0.14, 0.52), (0.34, 0.78), (0.32, 0.86), (0.12, 0.76))
        pen.polygon([(0.5 + side * x, y) for x, y in fin], pen.dark)
    left = [(0.5, 0.0), (0.41, 0.12), (0.34, 0.34), (0.35, 0.6), (0.4, 0.79)]
    pen.polygon([*left, *((1 - x, y) for x, y in reversed(left[1:]))], STEEL.mixed(WHITE, 0.6))
    pen.polygon([(0.5, 0.0), (0.41, 0.12), (0.36, 0.25), (0.64, 0.25), (0.59, 0.12)], pen.main)
    pen.polygon([(0.36, 0.66), (0.64, 0.66), (0.6, 0.79), (0.4, 0.79)], pen.main)
    pen.ellipse(0.5, 0.44, 0.09, 0.09, INK)
    pen.ellipse(0.5, 0.44, 0.065, 0.065, GLASS)


def guitar(pen: Pen) -> None:
    """Upright: body, sound hole, neck and strings."""
    pen.box(0.46, 0.08, 0.54, 0.6, WOOD)
    pen.polygon([(0.43, 0.0), (0.57, 0.0), (0.55, 0.12), (0.45, 0.12)], INK)
    for y in (0.03, 0.08):
        for x in (0.4, 0.6):
            pen.ellipse(x, y, 0.022, 0.016, STEEL)
    pen.ellipse(0.5, 0.56, 0.2, 0.17, pen.main)
    pen.ellipse(0.5, 0.79, 0.28, 0.21, pen.main)
    pen.ellipse(0.5, 0.62, 0.17, 0.14, pen.main, outline=False)
    pen.ellipse(0.5, 0.64, 0.085, 0.085, INK)
    pen.box(0.39, 0.84, 0.61, 0.88, WOOD)
    for x in (0.48, 0.5, 0.52):
        pen.line([(x, 0.1), (x, 0.85)], 0.008, CREAM)


def drum(pen: Pen) -> None:
    """Laced, with two sticks on it."""
    pen.box(0.08, 0.42, 0.92, 0.82, pen.main)
    pen.polygon(ring(0.5, 0.82, 0.42, 0.15, start=0, end=180), pen.main)
    lace = [(0.08 + 0.14 * step, 0.48 + (0.44 if step % 2 else 0.0)) for step in range(7)]
    pen.line([(x, min(y, 0.86)) for x, y in lace], 0.025, CREAM)
    pen.line(ring(0.5, 0.82, 0.42, 0.14, start=0, end=180), 0.045, pen.dark)
    pen.ellipse(0.5, 0.42, 0.42, 0.16, pen.dark)
    pen.ellipse(0.5, 0.41, 0.37, 0.125, CREAM)
    for start, end in (((0.45, 0.38), (0.12, 0.1)), ((0.56, 0.4), (0.86, 0.08))):
        pen.line([start, end], 0.04, WOOD)
        pen.ellipse(*start, 0.04, 0.035, WOOD)
