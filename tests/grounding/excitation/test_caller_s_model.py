"""The caller's model, hooks, flags and random numbers are left alone, on failure too."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from grounding.excitation import ExcitationBackprop, UnsupportedOperation
from tests.grounding.excitation.small_net import SmallNet
from tests.grounding.excitation.small_nets import NETS, make

TARGETS = {"plain": "pool1", "bottleneck": "depth1", "bottleneck-composed": "depth1",
           "bounded": "pool"}  # fmt: skip


def training_net(name: str) -> SmallNet:
    """A net in training mode but for one part, with its last layer frozen."""
    net = make(name, 0)
    net.train()
    next(net.children()).eval()
    net.fc.weight.requires_grad_(False)
    return net


def snapshot(net: nn.Module) -> dict[str, Any]:
    return {
        "state": {key: value.clone() for key, value in net.state_dict().items()},
        "pointers": {key: value.data_ptr() for key, value in net.state_dict().items()},
        "versions": {key: value._version for key, value in net.state_dict().items()},
        "training": {path: module.training for path, module in net.named_modules()},
        "modules": {path: id(module) for path, module in net.named_modules()},
        "grad": {key: (p.requires_grad, p.grad is None) for key, p in net.named_parameters()},
        "hooks": {
            (path, key): list(value)
            for path, module in net.named_modules()
            for key, value in vars(module).items()
            if "hooks" in key
        },
        "attributes": {path: sorted(vars(module)) for path, module in net.named_modules()},
    }


def check_same(before: dict[str, Any], net: nn.Module) -> None:
    after = snapshot(net)
    for key, value in before.pop("state").items():
        assert torch.equal(after["state"][key], value), key
    after.pop("state")
    assert after == before


def ask_everything(engine: ExcitationBackprop, x: Tensor) -> None:
    state = engine(x)
    state.mwp([0, 1]).fill_(3)
    state.cmwp([0, 1], clamp=False).fill_(3)
    state.wta([0, 1])
    state.leak(torch.ones(2, state.logits.shape[1]))
    state.operator().fill_(3)
    state.boxes_to_words(torch.tensor([[0.0, 0, 5, 5]]))


@pytest.mark.parametrize("name", NETS)
def test_nothing_of_the_model_changes(name: str) -> None:
    net = training_net(name)
    before, x = snapshot(net), torch.randn(2, 3, 8, 8, dtype=torch.float64)
    image = x.clone()
    ask_everything(ExcitationBackprop(net, TARGETS.get(name, "stem"), **net.options), x)  # type: ignore[arg-type]
    check_same(before, net)
    assert torch.equal(x, image)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_images_are_not_changed_by_an_in_place_first_layer(layout: torch.memory_format) -> None:
    net = nn.Sequential(
        nn.ReLU(inplace=True), nn.Conv2d(3, 4, 3), nn.ReLU(inplace=True), nn.Flatten(),
        nn.Linear(144, 3),
    )  # fmt: skip
    x = torch.randn(1, 3, 8, 8).contiguous(memory_format=layout)
    image = x.clone()
    state = ExcitationBackprop(net, "2")(x)
    assert torch.equal(x, image)
    torch.testing.assert_close(state.logits, net(x.clone()), rtol=1e-5, atol=1e-5)


def test_training_mode_gives_evaluation_s_results() -> None:
    """Dropout does nothing, batch norm keeps its running statistics."""
    net, x = make("plain", 0), torch.randn(2, 3, 8, 8, dtype=torch.float64)
    expected = ExcitationBackprop(net, "pool1")(x)
    net.train()
    found = ExcitationBackprop(net, "pool1")(x)
    assert net.training
    assert torch.equal(found.logits, expected.logits)
    assert torch.equal(found.cmwp([0, 1]), expected.cmwp([0, 1]))


class Auxiliary(nn.Module):
    """Another output in training mode, as GoogLeNet has, and a norm that depends on the mode."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.InstanceNorm2d(3, track_running_stats=True)
        self.net = make("residual", 0)

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        scores = self.net(self.norm(x))
        return (scores, scores) if self.training else scores


def test_forward_that_differs_in_training_mode() -> None:
    net, x = Auxiliary().double().train(), torch.randn(2, 3, 8, 8, dtype=torch.float64)
    found = ExcitationBackprop(net, "net.stem")(x).logits
    assert isinstance(net(x), tuple)
    net = Auxiliary().double().eval()
    torch.testing.assert_close(found, net(x), rtol=0, atol=1e-12)


def test_hooks_are_neither_called_nor_lost() -> None:
    net, calls = make("residual", 0), []

    def hook(*args: object) -> None:
        calls.append(args)

    for module in net.modules():
        module.register_forward_hook(hook)
        module.register_forward_pre_hook(hook)
        module.register_forward_hook(hook, with_kwargs=True)
    ask_everything(ExcitationBackprop(net, "stem"), torch.randn(1, 3, 8, 8).double())
    assert not calls
    net(torch.randn(1, 3, 8, 8).double())
    assert calls


class DataDependent(nn.Module):
    """Its forward branches on data."""

    def __init__(self, net: SmallNet) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x) if x.sum() > 0 else self.net(-x)


def replaced_forward(net: SmallNet) -> Callable[[], object]:
    net.forward = lambda x: x  # type: ignore[method-assign]
    return lambda: ExcitationBackprop(net, "stem")


FAILURES: dict[str, Callable[[SmallNet], Callable[[], object]]] = {
    "no such target": lambda net: lambda: ExcitationBackprop(net, "nowhere"),
    "target at the top": lambda net: lambda: ExcitationBackprop(net, "fc"),
    "cannot be traced": lambda net: lambda: ExcitationBackprop(DataDependent(net), "net.stem"),
    "another forward": replaced_forward,
    "default size does not fit": lambda net: lambda: ExcitationBackprop(net.float()),
    "wrong image": lambda net: lambda: ExcitationBackprop(net, "stem")(torch.zeros(1, 3, 8, 8)),
    "wrong channels": lambda net: (
        lambda: ExcitationBackprop(net, "stem")(torch.zeros(1, 5, 8, 8, dtype=torch.float64))
    ),
    "wrong word": lambda net: (
        lambda: ExcitationBackprop(net, "stem")(torch.zeros(1, 3, 8, 8).double()).cmwp([99])
    ),
    "wrong boxes": lambda net: (
        lambda: ExcitationBackprop(net, "stem")(torch.zeros(1, 3, 8, 8).double()).boxes_to_words(
            torch.zeros(3)
        )
    ),
}


@pytest.mark.parametrize("failure", FAILURES)
def test_nothing_changes_when_something_raises(failure: str) -> None:
    net = training_net("plain" if failure == "default size does not fit" else "residual")
    attempt = FAILURES[failure](net)
    if failure == "default size does not fit":
        net.float()
    before, random, flags = snapshot(net), torch.get_rng_state(), all_flags()
    with pytest.raises((ValueError, RuntimeError)):
        attempt()
    check_same(before, net)
    assert torch.equal(torch.get_rng_state(), random)
    assert all_flags() == flags


def all_flags() -> dict[str, object]:
    cudnn = torch.backends.cudnn
    return {
        "enabled": cudnn.enabled,
        "benchmark": cudnn.benchmark,
        "deterministic": cudnn.deterministic,
        "convolutions": cudnn.conv.fp32_precision,  # type: ignore[attr-defined]
        "grad": torch.is_grad_enabled(),
        "inference": torch.is_inference_mode_enabled(),
        "strict": torch.are_deterministic_algorithms_enabled(),
        "threads": torch.get_num_threads(),
        "dtype": torch.get_default_dtype(),
        "matmul": torch.get_float32_matmul_precision(),
        "anomaly": torch.is_anomaly_enabled(),
    }


def test_flags_and_random_numbers_stay() -> None:
    torch.manual_seed(3)
    random, flags = torch.get_rng_state(), all_flags()
    net = copy.deepcopy(make("residual", 0))
    torch.set_rng_state(random)
    ask_everything(ExcitationBackprop(net, "stem"), torch.ones(1, 3, 8, 8).double())
    assert torch.equal(torch.get_rng_state(), random)
    assert all_flags() == flags


def test_answers_need_no_gradients() -> None:
    net = make("residual", 0)
    x = torch.randn(1, 3, 8, 8, dtype=torch.float64, requires_grad=True)
    state = ExcitationBackprop(net, "stem")(x)
    assert not state.logits.requires_grad
    assert not state.cmwp([0]).requires_grad
    assert x.grad is None
    with torch.inference_mode():
        inside = ExcitationBackprop(net, "stem")(x).cmwp([0])
    assert torch.equal(inside, state.cmwp([0]))


def test_weights_changed_later_need_a_new_engine() -> None:
    """What the docstring says: an engine is a snapshot for excitation, so make another."""
    net, x = make("plain", 0), torch.randn(1, 3, 8, 8, dtype=torch.float64)
    with torch.no_grad():
        net.fc.weight.neg_()
    fresh = ExcitationBackprop(net, "pool1")(x)
    torch.testing.assert_close(fresh.logits, net(x).detach(), rtol=0, atol=1e-12)


def test_refusals_are_value_errors_of_one_line() -> None:
    with pytest.raises(ValueError, match="did you mean stem") as refusal:
        ExcitationBackprop(make("residual", 0), "stm")
    assert isinstance(refusal.value, UnsupportedOperation)
    assert "\n" not in str(refusal.value)
