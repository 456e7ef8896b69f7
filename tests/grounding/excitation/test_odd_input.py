"""Dead units, empty and impossible words: no NaN, no infinity, clear errors."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from grounding.excitation import ExcitationBackprop, State
from tests.grounding.excitation.small_net import CLASSES, SmallNet
from tests.grounding.excitation.small_nets import NETS, make

TARGETS = {
    "plain": "pool1",
    "branches": "stem",
    "residual": "stem",
    "residual-signed": "stem",
    "bottleneck": "depth1",
    "bottleneck-excitatory": "depth1",
    "bottleneck-composed": "depth1",
    "dense": "stem",
    "shuffled": "stem",
    "bounded": "pool",
}
WORDS = list(range(CLASSES))


def state_of(net: SmallNet, name: str, x: Tensor) -> State:
    return ExcitationBackprop(net, TARGETS[name], **net.options)(x)  # type: ignore[arg-type]


def check_finite(state: State) -> None:
    box = torch.tensor([[0.0, 0, 5, 5]])
    answers = [
        state.mwp(WORDS),
        state.cmwp(WORDS),
        state.cmwp(WORDS, clamp=False),
        state.wta(WORDS),
        state.leak(WORDS),
        state.boxes_to_words(box),
        state.operator(),
        state.mwp(WORDS),
        state.cmwp(WORDS, clamp=False),
        state.boxes_to_words(box),
    ]
    for answer in answers:
        assert bool(answer.isfinite().all())


def test_every_small_net_is_tried() -> None:
    assert set(TARGETS) == set(NETS)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", TARGETS)
def test_all_zero_activations(name: str, dtype: torch.dtype) -> None:
    """A zero image under negative biases: every unit is dead and all mass leaks."""
    net = make(name, 0).to(dtype)
    with torch.no_grad():
        for module in net.modules():
            if isinstance(module, nn.Conv2d | nn.Linear | nn.BatchNorm2d):
                assert module.bias is not None
                module.bias.fill_(-1)
            if isinstance(module, nn.BatchNorm2d):
                module.running_mean.zero_()  # type: ignore[union-attr]
    state = state_of(net, name, torch.zeros(2, 3, 8, 8, dtype=dtype))
    check_finite(state)
    if name != "bounded":  # there, nothing is dead
        assert not state.mwp(WORDS).any()
        assert bool((state.leak(WORDS) == 1).all())
        assert not state.wta(WORDS).any()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", TARGETS)
def test_dead_channels(name: str, dtype: torch.dtype) -> None:
    net = make(name, 1).to(dtype)
    with torch.no_grad():
        for module in net.modules():
            if isinstance(module, nn.Conv2d) and module.groups == 1:
                module.weight[0] = 0
                assert module.bias is not None
                module.bias[0] = -100
    check_finite(state_of(net, name, torch.randn(2, 3, 8, 8, dtype=dtype)))


@pytest.mark.parametrize("scale", [1e-38, 1e-30, 1e-20, 1e-12, 1e-8, 1e8, 1e12])
@pytest.mark.parametrize("name", TARGETS)
def test_tiny_and_huge_weights(name: str, scale: float) -> None:
    """Denormal totals in float32, in one layer or in all."""
    for everywhere in (True, False):
        net = make(name, 2).float()
        with torch.no_grad():
            for module in net.modules():
                if isinstance(module, nn.Conv2d | nn.Linear) and (
                    everywhere or isinstance(module, nn.Linear)
                ):
                    module.weight.mul_(scale)
        state = state_of(net, name, torch.randn(2, 3, 8, 8))
        if bool(state.logits.isfinite().all()):
            check_finite(state)


@pytest.mark.parametrize("tiny", [1e-20, 1e-30, 1e-37, 1e-38, 1e-40, 1e-44])
def test_a_nearly_dead_unit_that_is_a_word_s_only_child(tiny: float) -> None:
    """The potential of its share is 1 / tiny, and must not meet another unit as infinity."""
    net = nn.Sequential(
        nn.Conv2d(2, 2, 1, bias=False), nn.ReLU(), nn.Conv2d(2, 2, 1, bias=False), nn.ReLU(),
        nn.Flatten(), nn.Linear(2, 3, bias=False),
    )  # fmt: skip
    weights = {
        0: torch.eye(2).view(2, 2, 1, 1),
        2: torch.tensor([[1.0, 0], [30, 30]]).view(2, 2, 1, 1),
        5: torch.tensor([[1.0, 0], [0, 20], [40, -1]]),
    }
    net.load_state_dict({f"{i}.weight": weight for i, weight in weights.items()})
    for image in ([tiny, 0.0], [0.0, tiny], [tiny, 1.0], [1.0, tiny]):
        x = torch.tensor(image).view(1, 2, 1, 1)
        state = ExcitationBackprop(net, "1")(x)
        for words in ([0, 1, 2], torch.rand(4, 3)):
            maps = [state.mwp(words), state.cmwp(words, clamp=False), state.wta(words)]
            assert all(bool(m.isfinite().all()) for m in maps)
        total = state.mwp([0, 1, 2]).sum((2, 3)) + state.leak([0, 1, 2])
        torch.testing.assert_close(total, torch.ones(1, 3), rtol=0, atol=1e-5)


@pytest.mark.parametrize("sign", [1, -1])
def test_words_without_positive_or_negative_weights(sign: int) -> None:
    net = make("residual", 3)
    with torch.no_grad():
        net.fc.weight[2] = sign * net.fc.weight[2].abs()
        net.fc.weight[3] = 0
    state = state_of(net, "residual", torch.randn(2, 3, 8, 8, dtype=torch.float64))
    check_finite(state)
    plain, contrast = state.mwp(WORDS), state.cmwp(WORDS, clamp=False)
    assert not plain[:, 3].any()
    assert not contrast[:, 3].any()
    assert bool((state.leak([3]) == 1).all())
    if sign > 0:
        torch.testing.assert_close(contrast[:, 2], plain[:, 2], rtol=0, atol=1e-12)
    else:
        assert not plain[:, 2].any()
        assert bool((contrast[:, 2] <= 0).all())
        assert not state.cmwp([2]).any()


@pytest.mark.parametrize("operator", [False, True])
@pytest.mark.parametrize("name", TARGETS)
def test_no_words_give_no_maps(name: str, operator: bool) -> None:
    state = state_of(make(name, 0), name, torch.randn(2, 3, 8, 8, dtype=torch.float64))
    if operator:
        state.operator()
    nothing: list[list[int] | Tensor] = [[], torch.zeros(0, dtype=torch.long)]
    for words in (*nothing, torch.zeros(0, CLASSES)):
        for ask in (state.mwp, state.cmwp, state.wta):
            assert ask(words).shape == (2, 0, *state.grid)
        assert state.leak(words).shape == (2, 0)
    assert state.boxes_to_words(torch.zeros(0, 4)).shape == (2, 0, CLASSES)


def test_a_prior_of_zeros_gives_a_map_of_zeros() -> None:
    state = state_of(make("plain", 0), "plain", torch.randn(1, 3, 8, 8, dtype=torch.float64))
    for ask in (state.mwp, state.cmwp, state.wta):
        assert not ask(torch.zeros(2, CLASSES)).any()


IMPOSSIBLE_WORDS = {
    "an index too large": [CLASSES],
    "a negative index": [-1],
    "one of two indices too large": [0, 99],
    "a tensor of an index too large": torch.tensor([CLASSES]),
    "a number": 3,
    "priors without an axis of words": torch.rand(CLASSES),
    "priors of other classes": torch.rand(2, CLASSES + 1),
    "priors of three images": torch.rand(3, 2, CLASSES),
    "priors of four axes": torch.rand(1, 1, 2, CLASSES),
    "a negative prior": torch.full((1, CLASSES), -0.1),
    "a NaN": torch.full((1, CLASSES), math.nan),
    "an infinite prior": torch.full((1, CLASSES), math.inf),
}


@pytest.mark.parametrize("words", IMPOSSIBLE_WORDS.values(), ids=IMPOSSIBLE_WORDS)
def test_impossible_words_are_refused(words: object) -> None:
    state = state_of(make("plain", 0), "plain", torch.randn(2, 3, 8, 8, dtype=torch.float64))
    for ask in (state.mwp, state.cmwp, state.wta, state.leak):
        with pytest.raises(ValueError, match="class indices|priors|prior must be"):
            ask(words)  # type: ignore[arg-type]


@pytest.mark.parametrize("shape", [(3, 8, 8), (8, 8), (1, 1, 3, 8, 8)])
def test_images_need_a_batch_axis(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="images must be"):
        ExcitationBackprop(make("plain", 0), "pool1")(torch.zeros(shape, dtype=torch.float64))
