"""What a classifier is to learn: the loss, and where it begins."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn

from grounding import losses
from grounding.training.loop import Loss
from grounding.training.settings import TrainSettings


def make_loss(settings: TrainSettings, counts: Tensor, samples: int) -> Loss:
    """Choose the loss.

    Parameters
    ----------
    settings : TrainSettings
    counts : Tensor (V,)
        Photos of the training with each tag.
    samples : int
        Photos of the training.
    """
    weights = None
    if settings.positive_weight_power is not None:
        weights = losses.positive_weights(
            counts, samples, settings.positive_weight_power, settings.positive_weight_cap
        )
    if settings.loss == "focal":
        return partial(losses.focal, positive_weights=weights, gamma=settings.focal_gamma)
    if settings.loss == "asymmetric":
        return partial(
            losses.asymmetric,
            positive_weights=weights,
            gamma_negative=settings.asymmetric_gamma,
            clip=settings.asymmetric_clip,
        )
    return partial(losses.bce, positive_weights=weights)


@torch.no_grad()
def set_prior_bias(head: nn.Linear, counts: Tensor, samples: int) -> None:
    """Let every tag begin with the probability of its frequency.

    Or the first steps on a large vocabulary would only learn that most tags are absent (Lin et al.
    2017, Focal Loss for Dense Object Detection, 4.1).
    """
    share = (counts.double() + 0.5) / (samples + 1)
    head.bias.copy_(torch.logit(share))
