"""The metrics of a run of phrase localisation: shares, intervals, groups, simple baselines."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from grounding.bootstrap import intervals
from grounding.localisation import KS, PROTOCOLS, Localised, by_type, points_inside, shares
from grounding.simple_baselines import simple_baselines

# Upper ends of bins, not included.
LENGTHS = {"1 word": 2, "2 words": 3, "3 words": 4, "4 words": 5, "5 and more": math.inf}
SIZES = {
    "under 5 %": 0.05,
    "5–15 %": 0.15,
    "15–30 %": 0.3,
    "30–50 %": 0.5,
    "50 % and more": math.inf,
}


def evaluate(phrases: Sequence[Localised], seed: int = 0) -> dict[str, Any]:
    """All that a run of phrase localisation is judged by.

    Parameters
    ----------
    phrases : sequence of Localised
        Every mention, one or more.
    seed : int
        Of the bootstrap.

    Returns
    -------
    dict
        What `shares` returns; `photos`, `out_of_vocabulary`; `intervals`, keyed like the shares;
        `per_type`, `by_length` (in words) and `by_size` (share of the photo), each a name to
        what `shares` returns; `baselines`, see `simple_baselines`; `protocols`, a name to one
        sentence.

    Raises
    ------
    ValueError
        There are no phrases.
    """
    if not phrases:
        raise ValueError("no phrases to evaluate")
    photos = [p.photo for p in phrases]
    hits = [
        [*(p.rank_merged is not None and p.rank_merged <= k for k in KS), points_inside(p)]
        for p in phrases
    ]
    *merged, pointed = intervals(np.asarray(hits), photos, seed=seed).tolist()
    return {
        **shares(phrases),
        "photos": len(set(photos)),
        "out_of_vocabulary": sum(p.out_of_vocabulary for p in phrases) / len(phrases),
        "intervals": {
            "recall": {"merged": dict(zip(map(str, KS), merged, strict=True))},
            "pointing": {"any_box": pointed},
        },
        "per_type": {name: shares(members) for name, members in by_type(phrases).items()},
        "by_length": _binned(phrases, LENGTHS, lambda p: len(p.phrase.split())),
        "by_size": _binned(phrases, SIZES, lambda p: p.size),
        "baselines": simple_baselines(phrases),
        "protocols": PROTOCOLS,
    }


def _binned(
    phrases: Sequence[Localised],
    bins: Mapping[str, float],
    measure: Callable[[Localised], float],
) -> dict[str, dict[str, Any]]:
    """Shares of the phrases in each bin that has some."""
    place = np.searchsorted(list(bins.values()), [measure(p) for p in phrases], side="right")
    groups = {
        name: [p for p, bin_ in zip(phrases, place, strict=True) if bin_ == i]
        for i, name in enumerate(bins)
    }
    return {name: shares(members) for name, members in groups.items() if members}
