"""The training loop: one process of it, on a CPU or a GPU, alone or under torchrun."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.nn.utils import clip_grads_with_norm_, get_total_norm

from data_prep.errors import UserError
from grounding.processes import Processes
from grounding.training.batch import Batch, Source
from grounding.training.checkpoint import Checkpoint, Progress
from grounding.training.optimisation import Average, autocast, lr_factor, set_modes
from grounding.training.settings import TrainSettings

CHECK_STEPS = 10  # steps between two looks at losses and signals: looking waits for the GPU

Loss = Callable[[Tensor, Tensor], Tensor]  # logits (n, V), targets (n, V) → (n,)


class Reporter(Protocol):
    """Is told how training goes; in the first process only."""

    def steps(self, progress: Progress, steps: int, loss: float, lr: float, photos: int) -> None:
        """Some steps are done: their mean loss per photo, and their photos."""

    def epoch(self, row: dict[str, Any]) -> None:
        """An epoch is done; the row is that of `Progress.history`."""


@dataclass
class Run:
    """All that a training run consists of.

    Attributes
    ----------
    model : nn.Module
        Logits (n, V); on the device, its parameters with gradients are trained.
    average : Average or None
    optimizer : torch.optim.Optimizer
        Its groups have a "base_lr".
    loss : callable
        Of `grounding.losses`.
    source : Source
        Of this process.
    evaluate : callable
        Gives metrics of a model; called by all processes.
    checkpoint : Checkpoint
    settings : TrainSettings
    processes : Processes
    reporter : Reporter
    stop : callable
        Whether somebody wants this process to stop.
    """

    model: nn.Module
    average: Average | None
    optimizer: torch.optim.Optimizer
    loss: Loss
    source: Source
    evaluate: Callable[[nn.Module], dict[str, float]]
    checkpoint: Checkpoint
    settings: TrainSettings
    processes: Processes
    reporter: Reporter
    stop: Callable[[], bool]

    @property
    def result(self) -> nn.Module:
        """The trained model: the average, if one is kept."""
        return self.model if self.average is None else self.average.model


def train(run: Run, progress: Progress) -> None:
    """Train from where the run stands to the end; `progress` goes along.

    Every step draws its random numbers from a seed of its own, so that a resumed run ends with the
    weights of an unbroken one.

    Raises
    ------
    KeyboardInterrupt
        Somebody wanted to stop; a checkpoint is saved.
    UserError
        Loss or gradient are not finite, or an epoch had no photo. The last good checkpoint stays.
    """
    net, first = _parallel(run), run.processes.is_first
    while not _is_done(progress, run.settings):
        set_modes(run.model, run.settings)
        _epoch(run, net, progress)
        if progress.photos == 0:
            raise UserError(
                f"epoch {progress.epoch + 1}: no photo could be read; make the shards anew"
            )
        row = {"epoch": progress.epoch + 1, "loss": progress.loss / progress.photos}
        after = Progress(
            epoch=progress.epoch + 1, seconds=progress.seconds, history=[*progress.history, row]
        )
        if after.epoch % run.settings.evaluate_epochs == 0 or _is_done(after, run.settings):
            if first:
                run.checkpoint.save(progress)  # an evaluation may be long, and be broken off
            run.processes.spread(run.result)
            row |= run.evaluate(run.result)
        progress.epoch, progress.step, progress.history = after.epoch, 0, after.history
        progress.loss, progress.photos = 0.0, 0
        if first:
            run.checkpoint.save(progress)
            run.reporter.epoch(row)


def _parallel(run: Run) -> Any:
    net: Any = run.model
    if run.processes.world > 1:
        device = run.processes.device
        net = DistributedDataParallel(net, [device] if device.type == "cuda" else None)
    return torch.compile(net) if run.settings.compile else net


def _is_done(progress: Progress, settings: TrainSettings) -> bool:
    if progress.epoch >= settings.epochs:
        return True
    window = settings.plateau_epochs
    if window is None or progress.epoch <= window:
        return False
    losses = [row["loss"] for row in progress.history]
    before = min(losses[:-window])
    return min(losses[-window:]) > before * (1 - settings.plateau_improvement)


def _epoch(run: Run, net: Any, progress: Progress) -> None:
    """Do what is left of an epoch."""
    watch, steps = _Watch(run, progress), run.source.steps
    alone = run.processes.world == 1
    for batch in run.source.batches(progress.epoch, progress.step):
        number = progress.epoch * steps + progress.step
        for group in run.optimizer.param_groups:
            group["lr"] = group["base_lr"] * lr_factor(run.settings, steps, number)
        seed = (run.settings.seed, number, run.processes.rank)
        torch.manual_seed(int(np.random.SeedSequence(seed).generate_state(1)[0]))
        loss, norm = _step(run, net, batch)
        if run.average is not None:
            run.average.update(number)
        progress.step += 1
        watch.note(loss, norm, len(batch.targets))
        if progress.step % CHECK_STEPS == 0 or (alone and run.stop()):
            watch.look()
    watch.look()


def _step(run: Run, net: Any, batch: Batch) -> tuple[Tensor, Tensor]:
    """Forward, backward and update; return the sum of the losses and the gradient's norm."""
    settings, processes = run.settings, run.processes
    run.optimizer.zero_grad(set_to_none=True)
    inputs = batch.inputs[0]
    total = inputs.new_zeros(())
    pieces = _pieces(inputs, batch.targets, settings.accumulate)
    for number, (piece, targets) in enumerate(pieces, 1):
        syncs = processes.world == 1 or number == len(pieces)
        with nullcontext() if syncs else net.no_sync():
            with autocast(inputs.device, settings.precision):
                logits = net(piece)
            loss = run.loss(logits[: len(targets)], targets).sum()
            # DDP takes the mean over the processes; wanted is that over the global batch.
            (loss * (processes.world / batch.total)).backward()
        total += loss.detach()
    learned = [p for group in run.optimizer.param_groups for p in group["params"]]
    norm = get_total_norm(p.grad for p in learned if p.grad is not None)
    if settings.clip_norm is not None:
        clip_grads_with_norm_(learned, settings.clip_norm, norm)
    run.optimizer.step()
    return total, norm


def _pieces(inputs: Tensor, targets: Tensor, count: int) -> list[tuple[Tensor, Tensor]]:
    """Cut a batch into pieces that are not empty; without photos, one of a black one.

    Every process has to take part in every step, even if it has nothing to add.
    """
    if len(inputs) == 0:
        return [(inputs.new_zeros(1, *inputs.shape[1:]), targets)]
    count = min(count, len(inputs))
    return list(zip(inputs.tensor_split(count), targets.tensor_split(count), strict=True))


class _Watch:
    """Looks from time to time: at the losses, for a wish to stop, whether a checkpoint is due."""

    def __init__(self, run: Run, progress: Progress) -> None:
        self._run, self._progress = run, progress
        self._losses: list[Tensor] = []
        self._norms: list[Tensor] = []
        self._photos = 0
        self._looked = self._saved = time.monotonic()

    def note(self, loss: Tensor, norm: Tensor, photos: int) -> None:
        """Take in a step."""
        self._losses.append(loss)
        self._norms.append(norm)
        self._photos += photos

    def look(self) -> None:
        """Check the steps since the last look; save, report, stop."""
        if not self._losses:
            return
        run, progress = self._run, self._progress
        sums = torch.stack(self._losses).cpu().double()  # not every device has float64
        self._check(sums, torch.stack(self._norms).cpu())
        own = torch.stack([sums.sum(), torch.tensor(self._photos)])
        loss, photos = run.processes.total(own).tolist()
        progress.loss += loss
        progress.photos += int(photos)
        now = time.monotonic()
        progress.seconds += now - self._looked
        self._looked = now
        stop = run.processes.any(run.stop())
        if run.processes.is_first:
            lr = run.optimizer.param_groups[-1]["lr"]
            run.reporter.steps(progress, len(sums), loss / max(photos, 1), lr, int(photos))
            if stop or now - self._saved >= 60 * run.settings.checkpoint_minutes:
                run.checkpoint.save(progress)
                self._saved = now
        if stop:
            raise KeyboardInterrupt
        self._losses, self._norms, self._photos = [], [], 0

    def _check(self, losses: Tensor, norms: Tensor) -> None:
        bad = ~(losses.isfinite() & norms.isfinite())
        if bad.any():
            first = self._progress.step - len(losses) + int(bad.nonzero()[0]) + 1
            what = "loss" if not losses[bad][0].isfinite() else "gradient"
            raise UserError(
                f"epoch {self._progress.epoch + 1}, step {first}: the {what} is not finite; the "
                "same command with a smaller train.lr or a train.clip_norm goes on from the last "
                "checkpoint, overwrite=true starts anew"
            )
