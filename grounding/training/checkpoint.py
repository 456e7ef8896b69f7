"""Where a run stands, in one file that is either whole or absent."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Collection
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.optim import Optimizer

from data_prep.errors import UserError
from grounding.training.optimisation import Average


@dataclass
class Progress:
    """How far a run has come.

    Attributes
    ----------
    epoch, step : int
        Epochs done, and steps done in the one that has begun.
    loss, photos : float, int
        Sum over the photos of that epoch so far, over all processes, and their number.
    seconds : float
        Training time so far, of all sessions.
    history : list of dict
        Per epoch what was measured.
    """

    epoch: int = 0
    step: int = 0
    loss: float = 0.0
    photos: int = 0
    seconds: float = 0.0
    history: list[dict[str, Any]] = field(default_factory=list)


class Checkpoint:
    """Saves and restores what a run needs to go on: weights, optimizer, average, progress.

    Of a model whose head alone is trained, only the head is kept.

    Parameters
    ----------
    path : Path
        A .safetensors file.
    model : nn.Module
    optimizer : Optimizer
    average : Average or None
    fingerprint : str
        Of the model, the data and the settings; a file with another one is refused.
    """

    def __init__(
        self,
        path: Path,
        model: nn.Module,
        optimizer: Optimizer,
        average: Average | None,
        fingerprint: str,
    ) -> None:
        self.path = path
        self._model, self._optimizer, self._average = model, optimizer, average
        self._fingerprint = fingerprint

    def save(self, progress: Progress) -> None:
        """Write the file, replacing an earlier one once all of it is on the disk.

        Raises
        ------
        OSError
            It cannot be written, as on a full disk; an earlier one stays.
        """
        part = self.path.with_name(self.path.name + ".part")
        note = {"fingerprint": self._fingerprint, "progress": json.dumps(asdict(progress))}
        tensors = {  # copies: safetensors takes neither shared nor strided ones
            name: value.detach().cpu().clone(memory_format=torch.contiguous_format)
            for name, value in self._state().items()
        }
        try:
            _write(tensors, part, note)
            part.replace(self.path)
        except OSError:
            part.unlink(missing_ok=True)  # it takes room on a full disk
            raise

    def restore(self) -> Progress | None:
        """Put the file's values into model, optimizer and average; None if there is no file.

        Raises
        ------
        UserError
            The file is damaged, or of another run.
        """
        if not self.path.is_file():
            return None
        try:
            with safe_open(self.path, "pt") as file:
                note = file.metadata() or {}
                found = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        except (SafetensorError, OSError) as error:
            raise UserError(
                f"{self.path}: no checkpoint that can be read; remove it to start anew"
            ) from error
        other = UserError(
            f"{self.path}: is of another model, other data or other settings; "
            "give another out=, or overwrite=true to start anew"
        )
        standing = json.loads(note.get("progress", "{}"))
        if (
            note.get("fingerprint") != self._fingerprint
            or standing.keys() != vars(Progress()).keys()
        ):
            raise other
        self._prime_optimizer(found)
        wanted = self._state()
        if _shapes(wanted) != _shapes(found):  # of this program before a change
            raise other
        with torch.no_grad():
            for name, value in wanted.items():
                value.copy_(found[name])
        return Progress(**standing)

    def _state(self) -> dict[str, Tensor]:
        """Every tensor that changes in training, by a name of its own."""
        state = {f"model.{name}": value for name, value in self._learned(self._model).items()}
        if self._average is not None:
            averaged = self._learned(self._average.model)
            state |= {f"average.{name}": value for name, value in averaged.items()}
        names = {id(value): name for name, value in self._model.named_parameters()}
        for parameter, values in self._optimizer.state.items():
            for key, value in values.items():
                if isinstance(value, Tensor):
                    state[f"optimizer.{names[id(parameter)]}.{key}"] = value
        return state

    def _learned(self, model: nn.Module) -> dict[str, Tensor]:
        """Parameters with gradients; with all parameters the buffers, too."""
        learned = {n: p for n, p in self._model.named_parameters() if p.requires_grad}
        every = len(learned) == len(list(self._model.parameters()))
        return {n: v for n, v in model.state_dict().items() if every or n in learned}

    def _prime_optimizer(self, found: Collection[str]) -> None:
        """Make the optimizer's tensors: it has none of a parameter before it gets a gradient."""
        for name, parameter in self._model.named_parameters():
            if any(each.startswith(f"optimizer.{name}.") for each in found):
                parameter.grad = torch.zeros_like(parameter)
        rates = [group["lr"] for group in self._optimizer.param_groups]
        for group in self._optimizer.param_groups:
            group["lr"] = 0.0
        self._optimizer.step()
        for group, rate in zip(self._optimizer.param_groups, rates, strict=True):
            group["lr"] = rate
        self._optimizer.zero_grad(set_to_none=True)


def _shapes(tensors: dict[str, Tensor]) -> dict[str, tuple[torch.Size, torch.dtype]]:
    return {name: (value.shape, value.dtype) for name, value in tensors.items()}


def _write(tensors: dict[str, Tensor], path: Path, note: dict[str, str]) -> None:
    """Write a file that is on the disk when this returns; OSError if it cannot be."""
    try:
        save_file(tensors, path, note)
    except SafetensorError as error:  # says "… (os error 28)"
        code = re.search(r"os error (\d+)", str(error))
        if code is None:
            raise
        raise OSError(int(code[1]), os.strerror(int(code[1])), str(path)) from error
    with path.open("rb") as file:
        os.fsync(file.fileno())
