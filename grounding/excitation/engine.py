"""Excitation Backprop on any convnet torch.fx can trace: the entry point."""

from __future__ import annotations

from typing import get_args

import torch
from torch import Tensor, nn

from .layers import exact
from .plan import Bottlenecks, Gates, Plan, Residual
from .state import State
from .trace import UnsupportedOperation


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
    ValueError
        If an option is none of those named, or target and resolution are both given.

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
        _check("residual", residual, get_args(Residual))
        _check("bottlenecks", bottlenecks, get_args(Bottlenecks))
        _check("gates", gates, get_args(Gates))
        for name, number in (("resolution", resolution), ("chunk", chunk)):
            if number is not None and number < 1:
                raise ValueError(f"{name}={number}: give a whole number, 1 or more")
        if target is not None and resolution is not None:
            raise ValueError("target and resolution both choose the layer; give one of them")
        with torch.no_grad():
            self._plan = Plan(model, target, resolution, residual, bottlenecks, gates)
        self._chunk = chunk
        self._verified = False

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
        UnsupportedOperation
            If the engine's scores are not the model's (checked once, on the first image).
        """
        if images.ndim != 4:
            raise ValueError(
                f"images must be (N, 3, H, W), got shape {tuple(images.shape)}; add a batch axis"
            )
        layout = images.contiguous(memory_format=torch.channels_last)
        run = self._plan.run(layout)
        if not self._verified and len(images):
            self._verify(images[:1], run.output[:1])
        chunk = self._chunk or (1024 if images.is_cuda else 32)
        return State(self._plan, run, (images.shape[2], images.shape[3]), chunk)

    def _verify(self, image: Tensor, scores: Tensor) -> None:
        """Compare with the model itself: tracing can miss what a forward does in place."""
        expected = self._plan.model(image.clone())
        largest = float(expected.abs().max())
        tolerance = 1e-3 if image.dtype in (torch.float32, torch.float64) else 0.05
        difference = float((scores - expected).abs().max())
        if difference > tolerance * largest:
            raise UnsupportedOperation(
                f"{type(self._plan.model).__name__}: the traced scores differ from the model's by "
                f"{difference:.2g} of {largest:.2g}; its forward does something torch.fx does not "
                "see, such as changing a tensor in place: write that out of place"
            )
        self._verified = True


def _check(name: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise ValueError(f"{name}={value!r}: give one of {', '.join(known)}")
