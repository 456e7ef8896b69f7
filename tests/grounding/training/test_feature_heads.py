"""Heads on features: ridge regression against scikit-learn, calibrated directions."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge
from torch import Tensor, nn
from torch.profiler import ProfilerActivity, profile

from data_prep.errors import UserError
from grounding.training.feature_heads import CalibratedHead, ridge_weight

PHOTOS, FEATURES, TAGS = 90, 7, 4


@pytest.fixture
def data() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    features = torch.rand(PHOTOS, FEATURES, generator=generator) * torch.arange(1, FEATURES + 1)
    targets = (torch.rand(PHOTOS, TAGS, generator=generator) < 0.3).to(torch.int8)
    targets[:, 0] |= (features[:, 6] > 5).to(torch.int8)
    return features, targets


def directions(weight: np.ndarray) -> np.ndarray:
    return weight / np.linalg.norm(weight, axis=1, keepdims=True)


@pytest.mark.parametrize("strength", [0.01, 3.0])
def test_directions_are_those_of_scikit_learn(data: tuple[Tensor, Tensor], strength: float) -> None:
    features, targets = data
    found = ridge_weight([(features[:50], targets[:50]), (features[50:], targets[50:])], strength)
    x, y = features.double().numpy(), targets.double().numpy()
    alpha = strength * x.var(0).mean() * PHOTOS
    expected = Ridge(alpha).fit(x, y).coef_
    np.testing.assert_allclose(directions(found.numpy()), directions(expected), atol=1e-5)
    np.testing.assert_allclose((x @ found.double().numpy().T).std(0), 1, rtol=1e-5)


def test_unknown_counts_as_the_mean_of_those_known(data: tuple[Tensor, Tensor]) -> None:
    features, targets = data
    targets[::3, 1] = -1
    y = targets.double().numpy()
    y[::3, 1] = y[np.arange(PHOTOS) % 3 > 0, 1].mean()
    expected = Ridge(features.double().numpy().var(0).mean() * PHOTOS).fit(features.numpy(), y)
    found = ridge_weight([(features, targets)], 1.0).numpy()
    np.testing.assert_allclose(directions(found), directions(expected.coef_), atol=1e-5)


def test_a_tag_of_all_or_none_has_no_direction(data: tuple[Tensor, Tensor]) -> None:
    features, targets = data
    targets[:, 2], targets[:, 3] = 0, 1
    found = ridge_weight([(features, targets)], 1.0)
    assert found.isfinite().all()
    assert found[2].abs().max() == 0
    assert found[3].abs().max() < 1e-6 * found[0].abs().max() or found[3].abs().max() == 0


@pytest.mark.parametrize("photos", [1, 50])
@pytest.mark.parametrize("value", [0.0, 0.1])
def test_features_that_do_not_differ_are_refused(photos: int, value: float) -> None:
    targets = torch.ones(photos, TAGS, dtype=torch.int8)
    targets[::2] = 0
    features = torch.full((photos, FEATURES), value) * torch.arange(FEATURES)
    with pytest.raises(UserError, match=r"train\.ridge: .* do not differ; give more photos"):
        ridge_weight([(features, targets)], 1.0)


def test_no_matrix_of_photos_and_tags_is_dense_but_of_bytes() -> None:
    photos, tags = 512, 3000
    features = torch.rand(photos, FEATURES, generator=torch.Generator().manual_seed(0))
    targets = torch.zeros(photos, tags, dtype=torch.int8)
    targets[torch.arange(photos), torch.arange(photos) % 7] = 1
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as record:
        ridge_weight([(features, targets)], 1.0)
    largest = max(event.cpu_memory_usage for event in record.events())
    assert photos * tags <= largest < 2 * photos * tags


def test_only_scale_and_bias_learn(data: tuple[Tensor, Tensor]) -> None:
    features, targets = data
    weight = ridge_weight([(features, targets)], 1.0)
    head = CalibratedHead(nn.Linear(FEATURES, TAGS), features.mean(0), features.std(0), weight)
    head.log_scale.data.uniform_(-1, 1)
    learned = {name for name, each in head.named_parameters() if each.requires_grad}
    assert learned == {"log_scale", "head.bias"}
    folded, bias = head.folded()
    torch.testing.assert_close(features @ folded.T + bias, head(features), atol=1e-4, rtol=1e-4)
    np.testing.assert_allclose(directions(folded.numpy()), directions(weight.numpy()), atol=1e-5)
