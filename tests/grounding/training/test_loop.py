"""What a step does, against steps computed by hand in float64."""

import functools
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from grounding.losses import bce
from grounding.training import loop
from grounding.training.checkpoint import Progress
from grounding.training.loop import train
from grounding.training.settings import TrainSettings
from tests.grounding.training.runs import TAGS, Noise, make_run, small_net, weights

LOST = frozenset({1, 4, 7})


def linear(features: int = 6) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(features, TAGS))


def slow_losses(weight: np.ndarray, bias: np.ndarray, source: Noise) -> np.ndarray:
    """Sum over the known tags of the cross-entropy, per photo."""
    logits = source.inputs.double().numpy() @ weight.T + bias
    losses = np.zeros(source.count)
    for photo, tag in np.ndindex(*logits.shape):
        target = int(source.targets[photo, tag])
        p = 1 / (1 + math.exp(-logits[photo, tag]))
        losses[photo] += {1: -math.log(p), 0: -math.log(1 - p), -1: 0.0}[target]
    return losses


def sgd_by_hand(source: Noise, settings: TrainSettings) -> tuple[np.ndarray, np.ndarray]:
    """Weight and bias of a linear layer after the run; the learning rate rises for an epoch."""
    net = linear()
    weight, bias = (each.detach().double().numpy() for each in net[0].parameters())
    of_weight, of_bias = np.zeros_like(weight), np.zeros_like(bias)
    targets = source.targets.numpy()
    step = 0
    for epoch in range(settings.epochs):
        order = np.random.default_rng(epoch).permutation(source.count)
        for start in range(0, source.count, source.batch):
            chosen = order[start : start + source.batch]
            for_weight, for_bias = settings.weight_decay * weight, np.zeros_like(bias)
            for n in chosen:
                if n in source.lost:
                    continue
                photo = source.inputs[n].double().numpy()
                difference = 1 / (1 + np.exp(-(weight @ photo + bias))) - targets[n]
                difference[targets[n] == -1] = 0
                for_weight = for_weight + np.outer(difference, photo) / len(chosen)
                for_bias = for_bias + difference / len(chosen)
            rate = settings.lr * min((step + 1) / (source.steps + 1), 1)
            of_weight = settings.momentum * of_weight + for_weight
            of_bias = settings.momentum * of_bias + for_bias
            weight, bias = weight - rate * of_weight, bias - rate * of_bias
            step += 1
    return weight, bias


@pytest.mark.parametrize("lost", [frozenset(), LOST, frozenset(range(11)) - {5}])
@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_sgd(tmp_path: Path, lost: frozenset[int], momentum: float) -> None:
    """Lost photos and unknown tags count as ones without a loss."""
    source = Noise(shape=(6,), lost=lost)
    settings = TrainSettings(
        epochs=2,
        optimizer="sgd",
        lr=0.5,
        momentum=momentum,
        weight_decay=0.1,
        schedule="constant",
        warmup_epochs=1,
    )
    net = linear()
    train(make_run(tmp_path, settings, net=net, source=source), Progress())
    for found, expected in zip(net.parameters(), sgd_by_hand(source, settings), strict=True):
        np.testing.assert_allclose(found.detach().numpy(), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("lost", [frozenset(), LOST])
def test_the_loss_of_an_epoch_is_the_mean_over_the_photos_read(
    tmp_path: Path, lost: frozenset[int]
) -> None:
    source = Noise(shape=(6,), lost=lost)
    settings = TrainSettings(epochs=2, optimizer="sgd", lr=1e-12)
    run, progress = make_run(tmp_path, settings, net=linear(), source=source), Progress()
    train(run, progress)
    weight, bias = (each.detach().double().numpy() for each in linear()[0].parameters())
    losses = slow_losses(weight, bias, source)
    expected = np.mean([losses[n] for n in range(11) if n not in lost])
    assert [row["loss"] for row in progress.history] == pytest.approx([expected] * 2, rel=1e-6)
    notes: Any = run.reporter
    assert notes.losses == pytest.approx([expected] * 2, rel=1e-6)
    assert notes.photos == [11 - len(lost)] * 2
    assert notes.rows == progress.history
    assert (progress.epoch, progress.step, progress.photos, progress.loss) == (2, 0, 0, 0.0)
    assert progress.seconds > 0


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
@pytest.mark.parametrize("accumulate", [2, 3, 5, 30])
def test_accumulation(tmp_path: Path, accumulate: int, optimizer: Any) -> None:
    """Pieces, also unequal ones and fewer than wanted, are together one batch."""
    sizes: list[int] = []

    def trained(pieces: int) -> Tensor:
        settings = TrainSettings(
            epochs=2, batch=30, accumulate=pieces, lr=0.1, optimizer=optimizer, clip_norm=0.5
        )
        net = small_net()
        net[0].register_forward_pre_hook(lambda _, given: sizes.append(len(given[0])))
        progress = Progress()
        train(make_run(tmp_path, settings, net=net, source=Noise(11, 7)), progress)
        losses = torch.tensor([row["loss"] for row in progress.history], dtype=torch.float64)
        return torch.cat([weights(net), losses])

    whole = trained(1)
    assert sizes == [7, 4] * 2
    sizes.clear()
    torch.testing.assert_close(trained(accumulate), whole, rtol=1e-6, atol=1e-6)
    assert (
        sizes
        == {
            2: [4, 3, 2, 2],
            3: [3, 2, 2, 2, 1, 1],
            5: [2, 2, 1, 1, 1, 1, 1, 1, 1],
            30: [1] * 11,
        }[accumulate]
        * 2
    )


def test_clipped_gradients(tmp_path: Path) -> None:
    steps = []
    for clip in (None, 1e-3, 1e9):
        settings = TrainSettings(
            epochs=1, optimizer="sgd", momentum=0, lr=1, weight_decay=0, clip_norm=clip
        )
        net = linear()
        before = weights(net)
        run = make_run(tmp_path, settings, net=net, source=Noise(4, 4, (6,)))
        train(run, Progress())
        steps.append(weights(net) - before)
    free, short, unclipped = steps
    assert float(short.norm()) == pytest.approx(1e-3, rel=1e-3)
    torch.testing.assert_close(short / short.norm(), free / free.norm(), rtol=1e-3, atol=1e-4)
    assert torch.equal(unclipped, free)


def test_gradients_are_clipped_only_if_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would multiply all of them by 1 at every step."""
    norms: list[float] = []
    monkeypatch.setattr(loop, "clip_grads_with_norm_", lambda _, norm, __: norms.append(norm))
    for clip in (None, 2.0):
        train(make_run(tmp_path, TrainSettings(epochs=1, clip_norm=clip)), Progress())
    assert norms == [2.0] * 3


def test_nothing_on_the_device_is_float64(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not every device has it."""
    kinds: set[torch.dtype] = set()

    class Watch(loop._Watch):
        def note(self, loss: Tensor, norm: Tensor, photos: int) -> None:
            kinds.update({loss.dtype, norm.dtype})
            super().note(loss, norm, photos)

    monkeypatch.setattr(loop, "_Watch", Watch)
    train(make_run(tmp_path, TrainSettings(epochs=1, accumulate=2)), Progress())
    assert kinds == {torch.float32}


def test_only_the_head_learns(tmp_path: Path) -> None:
    net = small_net(norm=True, dropout=0.5)
    before = {name: value.clone() for name, value in net.state_dict().items()}
    train(make_run(tmp_path, TrainSettings(layers="head", epochs=2), net=net), Progress())
    changed = {name for name, value in net.state_dict().items() if not before[name].equal(value)}
    assert changed == {"6.weight", "6.bias"}


def test_the_average_is_of_all_steps(tmp_path: Path) -> None:
    """By a slow loop over the weights that the loss saw, and the last ones."""
    seen: list[Tensor] = []
    net = linear()

    def loss(logits: Tensor, targets: Tensor) -> Tensor:
        seen.append(weights(net))
        return bce(logits, targets)

    settings = TrainSettings(epochs=3, ema=0.45, lr=0.1)
    run = make_run(tmp_path, settings, net=net, source=Noise(shape=(6,)), loss=loss)
    train(run, Progress())
    mean = seen[0]
    for step, value in enumerate([*seen[1:], weights(net)]):
        keep = min(0.45, (1 + step) / (10 + step))
        mean = keep * mean + (1 - keep) * value
    torch.testing.assert_close(weights(run.result), mean, rtol=1e-5, atol=1e-6)
    assert run.result is not run.model


def test_bf16(tmp_path: Path) -> None:
    """The net computes in bfloat16; the loss and the weights stay float32."""
    kinds: list[torch.dtype] = []

    def loss(logits: Tensor, targets: Tensor) -> Tensor:
        kinds.append(logits.dtype)
        losses = bce(logits, targets)
        assert losses.dtype == torch.float32
        return losses

    losses = []
    precision: Any
    for precision in ("fp32", "bf16"):
        progress = Progress()
        settings = TrainSettings(epochs=3, lr=0.05, precision=precision)
        run = make_run(tmp_path, settings, net=small_net(norm=True), loss=loss)
        train(run, progress)
        losses.append([row["loss"] for row in progress.history])
        assert all(each.dtype == torch.float32 for each in run.model.parameters())
    assert kinds == [torch.float32] * 9 + [torch.bfloat16] * 9
    assert losses[1] == pytest.approx(losses[0], rel=0.01)
    assert losses[1] != losses[0]


def test_the_seed_decides(tmp_path: Path) -> None:
    """Also on dropout, and whatever was drawn before."""

    def trained(seed: int, before: int) -> Tensor:
        net = small_net(dropout=0.5)
        torch.manual_seed(before)
        train(make_run(tmp_path, TrainSettings(epochs=1, seed=seed), net=net), Progress())
        return weights(net)

    assert torch.equal(trained(3, 0), trained(3, 1))
    assert not torch.equal(trained(3, 0), trained(4, 0))


def test_every_step_draws_anew(tmp_path: Path) -> None:
    draws: list[float] = []

    def loss(logits: Tensor, targets: Tensor) -> Tensor:
        draws.append(float(torch.rand(())))
        return bce(logits, targets)

    train(make_run(tmp_path, TrainSettings(epochs=2), loss=loss), Progress())
    assert len(set(draws)) == 6


def test_compiled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Traced, but run as it is: a C++ compiler would take half a minute."""
    monkeypatch.setattr(torch, "compile", functools.partial(torch.compile, backend="eager"))
    found = []
    for compiled in (False, True):
        net = small_net()
        settings = TrainSettings(epochs=1, compile=compiled, ema=0.5)
        train(make_run(tmp_path, settings, net=net), Progress())
        found.append(weights(net))
    torch.testing.assert_close(found[1], found[0], rtol=1e-6, atol=1e-7)
