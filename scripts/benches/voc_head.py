"""A 20-class head on a frozen ImageNet network, fitted to pooled features of VOC photos."""

from __future__ import annotations

import copy
import hashlib
import itertools
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from PIL import Image
from rich.progress import track
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score
from torch import Tensor, nn

from data_prep.voc import VOC_CLASSES, VocImage
from grounding.classifier import TagClassifier
from scripts.benches.record import ROOT

CACHE = ROOT / ".cache" / "pointing"


def with_head(model: nn.Module, head: nn.Module) -> nn.Module:
    """Return a copy of a timm EfficientNet or torchvision SqueezeNet with another last layer.

    The head gets pooled features (N, F). SqueezeNet's own head pools last and has a ReLU on the
    logits; here it pools first, which is the same for a linear head, and has none.
    """
    model = copy.deepcopy(model).eval()
    if isinstance(model.classifier, nn.Sequential):
        head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), head)
    model.classifier = head
    return model


def feature_maps(model: nn.Module, pixels: Tensor) -> Tensor:
    """Features before pooling, (N, F, h, w)."""
    before_pooling: Callable[[Tensor], Tensor] = (
        model.features if hasattr(model, "features") else model.forward_features  # type: ignore[assignment]
    )
    return before_pooling(pixels)


def batches(images: Sequence[VocImage], size: int) -> Iterator[list[VocImage]]:
    """Groups of at most ``size`` images of equal width and height."""
    ordered = sorted(images, key=lambda image: (image.width, image.height))
    for _, group in itertools.groupby(ordered, key=lambda image: (image.width, image.height)):
        same = list(group)
        yield from (same[start : start + size] for start in range(0, len(same), size))


def load(batch: Sequence[VocImage], classifier: TagClassifier, short_side: int) -> Tensor:
    """Preprocessed photos of one size at true aspect ratio, (N, 3, H, W)."""
    photos = (Image.open(image.path).convert("RGB") for image in batch)
    return torch.stack([classifier.preprocess(photo, short_side) for photo in photos])


def pooled_features(
    images: Sequence[VocImage], classifier: TagClassifier, short_side: int
) -> np.ndarray:
    """Pooled features of every image, (N, F) float32; computed once and kept in ``.cache``."""
    key = _fingerprint(classifier, short_side, [image.id for image in images])
    path = CACHE / f"{classifier.name}-{short_side}-{key}.npy"
    if path.is_file():
        return np.load(path)
    model = with_head(classifier.model, nn.Identity())
    rows: dict[str, np.ndarray] = {}
    groups = list(batches(images, 8))
    with torch.inference_mode():
        for batch in track(groups, f"features, {len(images)} photos, short side {short_side}"):
            found = model(load(batch, classifier, short_side)).numpy()
            rows.update(zip((image.id for image in batch), found, strict=True))
    features = np.stack([rows[image.id] for image in images])
    CACHE.mkdir(parents=True, exist_ok=True)
    np.save(path, features)
    return features


def _fingerprint(classifier: TagClassifier, short_side: int, ids: list[str]) -> str:
    digest = hashlib.sha256(repr((classifier.preprocessing, short_side, ids)).encode())
    digest.update(str(classifier.model).encode())
    for tensor in classifier.model.state_dict().values():
        digest.update(tensor.numpy().tobytes())
    return digest.hexdigest()[:12]


def labels(images: Sequence[VocImage]) -> np.ndarray:
    """(N, 20): 1 present, 0 absent, -1 present as VOC-difficult objects only (not counted)."""
    table = np.zeros((len(images), len(VOC_CLASSES)), int)
    for row, image in zip(table, images, strict=True):
        for item in image.objects:
            row[VOC_CLASSES.index(item.label)] = -1
        for label in image.class_boxes():
            row[VOC_CLASSES.index(label)] = 1
    return table


def fit_head(features: np.ndarray, present: np.ndarray, strength: float) -> nn.Linear:
    """One logistic regression a class on standardised features, folded into a linear layer.

    Parameters
    ----------
    features : ndarray (N, F)
    present : ndarray (N, 20) of 1, 0 and -1, see `labels`
    strength : float
        Inverse of the L2 regularisation, scikit-learn's C.
    """
    mean, deviation = features.mean(0), features.std(0) + 1e-6
    head = nn.Linear(features.shape[1], present.shape[1])
    for k, column in enumerate(track(present.T, "head")):
        counted = column >= 0
        fit = LogisticRegression(C=strength, max_iter=2000)
        fit.fit((features[counted] - mean) / deviation, column[counted])
        weight = fit.coef_[0] / deviation
        head.weight.data[k] = torch.from_numpy(weight)
        head.bias.data[k] = float(fit.intercept_[0] - weight @ mean)
    return head


def mean_average_precision(scores: np.ndarray, present: np.ndarray) -> float:
    """Mean over classes of the average precision; images marked -1 are left out of their class."""
    return float(
        np.mean(
            [
                average_precision_score(column[column >= 0], score[column >= 0])
                for column, score in zip(present.T, scores.T, strict=True)
            ]
        )
    )
