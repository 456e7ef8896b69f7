"""Phrase localisation's metrics: hand-made cases, slow loops, and every order of proposals."""

import itertools
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grounding.bootstrap import intervals
from grounding.localisation import (
    PROTOCOLS,
    Localised,
    first_hit,
    overlaps,
    pointing,
    random_recall,
    recall,
    shares,
    union_box,
)
from grounding.localisation_metrics import evaluate, map_baseline
from grounding.simple_baselines import simple_baselines

PHRASE = Localised(
    photo="a",
    width=200,
    height=100,
    phrase="two dogs",
    boxes=((0, 0, 50, 50), (150, 50, 200, 100)),
    types=("animals",),
    out_of_vocabulary=False,
    rank_merged=1,
    rank_any=7,
    point=(100, 50),
    proposals=10,
    hits_merged=2,
    hits_any=1,
    first_merged=4,
    first_any=None,
)
SMALL = replace(
    PHRASE,
    photo="b",
    phrase="hat",
    boxes=((90, 45, 100, 55),),
    types=("animals", "clothing"),
    out_of_vocabulary=True,
    rank_merged=None,
    rank_any=6,
    point=None,
    hits_merged=0,
    hits_any=0,
)

corner = st.floats(0, 90)
boxes = st.lists(
    st.tuples(corner, corner, st.floats(0.5, 60), st.floats(0.5, 60)).map(
        lambda b: (b[0], b[1], b[0] + b[2], b[1] + b[3])
    ),
    min_size=1,
    max_size=5,
)


def slow_iou(a: tuple[float, ...], b: tuple[float, ...]) -> float:
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    shared = max(width, 0) * max(height, 0)
    area = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1])
    return shared / (area - shared)


@given(boxes, boxes)
def test_overlaps_are_those_of_a_loop(
    ours: list[tuple[float, ...]], truth: list[tuple[float, ...]]
) -> None:
    around = (
        min(b[0] for b in truth),
        min(b[1] for b in truth),
        max(b[2] for b in truth),
        max(b[3] for b in truth),
    )
    merged, each = overlaps(ours, truth)
    assert union_box(truth) == around
    assert merged == pytest.approx([slow_iou(box, around) for box in ours])
    assert each == pytest.approx([max(slow_iou(box, t) for t in truth) for box in ours])


def test_merged_and_any_differ_when_things_stand_apart() -> None:
    merged, each = overlaps([(0, 0, 200, 100), (0, 0, 50, 50)], PHRASE.boxes)
    assert merged.tolist() == [1.0, 0.125]
    assert each.tolist() == [0.125, 1.0]


def test_no_proposals_hit_nothing() -> None:
    merged, each = overlaps(np.zeros((0, 4)), PHRASE.boxes)
    assert merged.shape == each.shape == (0,)
    assert first_hit(merged) is None


@pytest.mark.parametrize(
    ("iou", "rank"),
    [([0.5], 1), ([0.49999, 0.2, 0.7, 0.9], 3), ([0.4], None), ([0.0] * 99 + [0.6], 100)],
)
def test_the_first_hit(iou: list[float], rank: int | None) -> None:
    assert first_hit(np.array(iou)) == rank


def test_hits_below_the_depth_are_not_seen() -> None:
    assert first_hit(np.array([0.0] * 100 + [1.0])) is None
    assert first_hit(np.array([0.0, 1.0]), depth=1) is None
    assert first_hit(np.array([0.0, 0.3]), threshold=0.3) == 2


def test_recall_counts_phrases_without_a_hit() -> None:
    ranks = [1, None, 5, 6]
    assert [recall(ranks, k) for k in (1, 5, 10)] == [0.25, 0.5, 0.75]


@given(st.lists(st.integers(0, 6).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))),
                min_size=1, max_size=3))  # fmt: skip
@settings(max_examples=25)
def test_random_recall_is_the_mean_over_all_orders(phrases: list[tuple[int, int]]) -> None:
    depth = 8
    expected = np.zeros(depth)
    for hits, total in phrases:
        orders = list(itertools.permutations([True] * hits + [False] * (total - hits)))
        for k in range(depth):
            expected[k] += sum(any(order[: k + 1]) for order in orders) / len(orders)
    hits_of, totals = zip(*phrases, strict=True)
    assert random_recall(hits_of, totals, depth) == pytest.approx(expected / len(phrases))


def test_random_recall_is_hypergeometric() -> None:
    expected = [1 - math.comb(1950, k) / math.comb(2000, k) for k in range(1, 101)]
    assert random_recall([50], [2000]) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("point", "any_box", "union", "near"),
    [
        ((49, 49), True, True, True),
        ((50, 49), False, True, True),
        ((100, 50), False, True, False),
        ((64, 49), False, True, True),
        ((65, 49), False, True, False),
        (None, False, False, False),
    ],
)
def test_pointing(point: tuple[int, int] | None, any_box: bool, union: bool, near: bool) -> None:
    result = pointing([replace(PHRASE, point=point)])
    assert result == {"any_box": any_box, "union_box": union, "any_box_15px": near,
                      "large": any_box}  # fmt: skip


def test_pointing_skips_small_phrases_and_averages_types() -> None:
    hit, miss = replace(PHRASE, point=(10, 10)), replace(SMALL, point=(0, 0))
    result = pointing([hit, hit, miss])
    assert result["any_box"] == pytest.approx(2 / 3)
    assert result["large"] == 1
    assert result["per_type_mean"] == pytest.approx((2 / 3 + 0) / 2)
    assert "large" not in pointing([miss])


def test_shares_of_a_hand_made_run() -> None:
    assert shares([PHRASE, SMALL]) == {
        "phrases": 2,
        "recall": {
            "merged": {"1": 0.5, "5": 0.5, "10": 0.5},
            "any": {"1": 0.0, "5": 0.0, "10": 1.0},
        },
        "upper_bound": 0.5,
        "upper_bound_any": 0.5,
        "pointing": {
            "any_box": 0.0,
            "union_box": 0.5,
            "any_box_15px": 0.0,
            "large": 0.0,
            "per_type_mean": 0.0,
        },
    }


def test_evaluate_groups_phrases() -> None:
    metrics = evaluate([PHRASE, PHRASE, SMALL])
    assert (metrics["phrases"], metrics["photos"]) == (3, 2)
    assert metrics["out_of_vocabulary"] == pytest.approx(1 / 3)
    counts = {key: {name: group["phrases"] for name, group in metrics[key].items()}
              for key in ("per_type", "by_length", "by_size")}  # fmt: skip
    assert counts == {
        "per_type": {"animals": 3, "clothing": 1},
        "by_length": {"1 word": 1, "2 words": 2},
        "by_size": {"under 5 %": 1, "50 % and more": 2},
    }
    assert metrics["per_type"]["animals"]["recall"]["merged"]["1"] == pytest.approx(2 / 3)


def test_every_number_has_a_protocol() -> None:
    metrics = evaluate([PHRASE, SMALL])
    named = {f"{key}.{name}" for key in ("recall", "pointing", "baselines")
             for name in metrics[key]}  # fmt: skip
    named |= {"phrases", "baselines", "upper_bound", "upper_bound_any", "out_of_vocabulary",
              "intervals"}  # fmt: skip
    assert named == set(PROTOCOLS)


def test_each_interval_is_that_of_its_share() -> None:
    # Two photos, a phrase in each: where only one hits, every share can be drawn.
    hit, miss = replace(PHRASE, point=(10, 10)), replace(SMALL, rank_any=None)
    some, none, every = [0.0, 1.0], [0.0, 0.0], [1.0, 1.0]
    found = evaluate([hit, miss])["intervals"]
    assert found == {
        "recall": {
            "merged": {"1": some, "5": some, "10": some},
            "any": {"1": none, "5": none, "10": some},
        },
        "upper_bound": some,
        "upper_bound_any": some,
        "pointing": {"any_box": some},
    }
    only = evaluate([replace(hit, hits_any=0)])["intervals"]
    assert (only["upper_bound"], only["upper_bound_any"]) == (every, none)
    assert only["recall"]["any"] == {"1": none, "5": none, "10": every}


def test_other_maps_have_intervals_but_no_bound_of_their_own() -> None:
    phrases = [PHRASE, replace(PHRASE, photo="c", rank_merged=6), SMALL]
    own, whole = map_baseline(phrases, seed=3), evaluate(phrases, seed=3)
    assert own == {
        "recall": whole["recall"],
        "pointing": whole["pointing"],
        "intervals": {key: whole["intervals"][key] for key in ("recall", "pointing")},
    }


def test_bins_have_their_lower_end() -> None:
    exactly = replace(SMALL, boxes=((0, 0, 100, 30),))  # 15 % of 200 × 100
    words = replace(exactly, phrase="a big red fire engine")
    metrics = evaluate([exactly, words])
    assert list(metrics["by_size"]) == ["15–30 %"]
    assert list(metrics["by_length"]) == ["1 word", "5 and more"]


def test_nothing_to_evaluate_is_an_error() -> None:
    with pytest.raises(ValueError, match="no phrases"):
        evaluate([])


def test_baselines_by_hand() -> None:
    middle = replace(PHRASE, boxes=((50, 25, 150, 75),), first_merged=1)  # the centre box itself
    baselines: dict[str, Any] = simple_baselines([PHRASE, middle])
    assert baselines["whole_image"]["recall"] == {"merged": {"1": 0.5}, "any": {"1": 0.0}}
    assert baselines["centre_box"]["recall"] == {"merged": {"1": 0.5}, "any": {"1": 0.5}}
    assert baselines["centre_point"]["pointing"]["any_box"] == 0.5
    assert baselines["proposal_order"]["recall"]["merged"] == {"1": 0.5, "5": 1.0, "10": 1.0}
    assert baselines["random_proposal"]["recall"]["merged"]["1"] == pytest.approx(0.2)
    assert baselines["random_proposal"]["recall"]["merged"]["10"] == pytest.approx(1)
    assert baselines["random_proposal"]["upper_bound"] == 1


def test_without_proposals_there_is_no_random_one() -> None:
    none = replace(SMALL, proposals=0)
    assert set(simple_baselines([none])) == {"whole_image", "centre_box", "centre_point"}


def test_intervals_are_those_of_a_loop() -> None:
    random = np.random.default_rng(1)
    photos = [f"photo {i}" for i in random.integers(12, size=60)]
    hits = random.random((60, 2)) < (0.3, 0.7)
    members = {name: [i for i, p in enumerate(photos) if p == name] for name in photos}
    names = sorted(members)
    means = []
    for _ in range(3000):
        rows = [i for g in random.integers(len(names), size=len(names)) for i in members[names[g]]]
        means.append(hits[rows].mean(axis=0))
    assert intervals(hits, photos) == pytest.approx(
        np.quantile(means, [0.025, 0.975], axis=0).T, abs=0.015
    )


def test_intervals_know_that_phrases_of_a_photo_go_together() -> None:
    hits = np.repeat([[True], [False]] * 10, 50, axis=0)
    together = intervals(hits, np.repeat(np.arange(20), 50).astype(str).tolist())
    apart = intervals(hits, [str(i) for i in range(1000)])
    assert np.ptp(together) > 5 * np.ptp(apart)
    assert intervals(hits[:50], ["one"] * 50).tolist() == [[1.0, 1.0]]


def test_the_seed_is_the_interval() -> None:
    hits = np.random.default_rng(0).random((50, 1)) < 0.5
    photos = [str(i // 3) for i in range(50)]
    assert (intervals(hits, photos, seed=3) == intervals(hits, photos, seed=3)).all()
    assert (intervals(hits, photos, seed=3) != intervals(hits, photos, seed=4)).any()
