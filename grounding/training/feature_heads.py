"""Linear heads that learn from features computed once."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from data_prep.errors import UserError


class StandardisedHead(nn.Module):
    """A linear head on features brought to mean 0 and standard deviation 1.

    Features of a pooled ReLU layer differ in scale by orders of magnitude; on the standardised
    ones one learning rate fits all. The result is a plain linear layer: see `folded`.
    """

    def __init__(self, head: nn.Linear, mean: Tensor, std: Tensor) -> None:
        super().__init__()
        self.head = head
        self.mean: Tensor
        self.std: Tensor
        self.register_buffer("mean", mean)
        self.register_buffer("std", std)

    def forward(self, features: Tensor) -> Tensor:
        return self.head((features - self.mean) / self.std)

    def folded(self) -> tuple[Tensor, Tensor]:
        """Weight (V, F) and bias (V,) of the same head on the features as they are."""
        weight = self.head.weight.detach().double() / self.std.double()
        bias = self.head.bias.detach().double() - weight @ self.mean.double()
        return weight.float(), bias.float()


class CalibratedHead(StandardisedHead):
    """A head of fixed directions: only the scale and the bias of each tag learn.

    A map of attention depends on the direction alone.

    Parameters
    ----------
    head, mean, std
        As for `StandardisedHead`; the head's weight is overwritten.
    weight : Tensor (V, F)
        On the features as they are; see `ridge_weight`.
    """

    def __init__(self, head: nn.Linear, mean: Tensor, std: Tensor, weight: Tensor) -> None:
        super().__init__(head, mean, std)
        with torch.no_grad():
            head.weight.copy_(weight * std)
        head.weight.requires_grad_(False)
        self.log_scale = nn.Parameter(head.weight.new_zeros(len(weight)))

    def forward(self, features: Tensor) -> Tensor:
        scores = functional.linear((features - self.mean) / self.std, self.head.weight)
        return scores * self.log_scale.exp() + self.head.bias

    def folded(self) -> tuple[Tensor, Tensor]:
        """Weight (V, F) and bias (V,) of the same head on the features as they are."""
        scale = self.log_scale.detach().double().exp()[:, None]
        weight = self.head.weight.detach().double() * scale / self.std.double()
        bias = self.head.bias.detach().double() - weight @ self.mean.double()
        return weight.float(), bias.float()


def ridge_weight(chunks: Iterable[tuple[Tensor, Tensor]], strength: float) -> Tensor:
    """Directions of tags by ridge regression, exactly and in one pass.

    With C the covariance of the features, c its mean diagonal and d the covariance of features
    and tags, the solution of (C + strength · c · I) W = d (Hoerl and Kennard 1970), each direction
    scaled so that its scores have deviation 1. A strong ridge leans towards the difference of
    means between photos with and without a tag, and shows more of a thing than the few features
    that tell it best from others.

    Parameters
    ----------
    chunks : iterable of (Tensor (n, F), Tensor (n, V) int8)
        Features, and whether each tag is there: 1, 0, or -1 where nobody knows, which counts as
        the tag's mean.
    strength : float
        Above 0.

    Returns
    -------
    Tensor (V, F) float32
        Zero for a tag that no photo or every photo has.

    Raises
    ------
    UserError
        The photos' features are all the same.
    """
    count: int = 0
    sums: Any = 0.0  # of features (F,), from here on tensors of float64
    squares: Any = 0.0  # (F, F)
    known: Any = 0.0  # photos of which a tag is known (V,)
    present: Any = 0.0  # photos with a tag (V,)
    having: Any = 0.0  # sum of the features of the photos with a tag (V, F)
    unsure: Any = 0.0  # and of those where nobody knows
    for features, targets in chunks:
        # Few of many thousand tags are on a photo: a dense float64 matrix would fill the memory.
        has, unknown = ((targets == value).T.to_sparse().double() for value in (1, -1))
        x, ones = features.double(), torch.ones(len(features)).double()
        if not count:
            having, unsure = torch.zeros(2, targets.shape[1], x.shape[1], dtype=torch.float64)
        count += len(x)
        sums, squares = sums + x.sum(0), squares + x.T @ x
        known, present = known + len(x) - unknown @ ones, present + has @ ones
        having.addmm_(has, x)
        unsure.addmm_(unknown, x)
    mean, share = sums / count, present / known.clamp(min=1)
    covariance = squares / count - torch.outer(mean, mean)
    between = (having + share[:, None] * unsure) / count - torch.outer(share, mean)
    scale = covariance.diagonal().mean()
    if scale <= 1e-12 * squares.diagonal().mean() / count:  # rounding
        raise UserError("train.ridge: the photos' features do not differ; give more photos")
    ridge = strength * scale * torch.eye(len(mean)).double()
    weight = torch.linalg.solve(covariance + ridge, between.T).T
    spread = ((weight @ covariance) * weight).sum(1, keepdim=True).clamp(min=0).sqrt()
    scaled: Tensor = torch.where(spread > 1e-9, weight / spread, 0)
    return scaled.float()
