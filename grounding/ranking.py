"""Rank boxes by the attention inside them.

The paper ranks proposals by the sum of attention in a box over area^γ (Zhang et al., "Top-down
Neural Attention by Excitation Backprop", supplement 5). Sums come from an integral image, for
all maps and boxes together.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from data_prep.compiled import compiled
from data_prep.errors import UserError, check_number

DEPTH = 100  # of a ranked list
VOTE_POWER = 4

Score = Literal["sum", "contrast"]


@dataclass(frozen=True)
class RankSettings:
    """How a box is scored; s is the share of a map's attention in it, a its share of the photo.

    Attributes
    ----------
    score : {"sum", "contrast"}
        s / a^γ; or (s - a) / (a (1 - a))^γ, the excess over an even map, 0 of the whole photo.
    gamma : float
        γ ≥ 0; 0 favours large boxes, 1 is the mean attention in a box (of "sum").
    size_prior : tuple of float or None
        Typical share a₀ of the photo and spread σ: scores are multiplied by
        exp(-(ln a - ln a₀)² / 2σ²).
    nms : float or None
        Of two boxes with a larger IoU only the better one is kept; None keeps all.
    vote : float or None
        Move each ranked box to the mean of the boxes with at least this IoU with it; see
        `vote_boxes`. None leaves them.

    Raises
    ------
    UserError
        A value is unusable.
    """

    score: Score = "sum"
    gamma: float = 0.38
    size_prior: tuple[float, float] | None = None
    nms: float | None = 0.5
    vote: float | None = 0.5

    def __post_init__(self) -> None:
        if self.score not in get_args(Score):
            raise UserError(f"rank.score={self.score}: give one of {', '.join(get_args(Score))}")
        check_number("rank.gamma", self.gamma, 0, 10)
        check_number("rank.nms", self.nms, 0, 1, or_null=True)
        check_number("rank.vote", self.vote, 0, 1, or_null=True)
        prior = self.size_prior
        if prior is None:
            return
        if not isinstance(prior, tuple) or len(prior) != 2:
            raise UserError(
                f"rank.size_prior={prior}: give a share of the photo and a spread, as in [0.3,1], "
                "or null"
            )
        check_number("rank.size_prior's share", prior[0], 1e-6, 1)
        check_number("rank.size_prior's spread", prior[1], 0.01, 100)


def integral_images(maps: Tensor) -> Tensor:
    """Sum maps (K, h, w) over rows and columns: (K, h + 1, w + 1) float64, zeros first."""
    return functional.pad(maps.double().cumsum(1).cumsum(2), (1, 0, 1, 0))


def box_sums(integrals: Tensor, boxes: Tensor) -> Tensor:
    """Attention of every map in every box, exactly: a cell counts by the part that lies in it.

    Parameters
    ----------
    integrals : Tensor (K, h + 1, w + 1) float64
        Of `integral_images`.
    boxes : Tensor (N, 4)
        x1, y1, x2, y2 as shares of the photo's width and height, in [0, 1].

    Returns
    -------
    Tensor (K, N) float64
    """
    x1, y1, x2, y2 = boxes.double().unbind(1)
    corners = torch.stack([x2, y2, x1, y1, x1, y2, x2, y1], dim=1).view(1, -1, 4, 2)
    # Between grid lines an integral image is bilinear.
    found = functional.grid_sample(integrals[None], 2 * corners - 1, align_corners=True)[0]
    return found @ found.new_tensor([1.0, 1.0, -1.0, -1.0])


def score_boxes(maps: Tensor, boxes: Tensor, settings: RankSettings) -> Tensor:
    """Score boxes by the attention in them.

    Parameters
    ----------
    maps : Tensor (K, h, w)
        ≥ 0, each covering the whole photo. A map without attention counts as even.
    boxes : Tensor (N, 4)
        x1, y1, x2, y2 as shares of the photo's width and height, in [0, 1]; none empty.
    settings : RankSettings

    Returns
    -------
    Tensor (K, N) float64
        On the maps' device.
    """
    boxes = boxes.to(maps.device).double()
    integrals = integral_images(maps)
    total = integrals[:, -1:, -1:]
    even = integral_images(torch.ones_like(maps[:1])) / maps[0].numel()
    shares = box_sums(torch.where(total > 0, integrals / total, even), boxes)
    area = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    if settings.score == "contrast":
        whole = area > 1 - 1e-9  # 0 / 0, in which rounding would count
        outside = torch.where(whole, 1, 1 - area)
        scores = torch.where(whole, 0, (shares - area) / (area * outside) ** settings.gamma)
    else:
        scores = shares / area**settings.gamma
    if settings.size_prior is not None:
        typical, spread = settings.size_prior
        scores = scores * torch.exp(-((area / typical).log() ** 2) / (2 * spread**2))
    return scores


def rank_boxes(scores: Tensor, boxes: Tensor, limit: float | None) -> Tensor:
    """Order boxes by one map's scores, the best first; of equals the earlier box.

    Parameters
    ----------
    scores : Tensor (N,)
    boxes : Tensor (N, 4)
        x1, y1, x2, y2 in pixels.
    limit : float or None
        Boxes whose IoU with a better one of the list is larger are left out.

    Returns
    -------
    Tensor (≤ DEPTH,) int64
        Places of the boxes, on the CPU.
    """
    # Scores that are equal but for rounding keep the boxes' order.
    order = scores.cpu().double().round(decimals=12).sort(descending=True, stable=True).indices
    if limit is None:
        return order[:DEPTH]
    kept = _suppress(boxes.cpu().double().numpy(), order.numpy(), float(limit), DEPTH)
    return torch.from_numpy(kept)


@compiled
def _suppress(boxes: np.ndarray, order: np.ndarray, limit: float, depth: int) -> np.ndarray:
    """Greedy non-maximum suppression that stops with the `depth`-th box it keeps."""
    kept = np.empty(min(depth, len(order)), np.int64)
    count = 0
    for place in order:
        if count == depth:
            break
        x1, y1, x2, y2 = boxes[place]
        area = (x2 - x1) * (y2 - y1)
        clear = True
        for better in kept[:count]:
            a1, b1, a2, b2 = boxes[better]
            both = max(min(x2, a2) - max(x1, a1), 0.0) * max(min(y2, b2) - max(y1, b1), 0.0)
            if both > limit * (area + (a2 - a1) * (b2 - b1) - both):
                clear = False
                break
        if clear:
            kept[count] = place
            count += 1
    return kept[:count]


def vote_boxes(places: Tensor, scores: Tensor, boxes: Tensor, least: float) -> Tensor:
    """Move ranked boxes to the weighted mean of the boxes that much overlap them.

    Neighbours that contain the attention less well still tell where a thing ends (box voting:
    Gidaris and Komodakis, "Object detection via a multi-region and semantic segmentation-aware
    CNN model", ICCV 2015).

    Parameters
    ----------
    places : Tensor (n,) int64
        Of the ranked boxes in `boxes`; see `rank_boxes`.
    scores : Tensor (N,)
        The voters' weights are their 4th powers; negative ones count as 0.
    boxes : Tensor (N, 4)
        x1, y1, x2, y2 in pixels.
    least : float
        IoU of a voter.

    Returns
    -------
    Tensor (n, 4) float64
        On the CPU.
    """
    best = scores.max() if len(scores) else scores.new_ones(())
    weights = (scores.double().clamp(min=0) / best).nan_to_num(0) ** VOTE_POWER
    voted = _vote(boxes.cpu().double().numpy(), places.numpy(), weights.cpu().numpy(), float(least))
    return torch.from_numpy(voted)


@compiled
def _vote(boxes: np.ndarray, places: np.ndarray, weights: np.ndarray, least: float) -> np.ndarray:
    """Weighted mean of the boxes (N, 4) around each of some, (n, 4)."""
    found = boxes[places]
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    for i in range(len(places)):
        x1, y1, x2, y2 = found[i]
        total = a = b = c = d = 0.0
        for j in range(len(boxes)):
            width = min(x2, boxes[j, 2]) - max(x1, boxes[j, 0])
            height = min(y2, boxes[j, 3]) - max(y1, boxes[j, 1])
            both = max(width, 0.0) * max(height, 0.0)
            if both >= least * (areas[places[i]] + areas[j] - both):
                weight = weights[j]
                total += weight
                a += weight * boxes[j, 0]
                b += weight * boxes[j, 1]
                c += weight * boxes[j, 2]
                d += weight * boxes[j, 3]
        if total > 0:
            found[i, 0], found[i, 1] = a / total, b / total
            found[i, 2], found[i, 3] = c / total, d / total
    return found


def grid_windows(height: int, width: int) -> Tensor:
    """All windows of whole cells of a grid, as shares of its sides: (N, 4) float64."""
    x1, x2 = torch.triu_indices(width, width).double()
    y1, y2 = torch.triu_indices(height, height).double()
    x, y = torch.stack([x1, x2 + 1], 1) / width, torch.stack([y1, y2 + 1], 1) / height
    return torch.cat(
        [
            torch.stack([x[:, 0].repeat(len(y)), y[:, 0].repeat_interleave(len(x))], 1),
            torch.stack([x[:, 1].repeat(len(y)), y[:, 1].repeat_interleave(len(x))], 1),
        ],
        dim=1,
    )
