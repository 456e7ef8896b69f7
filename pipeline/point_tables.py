"""Numbers of the pointing game as tables: methods side by side, and class by class."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

from pipeline.report import tables
from pipeline.report.tables import percent

SUBSETS = {"all": "All", "difficult": "Difficult"}
BORDER = 15  # pixels of the photo; how near to its border is told of a maximum
MANY_DEGENERATE, MANY_AT_BORDER = 0.05, 0.5  # above these shares it is worth a note
MOST_BARS = 100  # classes
Methods = Mapping[str, Mapping[str, Any]]
"""Name to numbers: `methods` of the pointing game's metrics.json."""


def in_words(name: str) -> str:
    """Name of a line for people: methods by their names, a layer after @ as it is."""
    methods, at, layer = name.partition("@")
    return re.sub(r"[a-z]\w*", lambda word: _in_words(word[0]), methods) + at + layer


def _in_words(name: str) -> str:
    """Name of a method, or of a blend that may be made of such names, as in cmwp_cam."""
    if name in tables.NAMES:
        return tables.NAMES[name]
    return " ".join(tables.NAMES.get(part, part) for part in name.split("_"))


def labels_of(methods: Methods) -> list[str]:
    """Every class that a method was asked for, in their order."""
    return list(dict.fromkeys(label for each in methods.values() for label in each["classes"]))


def class_share(numbers: Mapping[str, Any], label: str, subset: str) -> float | None:
    """Share of hits of a class, 0–1; None where nothing was asked."""
    share: float | None = numbers["classes"].get(label, {}).get(subset)
    return share


def was_asked(methods: Methods, label: str, subset: str) -> bool:
    """Whether a class has a pair that any method was asked for."""
    return any(class_share(each, label, subset) is not None for each in methods.values())


def winners(methods: Methods, label: str, subset: str) -> list[str]:
    """Methods that reach a class's highest share, in their order: several if they are equal.

    Parameters
    ----------
    methods : mapping
        Of metrics.json.
    label : str
        Class.
    subset : str
        all or difficult.

    Returns
    -------
    list of str
        None of them where nothing was asked, or none hit.
    """
    return _highest({name: class_share(each, label, subset) for name, each in methods.items()})


def best_of(methods: Methods, subset: str) -> list[str]:
    """Methods with the highest accuracy, in their order: several if they are equal."""
    return _highest({name: each.get(subset) for name, each in methods.items()})


def _highest(shares: Mapping[str, float | None]) -> list[str]:
    most = max((share or 0 for share in shares.values()), default=0)
    return [name for name, share in shares.items() if share == most and most > 0]


def pairs_of(methods: Methods, label: str) -> tuple[int, int]:
    """Photos that a class was asked of, and how many of these pairs are difficult."""
    for numbers in methods.values():
        if label in numbers["classes"]:
            counted = numbers["classes"][label]
            return counted["pairs"], counted["difficult_pairs"]
    return 0, 0


def class_table(methods: Methods) -> str:
    """Accuracy class by class, as CSV, with the names of metrics.json.

    Columns: class, pairs, difficult_pairs; winner and winner_difficult, the methods with the
    highest share over all and over the difficult pairs, with a blank between equals, empty where
    none has a hit; and for each method METHOD.all and METHOD.difficult, shares of hits (0–1) with
    four decimals, empty where nothing was asked.
    """
    table = io.StringIO()
    write = csv.writer(table, lineterminator="\n").writerow
    columns = [f"{name}.{subset}" for name in methods for subset in SUBSETS]
    write(["class", "pairs", "difficult_pairs", "winner", "winner_difficult", *columns])
    for label in labels_of(methods):
        best = [" ".join(winners(methods, label, subset)) for subset in SUBSETS]
        shares = [class_share(each, label, s) for each in methods.values() for s in SUBSETS]
        cells = ["" if share is None else f"{share:.4f}" for share in shares]
        write([label, *pairs_of(methods, label), *best, *cells])
    return table.getvalue()


def with_interval(numbers: Mapping[str, Any], subset: str) -> tuple[str, str]:
    """Accuracy in per cent and its interval, as "83.0–87.2"; the interval is empty without one."""
    ends = numbers.get("intervals", {}).get(subset)
    return percent(numbers.get(subset)), "–".join(map(percent, ends)) if ends else ""


def published(numbers: Mapping[str, Any]) -> str:
    """Published accuracies as "85.1 / 72.3" (All / Difficult); empty without them."""
    return " / ".join(map(percent, numbers.get("published", ())))


def difficult_flags(difficult: Mapping[str, Any]) -> str:
    """Say where the flags of the difficult pairs come from, and whether the derived ones agree."""
    if difficult.get("source") != "published":
        return "difficult pairs: derived from the annotation"
    said = "difficult pairs: by the published flags"
    if difficult["agreement"] is not None:
        pairs = difficult["pairs"]
        agreed = round(difficult["agreement"] * pairs)
        said += (
            f", {difficult['published']:,} of the dataset's {pairs:,}; derived from the annotation "
            f"there are {difficult['derived']:,}, and the two agree on "
            f"{_share(agreed, pairs, 'pairs')}"
        )
    return said


def pairs_played(metrics: Mapping[str, Any]) -> str:
    """Count the pairs and the difficult ones, and those of which nobody knows it."""
    unknown = metrics["unflagged_pairs"]
    return (
        f"{metrics['pairs']:,} pairs of photo and class, {metrics['difficult_pairs']:,} of them "
        f"difficult{f' ({unknown:,} without a flag)' if unknown else ''}, "
        f"in {metrics['photos']:,} photos"
    )


def notes(metrics: Mapping[str, Any]) -> list[str]:
    """Say what a reader of the table and of the pictures should know.

    Of which methods many maps have no maximum, or most have it at the photo's border; and that
    there are too many classes to draw.
    """
    said = []
    classes = len(labels_of(metrics["methods"]))
    if classes > MOST_BARS:
        said.append(f"{classes:,} classes are too many for bars; classes.csv has their accuracy.")
    pairs = metrics["pairs"]
    for name, numbers in metrics["methods"].items():
        degenerate, at_border = numbers["degenerate"], numbers["at_border"]
        maxima = pairs - degenerate
        if degenerate > MANY_DEGENERATE * pairs:
            said.append(
                f"{in_words(name)}: {_share(degenerate, pairs, 'maps')} are constant or not "
                "finite, so they have no maximum and count as misses."
            )
        if at_border > MANY_AT_BORDER * maxima:
            said.append(
                f"{in_words(name)}: {_share(at_border, maxima, 'maxima')} lie within {BORDER} "
                "pixels of the photo's border."
            )
    return said


def _share(count: int, of: int, what: str) -> str:
    return f"{count:,} of {of:,} {what} ({percent(count / of)} %)"


def summary_table(metrics: Mapping[str, Any]) -> Table:
    """Lay the methods side by side for a terminal, in their order, the best of a column bold."""
    methods: Methods = metrics["methods"]
    beside = any(map(published, methods.values()))
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("method")
    for title in [*SUBSETS.values(), *(["as published"] if beside else []), "degenerate"]:
        table.add_column(title, justify="right", no_wrap=True)
    table.add_column("target layer")
    best = {subset: best_of(methods, subset) for subset in SUBSETS}
    for name, numbers in methods.items():
        cells = []
        for subset in SUBSETS:
            value, interval = with_interval(numbers, subset)
            style = "bold" if name in best[subset] else ""
            cells.append(Text(f"{value} ({interval})" if interval else value, style))
        cells += [Text(published(numbers))] if beside else []
        cells += [Text(f"{numbers['degenerate']:,}"), Text(numbers.get("target") or "–")]
        table.add_row(Text(in_words(name)), *cells)
    return table
