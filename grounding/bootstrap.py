"""Bootstrap intervals of shares whose cases come in groups."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

RESAMPLES = 2000
CHUNK = 100  # resamples at once: of 30,000 groups 24 MB


def intervals(
    hits: np.ndarray,
    groups: Sequence[str],
    resamples: int = RESAMPLES,
    seed: int = 0,
    level: float = 0.95,
) -> np.ndarray:
    """Percentile bootstrap over groups: whole groups are drawn with replacement.

    Parameters
    ----------
    hits : ndarray (P, M)
        For P cases and M measures, whether (or how well, in [0, 1]) the case was met.
    groups : sequence of str, length P
        Cases of one group are not independent, such as the phrases of a photo.
    resamples : int
        How often as many groups as there are get drawn.
    seed : int
        Of the draws.
    level : float
        Coverage of the interval.

    Returns
    -------
    ndarray (M, 2), float64
        Lower and upper end for the mean over cases. Both are the mean if there is one group.

    Raises
    ------
    ValueError
        There are no cases.

    Notes
    -----
    Efron & Tibshirani, "An Introduction to the Bootstrap" (1993), section 13.3.
    """
    if not len(groups):
        raise ValueError("no cases to draw from")
    names, members = np.unique(np.asarray(groups), return_inverse=True)
    counts = np.bincount(members)  # (G,)
    sums = np.zeros((len(names), hits.shape[1]))  # (G, M)
    np.add.at(sums, members, hits)
    random = np.random.default_rng(seed)
    means = []
    for first in range(0, resamples, CHUNK):
        size = min(CHUNK, resamples - first)
        drawn = random.multinomial(len(names), np.full(len(names), 1 / len(names)), size)  # (C, G)
        means.append((drawn @ sums) / (drawn @ counts)[:, None])
    tail = (1 - level) / 2
    return np.quantile(np.concatenate(means), [tail, 1 - tail], axis=0).T
