"""What a pointing game is judged by: accuracy by class, their mean, and how sure it is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from grounding.bootstrap import class_mean_intervals
from grounding.pointing import Outcome, accuracy, class_accuracies

PROTOCOL = (
    "A hit is a maximum of the map, resized to the photo, within {tolerance:g} pixels of the "
    "class: of a box, or of a mask where there are any. A map that is not finite or constant is a "
    "miss. All: the mean over classes of their share of hits. Difficult: the same for the pairs of "
    "the difficult subset. A class whose objects are all hard to recognise (VOC) or crowds (COCO) "
    "in a photo is not asked for there, nor one with an object whose mask or box cannot be read. "
    "Pairs that are not asked are counted over the whole dataset, even where limit stops earlier. "
    "Intervals: 95 %, bootstrap over photos."
)


def evaluate(plays: Mapping[str, Sequence[Outcome]], seed: int = 0) -> dict[str, dict[str, Any]]:
    """Judge the plays of methods, all of them on the same pairs of photo and class.

    Parameters
    ----------
    plays : mapping of str to sequence of Outcome
        Of each method every play, one or more, in the same order for all methods.
    seed : int
        Of the bootstrap; its draws are the same for all methods.

    Returns
    -------
    dict of str to dict
        Of each method `all` and `difficult`: mean over classes, in [0, 1]; difficult is None
        without such a pair. `intervals`: lower and upper end of both; `difficult` only if there is
        one. `classes`: label to `all`, `difficult`, `pairs` and `difficult_pairs`.

    Raises
    ------
    ValueError
        There are no plays, or methods were not asked for the same.
    """
    if not plays or not all(plays.values()):
        raise ValueError("no plays to evaluate")
    if len({tuple(map(_pair, outcomes)) for outcomes in plays.values()}) > 1:
        raise ValueError("the methods were not asked for the same pairs in the same order")
    hard = {name: [play for play in outcomes if play.difficult] for name, outcomes in plays.items()}
    intervals: dict[str, dict[str, list[float]]] = {name: {} for name in plays}
    for subset, chosen in (("all", plays), ("difficult", hard)):
        for name, ends in _intervals(chosen, seed).items():
            intervals[name][subset] = ends
    return {name: _judged(plays[name], hard[name], intervals[name]) for name in plays}


def _pair(play: Outcome) -> tuple[str, str, bool | None]:
    return play.image, play.label, play.difficult


def _judged(
    plays: Sequence[Outcome], hard: Sequence[Outcome], intervals: dict[str, list[float]]
) -> dict[str, Any]:
    of_all, of_hard = class_accuracies(plays), class_accuracies(hard)
    pairs, hard_pairs = (Counter(play.label for play in some) for some in (plays, hard))
    return {
        "all": accuracy(plays),
        "difficult": accuracy(hard) if hard else None,
        "intervals": intervals,
        "classes": {
            label: {
                "all": of_all[label],
                "difficult": of_hard.get(label),
                "pairs": pairs[label],
                "difficult_pairs": hard_pairs[label],
            }
            for label in of_all
        },
    }


def _intervals(plays: Mapping[str, Sequence[Outcome]], seed: int) -> dict[str, list[float]]:
    """Give both ends by method; nothing without a play."""
    first = next(iter(plays.values()))
    if not first:
        return {}
    hits = np.array([[play.hit for play in outcomes] for outcomes in plays.values()]).T  # (P, M)
    labels, images = [play.label for play in first], [play.image for play in first]
    ends = class_mean_intervals(hits, labels, images, seed=seed).tolist()
    return dict(zip(plays, ends, strict=True))
