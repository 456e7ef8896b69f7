"""What a pointing game is judged by: accuracy by class, their mean, and how sure it is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from grounding.bootstrap import class_mean_intervals
from grounding.pointing import Outcome, accuracy, class_accuracies

PROTOCOL = (
    "A hit is a maximum of the map, resized to the photo, within {tolerance:g} pixels of the "
    "class: of a box, or of a mask where there are any. A map that is not finite or constant is a "
    "miss. All: the mean over classes of their share of hits. Difficult: the same for the pairs of "
    "the difficult subset. A class whose objects are all hard to recognise (VOC) or crowds (COCO) "
    "in a photo is not asked for there. Intervals: 95 %, bootstrap over photos."
)


def evaluate(outcomes: Sequence[Outcome], seed: int = 0) -> dict[str, Any]:
    """Judge the plays of one method.

    Parameters
    ----------
    outcomes : sequence of Outcome
        Every play, one or more.
    seed : int
        Of the bootstrap.

    Returns
    -------
    dict
        `all` and `difficult`: mean over classes, in [0, 1]; difficult is None without such a pair.
        `intervals`: lower and upper end of both; `difficult` only if there is one. `classes`: label
        to `all`, `difficult`, `pairs` and `difficult_pairs`.

    Raises
    ------
    ValueError
        There are no plays.
    """
    if not outcomes:
        raise ValueError("no plays to evaluate")
    hard = [play for play in outcomes if play.difficult]
    of_all, of_hard = class_accuracies(outcomes), class_accuracies(hard)
    pairs, hard_pairs = (Counter(play.label for play in plays) for plays in (outcomes, hard))
    subsets = {"all": outcomes, "difficult": hard}
    return {
        **{name: accuracy(plays) if plays else None for name, plays in subsets.items()},
        "intervals": {name: _interval(plays, seed) for name, plays in subsets.items() if plays},
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


def _interval(plays: Sequence[Outcome], seed: int) -> list[float]:
    hits = np.array([[play.hit] for play in plays])
    labels, images = [play.label for play in plays], [play.image for play in plays]
    ends: list[float] = class_mean_intervals(hits, labels, images, seed=seed)[0].tolist()
    return ends
