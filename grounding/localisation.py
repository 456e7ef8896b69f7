"""Phrase localisation: which boxes hit, recall at k, pointing accuracy, each with its protocol.

Recall with the merged box is the protocol of Plummer et al., "Flickr30k Entities" (2015): the
boxes of a phrase are replaced by the one box around them, and a proposal hits with an
intersection over union of 0.5 or more. Every mention of a phrase counts once, and a phrase whose
words the model does not know counts as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from torchvision.ops import box_iou

from grounding.pointing import TOLERANCE, Box, Point, point_hits
from grounding.ranking import DEPTH

THRESHOLD = 0.5  # intersection over union of a hit
KS = (1, 5, 10)
LARGE = 0.05  # of the photo, for pointing.large

PROTOCOLS = {
    "phrases": "Every mention that has boxes counts once. With phrase.context a phrase gives way "
    "to the others of its caption that have boxes and a known word, so which phrases have boxes "
    "has a part in the result.",
    "recall.merged": "Share of phrases of which one of the first k boxes, after suppression "
    "(rank.nms) and voting (rank.vote), has IoU ≥ 0.5 with the box around all boxes of the phrase.",
    "recall.any": "Share of phrases of which one of these first k boxes has IoU ≥ 0.5 with any "
    "one box of the phrase.",
    "upper_bound": "Share of phrases for which some proposal, wherever it is ranked, hits as in "
    "recall.merged; boxes that rank.vote has moved are no proposals, so recall may exceed it.",
    "upper_bound_any": "Share of phrases for which some proposal, wherever it is ranked, hits as "
    "in recall.any; recall may exceed it as it may upper_bound.",
    "pointing.any_box": "Share of phrases whose attention map has its maximum inside any box of "
    "the phrase, without tolerance; a map that points nowhere is a miss.",
    "pointing.union_box": "As pointing.any_box, but inside the box around all boxes of the phrase.",
    "pointing.any_box_15px": "As pointing.any_box, but within 15 pixels of a box, as in the "
    "pointing game on VOC.",
    "pointing.large": "As pointing.any_box, over the phrases whose boxes together span at least "
    "5 % of the photo: small phrases are skipped.",
    "pointing.per_type_mean": "Mean over phrase types of pointing.any_box; a phrase of several "
    "types counts in each.",
    "out_of_vocabulary": "Share of phrases without a word that the model knows; they are counted "
    "in every number here.",
    "intervals": "95 % percentile bootstrap, 2,000 resamples of photos, since phrases of one "
    "photo are not independent.",
    "baselines": "Those by other maps (cmwp, mwp, cam, …): one look at the photo "
    "at a short side of 384 pixels, the mean over the words, the photo's middle for a phrase "
    "without a known word, boxes ranked with this run's settings, which were chosen for its maps.",
    "baselines.whole_image": "One box for every phrase: the whole photo.",
    "baselines.centre_box": "One box for every phrase: half as wide and high as the photo, in its "
    "middle.",
    "baselines.centre_point": "The middle of the photo as the point of every phrase.",
    "baselines.random_proposal": "Expected value for proposals in random order: chance.",
    "baselines.proposal_order": "The proposals in the order in which their method lists them.",
}


@dataclass(frozen=True)
class Localised:
    """What came of one phrase.

    Attributes
    ----------
    photo : str
        That it belongs to.
    width, height : int
        Of the photo, in pixels.
    phrase : str
        As written.
    boxes : tuple of Box
        The truth; one or more.
    types : tuple of str
        Kinds of thing; may be empty.
    out_of_vocabulary : bool
        Whether no word of it is known.
    rank_merged, rank_any : int or None
        1-based rank of the first box that hits, see `first_hit`.
    point : Point or None
        Maximum of the map; None for a map that points nowhere.
    proposals, hits_merged, hits_any : int
        Proposals of the photo, and how many of them hit.
    first_merged, first_any : int or None
        As the ranks, for the proposals in their own order.
    """

    photo: str
    width: int
    height: int
    phrase: str
    boxes: tuple[Box, ...]
    types: tuple[str, ...]
    out_of_vocabulary: bool
    rank_merged: int | None
    rank_any: int | None
    point: Point | None
    proposals: int
    hits_merged: int
    hits_any: int
    first_merged: int | None
    first_any: int | None

    @property
    def union(self) -> Box:
        """Box around all boxes."""
        return union_box(self.boxes)

    @property
    def size(self) -> float:
        """Share of the photo that the box around all boxes spans."""
        x1, y1, x2, y2 = self.union
        return (x2 - x1) * (y2 - y1) / (self.width * self.height)


def union_box(boxes: ArrayLike) -> Box:
    """Box around all boxes, (N, 4) with N ≥ 1."""
    array = np.asarray(boxes, np.float64)
    x1, y1 = array[:, :2].min(axis=0)
    x2, y2 = array[:, 2:].max(axis=0)
    return float(x1), float(y1), float(x2), float(y2)


def overlaps(boxes: ArrayLike, truth: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Intersection over union of boxes with the truth of one phrase, in two protocols.

    Parameters
    ----------
    boxes : array_like (N, 4)
        x1, y1, x2, y2.
    truth : array_like (T, 4)
        Boxes of the phrase, T ≥ 1.

    Returns
    -------
    merged, any : ndarray (N,), float64, in [0, 1]
        With the box around all of the truth, and the largest with one box of it.
    """
    ours = torch.as_tensor(np.asarray(boxes, np.float64).reshape(-1, 4))
    theirs = torch.as_tensor(np.asarray([union_box(truth), *np.asarray(truth)], np.float64))
    iou = box_iou(ours, theirs).numpy()  # (N, 1 + T)
    return iou[:, 0], iou[:, 1:].max(axis=1)


def first_hit(iou: np.ndarray, threshold: float = THRESHOLD, depth: int = DEPTH) -> int | None:
    """1-based rank of the first of the `depth` first boxes that reaches the threshold.

    Parameters
    ----------
    iou : ndarray (N,)
        In the order of the ranking.
    threshold, depth
        Least overlap of a hit; boxes looked at.
    """
    hits = np.flatnonzero(iou[:depth] >= threshold)
    return int(hits[0]) + 1 if hits.size else None


def recall(ranks: Sequence[int | None], k: int) -> float:
    """Share of ranks that are k or better, in [0, 1]; None is a miss."""
    return sum(rank is not None and rank <= k for rank in ranks) / len(ranks)


def random_recall(hits: Sequence[int], proposals: Sequence[int], depth: int = DEPTH) -> list[float]:
    """Expected recall at 1 … depth of proposals in random order, exactly.

    Parameters
    ----------
    hits, proposals : sequence of int
        For each phrase, how many of how many proposals hit.

    Returns
    -------
    list of float, length depth
        Mean over phrases of 1 - C(N - h, k) / C(N, k).
    """
    total = np.asarray(proposals)[:, None]  # (P, 1)
    drawn = np.arange(depth)  # (K,) before the draw
    misses = np.maximum(total - np.asarray(hits)[:, None] - drawn, 0)
    still = np.where(drawn < total, misses / np.maximum(total - drawn, 1), 1.0)
    return [float(share) for share in (1 - still.cumprod(axis=1)).mean(axis=0)]


def pointing(phrases: Sequence[Localised]) -> dict[str, float]:
    """Pointing accuracy by each of the protocols that these phrases allow."""
    any_box = [points_inside(p) for p in phrases]
    shares = {
        "any_box": _mean(any_box),
        "union_box": _mean([point_hits(p.point, [p.union], 0) for p in phrases]),
        "any_box_15px": _mean([point_hits(p.point, p.boxes, TOLERANCE) for p in phrases]),
    }
    large = [hit for hit, p in zip(any_box, phrases, strict=True) if p.size >= LARGE]
    if large:
        shares["large"] = _mean(large)
    types = by_type(phrases)
    if len(types) > 1:
        of_types = [_mean([points_inside(p) for p in members]) for members in types.values()]
        shares["per_type_mean"] = sum(of_types) / len(types)
    return shares


def shares(phrases: Sequence[Localised]) -> dict[str, Any]:
    """Recall, upper bound and pointing accuracy, without anything beside them.

    Returns
    -------
    dict
        `phrases`; `recall` → `merged` and `any` → "1", "5", "10"; `upper_bound`,
        `upper_bound_any`; `pointing`. Shares in [0, 1].
    """
    return {
        "phrases": len(phrases),
        "recall": {
            "merged": recalls([p.rank_merged for p in phrases]),
            "any": recalls([p.rank_any for p in phrases]),
        },
        "upper_bound": _mean([p.hits_merged > 0 for p in phrases]),
        "upper_bound_any": _mean([p.hits_any > 0 for p in phrases]),
        "pointing": pointing(phrases),
    }


def recalls(ranks: Sequence[int | None]) -> dict[str, float]:
    """Recall at each of `KS`."""
    return {str(k): recall(ranks, k) for k in KS}


def by_type(phrases: Sequence[Localised]) -> dict[str, list[Localised]]:
    """Phrases of each type, the types in alphabetical order; one of several types is in each."""
    names = sorted({name for p in phrases for name in p.types})
    return {name: [p for p in phrases if name in p.types] for name in names}


def points_inside(phrase: Localised) -> bool:
    """Whether a phrase is a hit by pointing.any_box."""
    return point_hits(phrase.point, phrase.boxes, 0)


def _mean(values: Sequence[bool]) -> float:
    return sum(values) / len(values)
