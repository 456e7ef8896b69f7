"""What the small nets of the tests have in common: a net that also runs itself in the oracle."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from tests.oracles.slow_net import Neurons, SlowNet

CLASSES = 5


@dataclass
class Slow:
    """One image's run in the oracle: its layers by module path, and the last before the scores."""

    net: SlowNet = field(default_factory=SlowNet)
    layers: dict[str, Neurons] = field(default_factory=dict)
    features: Neurons | None = None


class SmallNet(nn.Module):
    """A net with a linear classifier `fc`."""

    fc: nn.Linear
    options: dict[str, str] = {}  # noqa: RUF012

    def features(self, x: Tensor) -> Tensor:
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.features(x))

    def slow(self, image: Tensor) -> Slow:
        raise NotImplementedError


def conv(inputs: int, outputs: int, kernel: int = 3, **settings: Any) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, **settings)


def normed(inputs: int, outputs: int, kernel: int = 3, **settings: Any) -> nn.Sequential:
    return nn.Sequential(conv(inputs, outputs, kernel, **settings), nn.BatchNorm2d(outputs))


def pooled(x: Tensor) -> Tensor:
    return x.mean((2, 3))


def randomise(net: nn.Module) -> None:
    """Random batch norms (one scale in five negative), biases that leave most units alive."""
    with torch.no_grad():
        for module in net.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.weight.uniform_(0.5, 1.5)
                module.weight[torch.rand(len(module.weight)) < 0.2] *= -1
                module.bias.uniform_(-0.2, 0.6)
                module.running_mean.normal_(0, 0.2)  # type: ignore[union-attr]
                module.running_var.uniform_(0.1, 0.5)  # type: ignore[union-attr]
            elif isinstance(module, nn.Conv2d | nn.Linear):
                module.weight.mul_(2)


def image(seed: int, height: int = 8, width: int = 8) -> Tensor:
    torch.manual_seed(1000 + seed)
    return torch.randn(3, height, width, dtype=torch.float64)
