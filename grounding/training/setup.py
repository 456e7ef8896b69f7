"""From settings and a model to a training run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from grounding.heads import head_of
from grounding.processes import Processes
from grounding.training.batch import Source
from grounding.training.checkpoint import Checkpoint
from grounding.training.loop import Reporter, Run
from grounding.training.objective import make_loss, set_prior_bias
from grounding.training.optimisation import Average, freeze, make_optimizer
from grounding.training.settings import TrainSettings


def prepare(
    model: nn.Module,
    settings: TrainSettings,
    counts: Tensor,
    samples: int,
    device: torch.device,
) -> None:
    """Make a fresh net ready to learn: where it begins, what of it learns, where it lies.

    Parameters
    ----------
    model : nn.Module
        Of `grounding.heads.tag_net`.
    settings : TrainSettings
    counts : Tensor (V,)
        Photos of the training with each tag.
    samples : int
        Photos of the training.
    device : torch.device
    """
    set_prior_bias(head_of(model)[1], counts, samples)
    freeze(model, settings)
    memory = torch.channels_last if settings.channels_last else torch.contiguous_format
    model.to(device, memory_format=memory)  # type: ignore[call-overload]


def make_run(
    model: nn.Module,
    settings: TrainSettings,
    counts: Tensor,
    samples: int,
    *,
    source: Source,
    evaluate: Callable[[nn.Module], dict[str, float]],
    processes: Processes,
    checkpoint: Path,
    mark: str,
    reporter: Reporter,
    stop: Callable[[], bool],
) -> Run:
    """Put a run together.

    Parameters
    ----------
    model, settings, counts, samples
        See `prepare`, which comes first.
    source, evaluate, processes, reporter, stop
        See `Run`.
    checkpoint, mark
        File of the checkpoint, and what tells this run from others; see `Checkpoint`.
    """
    average = None if settings.ema is None else Average(model, settings.ema)
    optimizer = make_optimizer(model, settings)
    return Run(
        model=model,
        average=average,
        optimizer=optimizer,
        loss=make_loss(settings, counts.to(processes.device), samples),
        source=source,
        evaluate=evaluate,
        checkpoint=Checkpoint(checkpoint, model, optimizer, average, mark),
        settings=settings,
        processes=processes,
        reporter=reporter,
        stop=stop,
    )
