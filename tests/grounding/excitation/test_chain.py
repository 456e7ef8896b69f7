"""Whole small nets against the explicit absorbing Markov chain p0 (I - Q)^-1 in float64."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from grounding.excitation import ExcitationBackprop
from tests.grounding.excitation.small_net import CLASSES, SmallNet, image
from tests.grounding.excitation.small_nets import NETS, make

TARGETS = [
    ("plain", "conv1"),
    ("plain", "pool1"),
    ("plain", "pool2"),
    ("branches", "stem"),
    ("branches", "lrn"),
    ("residual", "stem"),
    ("residual-signed", "stem"),
    ("residual-signed", "stem.1"),
    ("bottleneck", "stem"),
    ("bottleneck", "depth1"),
    ("bottleneck-excitatory", "stem"),
    ("bottleneck-composed", "stem"),
    ("bottleneck-composed", "depth1"),
    ("bottleneck-composed", "expand3"),
    ("bottleneck-composed", "project2"),
    ("bottleneck-composed", "project3"),
    ("dense", "stem"),
    ("shuffled", "stem"),
    ("bounded", "pool"),
]
SEEDS = [0, 1, 2]


def chain_maps(net: SmallNet, x: Tensor, target: str, priors: Tensor, dual: bool = False) -> Tensor:
    """(K, h, w) of priors (K, M)."""
    slow = net.slow(x)
    assert slow.features is not None
    words = slow.net.words(slow.features, net.fc.weight, dual)
    return slow.net.maps(words, priors, slow.layers[target])


def test_every_small_net_is_tried() -> None:
    assert {name for name, _ in TARGETS} == set(NETS)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(("name", "target"), TARGETS)
def test_maps_are_expected_visits(name: str, target: str, seed: int) -> None:
    net = make(name, seed)
    x = image(seed)
    with torch.no_grad():
        slow = net.slow(x)
        state = ExcitationBackprop(net, target, **net.options)(x[None])  # type: ignore[arg-type]
        priors = torch.cat([torch.eye(CLASSES).double(), torch.rand(2, CLASSES).double()])
        plain = chain_maps(net, x, target, priors)
        dual = chain_maps(net, x, target, priors, dual=True)
        logits = net(x[None])
    assert slow.features is not None
    torch.testing.assert_close(state.logits, logits, rtol=0, atol=1e-12)
    torch.testing.assert_close(state.mwp(priors)[0], plain, rtol=0, atol=1e-12)
    contrast = plain - dual
    torch.testing.assert_close(state.cmwp(priors, clamp=False)[0], contrast, rtol=0, atol=1e-12)
    torch.testing.assert_close(state.cmwp(priors)[0], contrast.clamp(min=0), rtol=0, atol=1e-12)
    words = list(range(CLASSES))
    torch.testing.assert_close(state.mwp(words)[0], plain[:CLASSES], rtol=0, atol=1e-12)
    if name != "residual-signed":  # signed shares may exceed one: nothing is "lost"
        lost = 1 - plain[:CLASSES].sum((1, 2))
        torch.testing.assert_close(state.leak(words)[0], lost, rtol=0, atol=1e-12)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(("name", "target"), TARGETS)
def test_operator_and_boxes_are_expected_visits(name: str, target: str, seed: int) -> None:
    net = make(name, seed)
    x = image(seed)
    with torch.no_grad():
        engine = ExcitationBackprop(net, target, **net.options)  # type: ignore[arg-type]
        slow = net.slow(x)
        assert slow.features is not None
        start, end = slow.features, slow.layers[target]
        T = slow.net.maps(start.group, torch.eye(start.value.numel()).double(), end).flatten(1)
        alive = slow.features.excitation.flatten() > 0
        torch.testing.assert_close(
            engine(x[None]).operator()[0, alive], T[alive], rtol=0, atol=1e-12
        )
        every = torch.eye(CLASSES, dtype=torch.float64)
        plain = chain_maps(net, x, target, every)
        contrast = plain - chain_maps(net, x, target, every, dual=True)
        boxes, cells = cell_boxes(plain.shape[1:], size=8)
        for state in (engine(x[None]), with_operator(engine, x)):
            for expected, contrastive in ((plain, False), (contrast, True)):
                inside = torch.einsum("mhw,bhw->bm", expected, cells)
                found = state.boxes_to_words(boxes, contrastive=contrastive)[0]
                torch.testing.assert_close(found, inside, rtol=0, atol=1e-12)


def with_operator(engine: ExcitationBackprop, x: Tensor):  # type: ignore[no-untyped-def]
    state = engine(x[None])
    state.operator()
    return state


def cell_boxes(grid: torch.Size, size: int) -> tuple[Tensor, Tensor]:
    """Boxes that cover whole, half and no cells, and the covered shares of the cells."""
    h, w = size / grid[0], size / grid[1]
    boxes = torch.tensor(
        [[0, 0, size, size], [0, 0, w, h], [w / 2, 0, w, h], [0, 0, w, 1.5 * h], [3, 3, 3, 5]]
    )
    cells = torch.zeros(len(boxes), *grid, dtype=torch.float64)
    cells[0] = 1
    cells[1, 0, 0] = 1
    cells[2, 0, 0] = 0.5
    cells[3, 0, 0], cells[3, 1, 0] = 1, 0.5
    return boxes.double(), cells


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(("name", "target"), TARGETS)
def test_winner_take_all_is_the_greedy_walk(name: str, target: str, seed: int) -> None:
    net = make(name, seed)
    x = image(seed)
    with torch.no_grad():
        slow = net.slow(x)
        assert slow.features is not None
        words = slow.net.words(slow.features, net.fc.weight)
        expected = torch.stack(
            [slow.net.walk(words, k, slow.layers[target]) for k in range(CLASSES)]
        )
        state = ExcitationBackprop(net, target, **net.options)(x[None])  # type: ignore[arg-type]
        assert torch.equal(state.wta(list(range(CLASSES)))[0], expected)
        prior = torch.rand(1, CLASSES, dtype=torch.float64)
        mixed = torch.einsum("km,mhw->khw", prior, expected)
        torch.testing.assert_close(state.wta(prior)[0], mixed, rtol=0, atol=1e-12)
