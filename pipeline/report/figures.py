"""Curves of phrase localisation as SVG that takes its colours from the page around it."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import matplotlib as mpl
import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from grounding.localisation import THRESHOLD, Localised, random_recall, recall
from grounding.ranking import DEPTH

# Drawn in colours that stand for the page's own, light or dark.
INK, RUN, OTHER, MUTED = "#010101", "#020202", "#030303", "#040404"
PAGE_COLOURS = {
    INK: "currentColor",
    RUN: "var(--run)",
    OTHER: "var(--other)",
    MUTED: "var(--muted)",
}
STYLE: Any = {
    "svg.fonttype": "path",
    "svg.hashsalt": "tag2box",  # same input, same file
    "font.size": 10,
    "text.color": INK,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
}
NO_METADATA = dict.fromkeys(("Date", "Creator", "Format", "Type"))
TICKS = (1, 2, 5, 10, 20, 50, 100)


class Drawing(NamedTuple):
    """A figure for the page, and its numbers in words for who cannot see it."""

    svg: Markup
    text: str


def recall_curve(phrases: Sequence[Localised]) -> Drawing:
    """R@k over k by both protocols, between chance and the upper bound."""
    ks = list(range(1, DEPTH + 1))
    with mpl.rc_context(STYLE):
        axes = _axes("boxes looked at, k", "recall, %")
        bound = sum(p.hits_merged > 0 for p in phrases) / len(phrases)
        axes.axhline(100 * bound, color=MUTED, linestyle="--", label="upper bound (merged)")
        curves = {
            "merged": [recall([p.rank_merged for p in phrases], k) for k in ks],
            "any": [recall([p.rank_any for p in phrases], k) for k in ks],
            "random proposal (merged)": random_recall(
                [p.hits_merged for p in phrases], [p.proposals for p in phrases]
            ),
        }
        styles = [(RUN, "-", 2.2), (OTHER, "-.", 1.8), (MUTED, ":", 1.8)]
        for (name, values), (colour, line, width) in zip(curves.items(), styles, strict=True):
            axes.plot(
                ks, 100 * np.array(values), color=colour, ls=line, linewidth=width, label=name
            )
        axes.set_xscale("log")
        axes.set_xticks(TICKS, [str(k) for k in TICKS])
        axes.set_xticks([], minor=True)
        axes.set(ylim=(0, 100), xlim=(1, DEPTH))
        handles, labels = axes.get_legend_handles_labels()
        above = [1, 0, 2, 3]  # as the lines lie
        axes.legend(
            [handles[i] for i in above],
            [labels[i] for i in above],
            loc="lower center",
            bbox_to_anchor=(0.5, 1.0),
            ncols=2,
            fontsize=9,
        )
        told = [
            f"{name}: " + ", ".join(f"{100 * values[k - 1]:.1f} at {k}" for k in TICKS)
            for name, values in curves.items()
        ]
        text = f"Recall in per cent. {'; '.join(told)}; upper bound: {100 * bound:.1f}."
        return Drawing(_svg(axes, "recall"), text)


def iou_histogram(ious: Sequence[float | None]) -> Drawing:
    """How far the first box overlaps the truth; a phrase without a box overlaps nothing."""
    with mpl.rc_context(STYLE):
        axes = _axes("IoU of the first box (merged)", "phrases, %")
        values = [iou or 0.0 for iou in ious]
        counts, edges = np.histogram(values, bins=20, range=(0, 1))
        heights = 100 * counts / len(values)
        colours = [RUN if edge >= THRESHOLD - 1e-9 else MUTED for edge in edges[:-1]]
        axes.bar(edges[:-1], heights, width=0.046, align="edge", color=colours)
        axes.axvline(THRESHOLD, color=OTHER, linestyle="--", linewidth=1.4)
        axes.text(
            THRESHOLD + 0.015, 1, "hit", color=OTHER, va="top", transform=axes.get_xaxis_transform()
        )
        axes.set_xlim(0, 1)
        hits = sum(value >= THRESHOLD for value in values) / len(values)
        text = f"{100 * hits:.1f} per cent of the first boxes have IoU {THRESHOLD} or more."
        return Drawing(_svg(axes, "iou"), text)


def group_bars(groups: Mapping[str, Mapping[str, Any]], name: str, label: str) -> Drawing:
    """R@1 and R@10 (merged) of each group of phrases, below their upper bound.

    Parameters
    ----------
    groups : mapping
        Name to what `grounding.localisation.shares` returns.
    name, label
        Of the figure in the page, and of its x axis.
    """
    with mpl.rc_context(STYLE):
        axes = _axes(label, "recall, %")
        place = np.arange(len(groups))
        first, ten = (
            [100 * group["recall"]["merged"][k] for group in groups.values()] for k in ("1", "10")
        )
        axes.bar(place - 0.19, first, width=0.36, color=RUN, label="R@1")
        axes.bar(place + 0.19, ten, width=0.36, color=OTHER, label="R@10")
        bounds = [100 * group["upper_bound"] for group in groups.values()]
        axes.hlines(
            *(bounds, place - 0.4, place + 0.4),
            color=MUTED,
            ls="--",
            label="upper bound",
            clip_on=False,
        )
        ticks = [
            f"{key.replace(' and more', '+').replace('under ', '< ')}\n{group['phrases']:,}"
            for key, group in groups.items()
        ]
        axes.set_xticks(place, ticks)
        axes.set_ylim(0, 100)
        axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3, fontsize=9)
        told = [
            f"{key}: {height:.1f} of {group['phrases']:,} phrases, at most {bound:.1f}"
            for (key, group), height, bound in zip(groups.items(), first, bounds, strict=True)
        ]
        return Drawing(_svg(axes, name), f"R@1 in per cent. {'; '.join(told)}.")


def _axes(x: str, y: str) -> Axes:
    figure = Figure(figsize=(4.4, 3.1), layout="constrained")
    FigureCanvasSVG(figure)
    figure.patch.set_visible(False)
    axes = figure.add_subplot()
    axes.patch.set_visible(False)
    axes.set(xlabel=x, ylabel=y)
    axes.grid(axis="y", color=MUTED, alpha=0.25, linewidth=0.8)
    axes.set_axisbelow(True)
    return axes


def _svg(axes: Axes, name: str) -> Markup:
    """Draw the figure for use inside a page: ids of its own, the page's colours, no size."""
    buffer = io.StringIO()
    figure = axes.figure
    assert isinstance(figure, Figure)
    figure.savefig(buffer, format="svg", metadata=NO_METADATA)
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<style.*?</style>|<metadata>.*?</metadata>|<!--.*?-->", "", svg, flags=re.S)
    svg = re.sub(r'^<svg [^>]*(viewBox="[^"]*")[^>]*>', r'<svg \1 aria-hidden="true">', svg)
    svg = re.sub(r'\bid="', f'id="{name}-', svg)
    svg = re.sub(r'xlink:href="#', f'href="#{name}-', svg)
    svg = svg.replace("url(#", f"url(#{name}-")
    for drawn, shown in PAGE_COLOURS.items():
        svg = svg.replace(drawn, shown)
    return Markup(svg)  # made here, of numbers and of names that the metrics give
