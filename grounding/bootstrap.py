"""Bootstrap intervals of shares whose cases come in groups."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import sparse

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
    return class_mean_intervals(hits, [""] * len(groups), groups, resamples, seed, level)


def class_mean_intervals(
    hits: np.ndarray,
    labels: Sequence[str],
    groups: Sequence[str],
    resamples: int = RESAMPLES,
    seed: int = 0,
    level: float = 0.95,
) -> np.ndarray:
    """Give the same for the mean over classes of the classes' means.

    `labels` has the class of each case. A class of which no case is drawn is left out of that
    draw's mean. The rest is as for `intervals`.
    """
    if not len(groups):
        raise ValueError("no cases to draw from")
    names, group = np.unique(np.asarray(groups), return_inverse=True)
    classes, label = np.unique(np.asarray(labels), return_inverse=True)
    cases = _table(group, label, len(names), len(classes))  # (G, C)
    sums = [_table(group, label, len(names), len(classes), measure) for measure in hits.T]
    random = np.random.default_rng(seed)
    means = []
    for first in range(0, resamples, CHUNK):
        size = min(CHUNK, resamples - first)
        drawn = random.multinomial(len(names), np.full(len(names), 1 / len(names)), size)  # (D, G)
        counts = drawn @ cases  # (D, C)
        with np.errstate(invalid="ignore"):
            shares = [(drawn @ each) / counts for each in sums]  # NaN: no case of the class
        means.append(np.nanmean(np.stack(shares, 2), axis=1))  # (D, M)
    tail = (1 - level) / 2
    return np.quantile(np.concatenate(means), [tail, 1 - tail], axis=0).T


def _table(
    rows: np.ndarray, columns: np.ndarray, height: int, width: int, of: np.ndarray | None = None
) -> sparse.csr_matrix:
    """Sums of `of`, or counts, by row and column."""
    values = np.ones(len(rows)) if of is None else of.astype(np.float64)
    return sparse.csr_matrix((values, (rows, columns)), shape=(height, width))
