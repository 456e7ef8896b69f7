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
    return {
        **shares(phrases),
        "photos": len({p.photo for p in phrases}),
        "out_of_vocabulary": sum(p.out_of_vocabulary for p in phrases) / len(phrases),
        "intervals": share_intervals(phrases, seed),
        "per_type": {name: shares(members) for name, members in by_type(phrases).items()},
        "by_length": _binned(phrases, LENGTHS, lambda p: len(p.phrase.split())),
        "by_size": _binned(phrases, SIZES, lambda p: p.size),
        "baselines": simple_baselines(phrases),
        "protocols": PROTOCOLS,
    }


def map_baseline(phrases: Sequence[Localised], seed: int = 0) -> dict[str, Any]:
    """Give `recall`, `pointing` and their `intervals` of other maps; parameters as for `evaluate`.

    There is no upper bound, since the proposals are those of the run.
    """
    own = shares(phrases) | {"intervals": share_intervals(phrases, seed)}
    for bound in ("upper_bound", "upper_bound_any"):
        del own["intervals"][bound]
    return {key: own[key] for key in ("recall", "pointing", "intervals")}


def share_intervals(phrases: Sequence[Localised], seed: int = 0) -> dict[str, Any]:
    """Give intervals (lower and upper end) of the main shares, keyed as `shares` keys them."""
    hits = [
        [rank is not None and rank <= k for rank in (p.rank_merged, p.rank_any) for k in KS]
        + [p.hits_merged > 0, p.hits_any > 0, points_inside(p)]
        for p in phrases
    ]
    ends = iter(intervals(np.asarray(hits), [p.photo for p in phrases], seed=seed).tolist())
    return {
        "recall": {name: {str(k): next(ends) for k in KS} for name in ("merged", "any")},
        "upper_bound": next(ends),
        "upper_bound_any": next(ends),
        "pointing": {"any_box": next(ends)},
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
