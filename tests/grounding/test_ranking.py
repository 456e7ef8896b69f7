"""Scores and order of boxes against loops over cells and boxes."""

import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from data_prep.errors import UserError
from grounding import ranking
from grounding.ranking import (
    DEPTH,
    RankSettings,
    box_sums,
    grid_windows,
    integral_images,
    rank_boxes,
    score_boxes,
    vote_boxes,
)

Box = tuple[float, float, float, float]
SEEDS = st.integers(0, 9999)
some = settings(max_examples=30)


def overlap(a1: float, a2: float, b1: float, b2: float) -> float:
    return max(0.0, min(a2, b2) - max(a1, b1))


def slow_sum(attention: Tensor, box: Box) -> float:
    """Every cell counts by the part of it that lies in the box."""
    height, width = attention.shape
    x1, y1, x2, y2 = box
    total = 0.0
    for row, cells in enumerate(attention.tolist()):
        for column, value in enumerate(cells):
            across = overlap(x1 * width, x2 * width, column, column + 1)
            down = overlap(y1 * height, y2 * height, row, row + 1)
            total += value * across * down
    return total


def slow_score(attention: Tensor, box: Box, rank: RankSettings) -> float:
    total = float(attention.double().sum())
    even = torch.ones_like(attention)
    used, total = (attention, total) if total > 0 else (even, float(even.sum()))
    s = slow_sum(used, box) / total
    a = (box[2] - box[0]) * (box[3] - box[1])
    if rank.score == "sum":
        score = s / a**rank.gamma
    else:
        score = 0.0 if a == 1 else (s - a) / (a * (1 - a)) ** rank.gamma
    if rank.size_prior is not None:
        typical, spread = rank.size_prior
        score *= math.exp(-((math.log(a) - math.log(typical)) ** 2) / (2 * spread**2))
    return score


def slow_iou(a: list[float], b: list[float]) -> float:
    both = overlap(a[0], a[2], b[0], b[2]) * overlap(a[1], a[3], b[1], b[3])
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (a, b)]
    return both / (sum(areas) - both)


def slow_order(scores: list[float], boxes: list[list[float]], limit: float | None) -> list[int]:
    """The best box that is left, as long as one is; of equals the first."""
    left, found = list(range(len(scores))), []
    while left:
        best = max(left, key=lambda place: (scores[place], -place))
        found.append(best)
        left.remove(best)
        if limit is not None:
            left = [one for one in left if slow_iou(boxes[best], boxes[one]) <= limit]
    return found


def random_maps(generator: torch.Generator, count: int = 3) -> Tensor:
    height, width = torch.randint(1, 7, (2,), generator=generator).tolist()
    maps = torch.rand(count, height, width, generator=generator)
    return maps * (torch.rand(count, height, width, generator=generator) < 0.6)


def random_boxes(generator: torch.Generator, count: int) -> Tensor:
    """Shares of the photo's sides; some corners at the photo's edge."""
    low, high = torch.rand(2, count, 2, generator=generator, dtype=torch.float64).sort(0).values
    high = torch.where(torch.rand(count, 2, generator=generator) < 0.2, 1, high + 1e-3).clamp(max=1)
    low = torch.where(torch.rand(count, 2, generator=generator) < 0.2, 0, low - 1e-3).clamp(min=0)
    return torch.cat([low, high], 1)


def as_box(row: Tensor) -> Box:
    x1, y1, x2, y2 = row.tolist()
    return x1, y1, x2, y2


@some
@given(SEEDS)
def test_sums_count_parts_of_cells(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    maps, boxes = random_maps(generator), random_boxes(generator, 5)
    found = box_sums(integral_images(maps), boxes)
    expected = [[slow_sum(one, as_box(box)) for box in boxes] for one in maps]
    torch.testing.assert_close(found, torch.tensor(expected, dtype=torch.float64))


@some
@given(
    SEEDS,
    st.sampled_from(["sum", "contrast"]),
    st.sampled_from([0, 0.25, 0.5, 1, 3]),
    st.none() | st.tuples(st.floats(0.01, 1), st.floats(0.2, 3)),
)
def test_scores(
    seed: int, score: ranking.Score, gamma: float, prior: tuple[float, float] | None
) -> None:
    generator = torch.Generator().manual_seed(seed)
    maps, boxes = random_maps(generator), random_boxes(generator, 4)
    maps[0] = 0  # no attention counts as even
    rank = RankSettings(score, gamma, prior)
    expected = [[slow_score(one, as_box(box), rank) for box in boxes] for one in maps]
    found = score_boxes(maps, boxes, rank)
    torch.testing.assert_close(found, torch.tensor(expected, dtype=torch.float64))


@some
@given(SEEDS, st.sampled_from([0, 1, 2, 5, 10]))
def test_the_whole_photo_has_no_contrast(seed: int, gamma: float) -> None:
    """Whatever the sums' rounding, which a small 1 - a could make large."""
    maps = random_maps(torch.Generator().manual_seed(seed))
    windows = grid_windows(*maps.shape[1:])
    whole = (windows == torch.tensor([0.0, 0, 1, 1])).all(1)
    found = score_boxes(maps, windows, RankSettings("contrast", gamma))
    assert torch.isfinite(found).all()
    assert found[:, whole].tolist() == [[0.0]] * len(maps)


def test_scores_by_hand() -> None:
    """A quarter of the photo has half of the attention; half of a cell has half of its share."""
    maps = torch.tensor([[[4.0, 2.0], [1.0, 1.0]], [[0.0, 0.0], [0.0, 0.0]]])
    boxes = torch.tensor([[0, 0, 0.5, 0.5], [0, 0, 0.25, 0.5], [0, 0, 1, 1]])
    found = score_boxes(maps, boxes, RankSettings(gamma=0.5))
    expected = [[0.5 / 0.5, 0.25 / 0.125**0.5, 1], [0.25**0.5, 0.125**0.5, 1]]
    torch.testing.assert_close(found, torch.tensor(expected, dtype=torch.float64))
    contrast = score_boxes(maps, boxes, RankSettings("contrast", 1))
    wanted = [[0.25 / (0.25 * 0.75), 0.125 / (0.125 * 0.875), 0], [0, 0, 0]]
    torch.testing.assert_close(
        contrast, torch.tensor(wanted, dtype=torch.float64), atol=1e-6, rtol=0
    )
    sized = score_boxes(maps, boxes, RankSettings(gamma=0.5, size_prior=(0.25, 1.0)))
    torch.testing.assert_close(sized[:, 0], found[:, 0])
    torch.testing.assert_close(sized[:, 2], found[:, 2] * math.exp(-(math.log(4) ** 2) / 2))


@some
@given(SEEDS)
def test_the_scale_of_a_map_does_not_matter(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    maps, boxes = random_maps(generator), random_boxes(generator, 4)
    once = score_boxes(maps, boxes, RankSettings())
    torch.testing.assert_close(score_boxes(maps * 1e-12, boxes, RankSettings()), once)


@some
@given(SEEDS, st.none() | st.sampled_from([0.0, 0.3, 0.5, 0.9, 1.0]), st.integers(1, 40))
def test_order_and_suppression(seed: int, limit: float | None, count: int) -> None:
    """Scores of few values: many ties, and the earlier box goes first."""
    generator = torch.Generator().manual_seed(seed)
    scores = torch.randint(0, 5, (count,), generator=generator).double() / 7
    corners = torch.randint(0, 6, (count, 2), generator=generator)
    boxes = torch.cat([corners, corners + torch.randint(1, 6, (count, 2), generator=generator)], 1)
    found = rank_boxes(scores, boxes.double(), limit)
    assert found.dtype == torch.int64
    assert found.tolist() == slow_order(scores.tolist(), boxes.tolist(), limit)


def test_scores_that_differ_little_keep_their_order() -> None:
    """By less than single precision resolves."""
    scores = torch.tensor([1.0, 1 + 1e-12, 1 + 2e-12], dtype=torch.float64)
    boxes = torch.tensor([[0.0, 0, 9, 9], [0, 0, 9, 8], [0, 0, 8, 9]]).double()
    assert rank_boxes(scores, boxes, None).tolist() == [2, 1, 0]
    assert rank_boxes(scores, boxes, 0.5).tolist() == [2]


@pytest.mark.parametrize("limit", [None, 0.5])
def test_the_list_ends_at_its_depth(limit: float | None) -> None:
    places = torch.arange(DEPTH + 50).double()
    boxes = torch.stack([10 * places, places * 0, 10 * places + 9, places * 0 + 9], 1)
    assert rank_boxes(places, boxes, limit).tolist() == list(range(DEPTH + 49, 49, -1))


def test_no_boxes() -> None:
    none = torch.zeros(0, 4, dtype=torch.float64)
    assert score_boxes(torch.rand(2, 3, 4), none, RankSettings()).shape == (2, 0)
    for limit in (None, 0.5):
        assert rank_boxes(torch.zeros(0), none, limit).tolist() == []


def slow_votes(
    places: list[int], scores: list[float], boxes: list[list[float]], least: float
) -> list[list[float]]:
    """One ranked box after the other; weights are not scaled to the best."""
    found = []
    for place in places:
        near = [i for i, box in enumerate(boxes) if slow_iou(boxes[place], box) >= least]
        weights = [max(0.0, scores[i]) ** 4 for i in near]
        mean = [sum(w * boxes[i][side] for w, i in zip(weights, near, strict=True))
                for side in range(4)]  # fmt: skip
        found.append([side / sum(weights) for side in mean] if sum(weights) else boxes[place])
    return found


@some
@given(SEEDS, st.integers(1, 30), st.sampled_from([0.0, 0.3, 0.7, 1.0]), st.booleans())
def test_votes(seed: int, count: int, least: float, negative: bool) -> None:
    """Also scores below 0, and all of them so: then no box moves."""
    generator = torch.Generator().manual_seed(seed)
    scores = torch.rand(count, generator=generator).double() - (1.0 if negative else 0.3)
    boxes = 100 * random_boxes(generator, count)
    places = rank_boxes(scores, boxes, 0.5)
    found = vote_boxes(places, scores, boxes, least)
    expected = slow_votes(places.tolist(), scores.tolist(), boxes.tolist(), least)
    torch.testing.assert_close(found, torch.tensor(expected, dtype=torch.float64))
    if negative or least == 1 or count == 1:
        torch.testing.assert_close(found, boxes[places])
    for place, box in zip(places, found, strict=True):
        voters = boxes[[slow_iou(boxes[place].tolist(), b) >= least for b in boxes.tolist()]]
        assert (box >= voters.amin(0) - 1e-9).all()
        assert (box <= voters.amax(0) + 1e-9).all()


def test_votes_by_hand() -> None:
    """Twice the score has 16 times the weight."""
    boxes = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 8], [50, 50, 60, 60], [0, 0, 10, 9]])
    scores = torch.tensor([1.0, 2, 0, 0.5])
    found = vote_boxes(torch.tensor([1, 2]), scores, boxes, 0.7)
    high = (16 * 8 + 1 * 10 + 9 / 16) / (16 + 1 + 1 / 16)
    assert found.tolist() == [[0, 0, pytest.approx(10), pytest.approx(high)], [50, 50, 60, 60]]
    assert vote_boxes(torch.tensor([0]), torch.zeros(4), boxes, 0.0).tolist() == [[0, 0, 10, 10]]


@some
@given(st.integers(1, 5), st.integers(1, 5))
def test_windows_of_a_grid(height: int, width: int) -> None:
    expected = {
        (x1 / width, y1 / height, x2 / width, y2 / height)
        for x1, x2 in itertools.combinations(range(width + 1), 2)
        for y1, y2 in itertools.combinations(range(height + 1), 2)
    }
    found = [as_box(row) for row in grid_windows(height, width)]
    assert len(found) == len(expected)
    assert set(found) == expected


@some
@given(SEEDS)
def test_the_best_window_without_a_price_of_area_is_the_photo(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    maps = random_maps(generator) + 0.01
    windows = grid_windows(*maps.shape[1:])
    for score in score_boxes(maps, windows, RankSettings(gamma=0)):
        (best,) = rank_boxes(score, windows, None)[:1].tolist()
        assert as_box(windows[best]) == (0, 0, 1, 1)
    tight = score_boxes(maps, windows, RankSettings(gamma=1))
    for one, score in zip(maps, tight, strict=True):
        assert float(score.max()) == pytest.approx(float(one.max() / one.mean()))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("score", "best"), ("gamma", -1), ("gamma", "a"), ("gamma", math.nan), ("nms", 1.5),
        ("nms", True), ("vote", 2), ("vote", -0.1), ("vote", "x"), ("size_prior", 0.3),
        ("size_prior", (0.5,)), ("size_prior", (0, 1)), ("size_prior", (0.5, 0)),
        ("size_prior", (0.5, "a")), ("size_prior", (math.nan, 1)),
    ],
)  # fmt: skip
def test_unusable_settings_are_told(key: str, value: object) -> None:
    with pytest.raises(UserError, match=rf"^rank\.{key}.*=.*: give ") as caught:
        RankSettings(**{key: value})  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_a_gpu_ranks_alike() -> None:
    generator = torch.Generator().manual_seed(0)
    maps, boxes = torch.rand(4, 20, 30, generator=generator), random_boxes(generator, 300)
    here = score_boxes(maps, boxes, RankSettings())
    there = score_boxes(maps.cuda(), boxes, RankSettings())
    torch.testing.assert_close(there.cpu(), here)
    for near, far in zip(here, there, strict=True):
        assert rank_boxes(far, boxes, 0.5).tolist() == rank_boxes(near, boxes, 0.5).tolist()
