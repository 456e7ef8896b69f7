"""Small nets, photos of noise, and runs on them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from grounding.losses import bce
from grounding.processes import Processes
from grounding.training.batch import Batch, Source
from grounding.training.checkpoint import Checkpoint, Progress
from grounding.training.loop import Loss, Run
from grounding.training.optimisation import Average, freeze, make_optimizer
from grounding.training.settings import TrainSettings

TAGS = 5
ALONE = Processes(0, 1, torch.device("cpu"))


def small_net(*, norm: bool = False, dropout: float = 0.0, seed: int = 0) -> nn.Sequential:
    """A convolution under a linear head, the module "6"."""
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(3, 4, 3),
        nn.BatchNorm2d(4) if norm else nn.Identity(),
        nn.ReLU(),
        nn.Dropout(dropout),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(4, TAGS),
    )


@dataclass
class Noise:
    """A source of noise in an order of its own per epoch; what is in `lost` cannot be read."""

    count: int = 11
    batch: int = 4
    shape: tuple[int, ...] = (3, 6, 6)
    lost: frozenset[int] = frozenset()

    def __post_init__(self) -> None:
        rng = np.random.default_rng(0)
        self.inputs = torch.from_numpy(rng.normal(0, 1, (self.count, *self.shape))).float()
        self.targets = torch.from_numpy(rng.integers(-1, 2, (self.count, TAGS), np.int8))

    @property
    def samples(self) -> int:
        return self.count

    @property
    def steps(self) -> int:
        return -(-self.count // self.batch)

    def batches(self, epoch: int, first_step: int = 0) -> Iterator[Batch]:
        order = np.random.default_rng(epoch).permutation(self.count)
        for step in range(first_step, self.steps):
            chosen = order[step * self.batch : (step + 1) * self.batch]
            read = torch.tensor([n for n in chosen if n not in self.lost], dtype=torch.int64)
            yield Batch([self.inputs[read]], self.targets[read], read, len(chosen))


@dataclass
class Notes:
    """A reporter that remembers."""

    losses: list[float] = field(default_factory=list)
    rates: list[float] = field(default_factory=list)
    photos: list[int] = field(default_factory=list)
    rows: list[dict[str, Any]] = field(default_factory=list)

    def steps(self, _: Progress, __: int, loss: float, lr: float, photos: int) -> None:
        self.losses.append(loss)
        self.rates.append(lr)
        self.photos.append(photos)

    def epoch(self, row: dict[str, Any]) -> None:
        self.rows.append(row)


def make_run(
    folder: Path,
    settings: TrainSettings,
    *,
    net: nn.Module | None = None,
    source: Source | None = None,
    loss: Loss = bce,
    evaluate: Callable[[nn.Module], dict[str, float]] = lambda _: {},
    stop: Callable[[], bool] = lambda: False,
) -> Run:
    """Put a run together as the stage does."""
    net = small_net() if net is None else net
    freeze(net, settings)
    average = None if settings.ema is None else Average(net, settings.ema)
    optimizer = make_optimizer(net, settings)
    return Run(
        model=net,
        average=average,
        optimizer=optimizer,
        loss=loss,
        source=source or Noise(),
        evaluate=evaluate,
        checkpoint=Checkpoint(folder / "checkpoint.safetensors", net, optimizer, average, "mark"),
        settings=settings,
        processes=ALONE,
        reporter=Notes(),
        stop=stop,
    )


def weights(model: nn.Module) -> Tensor:
    """All values of a net in one row."""
    return torch.cat([each.detach().double().flatten() for each in model.state_dict().values()])


def state(run: Run) -> dict[str, Tensor]:
    """Copies of all that a run has come to: weights, average, optimizer."""
    found = {f"model.{name}": value for name, value in run.model.state_dict().items()}
    if run.average is not None:
        averaged = run.average.model.state_dict()
        found |= {f"average.{name}": value for name, value in averaged.items()}
    for number, values in run.optimizer.state_dict()["state"].items():
        found |= {f"optimizer.{number}.{name}": value for name, value in values.items()}
    return {name: value.clone() for name, value in found.items() if isinstance(value, Tensor)}
