"""What must hold for any net, image and words: conservation, linearity, batches, chunks."""

from __future__ import annotations

from typing import cast

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from grounding.excitation import ExcitationBackprop
from tests.grounding.excitation.small_net import CLASSES
from tests.grounding.excitation.small_nets import make

TARGETS = {
    "plain": "pool1",
    "branches": "stem",
    "residual": "stem",
    "residual-signed": "stem",
    "bottleneck": "depth1",
    "bottleneck-composed": "depth1",
    "dense": "stem",
    "shuffled": "stem",
    "bounded": "pool",
}
WORDS = list(range(CLASSES))

net_names = st.sampled_from(sorted(TARGETS))
seeds = st.integers(0, 2**16)
few = settings(deadline=None, max_examples=25)


def engine_of(name: str, seed: int, chunk: int | None = None) -> ExcitationBackprop:
    net = make(name, seed)
    return ExcitationBackprop(net, TARGETS[name], chunk=chunk, **net.options)  # type: ignore[arg-type]


def random_images(seed: int, count: int, name: str) -> Tensor:
    torch.manual_seed(seed + 1)
    size = (8, 8) if name == "plain" else (9, 14)
    return torch.randn(count, 3, *size, dtype=torch.float64)


class ReluNet(nn.Module):
    """Random width, depth, pooling and shortcuts, ReLU everywhere."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        torch.manual_seed(seed)
        width, self.residual = 3 + seed % 4, bool(seed % 2)
        self.stem = nn.Sequential(nn.Conv2d(3, width, 3, padding=1), nn.ReLU())
        self.pool = nn.MaxPool2d(2) if seed % 3 else nn.AvgPool2d(3, 2, 1)
        self.body = nn.Sequential(nn.Conv2d(width, width, 3, padding=1), nn.ReLU())
        self.fc = nn.Linear(width, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = self.pool(self.stem(x))
        x = (self.body(x) + x).relu() if self.residual else self.body(x)
        return self.fc(x.mean((2, 3)))


@few
@given(seed=seeds)
def test_mass_is_conserved_but_for_the_leak(seed: int) -> None:
    """Σ MWP + leak = 1; nothing leaks where every live unit has excitatory input."""
    torch.manual_seed(seed)
    net = ReluNet(seed).double().eval()
    with torch.no_grad():  # no bias: a live unit has excitatory input
        for module in net.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                cast(Tensor, module.bias).zero_()
    state = ExcitationBackprop(net, "stem")(torch.randn(2, 3, 8, 10, dtype=torch.float64))
    total = state.mwp(WORDS).sum((2, 3))
    leak = state.leak(WORDS)
    torch.testing.assert_close(total + leak, torch.ones_like(total), rtol=0, atol=1e-12)
    features = state._top.excitations
    has_child = (features @ net.fc.weight.clamp(min=0).T) > 0
    torch.testing.assert_close(total, has_child.double(), rtol=0, atol=1e-12)


@few
@given(name=net_names, seed=seeds)
def test_total_and_leak_sum_to_one(name: str, seed: int) -> None:
    if name == "residual-signed":
        return  # signed shares may exceed one
    state = engine_of(name, seed)(random_images(seed, 2, name))
    maps = state.mwp(WORDS)
    assert bool((maps >= 0).all())
    total = maps.sum((2, 3)) + state.leak(WORDS)
    torch.testing.assert_close(total, torch.ones_like(total), rtol=0, atol=1e-12)


def test_leak_where_it_must_leak() -> None:
    """A unit alive by its bias alone takes its share with it: half of word 0, all of word 1."""
    net = nn.Sequential(
        nn.Conv2d(1, 2, 1), nn.ReLU(), nn.Conv2d(2, 3, 1), nn.ReLU(), nn.Flatten(), nn.Linear(3, 4)
    ).double()
    first, second, head = (cast(nn.Conv2d, net[i]) for i in (0, 2, 5))
    with torch.no_grad():
        first.weight.copy_(torch.tensor([1.0, 1.0]).view(2, 1, 1, 1))
        cast(Tensor, first.bias).zero_()
        # unit 0: excited by both; unit 1: inhibited by both, alive by its bias; unit 2: dead
        second.weight.copy_(torch.tensor([[1.0, 1], [-1, -1], [-1, -1]]).view(3, 2, 1, 1))
        cast(Tensor, second.bias).copy_(torch.tensor([0.0, 4.0, 0.0]))
        head.weight.copy_(torch.tensor([[1.0, 1, 1], [-1, 1, 0], [1, -1, 0], [-1, -1, 1]]))
    state = ExcitationBackprop(net, "1")(torch.ones(1, 1, 1, 1, dtype=torch.float64))
    # word 0 meets 2, 2 and 0; word 3's only excitatory weight is on the dead unit
    expected = torch.tensor([[0.5, 1.0, 0.0, 1.0]], dtype=torch.float64)
    torch.testing.assert_close(state.leak([0, 1, 2, 3]), expected)
    torch.testing.assert_close(state.mwp([0, 1, 2, 3]).sum((2, 3)), 1 - expected)
    assert state.wta([1, 3]).sum() == 0
    assert state.wta([2]).sum() == 1


@few
@given(name=net_names, seed=seeds, a=st.floats(0, 3), b=st.floats(0, 3))
def test_maps_are_linear_in_the_prior(name: str, seed: int, a: float, b: float) -> None:
    state = engine_of(name, seed)(random_images(seed, 2, name))
    p, q = torch.rand(2, 2, 3, CLASSES, dtype=torch.float64)
    for ask in (state.mwp, lambda words: state.cmwp(words, clamp=False)):
        expected = a * ask(p) + b * ask(q)
        torch.testing.assert_close(ask(a * p + b * q), expected, rtol=1e-10, atol=1e-12)


@few
@given(name=net_names, seed=seeds, order=st.lists(st.sampled_from(WORDS), min_size=1, max_size=9))
def test_an_index_is_its_indicator_and_order_is_kept(
    name: str, seed: int, order: list[int]
) -> None:
    """Duplicates included."""
    state = engine_of(name, seed)(random_images(seed, 2, name))
    every = state.cmwp(WORDS)
    indicators = torch.eye(CLASSES)[order]
    for words in (order, torch.tensor(order), indicators, indicators.expand(2, -1, -1)):
        torch.testing.assert_close(state.cmwp(words), every[:, order], rtol=0, atol=1e-12)
        assert torch.equal(state.wta(words), state.wta(WORDS)[:, order])
        torch.testing.assert_close(
            state.leak(words), state.leak(WORDS)[:, order], atol=1e-12, rtol=0
        )


@few
@given(name=net_names, seed=seeds)
def test_a_batch_is_its_images_one_by_one(name: str, seed: int) -> None:
    engine = engine_of(name, seed)
    x = random_images(seed, 3, name)
    together = engine(x)
    boxes = torch.tensor([[0.0, 0, 5, 5], [2, 1, 8, 8]])
    priors = torch.rand(3, 2, CLASSES, dtype=torch.float64)
    for n in range(3):
        alone = engine(x[n : n + 1])
        pairs = [
            (together.logits, alone.logits),
            (together.mwp(WORDS), alone.mwp(WORDS)),
            (together.cmwp(WORDS), alone.cmwp(WORDS)),
            (together.wta(WORDS), alone.wta(WORDS)),
            (together.leak(WORDS), alone.leak(WORDS)),
            (together.boxes_to_words(boxes), alone.boxes_to_words(boxes)),
            (together.cmwp(priors), alone.cmwp(priors[n])),
            (together.wta(priors), alone.wta(priors[n])),
            (together.operator(), alone.operator()),
        ]
        for found, expected in pairs:
            torch.testing.assert_close(found[n], expected[0], rtol=0, atol=1e-12)


@pytest.mark.parametrize("chunk", [1, 2, 7, 1000])
@pytest.mark.parametrize("name", TARGETS)
def test_chunks_do_not_matter(name: str, chunk: int) -> None:
    x = random_images(3, 2, name)
    usual, other = engine_of(name, 3)(x), engine_of(name, 3, chunk)(x)
    boxes = torch.tensor([[0.0, 0, 5, 5], [2, 1, 8, 8], [0, 0, 3, 9]])
    priors = torch.rand(2, 4, CLASSES, dtype=torch.float64)
    for ask in ("mwp", "cmwp", "wta", "leak"):
        for words in (WORDS, priors):
            found, expected = getattr(other, ask)(words), getattr(usual, ask)(words)
            torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)
    found = other.boxes_to_words(boxes)
    torch.testing.assert_close(found, usual.boxes_to_words(boxes), rtol=0, atol=1e-12)


def test_a_state_is_not_worn_by_its_queries() -> None:
    state = engine_of("residual", 5)(random_images(5, 2, "residual"))
    first = state.mwp(WORDS)
    again = first.clone()
    state.cmwp(WORDS).fill_(7)
    state.wta(WORDS)
    state.boxes_to_words(torch.tensor([[0.0, 0, 5, 5]]))
    assert torch.equal(state.mwp(WORDS), again)
    state.operator().fill_(7)
    state.mwp(WORDS).fill_(7)
    torch.testing.assert_close(state.mwp(WORDS), again, rtol=0, atol=1e-13)
