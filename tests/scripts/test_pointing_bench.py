"""The pointing benchmark's parts on tiny inputs: head, batches and the score it keeps."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from data_prep.voc import VOC_CLASSES, VocImage, VocObject
from scripts.benches import voc_head
from scripts.benches.pointing import Game, Line, priors

DOG, SOFA = VOC_CLASSES.index("dog"), VOC_CLASSES.index("sofa")


def voc_image(name: str, *objects: VocObject, width: int = 200) -> VocImage:
    return VocImage(name, Path(name), width, 100, objects)


def dog(x1: float, difficult: bool = False) -> VocObject:
    return VocObject("dog", (x1, 10.0, x1 + 20, 90.0), difficult)


SOFA_LEFT = VocObject("sofa", (0.0, 0.0, 60.0, 100.0), False)


def test_labels_leave_difficult_objects_out() -> None:
    table = voc_head.labels([voc_image("a", dog(0)), voc_image("b", dog(0, True), SOFA_LEFT)])
    assert table[0, DOG] == 1
    assert table[1, DOG] == -1
    assert table[1, SOFA] == 1
    assert np.abs(table).sum() == 3


def test_batches_hold_equal_sizes_and_every_image_once() -> None:
    images = [voc_image(str(n), width=100 + n % 3) for n in range(10)]
    found = list(voc_head.batches(images, 2))
    assert all(len({image.width for image in batch}) == 1 for batch in found)
    assert max(map(len, found)) == 2
    assert sorted(image.id for batch in found for image in batch) == [str(n) for n in range(10)]


def test_head_learns_and_is_folded() -> None:
    generator = np.random.default_rng(0)
    features = (5 + 0.01 * generator.normal(size=(200, 6))).astype(np.float32)
    present = (features[:, :3] > 5).astype(int)
    head = voc_head.fit_head(features, present, strength=10.0)
    scores = head(torch.from_numpy(features)).detach().numpy()
    assert voc_head.mean_average_precision(scores, present) > 0.99
    assert ((scores > 0) == (present == 1)).mean() > 0.95


class Squeeze(nn.Module):
    """Laid out like torchvision's SqueezeNet."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Conv2d(3, 4, 3)
        self.classifier = nn.Sequential(nn.Conv2d(4, 10, 1), nn.AdaptiveAvgPool2d(1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.classifier(self.features(x)).flatten(1)


def test_with_head_copies_and_pools() -> None:
    model, pixels = Squeeze(), torch.rand(2, 3, 9, 9)
    before = model(pixels)
    headed = voc_head.with_head(model, nn.Identity())
    expected = voc_head.feature_maps(model, pixels).mean((2, 3))
    torch.testing.assert_close(headed(pixels), expected)
    torch.testing.assert_close(model(pixels), before)


def test_game_follows_the_order_of_the_classes() -> None:
    image = voc_image("a", dog(150), SOFA_LEFT)
    words = priors([image, voc_image("b", dog(0))])
    assert words.argmax(2).tolist() == [[DOG, SOFA], [DOG, 0]]
    assert words.sum(2).tolist() == [[1, 1], [1, 0]]
    right, left = torch.zeros(2, 10, 20)
    right[5, 16], left[5, 2] = 1, 1
    game = Game({"a": frozenset({"sofa"})})
    game.play_maps(Line("right"), [image], torch.stack([right, left])[None], seconds=0.5)
    game.play_maps(Line("wrong"), [image], torch.stack([left, right])[None], seconds=0.5)
    game.play_centre([image])
    figures = {line.method: tally.figures() for line, tally in game.tallies.items()}
    assert figures["right"] == {
        "grid": "10×20", "All": 100.0, "Difficult": 100.0, "kept": None, "ms": 500,
    }  # fmt: skip
    assert figures["wrong"]["All"] == 0
    assert figures["centre"]["All"] == pytest.approx(0)
