"""Class activation maps (CAM), and the layer whose features they weight."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from data_prep.errors import UserError
from grounding.classifier import TagClassifier


def cam_maps(classifier: TagClassifier, pixels: Tensor, priors: Tensor) -> Tensor:
    """CAM (K, h, w) of words, each a prior over the classes (K, M); see `baseline_maps`."""
    return cam_of_features(classifier, cam_features(classifier, pixels), priors)


@torch.no_grad()
def cam_features(classifier: TagClassifier, pixels: Tensor) -> Tensor:
    """Features (C, h, w) of the last convolution, whose mean a linear head scores.

    Raises
    ------
    UserError
        The net has no such head.
    """
    layers = _layers(classifier, pixels)
    kept: dict[str, Tensor] = {}

    def keep_features(_module: nn.Module, _inputs: object, output: Tensor) -> None:
        kept["features"] = output.clone()  # what comes after may change them in place

    def keep_pooled(_module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        kept["pooled"] = inputs[0].flatten(2).mean(2) if inputs[0].ndim == 4 else inputs[0]

    with _hooks(
        layers.last.register_forward_hook(keep_features),
        layers.head.register_forward_pre_hook(keep_pooled),
    ):
        classifier.model(pixels)
    features, pooled = kept["features"], kept["pooled"]
    means = features.mean((2, 3))
    weights = layers.head.weight.flatten(1)  # (M, C)
    tolerance = 1e-4 * float(means.abs().max())
    if not means.shape == pooled.shape == (1, weights.shape[1]) or not torch.allclose(
        pooled, means, rtol=0, atol=tolerance
    ):
        raise UserError(
            f"model {classifier.name}: CAM needs a linear head under global average pooling; "
            "leave cam out, or take grad_cam"
        )
    return features[0]


@torch.no_grad()
def cam_of_features(classifier: TagClassifier, features: Tensor, priors: Tensor) -> Tensor:
    """CAM (K, h, w) of words, each a prior over the classes (K, M).

    `features` are of `cam_features` for the same classifier, which must have been asked before.
    """
    weights = _known[classifier.model].head.weight.flatten(1)  # (M, C)
    maps = torch.einsum("kc,chw->khw", priors.to(weights) @ weights, features)
    return maps.clamp(min=0).float()


def last_layer(classifier: TagClassifier, pixels: Tensor) -> nn.Module:
    """Layer that the features of the last convolution leave.

    Raises
    ------
    UserError
        The net has no convolution with a grid before its head.
    """
    return _layers(classifier, pixels).last


@dataclass(frozen=True)
class _Layers:
    last: nn.Module  # the features of the last convolution leave it
    head: nn.Linear | nn.Conv2d


# Of the models that were asked: finding them takes as long as a photo.
_known: WeakKeyDictionary[nn.Module, _Layers] = WeakKeyDictionary()


def _layers(classifier: TagClassifier, pixels: Tensor) -> _Layers:
    model = classifier.model
    known = _known.get(model)
    if known is None or not {known.last, known.head} <= {*model.modules()}:  # or it was changed
        known = _known[model] = _find_layers(classifier, pixels)
    return known


@torch.no_grad()
def _find_layers(classifier: TagClassifier, pixels: Tensor) -> _Layers:
    """Run the model and find its head and its last convolution's layer.

    The head is the last linear layer or convolution to run. Of the convolutions before it, the last
    one with a grid counts: its features are what has passed normalisation, activation and the sum
    of a residual block, that is, leaves the last module that still has its grid.
    """
    runs: list[tuple[nn.Module, tuple[int, ...]]] = []  # modules as they end, and their grids

    def note(module: nn.Module, _inputs: object, output: object) -> None:
        grid = output.shape[2:] if isinstance(output, Tensor) and output.ndim == 4 else ()
        runs.append((module, tuple(grid)))

    with _hooks(*(each.register_forward_hook(note) for each in classifier.model.modules())):
        classifier.model(pixels)
    weighted = [i for i, (each, _) in enumerate(runs) if isinstance(each, nn.Linear | nn.Conv2d)]
    grids = [i for i in weighted[:-1] if math.prod(runs[i][1] or (0,)) > 1]
    if not grids:
        raise UserError(f"model {classifier.name}: no convolution before its head has a grid")
    first, end = grids[-1], weighted[-1]
    # A module that runs twice would give the features of the wrong one of its runs.
    times = Counter(each for each, _ in runs)
    last = first
    for i in range(first, end):
        module, grid = runs[i]
        if grid != runs[first][1]:
            break
        if times[module] == 1:
            last = i
    head = runs[end][0]
    assert isinstance(head, nn.Linear | nn.Conv2d)
    return _Layers(runs[last][0], head)


@contextmanager
def _hooks(*handles: RemovableHandle) -> Iterator[None]:
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
