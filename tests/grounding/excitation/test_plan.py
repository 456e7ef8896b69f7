"""Forwards as people write them: what is understood, and what is refused by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from grounding.excitation import ExcitationBackprop, UnsupportedOperation

Features = Callable[["Net", Tensor], Tensor]


class Net(nn.Module):
    """``features`` of a convolution's ReLU, then a linear classifier."""

    norm: nn.Module
    circular: nn.Module
    batch: nn.Module
    hidden: nn.Module

    def __init__(self, features: Features, inputs: int = 4, **modules: nn.Module) -> None:
        super().__init__()
        self.conv, self.relu = nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(inplace=True)
        self.other, self.fc = nn.Conv2d(4, 4, 3, padding=1), nn.Linear(inputs, 3)
        self.features = features
        for name, module in modules.items():
            setattr(self, name, module)

    def forward(self, x: Tensor, unused: Tensor | None = None, flag: bool = False) -> Tensor:
        x = self.relu(self.conv(x))
        if flag and unused is not None:
            x = x * unused
        return self.fc(self.features(self, x))


def in_place_read_again(net: Net, x: Tensor) -> Tensor:
    y = net.other(x)
    z = net.relu(y)  # in place: y below is z
    return (F.relu(net.other(z)) + y).mean((2, 3))


def in_place_add(net: Net, x: Tensor) -> Tensor:
    out = net.other(x)
    out += x
    out.relu_()
    return out.mean((2, 3))


UNDERSTOOD: dict[str, tuple[Features, int]] = {
    "mean": (lambda n, x: x.mean([2, 3]), 4),
    "means": (lambda n, x: x.mean(3).mean(2), 4),
    "mean of the last": (lambda n, x: x.mean(dim=(-1, -2)), 4),
    "mean kept": (lambda n, x: x.mean((2, 3), keepdim=True).flatten(1), 4),
    "adaptive": (lambda n, x: F.adaptive_avg_pool2d(x, (1, 1)).view(x.size(0), -1), 4),
    "adaptive to 2x3": (lambda n, x: F.adaptive_avg_pool2d(x, (2, 3)).flatten(1), 24),
    "squeeze": (lambda n, x: F.adaptive_avg_pool2d(x, 1).squeeze(-1).squeeze(-1), 4),
    "first cell": (lambda n, x: F.adaptive_avg_pool2d(x, output_size=1)[:, :, 0, 0], 4),
    "pool of a corner": (lambda n, x: F.avg_pool2d(x, 5).flatten(1), 4),
    "pool of all": (lambda n, x: torch.flatten(F.avg_pool2d(x, (6, 8)), start_dim=1), 4),
    "max pool": (lambda n, x: F.max_pool2d(x, 2, 1, padding=1).mean((2, 3)), 4),
    "reshape": (lambda n, x: x.reshape(x.shape[0], -1), 192),
    "pad": (lambda n, x: F.pad(x, (1, 0, 2, 1)).mean((2, 3)), 4),
    "chunk": (lambda n, x: torch.cat([F.relu(p) for p in _halves(x)], 1).mean((2, 3)), 4),
    "split": (lambda n, x: x.split([1, 3], dim=1)[1].mean((2, 3)), 3),
    "slices": (lambda n, x: torch.cat([x[:, 2:], x[:, :2]], dim=1).mean((2, 3)), 4),
    "keyword call": (lambda n, x: F.relu(n.other(input=x)).mean((2, 3)), 4),
    "same layer twice": (lambda n, x: F.relu(n.other(F.relu(n.other(x)))).mean((2, 3)), 4),
    "in place, read again": (in_place_read_again, 4),
    "in-place add": (in_place_add, 4),
    "dropout": (lambda n, x: F.dropout(x, 0.5, n.training).mean((2, 3)), 4),
    "sum of three": (lambda n, x: (x + n.other(x) + x).relu().mean((2, 3)), 4),
}


def _halves(x: Tensor) -> tuple[Tensor, Tensor]:
    parts = x.chunk(2, dim=1)
    return parts[0], parts[1]


@pytest.mark.parametrize("case", UNDERSTOOD)
def test_understood(case: str) -> None:
    """Same logits, mass conserved, operator and word by word agree."""
    features, inputs = UNDERSTOOD[case]
    torch.manual_seed(0)
    net = Net(features, inputs).double().eval()
    x = torch.randn(2, 3, 6, 8, dtype=torch.float64)
    engine = ExcitationBackprop(net, "relu" if case != "in place, read again" else "conv")
    state, again = engine(x), engine(x)
    with torch.no_grad():
        torch.testing.assert_close(state.logits, net(x), rtol=0, atol=1e-12)
    maps = state.mwp([0, 1, 2])
    total = maps.sum((2, 3)) + state.leak([0, 1, 2])
    torch.testing.assert_close(total, torch.ones_like(total), rtol=0, atol=1e-12)
    assert bool(maps.any())
    again.operator()
    torch.testing.assert_close(again.mwp([0, 1, 2]), maps, rtol=0, atol=1e-12)


REFUSED: dict[str, tuple[Features, str]] = {
    "sum": (lambda n, x: x.sum((2, 3)), "sum"),
    "product": (lambda n, x: (x * n.other(x)).mean((2, 3)), "mul"),
    "difference": (lambda n, x: (x - n.other(x)).relu().mean((2, 3)), "sub"),
    "clamp": (lambda n, x: x.clamp(max=0.5).mean((2, 3)), "clamp"),
    "interpolation": (lambda n, x: F.interpolate(x, scale_factor=2).mean((2, 3)), "interpolate"),
    "norm": (lambda n, x: n.norm(x).mean((2, 3)), "norm (InstanceNorm2d)"),
    "part of a norm": (lambda n, x: F.instance_norm(x)[:, :4].mean((2, 3)), "instance_norm"),
    "weighted sum": (lambda n, x: torch.add(x, n.other(x), alpha=2).mean((2, 3)), "add"),
    "padding of ones": (lambda n, x: F.pad(x, (1, 1), value=1.0).mean((2, 3)), "pad"),
    "reflection": (lambda n, x: F.pad(x, (1, 1, 1, 1), mode="reflect").mean((2, 3)), "pad"),
    "circular": (lambda n, x: n.circular(x).relu().mean((2, 3)), "circular (Conv2d)"),
    "batch statistics": (lambda n, x: n.batch(x).mean((2, 3)), "batch (BatchNorm2d)"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused_by_name(case: str) -> None:
    features, named = REFUSED[case]
    net = Net(
        features,
        norm=nn.InstanceNorm2d(4),
        circular=nn.Conv2d(4, 4, 3, padding=1, padding_mode="circular"),
        batch=nn.BatchNorm2d(4, track_running_stats=False),
    )
    with pytest.raises(UnsupportedOperation, match="excitation cannot pass") as refusal:
        ExcitationBackprop(net, "relu")
    assert named in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_unsupported_below_the_target_does_not_matter() -> None:
    net = nn.Sequential(nn.InstanceNorm2d(3), Net(lambda n, x: x.mean((2, 3))))
    x = torch.randn(1, 3, 6, 8)
    state = ExcitationBackprop(net, "1.relu")(x)
    torch.testing.assert_close(state.logits, net(x).detach())


class Head(nn.Module):
    """The classifier is a convolution, pooled afterwards (SqueezeNet)."""

    def __init__(self, relu: bool) -> None:
        super().__init__()
        self.conv, self.act = nn.Conv2d(3, 4, 3, padding=1), nn.ReLU()
        self.drop, self.head = nn.Dropout(), nn.Conv2d(4, 3, 1)
        self.top = nn.ReLU() if relu else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return self.top(self.head(self.drop(self.act(self.conv(x))))).mean((2, 3))


@pytest.mark.parametrize("relu", [True, False])
@pytest.mark.parametrize("target", ["conv", "act"])
def test_convolution_as_classifier(relu: bool, target: str) -> None:
    """By hand: mass spreads over positions like the scores after a ReLU, then over W+ or W-.

    Without a ReLU it spreads like the excitatory input, so that a score's sign does not matter.
    """
    torch.manual_seed(1)
    net = Head(relu).double().eval()
    with torch.no_grad():
        net.head.weight.mul_(4)
    x = torch.randn(1, 3, 5, 4, dtype=torch.float64)
    with torch.no_grad():
        h = net.act(net.conv(x))[0]
        scores = net.head(h[None])[0].clamp(min=0)
        W = net.head.weight[:, :, 0, 0]
        expected = []
        for sign in (1, -1):
            weights = (sign * W).clamp(min=0)
            totals = torch.einsum("kc,chw->khw", weights, h)
            mass = scores * (totals > 0) if relu else totals  # (K, h, w)
            whole = scores if relu else totals
            expected.append(mass / whole.sum((1, 2), keepdim=True))
        assert bool((scores.sum((1, 2)) > 0).all())
    state = ExcitationBackprop(net, target)(x)
    words = [0, 1, 2]
    torch.testing.assert_close(state.mwp(words)[0], expected[0], rtol=0, atol=1e-12)
    contrast = expected[0] - expected[1]
    for many in (1, 40):  # word by word, and enough for the operator
        found = state.cmwp(words * many, clamp=False)[0]
        torch.testing.assert_close(found, contrast.repeat(many, 1, 1), rtol=0, atol=1e-12)


def test_scores_that_are_reshaped() -> None:
    """SqueezeNet with a linear head flattens once more; negative scores must not matter."""

    class Reshaped(nn.Module):
        def __init__(self, net: nn.Module) -> None:
            super().__init__()
            self.net = net

        def forward(self, x: Tensor) -> Tensor:
            return torch.flatten(self.net(x), 1)

    torch.manual_seed(0)
    net = Net(lambda n, x: x.mean((2, 3))).double()
    nn.init.constant_(net.fc.bias, -9)
    x = torch.randn(2, 3, 6, 8, dtype=torch.float64)
    plain, reshaped = ExcitationBackprop(net, "relu"), ExcitationBackprop(Reshaped(net), "net.relu")
    assert bool((plain(x).logits < 0).all())
    for words in ([0, 1, 2], torch.tensor([[0.2, 0.5, 0.3]])):
        for method in ("mwp", "cmwp", "wta", "leak"):
            expected, found = getattr(plain(x), method)(words), getattr(reshaped(x), method)(words)
            torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)
            assert method == "leak" or bool(expected.any())


def test_targets_that_cannot_be() -> None:
    net = Net(lambda n, x: F.relu(n.hidden(x.mean((2, 3)))), hidden=nn.Linear(4, 4))
    cases: list[tuple[Any, str]] = [
        ("fc", "does not feed the class scores"),
        ("nowhere", "no layer 'nowhere'"),
        ("", "no layer ''"),
    ]
    for target, reason in cases:
        with pytest.raises(UnsupportedOperation, match=reason):
            ExcitationBackprop(net, target)
    with pytest.raises(UnsupportedOperation, match="no rows and columns"):
        ExcitationBackprop(net, "hidden")(torch.zeros(1, 3, 6, 8))


def test_outputs_that_are_no_scores() -> None:
    class Two(nn.Module):
        def __init__(self, pack: Callable[[Tensor], object]) -> None:
            super().__init__()
            self.conv, self.fc, self.pack = nn.Conv2d(3, 4, 1), nn.Linear(4, 3), pack

        def forward(self, x: Tensor) -> object:
            return self.pack(self.fc(self.conv(x).relu().mean((2, 3))))

    packs: list[Callable[[Tensor], object]] = [lambda y: (y, y), lambda y: {"out": y}]
    for pack in packs:
        with pytest.raises(UnsupportedOperation, match="not one tensor of class scores"):
            ExcitationBackprop(Two(pack), "conv")
    engine = ExcitationBackprop(
        nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU(), nn.Conv2d(4, 3, 1)), "1"
    )
    with pytest.raises(UnsupportedOperation, match=r"must be \(N, classes\)"):
        engine(torch.zeros(1, 3, 4, 4))


@pytest.mark.parametrize(
    "function", [torch.sigmoid, lambda y: y.softmax(1), lambda y: F.log_softmax(y, 1)]
)
def test_scores_may_be_probabilities(function: Callable[..., Tensor]) -> None:
    class Wrapped(nn.Module):
        def __init__(self, net: nn.Module) -> None:
            super().__init__()
            self.net = net

        def forward(self, x: Tensor) -> Tensor:
            return function(self.net(x))

    net = Net(lambda n, x: x.mean((2, 3))).double()
    x = torch.randn(1, 3, 6, 8, dtype=torch.float64)
    plain, wrapped = (
        ExcitationBackprop(net, "relu")(x),
        ExcitationBackprop(Wrapped(net), "net.relu")(x),
    )
    torch.testing.assert_close(wrapped.logits, Wrapped(net)(x).detach())
    torch.testing.assert_close(wrapped.cmwp([0, 1, 2]), plain.cmwp([0, 1, 2]))


def test_a_target_that_is_the_classifier_s_own_input_has_no_rows_and_columns() -> None:
    net = Net(lambda n, x: n.flat(x.mean((2, 3))), flat=nn.Flatten())  # type: ignore[operator]
    with pytest.raises(UnsupportedOperation, match="no rows and columns"):
        ExcitationBackprop(net, "flat")(torch.zeros(1, 3, 6, 8))
