"""Which parameters learn, how fast, and what is averaged."""

from __future__ import annotations

import copy
import itertools
import math

import torch
from torch import Tensor, nn
from torch.optim import SGD, AdamW, Optimizer

from grounding.heads import head_of
from grounding.training.settings import TrainSettings


def freeze(model: nn.Module, settings: TrainSettings) -> None:
    """Let only the parameters that `settings.layers` names have gradients."""
    model.requires_grad_(settings.layers == "all")
    head_of(model)[1].requires_grad_(True)


def set_modes(model: nn.Module, settings: TrainSettings) -> None:
    """Put what is trained in training mode, the rest in eval mode."""
    model.train(settings.layers == "all")
    head_of(model)[1].train()


def make_optimizer(model: nn.Module, settings: TrainSettings) -> Optimizer:
    """Make the optimizer of the parameters with gradients.

    Weights decay; biases and the scales of norms, which have one dimension, do not.
    """
    of_head = {id(each) for each in head_of(model)[1].parameters()}
    learned = [each for each in model.parameters() if each.requires_grad]
    groups = []
    for head, decays in itertools.product((False, True), repeat=2):
        rate = settings.lr * (settings.head_lr_factor if head else 1)
        of_group = [p for p in learned if (id(p) in of_head) == head and (p.ndim > 1) == decays]
        group = {
            "params": of_group,
            "lr": rate,
            "base_lr": rate,  # what the schedule scales
            "weight_decay": settings.weight_decay if decays else 0.0,
        }
        groups += [group] if of_group else []
    if settings.optimizer == "sgd":
        return SGD(groups, lr=settings.lr, momentum=settings.momentum)
    return AdamW(groups, lr=settings.lr)


def lr_factor(settings: TrainSettings, steps_an_epoch: int, step: int) -> float:
    """Learning rate of a step (from 0 over the whole run) in units of the highest one."""
    warmup = settings.warmup_epochs * steps_an_epoch
    if step < warmup:
        return (step + 1) / (warmup + 1)
    if settings.schedule == "constant":
        return 1.0
    done = (step - warmup) / max(settings.epochs * steps_an_epoch - warmup, 1)
    return 0.5 * (1 + math.cos(math.pi * min(done, 1.0)))


def autocast(device: torch.device, precision: str) -> torch.autocast:
    """Let a net compute in `TrainSettings.precision`."""
    return torch.autocast(device.type, torch.bfloat16, precision == "bf16")


class Average:
    """An exponential moving average of a model's parameters and buffers.

    Attributes
    ----------
    model : nn.Module
        A copy with the averaged values; in eval mode.

    Parameters
    ----------
    model : nn.Module
        Stays where it is from now on: its tensors change in place only.
    decay : float
        In [0, 1).
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.model = copy.deepcopy(model).eval().requires_grad_(False)
        self._decay = decay
        # Collected once: with the names of a whole net it takes as long as the update itself.
        self._means, self._copies = _floats_and_others(self.model)
        self._values, self._originals = _floats_and_others(model)

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Take the model's values in, after a step (from 0 over the whole run)."""
        weight = 1 - min(self._decay, (1 + step) / (10 + step))
        # One call on a GPU, not one a tensor.
        torch._foreach_lerp_(self._means, self._values, weight)
        if self._copies:
            torch._foreach_copy_(self._copies, self._originals)


def _floats_and_others(model: nn.Module) -> tuple[list[Tensor], list[Tensor]]:
    tensors = list(model.state_dict().values())
    floats = [each for each in tensors if each.is_floating_point()]
    return floats, [each for each in tensors if not each.is_floating_point()]
