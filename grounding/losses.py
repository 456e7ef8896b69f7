"""Losses for photos with many tags: every tag is a yes-or-no question of its own.

Each takes logits (N, V) and targets (N, V) of 1 (has the tag), 0 (has it not) and -1 (unknown: no
loss), and gives (N,) float32: per photo the **sum** over its tags. That is the normalisation of
Caffe's SigmoidCrossEntropyLoss; a mean over 18,157 tags would need as much larger a learning rate.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid


def bce(logits: Tensor, targets: Tensor, positive_weights: Tensor | None = None) -> Tensor:
    """Binary cross-entropy.

    Parameters
    ----------
    logits : Tensor (N, V), any floating dtype
    targets : Tensor (N, V) of 1, 0 and -1
    positive_weights : Tensor (V,) or None
        Factor of a tag's loss where the photo has it; see `positive_weights`.

    Returns
    -------
    Tensor (N,) float32, or float64 for such logits; ≥ 0
    """
    logits = _at_least_float32(logits)
    return _sum(-logsigmoid(logits), -logsigmoid(-logits), targets, positive_weights)


def focal(
    logits: Tensor,
    targets: Tensor,
    positive_weights: Tensor | None = None,
    *,
    gamma: float = 2.0,
) -> Tensor:
    """Focal loss (Lin et al. 2017, Focal Loss for Dense Object Detection, Eq. 5).

    Cross-entropy times (1 − p)^gamma, p the probability given to what is true: what is already
    right counts less. The paper's alpha is left out. The rest is as of `bce`.
    """
    logits = _at_least_float32(logits)
    yes, no = logsigmoid(logits), logsigmoid(-logits)
    if_present = -yes * (gamma * no).exp()
    if_absent = -no * (gamma * yes).exp()
    return _sum(if_present, if_absent, targets, positive_weights)


def asymmetric(
    logits: Tensor,
    targets: Tensor,
    positive_weights: Tensor | None = None,
    *,
    gamma_negative: float = 4.0,
    clip: float = 0.05,
) -> Tensor:
    """Asymmetric loss (Ridnik et al. 2021, Asymmetric Loss for Multi-Label Classification).

    Cross-entropy of the tags that a photo has (the paper's gamma of these is 0, as it advises), and
    a focal loss of those it has not, whose probability is lowered by `clip` first (not below 0):
    absent tags with a probability under `clip`, and with them many that
    nobody cared to write down, cost nothing. The rest is as of `bce`.
    """
    logits = _at_least_float32(logits)
    yes, no = logsigmoid(logits), logsigmoid(-logits)
    if clip > 0:
        lowered = (yes.exp() - clip).clamp(min=0)
        if_absent = -torch.log1p(-lowered) * _power(lowered, gamma_negative)
    else:
        if_absent = -no * (gamma_negative * yes).exp()
    return _sum(-yes, if_absent, targets, positive_weights)


def positive_weights(counts: Tensor, samples: int, power: float = 0.5, cap: float = 20.0) -> Tensor:
    """Give rare tags a larger say: min(cap, ((N − n) / n)^power).

    Parameters
    ----------
    counts : Tensor (V,)
        Photos with each tag, n. A tag on none gets `cap` (unless `power` is 0).
    samples : int
        Photos, N.
    power : float
        0: no weights; 1: as much weight on a tag's presence as on its absence.
    cap : float
        Largest weight.

    Returns
    -------
    Tensor (V,) float32, in [0, cap]
    """
    counts = counts.double()
    return ((samples - counts) / counts).pow(power).clamp(max=cap).float()


def _at_least_float32(logits: Tensor) -> Tensor:
    return logits.to(torch.promote_types(logits.dtype, torch.float32))


def _power(base: Tensor, exponent: float) -> Tensor:
    """`base` ** `exponent` for a base ≥ 0, with a finite gradient at 0 for exponents below 1."""
    positive = base > 0
    return torch.where(
        positive, torch.where(positive, base, 1.0).pow(exponent), float(exponent == 0)
    )


def _sum(if_present: Tensor, if_absent: Tensor, targets: Tensor, weights: Tensor | None) -> Tensor:
    if weights is not None:
        if_present = if_present * weights
    zero = if_present.new_zeros(())
    return torch.where(targets == 1, if_present, torch.where(targets == 0, if_absent, zero)).sum(1)
