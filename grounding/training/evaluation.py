"""How well a classifier in training names the tags of photos it was not trained on."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from grounding.processes import Processes
from grounding.tag_metrics import tag_metrics
from grounding.training.batch import CountedSource
from grounding.training.optimisation import autocast

CPU_PIECE = 16  # photos; of 64 a processor took half as long again (EfficientNet-Lite0)
MOST_SCORES = 100_000_000  # photos × tags that are ranked; more would fill the memory


class Evaluation:
    """Measures a model on the photos of a source.

    Of a split with more than `MOST_SCORES` scores the first photos are taken, and the metrics tell
    how many were not: `images_left_out`.

    Attributes
    ----------
    ap : ndarray (V,) or None
        Average precision per tag of the last measurement, in the first process.

    Parameters
    ----------
    source : CountedSource
    processes : Processes
    precision : {"fp32", "bf16"}
        Of the net, as in training; scores are float32.
    """

    def __init__(
        self, source: CountedSource, processes: Processes, precision: str = "fp32"
    ) -> None:
        self._source, self._processes, self._precision = source, processes, precision
        self.ap: np.ndarray | None = None

    @torch.no_grad()
    def __call__(self, model: nn.Module) -> dict[str, float]:
        """Give the metrics of `tag_metrics` but `ap`.

        Empty in all processes but the first, and if there is nothing to be measured.
        """
        model.eval()
        scores, targets = [], []
        taken = left_out = 0
        for batch in self._source.batches(0, 0):
            if taken * batch.targets.shape[1] >= MOST_SCORES:
                left_out = self._source.samples - taken
                break
            with autocast(self._processes.device, self._precision):
                scores += outputs(model, batch.inputs)
            targets.append(batch.targets.cpu().numpy())
            taken += batch.total
        if not scores:
            return {}
        parts = self._processes.gather((np.concatenate(scores), np.concatenate(targets)))
        if not self._processes.is_first:
            return {}
        every_score, every_target = (np.concatenate(each) for each in zip(*parts, strict=True))
        if not can_be_measured(every_target):
            return {}
        metrics: dict[str, Any] = tag_metrics(every_score, every_target)
        self.ap = metrics.pop("ap")
        if left_out:
            metrics["images_left_out"] = left_out
        return metrics


def outputs(model: nn.Module, inputs: list[Tensor]) -> list[np.ndarray]:
    """Give a model's outputs, float32, for tensors of samples, in their order."""
    pieces = [
        piece
        for each in inputs
        for piece in (each.split(CPU_PIECE) if each.device.type == "cpu" else (each,))
    ]
    return [model(piece).float().cpu().numpy() for piece in pieces]


def can_be_measured(targets: np.ndarray) -> bool:
    """Tell whether any tag has a photo with it and one without it, of targets (N, V)."""
    return bool(((targets == 1).any(0) & (targets == 0).any(0)).any())
