"""Tag metrics against scikit-learn at one go and against slow loops."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score

from data_prep.errors import UserError
from grounding.tag_metrics import tag_metrics


def slow_average_precision(scores: np.ndarray, targets: np.ndarray) -> float:
    """Mean over the positives of the precision among everything scored at least as high."""
    pairs = [(s, t) for s, t in zip(scores.flat, targets.flat, strict=True) if t >= 0]
    shares = []
    for level, target in pairs:
        if target == 1:
            chosen = [t for s, t in pairs if s >= level]
            shares.append(sum(chosen) / len(chosen))
    return float(np.mean(shares))


def slow_precision(scores: np.ndarray, targets: np.ndarray, k: int) -> float:
    shares = []
    for score, target in zip(scores, targets, strict=True):
        ranked = sorted((-s, v) for v, s in enumerate(score) if target[v] >= 0)
        best = [target[v] for _, v in ranked[:k]]
        if best:
            shares.append(sum(best) / len(best))
    return float(np.mean(shares))


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    images=st.integers(1, 12),
    tags=st.integers(1, 14),
    levels=st.sampled_from([2, 5, 1000]),
)
def test_slow_loops_agree(seed: int, images: int, tags: int, levels: int) -> None:
    """With ties: few levels of scores."""
    random = np.random.default_rng(seed)
    scores = random.integers(0, levels, (images, tags)).astype(np.float32)
    targets = random.integers(-1, 2, (images, tags), np.int8)
    countable = [v for v in range(tags) if {0, 1} <= set(targets[:, v])]
    if not countable:
        with pytest.raises(UserError, match=f"none of {tags} tags"):
            tag_metrics(scores, targets)
        return
    found = tag_metrics(scores, targets)
    each = [slow_average_precision(scores[:, [v]], targets[:, [v]]) for v in countable]
    np.testing.assert_allclose(found["ap"][countable], each)
    assert np.isnan(np.delete(found["ap"], countable)).all()
    assert found["map_macro"] == pytest.approx(np.mean(each))
    assert found["map_micro"] == pytest.approx(slow_average_precision(scores, targets))
    for k in (1, 5, 10):
        assert found[f"precision_at_{k}"] == pytest.approx(slow_precision(scores, targets, k)), k
    assert found["tags"] == len(countable)
    assert found["images"] == sum(bool((row >= 0).any()) for row in targets)


def test_scikit_learn_agrees() -> None:
    """More photos and tags than are looked at at a time."""
    random = np.random.default_rng(0)
    targets = (random.random((300, 270)) < 0.1).astype(np.int8)
    scores = (random.standard_normal((300, 270)) + targets).astype(np.float32)
    found = tag_metrics(scores, targets)
    for average in ("macro", "micro"):
        expected = average_precision_score(targets, scores, average=average)
        assert found[f"map_{average}"] == pytest.approx(expected)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_scores_that_are_not_finite(value: float) -> None:
    scores = np.zeros((300, 2), np.float32)
    scores[299, 1] = value
    with pytest.raises(UserError, match="a score is not finite"):
        tag_metrics(scores, np.eye(2, dtype=np.int8)[np.arange(300) % 2])
