"""Every sample once an epoch, in batches that do not depend on who reads them."""

import math
from collections.abc import Iterator

from hypothesis import given
from hypothesis import strategies as st

from data_prep.shards.lanes import EpochPlan

SIZES = st.lists(st.integers(0, 40), min_size=1, max_size=12)


@st.composite
def plans(draw: st.DrawFn) -> EpochPlan:
    lanes = draw(st.integers(1, 9))
    return EpochPlan(
        sizes=tuple(draw(SIZES)),
        batch=lanes * draw(st.integers(1, 5)),
        lanes=lanes,
        seed=draw(st.one_of(st.none(), st.tuples(st.integers(0, 9), st.integers(0, 9)))),
        block=draw(st.integers(1, 30)),
    )


def in_order(plan: EpochPlan, lane: int, first: int = 0) -> list[tuple[int, int]]:
    """(shard, place) of a lane's samples, as they come from disk."""
    segments = plan.segments(lane, first)
    return [(s.shard, place) for s in segments for place in range(s.start, s.stop)]


def used(plan: EpochPlan, lane: int, first: int = 0) -> list[tuple[int, int]]:
    """(shard, place) of a lane's samples, as they are used."""
    samples = in_order(plan, lane)
    found = []
    for start, order in plan.blocks(lane, first):
        block = samples[start : start + len(order)]
        found += [block[place] for place in order][max(first - start, 0) :]
    return found


@given(plans())
def test_each_sample_is_used_once(plan: EpochPlan) -> None:
    wanted = [(shard, place) for shard, size in enumerate(plan.sizes) for place in range(size)]
    found = [sample for lane in range(plan.lanes) for sample in used(plan, lane)]
    assert sorted(found) == wanted


@given(plans())
def test_lanes_are_equally_long_and_fill_the_steps(plan: EpochPlan) -> None:
    lengths = [len(in_order(plan, lane)) for lane in range(plan.lanes)]
    assert lengths == [plan.lane_length(lane) for lane in range(plan.lanes)]
    assert max(lengths) - min(lengths) <= 1
    assert plan.steps == math.ceil(max(lengths) / plan.share)
    counts = [plan.step_samples(step) for step in range(plan.steps)]
    by_hand = [
        sum(len(range(length)[step * plan.share : (step + 1) * plan.share]) for length in lengths)
        for step in range(plan.steps)
    ]
    assert counts == by_hand
    assert sum(counts) == plan.samples


@given(plans())
def test_samples_are_numbered_in_the_order_of_the_batches(plan: EpochPlan) -> None:
    numbers = [
        plan.number(lane, position)
        for step in range(plan.steps)
        for position in range(step * plan.share, (step + 1) * plan.share)
        for lane in range(plan.lanes)
        if position < plan.lane_length(lane)
    ]
    assert numbers == list(range(plan.samples))


@given(plans(), st.integers(0, 200))
def test_a_lane_goes_on_where_it_was_left(plan: EpochPlan, first: int) -> None:
    for lane in range(plan.lanes):
        whole, first = used(plan, lane), min(first, plan.lane_length(lane))
        assert used(plan, lane, first) == whole[first:]
        assert in_order(plan, lane, first) == in_order(plan, lane)[first:]


class Counted(tuple[int, ...]):
    """Sizes of shards that count how often all of them are gone through."""

    rounds = 0

    def __iter__(self) -> Iterator[int]:
        type(self).rounds += 1
        return super().__iter__()


def test_many_shards_are_not_counted_at_every_step() -> None:
    plan = EpochPlan(Counted([3] * 1000), 8, 4, (0,))
    for step in range(plan.steps):
        assert plan.step_samples(step) <= 8
    for lane in range(4):
        assert sum(one.stop - one.start for one in plan.segments(lane)) == 750
    assert Counted.rounds <= 2


def test_epochs_differ_and_repeat_by_their_seed() -> None:
    def order(seed: tuple[int, int]) -> list[tuple[int, int]]:
        return used(EpochPlan((20, 20, 20), 4, 2, seed, block=16), 0)

    assert order((0, 0)) == order((0, 0))
    assert order((0, 0)) != order((0, 1))
    assert order((0, 0)) != order((1, 0))


def test_without_a_seed_nothing_is_shuffled() -> None:
    plan = EpochPlan((3, 4), 2, 2)
    assert used(plan, 0) + used(plan, 1) == [(0, 0), (0, 1), (0, 2), *((1, n) for n in range(4))]
