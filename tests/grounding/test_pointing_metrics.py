"""Metrics of the pointing game against hand-computed cases and slow loops."""

import random

import numpy as np
import pytest

from grounding.bootstrap import class_mean_intervals
from grounding.pointing import Outcome, point_hits_mask
from grounding.pointing_metrics import evaluate

PLAYS = [
    Outcome("a", "dog", True, False),
    Outcome("a", "cat", False, True),
    Outcome("b", "dog", False, True),
    Outcome("c", "dog", True, True),
    Outcome("d", "dog", True, None),  # nobody knows: not difficult
    Outcome("d", "sofa", True, False),
]


def test_means_over_classes_by_hand() -> None:
    found = evaluate({"cmwp": PLAYS})["cmwp"]
    assert found["all"] == pytest.approx((0.75 + 0 + 1) / 3)
    assert found["difficult"] == pytest.approx((0.5 + 0) / 2)
    assert found["classes"] == {
        "cat": {"all": 0.0, "difficult": 0.0, "pairs": 1, "difficult_pairs": 1},
        "dog": {"all": 0.75, "difficult": 0.5, "pairs": 4, "difficult_pairs": 2},
        "sofa": {"all": 1.0, "difficult": None, "pairs": 1, "difficult_pairs": 0},
    }


def test_without_a_difficult_pair_there_is_no_number() -> None:
    found = evaluate({"cmwp": PLAYS[:1]})["cmwp"]
    assert found["difficult"] is None
    assert found["intervals"] == {"all": [1.0, 1.0]}
    with pytest.raises(ValueError, match="no plays"):
        evaluate({"cmwp": []})
    with pytest.raises(ValueError, match="no plays"):
        evaluate({})


def test_methods_side_by_side_are_as_each_by_itself() -> None:
    """The draws are the same, so that the intervals are too."""
    rng = random.Random(2)
    pairs = [
        (f"photo{n}", label, rng.random() < 0.4)
        for n in range(40)
        for label in ("dog", "cat", "sofa")
        if rng.random() < 0.5
    ]
    plays = {
        method: [Outcome(*pair[:2], rng.random() < rate, pair[2]) for pair in pairs]
        for method, rate in (("cmwp", 0.9), ("mwp", 0.6), ("centre", 0.4))
    }
    together = evaluate(plays, seed=3)
    assert list(together) == list(plays)
    for method, own in plays.items():
        assert together[method] == evaluate({method: own}, seed=3)[method]
        for subset, some in (("all", own), ("difficult", [p for p in own if p.difficult])):
            hits = np.array([[play.hit] for play in some])
            labels, photos = [play.label for play in some], [play.image for play in some]
            (ends,) = class_mean_intervals(hits, labels, photos, seed=3).tolist()
            assert together[method]["intervals"][subset] == ends
    with pytest.raises(ValueError, match="not asked for the same pairs"):
        evaluate({"cmwp": PLAYS, "mwp": PLAYS[::-1]})


def test_intervals_are_those_of_a_loop() -> None:
    """Photos drawn with replacement, the mean over the classes that were drawn."""
    rng = random.Random(1)
    plays = [
        (f"photo{n}", label, rng.random() < rate)
        for n in range(60)
        for label, rate in (("dog", 0.9), ("cat", 0.4), ("sofa", 0.6))
        if rng.random() < 0.5
    ]
    photos = sorted({photo for photo, _, _ in plays})
    means = []
    for _ in range(3000):
        hits: dict[str, list[bool]] = {}
        for drawn in rng.choices(photos, k=len(photos)):
            for photo, label, hit in plays:
                if photo == drawn:
                    hits.setdefault(label, []).append(hit)
        means.append(np.mean([np.mean(each) for each in hits.values()]))
    names, labels, found = zip(*plays, strict=True)
    ends = class_mean_intervals(np.array(found)[:, None], labels, names, resamples=3000)[0]
    assert ends == pytest.approx(np.quantile(means, [0.025, 0.975]), abs=0.015)


def test_a_class_that_is_not_drawn_leaves_the_mean() -> None:
    """Two photos, a class each: half of the draws hold one class only."""
    hits = np.array([[True], [False]])
    ends = class_mean_intervals(hits, ["dog", "cat"], ["a", "b"])
    assert ends.tolist() == [[0.0, 1.0]]


@pytest.mark.parametrize("tolerance", [0.0, 3.0, 7.5])
def test_distance_to_a_mask_is_that_of_all_its_pixels(tolerance: float) -> None:
    rng = np.random.default_rng(2)
    mask = rng.random((30, 40)) < 0.01
    ys, xs = np.nonzero(mask)
    for x in range(40):
        for y in range(30):
            near = min((a - x) ** 2 + (b - y) ** 2 for a, b in zip(xs, ys, strict=True))
            assert point_hits_mask((x, y), mask, tolerance) is bool(near <= tolerance**2)
    assert not point_hits_mask(None, mask)
    assert not point_hits_mask((3, 3), np.zeros((5, 5), bool))
