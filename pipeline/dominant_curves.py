"""Picture of a tuning: error over threshold."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from pipeline.dominant_table import KINDS
from pipeline.point_pictures import colours_of
from pipeline.point_tables import in_words

INCHES = 5.3, 3.8  # of each panel
DPI = 150
LEGEND_COLUMNS = 4
LEGEND_LINE = 0.22  # inches


def draw_curves(methods: Mapping[str, Mapping[str, Any]], file: Path) -> None:
    """Draw the error on the tuning photos over the factor, a panel for each kind of threshold.

    A dot marks the factor that was chosen. A line has its colour of the pointing game.

    Parameters
    ----------
    methods : mapping
        `methods` of the stage's metrics.json.
    file : Path
        A PNG.
    """
    kinds = list(next(iter(methods.values()))["thresholds"])
    legend_lines = -(-(len(methods) + 1) // LEGEND_COLUMNS)
    size = INCHES[0] * max(len(kinds), 1.5), INCHES[1] + LEGEND_LINE * legend_lines
    figure = Figure(figsize=size, layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    panels = figure.subplots(1, len(kinds), sharey=True, squeeze=False)[0]
    for axes, kind in zip(panels, kinds, strict=True):
        for name, colour in colours_of(methods).items():
            _curve(axes, methods[name]["thresholds"][kind], in_words(name), colour)
        axes.set_xlabel(f"threshold, as a multiple of the map's {KINDS[kind]}")
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
    panels[0].set_ylabel("error on the tuning photos, % of the pairs")
    handles, _ = panels[0].get_legend_handles_labels()
    chosen = Line2D([], [], color="#6b6b6b", marker="o", linestyle="", label="chosen threshold")
    figure.legend(
        handles=[*handles, chosen],
        loc="outside lower center",
        ncols=LEGEND_COLUMNS,
        frameon=False,
    )
    figure.savefig(file, dpi=DPI, metadata={"Software": None})


def _curve(axes: Axes, cut: Mapping[str, Any], name: str, colour: str) -> None:
    errors = [100 * error for error in cut["tuning_errors"]]
    axes.plot(cut["factors"], errors, color=colour, label=name)
    axes.plot(cut["factor"], 100 * cut["tuning_error"], "o", color=colour)
