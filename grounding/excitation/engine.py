"""Excitation Backprop on any convnet torch.fx can trace: the entry point."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .layers import exact
from .plan import Bottlenecks, Gates, Plan, Residual
from .state import State


class ExcitationBackprop:
    """Marginal winning probability (MWP), contrastive MWP and their kin for a classifier.

    The model is traced once and its layers are snapshot (weights share memory where they can); it
    is never changed, and hooks or training mode of the caller's model play no part. Make a new
    engine after changing weights.

    Parameters
    ----------
    model
        Maps ``(N, 3, H, W)`` images to ``(N, M)`` class scores.
    target
        Module path of the layer whose attention is wanted, for example ``"layer3"``. Default: the
        layer of `resolution`.
    resolution
        Side of the wanted grid for a 224x224 input, for example 28; the layer of the nearest grid
        is taken. Default 14.
    residual
        Shares of a residual sum: "positive" (in proportion to the positive parts; conserves) or
        "signed" (``x_i / Σx``, the variant behind the published ResNet results).
    bottlenecks
        Treatment of linear bottlenecks: "positive" (clamp the signed values at zero), "excitatory"
        (their excitatory input stands for them) or "composed" (project, add and expand as one
        layer; see `compose`).
    gates
        "refuse" squeeze-and-excitation gates, or treat them as "constant" scales (an
        approximation).
    chunk
        Signals (images x words) propagated together; bounds the memory. Default: 32 on a CPU, 1024
        on a GPU.

    Raises
    ------
    UnsupportedOperation
        If the model cannot be traced, the target does not exist, or an operation between the target
        and the class scores has no rule; the message names the module and what to do.

    References
    ----------
    Zhang et al., "Top-down Neural Attention by Excitation Backprop", ECCV 2016 / IJCV 2018.
    """

    def __init__(
        self,
        model: nn.Module,
        target: str | None = None,
        *,
        resolution: int | None = None,
        residual: Residual = "positive",
        bottlenecks: Bottlenecks = "positive",
        gates: Gates = "refuse",
        chunk: int | None = None,
    ) -> None:
        with torch.no_grad():
            self._plan = Plan(model, target, resolution, residual, bottlenecks, gates)
        self._chunk = chunk

    @property
    def target(self) -> str:
        """Name of the target layer."""
        return self._plan.target

    @exact
    def __call__(self, images: Tensor) -> State:
        """Run the model once; the state answers any number of queries about these images.

        Parameters
        ----------
        images
            ``(N, 3, H, W)``, preprocessed for the model, of its dtype and on its device.

        Raises
        ------
        ValueError
            If the images are not a 4-d tensor.
        """
        if images.ndim != 4:
            raise ValueError(
                f"images must be (N, 3, H, W), got shape {tuple(images.shape)}; add a batch axis"
            )
        layout = images.contiguous(memory_format=torch.channels_last)
        run = self._plan.run(layout)
        chunk = self._chunk or (1024 if images.is_cuda else 32)
        return State(self._plan, run, (images.shape[2], images.shape[3]), chunk)
