"""The bundled trained network on a photo: float32 c-MWP against float64."""

from __future__ import annotations

import copy

import pytest
import skimage.data
from PIL import Image

from grounding.classifier import TagClassifier
from grounding.excitation import ExcitationBackprop


@pytest.mark.parametrize("bottlenecks", ["positive", "excitatory", "composed"])
def test_float32_is_float64_to_1e_5_of_the_map_s_maximum(bottlenecks: str) -> None:
    classifier = TagClassifier.pretrained()
    x = classifier.preprocess(Image.fromarray(skimage.data.chelsea()), 224)[None]
    options = {"target": "blocks.5.0.bn1", "bottlenecks": bottlenecks}
    single = ExcitationBackprop(classifier.model, **options)(x)  # type: ignore[arg-type]
    double = ExcitationBackprop(copy.deepcopy(classifier.model).double(), **options)(x.double())  # type: ignore[arg-type]
    words = [*double.logits[0].topk(5).indices.tolist(), 5, 500]
    for ask in ("mwp", "cmwp"):
        expected = getattr(double, ask)(words)
        error = (getattr(single, ask)(words) - expected).abs().amax((2, 3))
        assert bool((error <= 1e-5 * expected.amax((2, 3))).all())
