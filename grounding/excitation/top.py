"""The top of the network: from words to potentials at the classifier's input."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from .chain import walk
from .layers import LinearLayer
from .links import AffineLink, share
from .operations import Affine
from .plan import Plan, Run

Words = Sequence[int] | Tensor


class Top:
    """Puts words on the classifier of one forward pass."""

    def __init__(self, plan: Plan, run: Run) -> None:
        self._plan, self._run = plan, run
        self._dual: tuple[AffineLink, Tensor] | None = None

    @property
    def excitations(self) -> Tensor:
        """Excitations ``(N, F)`` of the classifier's input."""
        return self._run.excitations[self._plan.features].flatten(1)

    def checked(self, words: Words) -> Tensor:
        """Indices ``(K,)`` or priors ``(N or 1, K, M)`` on the model's device."""
        classes = self._run.output.shape[1]
        words = torch.as_tensor(words, device=self._run.output.device)
        if words.ndim == 1 and (not words.is_floating_point() or not len(words)):
            words = words.long()
            if len(words) and not 0 <= int(words.min()) <= int(words.max()) < classes:
                raise ValueError(
                    f"class indices must be in 0…{classes - 1}, "
                    f"got {int(words.min())}…{int(words.max())}"
                )
            return words
        priors = words.to(self._run.output.dtype)
        priors = priors.unsqueeze(0) if priors.ndim == 2 else priors
        if (
            priors.ndim != 3
            or priors.shape[2] != classes
            or len(priors) not in (1, len(self._run.output))
        ):
            raise ValueError(
                f"words must be class indices (K,) or priors (K, {classes}), "
                f"got {tuple(words.shape)}"
            )
        if not bool(((priors >= 0) & priors.isfinite()).all()):
            raise ValueError("a prior must be >= 0 and finite for every class")
        return priors

    def seeds(self, words: Tensor, contrastive: bool) -> Tensor:
        """Potentials ``(N, K, *features)`` at the classifier's input, less the dual's."""
        if self._plan.linear_head is not None:
            return self._row_seeds(self._plan.linear_head, words, contrastive)
        link = self._run.links[self._plan.classifier]
        z = link.down(self._top_signal(words, self._run.excitations[self._plan.output]))[0]
        if contrastive:
            dual, excited = self._dual_side()
            z = z - dual.down(self._top_signal(words, excited))[0]
        return z.unflatten(0, (len(self._run.output), -1))

    def _row_seeds(self, layer: LinearLayer, words: Tensor, contrastive: bool) -> Tensor:
        """Reads only the rows of the asked classes: a large vocabulary's weights stay uncopied."""
        weights = None
        if words.ndim == 3:
            classes = words.sum((0, 1)).nonzero().flatten()
            words, weights = classes, words[:, :, classes]
        rows = layer.weight[words]
        z = self._share_out(rows.clamp(min=0), weights)
        return z - self._share_out((-rows).clamp(min=0), weights) if contrastive else z

    def _share_out(self, rows: Tensor, weights: Tensor | None) -> Tensor:
        totals = self.excitations @ rows.T  # (N, R)
        inverse = share(torch.ones_like(totals), totals)
        if weights is None:
            return rows * inverse.unsqueeze(2)
        return (weights * inverse.unsqueeze(1)) @ rows

    def _top_signal(self, words: Tensor, excited: Tensor) -> Tensor:
        """Potentials at the output of a classifier that is pooled; `excited` is at the top."""
        images, classes = self._run.output.shape
        if words.ndim == 1:
            words = F.one_hot(words, classes).to(self._run.output).unsqueeze(0)
        priors = words.expand(images, -1, -1).flatten(0, 1)
        excited = excited.repeat_interleave(len(priors) // max(images, 1), 0)
        signals = {self._plan.output: share(priors, excited)}
        arrived = walk(self._plan, self._run, signals, self._plan.above_classifier)
        return arrived[self._plan.classifier]

    def _dual_side(self) -> tuple[AffineLink, Tensor]:
        """The link of the weights ``-W``, and the dual units' excitation at the top."""
        if self._dual is None:
            operation = self._plan.classifier.operation
            assert isinstance(operation, Affine)
            layer = operation.layer.inhibitory()
            before = self._run.excitations[self._plan.features]
            total = layer.apply(before)
            if operation.activation is None:  # the dual map is pooled by itself
                excited = top = total
                for step in self._plan.above_classifier:
                    top = self._run.links[step].up([top])
            else:
                excited = self._run.excitations[self._plan.classifier]
                top = self._run.excitations[self._plan.output]
            link = AffineLink([layer], [before.shape[2:]], share(excited, total))
            self._dual = link, top
        return self._dual
