"""Losses of many tags against their formulas, written out in float64."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from grounding.losses import asymmetric, bce, focal, positive_weights

LOSSES: dict[str, tuple[Callable[..., Tensor], dict[str, float]]] = {
    "bce": (bce, {}),
    "focal": (focal, {"gamma": 2.0}),
    "focal, gamma below 2": (focal, {"gamma": 1.5}),
    "asymmetric": (asymmetric, {"gamma_negative": 4.0, "clip": 0.05}),
    "asymmetric, gamma below 1": (asymmetric, {"gamma_negative": 0.5, "clip": 0.2}),
    "asymmetric, unclipped": (asymmetric, {"gamma_negative": 3.0, "clip": 0.0}),
}
each_loss = pytest.mark.parametrize(("loss", "options"), LOSSES.values(), ids=LOSSES)


@pytest.fixture
def logits() -> Tensor:
    torch.manual_seed(0)
    return torch.randn(6, 9, dtype=torch.float64) * 3


@pytest.fixture
def targets() -> Tensor:
    return torch.from_numpy(np.random.default_rng(0).integers(-1, 2, (6, 9)))


def one(loss: Callable[..., Tensor], logit: float, present: bool, options: dict) -> float:
    """Loss of one tag as published."""
    p = 1 / (1 + math.exp(-logit))
    gamma = options.get("gamma", 0.0)
    before, after, margin = gamma, gamma, 0.0
    if loss is asymmetric:
        before, after, margin = 0.0, options["gamma_negative"], options["clip"]
    if present:
        return -((1 - p) ** before) * math.log(p)
    lowered = max(p - margin, 0)
    return -(lowered**after) * math.log(1 - lowered)


@each_loss
def test_published_formula(
    loss: Callable[..., Tensor], options: dict, logits: Tensor, targets: Tensor
) -> None:
    weights = torch.linspace(0.5, 4, 9, dtype=torch.float64)
    for given in (None, weights):
        expected = [
            sum(
                one(loss, float(logits[n, v]), bool(targets[n, v]), options)
                * (float(weights[v]) if given is not None and targets[n, v] == 1 else 1.0)
                for v in range(9)
                if targets[n, v] >= 0
            )
            for n in range(6)
        ]
        np.testing.assert_allclose(loss(logits, targets, given, **options), expected, rtol=1e-10)


@each_loss
def test_gradients(
    loss: Callable[..., Tensor], options: dict, logits: Tensor, targets: Tensor
) -> None:
    logits.requires_grad_()
    assert torch.autograd.gradcheck(lambda given: loss(given, targets, **options), (logits,))
    loss(logits, targets, **options).sum().backward()
    assert logits.grad is not None
    assert (logits.grad[targets == -1] == 0).all()
    assert (logits.grad[targets == 1] < 0).all()


@each_loss
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_sure_logits_are_finite(
    loss: Callable[..., Tensor], options: dict, dtype: torch.dtype
) -> None:
    logits = torch.tensor([[-100.0, 100.0, 0.0]] * 3, dtype=dtype, requires_grad=True)
    targets = torch.tensor([[1, 1, 1], [0, 0, 0], [-1, -1, -1]])
    found = loss(logits, targets, **options)
    assert found.dtype == torch.float32
    assert torch.isfinite(found).all()
    assert found[2] == 0
    found.sum().backward()
    assert logits.grad is not None
    assert torch.isfinite(logits.grad).all()


def test_special_cases_are_cross_entropy(logits: Tensor, targets: Tensor) -> None:
    expected = bce(logits, targets)
    torch.testing.assert_close(focal(logits, targets, gamma=0), expected)
    plain = asymmetric(logits, targets, gamma_negative=0, clip=0)
    torch.testing.assert_close(plain, expected)


def test_absent_tags_under_the_clip_cost_nothing() -> None:
    logits = torch.tensor([[-4.0, -3.5]])  # probabilities 0.018 and 0.029
    assert asymmetric(logits, torch.zeros(1, 2), clip=0.05) == 0


def test_positive_weights() -> None:
    counts = torch.tensor([50, 10, 1, 0])
    torch.testing.assert_close(
        positive_weights(counts, 100, power=1, cap=20), torch.tensor([1.0, 9.0, 20.0, 20.0])
    )
    torch.testing.assert_close(
        positive_weights(counts, 100, power=0.5, cap=20),
        torch.tensor([1.0, 3.0, 99**0.5, 20.0]),
    )
