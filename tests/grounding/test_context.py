"""What a phrase's map takes from the photo's middle and from the other phrases of its caption."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from data_prep.errors import UserError
from grounding.localiser import PhraseSettings, in_context, middle

some = settings(max_examples=25, deadline=None)


def random_maps(seed: int, phrases: int) -> Tensor:
    """Maps (P, 2, 3) of any scale, some all zero, many with zeros."""
    generator = torch.Generator().manual_seed(seed)
    maps = torch.rand(phrases, 2, 3, generator=generator)
    maps *= torch.rand(phrases, 2, 3, generator=generator) < 0.7
    maps *= torch.rand(phrases, 1, 1, generator=generator) < 0.8
    return maps * torch.tensor([10.0**i for i in range(phrases)])[:, None, None]


def slow_context(
    maps: list[list[float]], captions: list[int], known: list[bool], strength: float
) -> list[list[float]]:
    """One phrase and one cell at a time, over maps that sum to 1."""
    ones = [[cell / sum(one) if sum(one) else 0.0 for cell in one] for one in maps]
    found = []
    for phrase, own in enumerate(ones):
        others = [
            i
            for i, at in enumerate(captions)
            if at == captions[phrase] and i != phrase and known[i] and any(maps[i])
        ]
        cells = []
        for cell, value in enumerate(own):
            mean = sum(ones[i][cell] for i in others) / len(others) if others else 0.0
            cells.append(value * (value / (value + mean)) ** strength if value else 0.0)
        found.append(cells)
    return found


def as_lists(maps: Tensor) -> list[list[float]]:
    found: list[list[float]] = maps.double().flatten(1).tolist()
    return found


@some
@given(st.integers(0, 9999), st.lists(st.integers(0, 2), min_size=1, max_size=6), st.data())
def test_context_against_a_slow_loop(seed: int, captions: list[int], data: st.DataObject) -> None:
    """Up to a map's scale, which nothing depends on."""
    strength = data.draw(st.sampled_from([0.0, 0.3, 1.0, 2.5]))
    maps = random_maps(seed, len(captions))
    known = [data.draw(st.booleans()) for _ in captions]
    found = in_context(maps, captions, known, strength)
    expected = slow_context(as_lists(maps), captions, known, strength)
    for ours, theirs, before in zip(as_lists(found), expected, as_lists(maps), strict=True):
        scale = sum(ours) / sum(theirs) if sum(theirs) else 0.0
        assert ours == pytest.approx([scale * cell for cell in theirs], rel=1e-4, abs=1e-9)
        assert [cell > 0 for cell in ours] == [cell > 0 for cell in before]


def test_phrases_of_one_caption_keep_their_scale_to_each_other() -> None:
    """By hand: where both see alike each gives way by half, and a phrase of its own by nothing."""
    maps = torch.tensor([[[1.0, 1.0, 0.0]], [[0.0, 4.0, 4.0]], [[0.0, 1.0, 0.0]]])
    found = in_context(maps, [5, 5, 7], [True] * 3, 1.0)
    expected = [[[0.5, 0.25, 0.0]], [[0.0, 0.25, 0.5]], [[0.0, 1.0, 0.0]]]
    torch.testing.assert_close(found, torch.tensor(expected))


@pytest.mark.parametrize(("captions", "strength"), [([0, 0, 0], 0.0), ([2, 0, 1], 3.0)])
def test_without_others_or_strength_maps_stay(captions: list[int], strength: float) -> None:
    maps = random_maps(1, 3)
    assert torch.equal(in_context(maps, captions, [True] * 3, strength), maps)


def test_the_middle_is_a_gaussian_in_photo_sides() -> None:
    found = middle(3, 5, 0.25).tolist()
    for row in range(3):
        for column in range(5):
            x, y = (column - 2) / 5, (row - 1) / 3
            assert found[row][column] == pytest.approx(math.exp(-(x * x + y * y) / (2 / 16)))


@pytest.mark.parametrize(
    ("key", "value", "asked"),
    [
        *[("centre", value, "from 0.01 to 100, or null") for value in (0, -1, "a", True, math.nan)],
        *[("context", value, "from 0 to 10") for value in (-1, 11, None, "a", True)],
        *[("head_weight", value, "from 0 to 1") for value in (-0.1, 2, None)],
    ],
)
def test_unusable_settings_are_told(key: str, value: object, asked: str) -> None:
    with pytest.raises(UserError) as caught:
        PhraseSettings(**{key: value})  # type: ignore[arg-type]
    assert str(caught.value) == f"phrase.{key}={value}: give a number {asked}"
