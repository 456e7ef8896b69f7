"""Numbers of the report: headline, methods side by side, phrase types."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from grounding.localisation import KS

NAMES = {
    "mwp": "MWP",
    "cmwp": "c-MWP",
    "cam": "CAM",
    "grad_cam": "Grad-CAM",
    "wta": "d-WTA",
    "lrp": "LRP",
    "random_proposal": "random proposal (chance)",
}
SIMPLE = ("whole_image", "centre_box", "centre_point", "random_proposal", "proposal_order")


@dataclass(frozen=True)
class Tile:
    """A headline number, with its interval, meaning and chance where there are any."""

    name: str
    value: str
    interval: str
    meaning: str
    chance: str


@dataclass(frozen=True)
class Row:
    """A line of a table.

    Attributes
    ----------
    name : str
        Of what it tells about.
    kind : str
        run, method, simple, bound or type.
    cells : list of tuple of str
        Each a value and its interval, which may be empty.
    """

    name: str
    kind: str
    cells: list[tuple[str, str]]


def percent(share: float | None) -> str:
    """Per cent with one decimal; a dash where there is no number."""
    return "–" if share is None else f"{100 * share:.1f}"


def tiles(metrics: Mapping[str, Any]) -> list[Tile]:
    """Make the headline numbers."""
    chance = metrics["baselines"].get("random_proposal", {}).get("recall", {}).get("merged", {})
    made = []
    for k in map(str, KS):
        meaning = "first box" if k == "1" else f"one of the first {k} boxes"
        made.append(
            Tile(
                f"R@{k}",
                percent(metrics["recall"]["merged"][k]),
                _interval(metrics, "recall", "merged", k),
                f"of 100 phrases, so many have a hit as {meaning}",
                f"chance {percent(chance[k])}" if k in chance else "",
            )
        )
    middle = metrics["baselines"].get("centre_point", {}).get("pointing", {}).get("any_box")
    made.append(
        Tile(
            "Pointing",
            percent(metrics["pointing"]["any_box"]),
            _interval(metrics, "pointing", "any_box"),
            "of 100 maps, so many have their maximum inside a box of the phrase",
            "" if middle is None else f"centre point {percent(middle)}",
        )
    )
    made.append(
        Tile(
            "Upper bound",
            percent(metrics["upper_bound"]),
            _interval(metrics, "upper_bound"),
            "of 100 phrases, so many have a hit among their proposals at all",
            "",
        )
    )
    return made


def methods(metrics: Mapping[str, Any]) -> list[Row]:
    """Line up this run, other maps, what needs no photo, and the upper bound.

    Cells: R@1, R@5, R@10 merged, the same for any box, pointing (any box).
    """
    rows = [Row("this run", "run", _cells(metrics))]
    for simple in (False, True):
        for name, baseline in metrics["baselines"].items():
            if (name in SIMPLE) == simple:
                kind = "simple" if simple else "method"
                rows.append(Row(in_words(name), kind, _cells(baseline)))
    merged, each = (
        (percent(metrics.get(key)), _interval(metrics, key))
        for key in ("upper_bound", "upper_bound_any")
    )
    rows.append(Row("upper bound", "bound", [*[merged] * 3, *[each] * 3, ("–", "")]))
    return rows


def types(metrics: Mapping[str, Any]) -> list[Row]:
    """One line a phrase type. Cells: phrases, R@1, R@5, R@10 merged, upper bound, pointing."""
    rows = []
    for name, group in metrics.get("per_type", {}).items():
        shares = [group["recall"]["merged"][str(k)] for k in KS]
        shares += [group["upper_bound"], group["pointing"]["any_box"]]
        cells = [f"{group['phrases']:,}", *map(percent, shares)]
        rows.append(Row(name, "type", [(cell, "") for cell in cells]))
    return rows


def protocols(metrics: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """List each protocol with its number, if it gives a single one, and what it means."""
    listed = []
    for name, meaning in metrics["protocols"].items():
        node: Any = metrics
        for key in name.split("."):
            node = node.get(key, {})
        listed.append((name, percent(node) if isinstance(node, float) else "", meaning))
    return listed


def in_words(name: str) -> str:
    """Name of a method or baseline, for people."""
    return NAMES.get(name, name.replace("_", " "))


def _cells(numbers: Mapping[str, Any]) -> list[tuple[str, str]]:
    cells = []
    for protocol in ("merged", "any"):
        shares = numbers.get("recall", {}).get(protocol, {})
        for k in map(str, KS):
            cells.append((percent(shares.get(k)), _interval(numbers, "recall", protocol, k)))
    pointed = numbers.get("pointing", {}).get("any_box")
    return [*cells, (percent(pointed), _interval(numbers, "pointing", "any_box"))]


def _interval(metrics: Mapping[str, Any], *keys: str) -> str:
    """Write the interval at these keys as "39.1–43.0"; nothing where there is none."""
    node: Any = metrics.get("intervals", {})
    for key in keys:
        node = node.get(key, {})
    return f"{percent(node[0])}–{percent(node[1])}" if node else ""
