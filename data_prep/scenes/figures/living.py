"""Plants, animals and people."""

import math

from data_prep.scenes.pen import CREAM, EMBER, INK, LEAF, SKIN, STEEL, WHITE, WOOD, Pen, ring


def tree(pen: Pen) -> None:
    """Trunk under a crown of four rounds."""
    pen.polygon([(0.44, 0.6), (0.56, 0.6), (0.6, 1.0), (0.4, 1.0)], WOOD)
    for x, y, radius in ((0.3, 0.46, 0.2), (0.7, 0.46, 0.2), (0.5, 0.24, 0.24), (0.5, 0.5, 0.2)):
        pen.ellipse(x, y, radius, radius, pen.main)
    for x, y in ((0.42, 0.2), (0.6, 0.28), (0.28, 0.45), (0.72, 0.47), (0.5, 0.5)):
        pen.ellipse(x, y, 0.05, 0.035, pen.light, outline=False)


def flower(pen: Pen) -> None:
    """Six petals on a stem with two leaves."""
    pen.line([(0.5, 0.35), (0.52, 0.7), (0.5, 1.0)], 0.05, LEAF)
    pen.ellipse(0.35, 0.8, 0.15, 0.055, LEAF, turn=25)
    pen.ellipse(0.66, 0.74, 0.15, 0.055, LEAF, turn=-25)
    for step in range(6):
        angle = math.radians(60 * step)
        x, y = 0.5 + 0.2 * math.cos(angle), 0.32 + 0.2 * math.sin(angle)
        pen.ellipse(x, y, 0.14, 0.095, pen.main, turn=60 * step)
    pen.ellipse(0.5, 0.32, 0.1, 0.1, EMBER)


def mushroom(pen: Pen) -> None:
    """Spotted cap on a pale stem."""
    pen.polygon([(0.4, 0.45), (0.6, 0.45), (0.66, 0.98), (0.34, 0.98)], CREAM)
    pen.polygon(ring(0.5, 0.52, 0.48, 0.48, start=180, end=360), pen.main)
    for x, y, radius in (
        (0.5, 0.2, 0.09),
        (0.24, 0.38, 0.08),
        (0.76, 0.38, 0.08),
        (0.5, 0.43, 0.06),
    ):
        pen.ellipse(x, y, radius, radius * 0.8, WHITE, outline=False)


def cactus(pen: Pen) -> None:
    """Ribbed column with two arms, in a pot."""
    for arm in (
        [(0.5, 0.55), (0.22, 0.55), (0.22, 0.28)],
        [(0.5, 0.45), (0.78, 0.45), (0.78, 0.2)],
    ):
        pen.line(arm, 0.17, pen.dark)
        pen.line(arm, 0.13, pen.main)
    pen.line([(0.5, 0.12), (0.5, 0.8)], 0.27, pen.dark)
    pen.line([(0.5, 0.12), (0.5, 0.8)], 0.23, pen.main)
    for x in (0.43, 0.5, 0.57):
        pen.line([(x, 0.1), (x, 0.74)], 0.014, pen.dark)
    pen.polygon([(0.27, 0.76), (0.73, 0.76), (0.66, 1.0), (0.34, 1.0)], WOOD)


def fish(pen: Pen) -> None:
    """Body with tail, fins and scales."""
    pen.polygon([(0.7, 0.5), (0.98, 0.26), (0.92, 0.5), (0.98, 0.74)], pen.dark)
    pen.polygon([(0.35, 0.3), (0.6, 0.14), (0.66, 0.36)], pen.dark)
    pen.ellipse(0.4, 0.5, 0.38, 0.24, pen.main)
    for x in (0.36, 0.48, 0.6):
        pen.line(ring(x, 0.5, 0.06, 0.14, start=-70, end=70), 0.02, pen.dark)
    pen.polygon([(0.36, 0.56), (0.54, 0.52), (0.5, 0.68)], pen.light)
    pen.ellipse(0.17, 0.44, 0.055, 0.055, WHITE)
    pen.ellipse(0.16, 0.44, 0.025, 0.025, INK, outline=False)
    pen.line([(0.05, 0.58), (0.14, 0.58)], 0.018, INK)


def butterfly(pen: Pen) -> None:
    """Four spotted wings, a body and feelers."""
    for side in (-1, 1):
        pen.ellipse(0.5 + side * 0.25, 0.36, 0.25, 0.17, pen.main, turn=side * -40)
        pen.ellipse(0.5 + side * 0.2, 0.7, 0.19, 0.14, pen.light, turn=side * 40)
        pen.ellipse(0.5 + side * 0.28, 0.32, 0.08, 0.065, pen.dark, outline=False)
        pen.ellipse(0.5 + side * 0.21, 0.72, 0.06, 0.05, pen.dark, outline=False)
        pen.line([(0.5, 0.28), (0.5 + side * 0.1, 0.08)], 0.018, INK)
    pen.ellipse(0.5, 0.53, 0.045, 0.28, INK)


def cat(pen: Pen) -> None:
    """A face with pointed ears and whiskers."""
    for side in (-1, 1):
        ear = [(0.5 + side * x, y) for x, y in ((0.42, 0.04), (0.08, 0.26), (0.42, 0.46))]
        pen.polygon(ear, pen.main)
        pen.polygon(
            [(0.5 + side * x, y) for x, y in ((0.36, 0.14), (0.2, 0.26), (0.36, 0.34))], SKIN
        )
    pen.ellipse(0.5, 0.56, 0.42, 0.38, pen.main)
    for side in (-1, 1):
        pen.ellipse(0.5 + side * 0.18, 0.5, 0.09, 0.07, LEAF.mixed(WHITE, 0.5))
        pen.ellipse(0.5 + side * 0.18, 0.5, 0.025, 0.065, INK, outline=False)
        for y in (0.66, 0.72, 0.78):
            pen.line([(0.5 + side * 0.14, 0.7), (0.5 + side * 0.48, y)], 0.014, INK)
    pen.polygon([(0.44, 0.62), (0.56, 0.62), (0.5, 0.7)], SKIN)
    pen.line([(0.42, 0.78), (0.5, 0.72), (0.58, 0.78)], 0.02, INK)


def person(pen: Pen) -> None:
    """Standing, with arms away from the body."""
    for side in (-1, 1):
        pen.line(
            [(0.5 + side * 0.06, 0.62), (0.5 + side * 0.1, 0.97)], 0.09, INK.mixed(WHITE, 0.25)
        )
        pen.line([(0.5 + side * 0.1, 0.32), (0.5 + side * 0.28, 0.52)], 0.07, pen.main)
        pen.ellipse(0.5 + side * 0.3, 0.55, 0.045, 0.045, SKIN)
    pen.polygon([(0.36, 0.27), (0.64, 0.27), (0.61, 0.68), (0.39, 0.68)], pen.main)
    pen.ellipse(0.5, 0.14, 0.125, 0.135, SKIN)
    pen.polygon(ring(0.5, 0.12, 0.14, 0.13, start=180, end=360), WOOD.mixed(INK, 0.4))
    for x in (0.455, 0.545):
        pen.ellipse(x, 0.155, 0.016, 0.016, INK, outline=False)
    pen.line([(0.46, 0.205), (0.54, 0.205)], 0.014, INK)


def snowman(pen: Pen) -> None:
    """Two balls of snow, with a hat and a scarf."""
    for side in (-1, 1):
        pen.line([(0.5 + side * 0.2, 0.62), (0.5 + side * 0.44, 0.45)], 0.025, WOOD)
    pen.ellipse(0.5, 0.74, 0.27, 0.26, WHITE)
    pen.ellipse(0.5, 0.36, 0.18, 0.17, WHITE)
    pen.box(0.3, 0.185, 0.7, 0.235, pen.dark)
    pen.box(0.37, 0.0, 0.63, 0.2, pen.main)
    pen.polygon([(0.34, 0.46), (0.66, 0.46), (0.64, 0.54), (0.36, 0.54)], pen.main)
    pen.box(0.56, 0.52, 0.64, 0.72, pen.main)
    for x in (0.43, 0.57):
        pen.ellipse(x, 0.33, 0.022, 0.022, INK, outline=False)
    pen.polygon([(0.5, 0.36), (0.7, 0.4), (0.5, 0.42)], EMBER)
    for y in (0.68, 0.78, 0.88):
        pen.ellipse(0.46, y, 0.025, 0.025, INK, outline=False)


def hand(pen: Pen) -> None:
    """Palm, four fingers and a thumb, in a sleeve."""
    fingers = (
        ((0.36, 0.5), (0.26, 0.16)),
        ((0.46, 0.46), (0.43, 0.07)),
        ((0.55, 0.46), (0.6, 0.1)),
    )
    for bone in (*fingers, ((0.63, 0.5), (0.75, 0.22)), ((0.4, 0.7), (0.13, 0.48))):
        pen.line(bone, 0.125, pen.dark.mixed(INK, 0.5))
        pen.line(bone, 0.095, pen.main)
    pen.ellipse(0.5, 0.6, 0.2, 0.2, pen.main, outline=False)
    pen.line([(0.4, 0.62), (0.52, 0.6), (0.6, 0.64)], 0.016, pen.dark)
    pen.polygon([(0.3, 0.76), (0.7, 0.76), (0.74, 1.0), (0.26, 1.0)], STEEL)
    pen.box(0.28, 0.74, 0.72, 0.82, CREAM)
