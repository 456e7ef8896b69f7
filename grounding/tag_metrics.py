"""How well a classifier names the tags of photos: average precision and precision at k."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import sklearn
from sklearn.metrics import average_precision_score

from data_prep.errors import UserError

BLOCK = 256  # photos, or tags, that are looked at at a time


def tag_metrics(
    scores: np.ndarray, targets: np.ndarray, at: Sequence[int] = (1, 5, 10)
) -> dict[str, Any]:
    """Measure scores against the tags that photos have.

    Average precision is scikit-learn's: the mean over a ranking's hits of the precision there,
    without interpolation.

    Parameters
    ----------
    scores : ndarray (N, V), floating
        The higher, the more the classifier believes that the photo has the tag.
    targets : ndarray (N, V), integer
        1: has it, 0: has it not, -1: unknown, left out.
    at : sequence of int
        The k of the precisions at k.

    Returns
    -------
    dict
        ``map_macro``: mean of ``ap`` over the tags counted. ``map_micro``: average precision of
        one ranking of all (photo, tag) pairs. ``precision_at_K``: share of right ones among the K
        best-scored tags of a photo (of all its known tags where they are fewer; equal scores in
        the tags' order), mean over the photos with a known tag. ``ap``: (V,) float64 per tag, NaN
        for a tag without a photo that has it or without one that has it not. ``tags``: tags
        counted. ``images``: photos with a known tag.

    Raises
    ------
    UserError
        A score is not finite, or no tag can be counted.
    """
    for start in range(0, len(scores), BLOCK):
        if not np.isfinite(scores[start : start + BLOCK]).all():
            raise UserError(
                "tag metrics: a score is not finite, the training has run away; give it a smaller "
                "learning rate"
            )
    ap = _per_tag(scores, targets)
    counted = np.isfinite(ap)
    if not counted.any():
        raise UserError(
            f"tag metrics: none of {len(ap)} tags has a photo with it and one without it among "
            f"{len(scores)} photos; give a larger validation split"
        )
    right = _right_among_best(scores, targets, max(at))
    known = (~np.isnan(right)).cumsum(1)
    hits = np.nan_to_num(right).cumsum(1)
    usable = known[:, 0] > 0
    precisions = {
        f"precision_at_{k}": float((hits[usable, k - 1] / known[usable, k - 1]).mean()) for k in at
    }
    return {
        "map_macro": float(ap[counted].mean()),
        "map_micro": _micro(scores, targets),
        **precisions,
        "images": int(usable.sum()),
        "tags": int(counted.sum()),
        "ap": ap,
    }


def _per_tag(scores: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Average precision of every tag, NaN where it has none."""
    ap = np.full(scores.shape[1], np.nan)
    with sklearn.config_context(assume_finite=True, skip_parameter_validation=True):
        for start in range(0, len(ap), BLOCK):
            block = slice(start, start + BLOCK)
            columns = np.ascontiguousarray(scores[:, block].T)
            rows = zip(columns, np.ascontiguousarray(targets[:, block].T), strict=True)
            for tag, (score, target) in enumerate(rows, start):
                known = target >= 0
                has_it = target[known]
                if 0 < has_it.sum() < len(has_it):
                    ap[tag] = average_precision_score(has_it, score[known])
    return ap


def _micro(scores: np.ndarray, targets: np.ndarray) -> float:
    """Average precision of all known pairs in one ranking.

    Only how many negatives lie between two positives matters, so that they enter as one of that
    weight each: exact, ties included, without sorting N·V scores at once.
    """
    positives = scores[targets == 1]
    levels = np.unique(positives)
    above = np.zeros(len(levels), np.int64)  # negatives with a score of at least the level
    for start in range(0, len(scores), BLOCK):
        block = slice(start, start + BLOCK)
        negatives = np.sort(scores[block][targets[block] == 0])
        above += len(negatives) - np.searchsorted(negatives, levels)
    between = -np.diff(above, append=0)
    return float(
        average_precision_score(
            np.repeat([1, 0], [len(positives), len(levels)]),
            np.concatenate([positives, levels]),
            sample_weight=np.concatenate([np.ones(len(positives)), between]),
        )
    )


def _right_among_best(scores: np.ndarray, targets: np.ndarray, k: int) -> np.ndarray:
    """(N, k) float: whether each of a photo's k best known tags is right, best first, else NaN."""
    right = np.full((len(scores), k), np.nan)
    for row, score, target in zip(right, scores, targets, strict=True):
        known = np.flatnonzero(target >= 0)
        score = score[known]
        if len(known) > k:
            best = np.flatnonzero(score >= np.partition(score, -k)[-k])  # k, or more if tied
            known, score = known[best], score[best]
        order = np.argsort(-score, kind="stable")[:k]
        row[: len(order)] = target[known[order]]
    return right
