"""Which loss a setting stands for, and where the head begins."""

from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from grounding import losses
from grounding.training.objective import make_loss, set_prior_bias
from grounding.training.settings import TrainSettings

COUNTS = torch.tensor([0, 1, 30, 100])
WEIGHTS = torch.tensor([3.0, 3.0, (70 / 30) ** 0.5, 0.0])  # √((N − n) / n), at most 3


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, losses.bce),
        (
            {"positive_weight_power": 0.5, "positive_weight_cap": 3.0},
            partial(losses.bce, positive_weights=WEIGHTS),
        ),
        ({"loss": "focal", "focal_gamma": 1.5}, partial(losses.focal, gamma=1.5)),
        (
            {"loss": "asymmetric", "asymmetric_gamma": 3.0, "asymmetric_clip": 0.2},
            partial(losses.asymmetric, gamma_negative=3.0, clip=0.2),
        ),
        (
            {"loss": "asymmetric", "positive_weight_power": 0.5, "positive_weight_cap": 3.0},
            partial(losses.asymmetric, positive_weights=WEIGHTS),
        ),
    ],
)
def test_loss(options: dict[str, Any], expected: Any) -> None:
    torch.manual_seed(0)
    logits, targets = torch.randn(9, 4), torch.randint(-1, 2, (9, 4))
    found: Tensor = make_loss(TrainSettings(**options), COUNTS, 100)(logits, targets)
    torch.testing.assert_close(found, expected(logits, targets))


def test_every_tag_begins_with_its_frequency() -> None:
    head = nn.Linear(3, 4)
    set_prior_bias(head, COUNTS, 100)
    found = torch.sigmoid(head(torch.zeros(1, 3)))[0]
    torch.testing.assert_close(found, torch.tensor([0.5, 1.5, 30.5, 100.5]) / 101)
    assert head.bias.requires_grad
