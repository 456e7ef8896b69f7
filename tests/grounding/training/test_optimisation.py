"""Which parameters learn, how fast, and what is averaged."""

import math
from typing import Any

import pytest
import torch
from torch import nn
from torch.optim import SGD, AdamW

from grounding.heads import tag_net
from grounding.training.optimisation import (
    Average,
    freeze,
    lr_factor,
    make_optimizer,
    set_modes,
)
from grounding.training.settings import TrainSettings
from tests.grounding.training.runs import small_net, weights


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"schedule": "constant"}, [1, 1, 1, 1, 1, 1]),
        (
            {"schedule": "constant", "warmup_epochs": 1.5},
            [1 / 4, 2 / 4, 3 / 4, 1, 1, 1],
        ),
        # cos(πk/6): 1, √3/2, 1/2, 0, −1/2, −√3/2
        (
            {"schedule": "cosine"},
            [1, 0.5 + math.sqrt(3) / 4, 0.75, 0.5, 0.25, 0.5 - math.sqrt(3) / 4, 0],
        ),
        # two steps up, then cos(πk/4)
        (
            {"schedule": "cosine", "warmup_epochs": 1},
            [1 / 3, 2 / 3, 1, 0.5 + math.sqrt(2) / 4, 0.5, 0.5 - math.sqrt(2) / 4, 0, 0],
        ),
        ({"schedule": "cosine", "warmup_epochs": 3}, [n / 7 for n in range(1, 7)]),
    ],
)
def test_schedule_of_three_epochs_of_two_steps(
    options: dict[str, Any], expected: list[float]
) -> None:
    settings = TrainSettings(epochs=3, **options)
    found = [lr_factor(settings, 2, step) for step in range(len(expected))]
    assert found == pytest.approx(expected, abs=1e-12)


def test_groups() -> None:
    net = small_net(norm=True)
    settings = TrainSettings(lr=0.1, head_lr_factor=5, weight_decay=0.3, optimizer="adamw")
    freeze(net, settings)
    optimizer = make_optimizer(net, settings)
    assert isinstance(optimizer, AdamW)
    found = {
        name: (group["lr"], group["base_lr"], group["weight_decay"])
        for name, parameter in net.named_parameters()
        for group in optimizer.param_groups
        if any(parameter is each for each in group["params"])
    }
    assert found == {
        "0.weight": (0.1, 0.1, 0.3),
        "0.bias": (0.1, 0.1, 0.0),
        "1.weight": (0.1, 0.1, 0.0),
        "1.bias": (0.1, 0.1, 0.0),
        "6.weight": (0.5, 0.5, 0.3),
        "6.bias": (0.5, 0.5, 0.0),
    }
    assert sum(len(group["params"]) for group in optimizer.param_groups) == len(found)


def test_only_the_head() -> None:
    net = small_net()
    settings = TrainSettings(layers="head", optimizer="sgd", momentum=0.7, lr=0.1)
    freeze(net, settings)
    optimizer = make_optimizer(net, settings)
    assert isinstance(optimizer, SGD)
    assert [group["momentum"] for group in optimizer.param_groups] == [0.7, 0.7]
    learned = [each for group in optimizer.param_groups for each in group["params"]]
    assert len(learned) == 2
    assert all(any(each is own for own in net[6].parameters()) for each in learned)


@pytest.mark.parametrize("layers", ["head", "all"])
def test_freezing_and_modes(layers: Any) -> None:
    """Statistics, dropout and gradients of what is not trained stay out of it."""
    settings = TrainSettings(layers=layers)
    net = small_net(norm=True, dropout=0.5)
    other = layers == "all"
    freeze(net, settings)
    set_modes(net, settings)
    assert [each.training for each in net] == [other] * 6 + [True]
    assert [name for name, each in net.named_parameters() if each.requires_grad] == (
        ["0.weight", "0.bias", "1.weight", "1.bias"] * other + ["6.weight", "6.bias"]
    )
    before = {name: value.clone() for name, value in net.named_buffers()}
    photos = torch.randn(4, 3, 6, 6)
    torch.manual_seed(0)
    first = net(photos)
    assert torch.equal(first, net(photos)) == (not other)
    assert all(torch.equal(before[n], value) for n, value in net.named_buffers()) == (not other)
    freeze(net, TrainSettings(layers="all"))
    assert all(each.requires_grad for each in net.parameters())


def test_the_head_of_a_net_of_the_library() -> None:
    net = tag_net("squeezenet1_1", 3, "random")[0]
    freeze(net, TrainSettings(layers="head"))
    set_modes(net, TrainSettings(layers="head"))
    assert [n for n, p in net.named_parameters() if p.requires_grad] == [
        "classifier.3.weight",
        "classifier.3.bias",
    ]
    assert not any(each.training for each in net.modules() if isinstance(each, nn.Dropout))


@pytest.mark.parametrize("decay", [0.0, 0.3, 0.95])
def test_average(decay: float) -> None:
    net = small_net(norm=True)
    average = Average(net, decay)
    assert not average.model.training
    assert not any(each.requires_grad for each in average.model.parameters())
    expected = {name: value.double().clone() for name, value in net.state_dict().items()}
    for step in range(40):
        with torch.no_grad():
            for value in net.state_dict().values():
                value.add_(step + 1)
        average.update(step)
        keep = min(decay, (1 + step) / (10 + step))
        for name, value in net.state_dict().items():
            if name.endswith("num_batches_tracked"):
                expected[name] = value.double()
            else:
                expected[name] = keep * expected[name] + (1 - keep) * value.double()
    found = average.model.state_dict()
    for name, value in expected.items():
        torch.testing.assert_close(found[name].double(), value, rtol=1e-5, atol=1e-4)
    assert int(found["1.num_batches_tracked"]) == sum(range(1, 41))
    assert found["1.num_batches_tracked"].dtype == torch.int64
    assert not torch.equal(weights(average.model), weights(net)) or decay == 0


def test_an_average_collects_its_tensors_once(monkeypatch: pytest.MonkeyPatch) -> None:
    net = small_net(norm=True)
    average = Average(net, 0.0)
    monkeypatch.delattr(nn.Module, "state_dict")
    with torch.no_grad():
        for value in [*net.parameters(), *net.buffers()]:
            value.add_(1)
    average.update(0)
    monkeypatch.undo()
    assert torch.equal(weights(average.model), weights(net))
