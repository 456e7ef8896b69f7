"""One attention map for a phrase of several words."""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor

from grounding.word_maps import product, shares

Rule = Literal["mean", "max", "product", "head"]


def combine(
    maps: Tensor, head: int | None = None, rule: Rule = "mean", head_weight: float = 0.5
) -> Tensor:
    """Combine the maps of a phrase's words, each first scaled to sum 1.

    Parameters
    ----------
    maps : Tensor (K, h, w)
        ≥ 0, one per word; floating point. A map without attention stays all zero.
    head : int or None
        Which of them is the head noun's.
    rule : {"mean", "max", "product", "head"}
        "product" is the geometric mean over the words with attention, and the plain mean where
        their maps have no cell in common. "head" is the mean in which the head's map has the weight
        `head_weight` and the others share the rest; the plain mean where no word is the head.
    head_weight : float
        From 0 to 1; for "head" only.

    Returns
    -------
    Tensor (h, w)
        ≥ 0. All zero where there is no word.

    Raises
    ------
    ValueError
        The rule is unknown.
    """
    if rule not in get_args(Rule):
        raise ValueError(f"rule {rule!r}: choose from {', '.join(get_args(Rule))}")
    if not len(maps):
        return maps.new_zeros(maps.shape[1:])
    scaled = shares(maps)
    if rule == "max":
        return scaled.amax(0)
    if rule == "product":
        return product(scaled)
    return torch.einsum("khw,k->hw", scaled, _weights(scaled, head, rule, head_weight))


def _weights(shares: Tensor, head: int | None, rule: Rule, head_weight: float) -> Tensor:
    words = len(shares)
    if rule == "mean" or head is None or words == 1:
        return shares.new_full((words,), 1 / words)
    weights = shares.new_full((words,), (1 - head_weight) / (words - 1))
    weights[head] = head_weight
    return weights
