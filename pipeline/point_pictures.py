"""Pictures of the pointing game's numbers: accuracy by class, and over target layers."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from pipeline.point_tables import (
    SUBSETS,
    Methods,
    class_share,
    in_words,
    labels_of,
    pairs_of,
    was_asked,
    winners,
)
from pipeline.report.tables import percent

# Told apart by the colour-blind too: the twelve colours of Martin Krzywinski, grey and black.
COLOURS = {
    "cmwp": "#009f81",
    "mwp": "#8400cd",
    "wta": "#ff5aaf",
    "centre": "#8c8c8c",
    "gradient": "#00c2f9",
    "deconvnet": "#008df9",
    "guided_backprop": "#00fccf",
    "lrp": "#a40122",
    "cam": "#ffc33b",
    "grad_cam": "#ff6e3a",
}
SPARE = ("#000000", "#ffb2fd", "#9f0162", "#e20134")
PALEST = 0.8  # share of white that the layers of a method stay under
INK, MUTED, GRID = "#222222", "#6b6b6b", "#e3e3e3"

DPI = 150
WIDTH = 10.6  # inches, as below
PANEL_HEIGHT = 1.75
LEGEND_COLUMNS = 4
CLASSES_PER_PANEL = 10
LETTERS = 13  # of a label's line
TITLE_LETTERS = 100  # of a title's line
UPRIGHT = 4  # layers at most whose names stand beside each other
BARS = 0.86  # of a class's place


class LayerAccuracy(NamedTuple):
    """What a method reaches at one target layer.

    Attributes
    ----------
    layer : str
        Its name.
    side : int
        Of its grid.
    all, difficult : float or None
        Mean over classes of the share of hits, 0–1; None where nothing was asked.
    intervals : mapping of str to (lower, upper)
        Of `all` and `difficult`.
    """

    layer: str
    side: int
    all: float | None
    difficult: float | None
    intervals: Mapping[str, Sequence[float]]


def colours_of(lines: Iterable[str]) -> dict[str, str]:
    """Colour of each line, METHOD or METHOD@LAYER.

    A known method always has its own, others get what is left, in order; the layers of a method
    go from its colour to a paler one.
    """
    layers: dict[str, list[str]] = {}
    for line in lines:
        layers.setdefault(line.partition("@")[0], []).append(line)
    used = {COLOURS[name] for name in layers if name in COLOURS}
    left = [colour for colour in (*SPARE, *COLOURS.values()) if colour not in used] or [MUTED]
    others = [name for name in layers if name not in COLOURS]
    own = COLOURS | {name: left[i % len(left)] for i, name in enumerate(others)}
    return {
        line: _paler(own[name], PALEST * i / len(some))
        for name, some in layers.items()
        for i, line in enumerate(some)
    }


def _paler(colour: str, white: float) -> str:
    """Mix a colour with a share of white."""
    red, green, blue = (white + (1 - white) * part for part in to_rgb(colour))
    return to_hex((red, green, blue))


def class_bars(methods: Methods, path: Path, subset: str) -> None:
    """Draw the accuracy of every method class by class, as in the paper's Figs. 3 and 4.

    A star marks the best of a class, of equals each; the title names the method with the most of
    them. The same input gives the same file.

    Parameters
    ----------
    methods : mapping
        Of metrics.json, with one class or more.
    path : Path
        PNG to write.
    subset : str
        all or difficult.
    """
    labels = labels_of(methods)
    best = {label: winners(methods, label, subset) for label in labels}
    counts = {name: sum(name in names for names in best.values()) for name in methods}
    asked = sum(was_asked(methods, label, subset) for label in labels)
    title = textwrap.fill(_title(counts, asked, subset), TITLE_LETTERS)
    parts = -(-len(labels) // CLASSES_PER_PANEL)
    per_part = -(-len(labels) // parts)
    head = 0.45 + 0.2 * (-(-len(methods) // LEGEND_COLUMNS) + title.count("\n"))
    figure = _figure(WIDTH, head + PANEL_HEIGHT * parts + 0.25)
    panels = figure.subplots(parts, 1, squeeze=False)[:, 0]
    for number, axes in enumerate(panels):
        some = labels[number * per_part : (number + 1) * per_part]
        _class_panel(axes, methods, some, subset, best)
        axes.set_xlim(-0.5, per_part - 0.5)
    of = "" if subset == "all" else f"{subset} "
    panels[-1].set_xlabel(f"class, and its number of {of}pairs")
    figure.supylabel("pointing accuracy, %", fontsize="medium")
    handles = [
        Patch(
            color=colour,
            label=f"{in_words(name)}  {percent(methods[name][subset])} %, ★ {counts[name]}",
        )
        for name, colour in colours_of(methods).items()
    ]
    figure.legend(
        handles=handles,
        loc="outside upper center",
        ncols=LEGEND_COLUMNS,
        frameon=False,
        fontsize=9,
        handlelength=1,
        title=title,
        title_fontsize=12,
    )
    _save(figure, path)


def _title(counts: Mapping[str, int], asked: int, subset: str) -> str:
    """Name the methods that win most classes, of two or more."""
    pairs = f"{SUBSETS[subset]} pairs"
    most = max(counts.values())
    if len(counts) == 1 or not most:
        return pairs
    leaders = [in_words(name) for name, count in counts.items() if count == most]
    if len(leaders) == 1:
        return f"{pairs}: {leaders[0]} wins most classes, {most} of {asked} (alone or tied)"
    some = f"{', '.join(leaders[:-1])} and {leaders[-1]}"
    return f"{pairs}: {some} win most classes, {most} of {asked} each (alone or tied)"


def _class_panel(
    axes: Axes,
    methods: Methods,
    labels: Sequence[str],
    subset: str,
    best: Mapping[str, Sequence[str]],
) -> None:
    width = BARS / len(methods)
    for number, (name, colour) in enumerate(colours_of(methods).items()):
        shift = (number - (len(methods) - 1) / 2) * width
        shares = [class_share(methods[name], label, subset) for label in labels]
        places = [place + shift for place in range(len(labels))]
        heights = [100 * (share or 0) for share in shares]
        axes.bar(places, heights, width=0.9 * width, color=colour)
        stars = [i for i, label in enumerate(labels) if name in best[label]]
        for i in stars:
            axes.annotate(
                "★",
                (places[i], heights[i]),
                (0, 1),
                textcoords="offset points",
                ha="center",
                va="bottom",
                fontsize=8,
                color=INK,
            )
    for place, label in enumerate(labels):
        if not was_asked(methods, label, subset):
            note = "no pair" if subset == "all" else f"no {subset}\npair"
            axes.text(place, 4, note, ha="center", va="bottom", fontsize=8, color=MUTED)
    counts = [pairs_of(methods, label)[subset == "difficult"] for label in labels]
    shown = [
        "\n".join([*textwrap.wrap(label, LETTERS, max_lines=2, placeholder="…"), f"{count:,}"])
        for label, count in zip(labels, counts, strict=True)
    ]
    axes.set_xticks(
        range(len(labels)), shown, fontsize=9, linespacing=1.1, color=INK, parse_math=False
    )
    axes.tick_params(axis="x", length=0)
    axes.set(ylim=(0, 112), yticks=range(0, 101, 25))
    _plain(axes)


def layer_curves(lines: Mapping[str, Sequence[LayerAccuracy]], path: Path) -> bool:
    """Draw the accuracy over the target layers, finest first, as the paper's 6.2 compares them.

    A panel each for all and the difficult pairs, if there are any; a line upright is an interval.

    Parameters
    ----------
    lines : mapping
        Method to what it reaches at each of its layers.
    path : Path
        PNG to write.

    Returns
    -------
    bool
        Whether it was drawn: not for fewer than two layers.
    """
    sides = {point.layer: point.side for points in lines.values() for point in points}
    layers = sorted(sides, key=lambda layer: -sides[layer])
    if len(layers) < 2:
        return False
    shown = {
        subset: title
        for subset, title in SUBSETS.items()
        if any(getattr(point, subset) is not None for some in lines.values() for point in some)
    }
    figure = _figure(WIDTH * len(shown) / len(SUBSETS), 4.2)
    panels = figure.subplots(1, len(shown), sharey=True, squeeze=False)[0]
    for axes, (subset, title) in zip(panels, shown.items(), strict=True):
        for number, (name, colour) in enumerate(colours_of(lines).items()):
            shift = 0.08 * (number - (len(lines) - 1) / 2)
            points = sorted(lines[name], key=lambda point: layers.index(point.layer))
            _curve(axes, points, layers, subset, colour, shift, in_words(name))
        ticks = [f"{layer}\n{sides[layer]}×{sides[layer]}" for layer in layers]
        turned = {"rotation": 30, "ha": "right"} if len(layers) > UPRIGHT else {}
        axes.set_xticks(range(len(layers)), ticks, fontsize=9, **turned)
        axes.set(title=f"{title} pairs", xlabel="target layer, and its grid for a 224×224 input")
        _plain(axes)
    panels[0].set_ylabel("pointing accuracy, %")
    handles, names = panels[0].get_legend_handles_labels()
    figure.legend(
        handles, names, loc="outside upper center", ncols=min(len(lines), 6), frameon=False
    )
    _save(figure, path)
    return True


def _curve(
    axes: Axes,
    points: Sequence[LayerAccuracy],
    layers: Sequence[str],
    subset: str,
    colour: str,
    shift: float,
    label: str,
) -> None:
    known = [(point, getattr(point, subset)) for point in points]
    places = [layers.index(point.layer) + shift for point, share in known if share is not None]
    heights = [100 * share for _, share in known if share is not None]
    axes.plot(places, heights, "o-", color=colour, markersize=5, label=label)
    for point, share in known:
        if share is not None and subset in point.intervals:
            low, high = point.intervals[subset]
            place = layers.index(point.layer) + shift
            axes.vlines(place, 100 * low, 100 * high, color=colour, linewidth=1.4)


def _figure(width: float, height: float) -> Figure:
    figure = Figure(figsize=(width, height), dpi=DPI, layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def _plain(axes: Axes) -> None:
    axes.grid(axis="y", color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def _save(figure: Figure, path: Path) -> None:
    figure.savefig(path, format="png", metadata={"Software": None})
