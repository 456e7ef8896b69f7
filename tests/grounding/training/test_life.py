"""How a run goes on, ends, is stopped, and fails."""

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from data_prep.errors import UserError
from grounding.losses import bce
from grounding.training import loop
from grounding.training.checkpoint import Progress
from grounding.training.loop import Loss, Run, train
from grounding.training.settings import TrainSettings
from tests.grounding.training.runs import Noise, make_run, small_net, state, weights


def told(values: Iterator[float]) -> Loss:
    """A loss that says what it is told, call by call."""

    def loss(logits: Tensor, _: Tensor) -> Tensor:
        return logits.sum(1) * 0 + next(values)

    return loss


@pytest.mark.parametrize(
    ("losses", "epochs"),
    [
        ([10, 9.5, 9.2, 1, 1], 3),  # 9.2 is less than a tenth below 10
        ([10, 9.5, 8.9, 8.8, 8.7], 4),  # 8.9 is not, but 8.8 is less than a tenth below 9.5
        ([10, 5, 5, 5, 5], 4),  # two epochs without a better one than 5
        ([10, 11, 12, 1, 1], 3),
        ([10, 20, 5, 30, 40], 5),  # the best of the two counts
        ([10, 8, 6, 4, 2], 5),
    ],
)
def test_plateau(tmp_path: Path, losses: list[float], epochs: int) -> None:
    """Two epochs without a loss a tenth below the best before."""
    settings = TrainSettings(epochs=5, plateau_epochs=2, plateau_improvement=0.1)
    progress = Progress()
    source = Noise(count=4, batch=4)
    train(make_run(tmp_path, settings, source=source, loss=told(iter(losses))), progress)
    assert [row["loss"] for row in progress.history] == pytest.approx(losses[:epochs])
    again = make_run(tmp_path, settings, source=source, loss=told(iter([])))
    restored = again.checkpoint.restore()
    assert restored is not None
    train(again, restored)  # a finished run is not gone on with
    assert restored.epoch == epochs


def test_without_a_plateau_rule(tmp_path: Path) -> None:
    progress = Progress()
    run = make_run(tmp_path, TrainSettings(epochs=6), loss=told(itertools.repeat(1.0)))
    train(run, progress)
    assert progress.epoch == 6


@pytest.mark.parametrize("ema", [None, 0.5])
def test_evaluation(tmp_path: Path, ema: float | None) -> None:
    measured: list[nn.Module] = []

    def evaluate(model: nn.Module) -> dict[str, float]:
        measured.append(model)
        model.eval()
        return {"map_macro": len(measured) / 10}

    settings = TrainSettings(epochs=5, evaluate_epochs=2, ema=ema)
    net = small_net(dropout=0.5)
    net[3].register_forward_hook(lambda module, _, __: modes.append(module.training))
    modes: list[bool] = []
    run, progress = make_run(tmp_path, settings, net=net, evaluate=evaluate), Progress()
    train(run, progress)
    assert [row.get("map_macro") for row in progress.history] == [None, 0.1, None, 0.2, 0.3]
    assert len(measured) == 3
    assert all(each is run.result for each in measured)
    assert modes == [True] * 15  # evaluation leaves no trace in the epochs after it
    notes: Any = run.reporter
    assert notes.rows == progress.history


def test_the_epoch_at_which_a_plateau_ends_the_run_is_evaluated(tmp_path: Path) -> None:
    settings = TrainSettings(epochs=9, evaluate_epochs=9, plateau_epochs=1)
    run = make_run(tmp_path, settings, evaluate=lambda _: {"map_macro": 0.5})
    run.loss, progress = told(itertools.repeat(1.0)), Progress()
    train(run, progress)
    assert [row.get("map_macro") for row in progress.history] == [None, 0.5]


@pytest.mark.parametrize("ema", [None, 0.5])
def test_an_evaluation_that_is_broken_off(tmp_path: Path, ema: float | None) -> None:
    """Its epoch is not lost: the next session evaluates, without training."""
    settings = TrainSettings(epochs=2, evaluate_epochs=2, ema=ema)

    def break_off(_: nn.Module) -> dict[str, float]:
        raise KeyboardInterrupt

    run = make_run(tmp_path, settings, evaluate=break_off)
    with pytest.raises(KeyboardInterrupt):
        train(run, Progress())
    again = make_run(
        tmp_path, settings, net=small_net(seed=1), loss=told(iter([])), evaluate=lambda _: {"p": 1}
    )
    progress = again.checkpoint.restore()
    assert progress is not None
    assert (progress.epoch, progress.step) == (1, 3)
    train(again, progress)
    unbroken, whole = make_run(tmp_path, settings, evaluate=lambda _: {"p": 1}), Progress()
    train(unbroken, whole)
    assert progress.history == whole.history
    assert (progress.epoch, progress.step, progress.photos, progress.loss) == (2, 0, 0, 0.0)
    assert all(value.equal(state(unbroken)[name]) for name, value in state(again).items())


class _Break(torch.autograd.Function):
    """The same forward; a gradient that is not finite."""

    @staticmethod
    def forward(_: Any, logits: Tensor) -> Tensor:
        return logits.clone()

    @staticmethod
    def backward(_: Any, gradient: Tensor) -> Tensor:
        return gradient * float("inf")


def broken(what: str, at: int) -> Loss:
    """Cross-entropy that is not finite, or has no finite gradient, from a call on."""
    calls = itertools.count(1)

    def loss(logits: Tensor, targets: Tensor) -> Tensor:
        number = next(calls)
        if number >= at and what == "gradient":
            logits = _Break.apply(logits)
        losses = bce(logits, targets)
        return losses / 0 if number >= at and what == "loss" else losses

    return loss


@pytest.mark.parametrize("clip", [None, 1.0])
@pytest.mark.parametrize("what", ["loss", "gradient"])
@pytest.mark.parametrize("check", [1, 2, 10])
def test_what_is_not_finite(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str, check: int, clip: float | None
) -> None:
    """Named by its step, whenever it is looked at; the last checkpoint is the last good one."""
    monkeypatch.setattr(loop, "CHECK_STEPS", check)
    settings = TrainSettings(epochs=2, checkpoint_minutes=0, clip_norm=clip)
    run = make_run(tmp_path, settings, source=Noise(20, 4), loss=broken(what, 5 + 4))
    with pytest.raises(UserError) as caught:
        train(run, Progress())
    message = str(caught.value)
    assert message.startswith(f"epoch 2, step 4: the {what} is not finite; the same")
    assert message.endswith("goes on from the last checkpoint, overwrite=true starts anew")
    assert "a smaller train.lr or a train.clip_norm" in message
    assert "\n" not in message
    again = make_run(tmp_path, settings, source=Noise(20, 4))
    progress = again.checkpoint.restore()
    assert progress is not None
    assert (progress.epoch, progress.step) == (1, {1: 3, 2: 2, 10: 0}[check])
    assert all(value.isfinite().all() for value in state(again).values())
    train(again, progress)
    unbroken = make_run(tmp_path, settings, source=Noise(20, 4))
    train(unbroken, Progress())
    assert torch.equal(weights(again.model), weights(unbroken.model))


def stopping(tmp_path: Path, at: int, **options: Any) -> Run:
    """A run that somebody wants to stop from a step on."""
    calls = itertools.count(1)
    seen = [0]

    def loss(logits: Tensor, targets: Tensor) -> Tensor:
        seen[0] = next(calls)
        return bce(logits, targets)

    settings = TrainSettings(epochs=2, **options)
    net = small_net(norm=True, dropout=0.5)
    return make_run(tmp_path, settings, net=net, loss=loss, stop=lambda: seen[0] >= at)


@pytest.mark.parametrize("at", [1, 2, 3, 4, 6])
def test_stop(tmp_path: Path, at: int) -> None:
    """After the step, with a checkpoint from which the run ends as an unbroken one."""
    run = stopping(tmp_path, at)
    with pytest.raises(KeyboardInterrupt):
        train(run, Progress())
    again = stopping(tmp_path, 99)
    progress = again.checkpoint.restore()
    assert progress is not None
    assert progress.epoch * 3 + progress.step == at
    assert all(value.equal(state(run)[name]) for name, value in state(again).items())
    train(again, progress)
    unbroken = stopping(tmp_path, 99)
    train(unbroken, Progress())
    assert torch.equal(weights(again.model), weights(unbroken.model))


@pytest.mark.parametrize(("minutes", "saves"), [(0, 6 + 4), (2.5, 2 + 4), (1000, 4)])
def test_how_often_a_checkpoint_is_saved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, minutes: float, saves: int
) -> None:
    """Steps of a minute; besides those that are due, one before and after each evaluation."""
    clock = itertools.count(0, 60)
    monkeypatch.setattr(loop, "CHECK_STEPS", 1)
    monkeypatch.setattr(loop.time, "monotonic", lambda: float(next(clock)))
    run = make_run(tmp_path, TrainSettings(epochs=2, checkpoint_minutes=minutes))
    saved: list[Progress] = []
    run.checkpoint.save = saved.append  # type: ignore[method-assign, assignment]
    train(run, Progress())
    assert len(saved) == saves


def test_an_epoch_without_a_photo(tmp_path: Path) -> None:
    run = make_run(tmp_path, TrainSettings(), source=Noise(lost=frozenset(range(11))))
    with pytest.raises(UserError, match=r"^epoch 1: no photo could be read; make the shards anew$"):
        train(run, Progress())
    assert not run.checkpoint.path.exists()


def test_looks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Reports come every so many steps and at the end of an epoch."""
    monkeypatch.setattr(loop, "CHECK_STEPS", 2)
    settings = TrainSettings(epochs=2, schedule="constant", lr=0.1, head_lr_factor=2)
    run = make_run(tmp_path, settings, source=Noise(18, 4))
    train(run, Progress())
    notes: Any = run.reporter
    assert notes.photos == [8, 8, 2] * 2
    assert notes.rates == [0.2] * 6
