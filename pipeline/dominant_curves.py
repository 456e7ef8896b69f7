"""Picture of a tuning: error over threshold."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from pipeline.point_tables import in_words

INCHES = 4.5, 3.8  # of each panel
DPI = 150
# Dark enough for white paper; beyond these lines they come again, dashed and so on.
COLOURS = ("#1b4965", "#c8553d", "#2a7f62", "#8a5a83", "#b07d12", "#3d5a98", "#5c5c5c")
STYLES = ("-", "--", ":", "-.")


def draw_curves(methods: Mapping[str, Mapping[str, Any]], file: Path) -> None:
    """Draw the error on the tuning photos over the factor, a panel for each kind of threshold.

    A dot marks the factor that was chosen.

    Parameters
    ----------
    methods : mapping
        `methods` of the stage's metrics.json.
    file : Path
        A PNG.
    """
    kinds = list(next(iter(methods.values()))["thresholds"])
    figure = Figure(figsize=(INCHES[0] * len(kinds), INCHES[1]), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(1, len(kinds), sharey=True, squeeze=False)[0]
    for axes, kind in zip(panels, kinds, strict=True):
        for number, (name, numbers) in enumerate(methods.items()):
            style = STYLES[number // len(COLOURS) % len(STYLES)]
            colour = COLOURS[number % len(COLOURS)]
            _curve(axes, numbers["thresholds"][kind], in_words(name), colour, style)
        axes.set_xlabel(f"threshold, × {kind} of the map")
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
    panels[0].set_ylabel("error on the tuning photos, %")
    panels[-1].legend(frameon=False)
    figure.savefig(file, dpi=DPI, metadata={"Software": None})


def _curve(axes: Axes, cut: Mapping[str, Any], name: str, colour: str, style: str) -> None:
    errors = [100 * error for error in cut["tuning_errors"]]
    axes.plot(cut["factors"], errors, style, color=colour, label=name)
    axes.plot(cut["factor"], 100 * cut["tuning_error"], "o", color=colour)
