"""How a classifier is trained."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Any, Literal

from data_prep.errors import UserError

LOSSES = ("bce", "focal", "asymmetric")
CHOICES: dict[str, tuple[Any, ...]] = {
    "layers": ("head", "all"),
    "loss": LOSSES,
    "optimizer": ("sgd", "adamw"),
    "schedule": ("constant", "cosine"),
    "precision": ("fp32", "bf16"),
}
LEAST: dict[str, float] = {  # of numbers; those of OPEN must be above it
    **{"epochs": 1, "batch": 1, "accumulate": 1, "lr": 0, "head_lr_factor": 0, "momentum": 0},
    **{
        "ridge": 0,
        "weight_decay": 0,
        "clip_norm": 0,
        "warmup_epochs": 0,
        "ema": 0,
        "plateau_epochs": 1,
    },
    **{"plateau_improvement": 0, "positive_weight_power": 0, "positive_weight_cap": 0},
    **{"focal_gamma": 0, "asymmetric_gamma": 0, "asymmetric_clip": 0, "seed": 0},
    **{"evaluate_epochs": 1, "checkpoint_minutes": 0},
}
BELOW: dict[str, float] = {
    **{"momentum": 1, "ema": 1, "asymmetric_clip": 1, "seed": 2**64},
    **{
        "lr": 10**6,
        "head_lr_factor": 10**6,
        "weight_decay": 10**6,
        "ridge": 10**6,
    },  # float32 has to hold them
}
OPEN = ("ridge", "lr", "clip_norm", "head_lr_factor", "positive_weight_cap")
WHOLE = ("epochs", "batch", "accumulate", "plateau_epochs", "seed", "evaluate_epochs")
OPTIONAL = ("ridge", "clip_norm", "ema", "plateau_epochs", "positive_weight_power")


@dataclass(frozen=True)
class TrainSettings:
    """What the training loop has to know; keys of the group `train`.

    Attributes
    ----------
    layers : {"head", "all"}
        What is trained: the last linear layer only, the rest in eval mode, or the whole net.
    ridge : float, optional
        Take the head's directions from a ridge regression of this strength, see
        `grounding.training.feature_heads.ridge_weight`, and learn each tag's scale and bias only.
    epochs, batch : int
        Most epochs; photos of a step over all processes and accumulated pieces.
    accumulate : int
        Pieces that a process computes its share of a step in, one after the other.
    loss : {"bce", "focal", "asymmetric"}
        See `grounding.losses`, with `focal_gamma`, `asymmetric_gamma` (of absent tags) and
        `asymmetric_clip`.
    positive_weight_power, positive_weight_cap : float
        See `grounding.losses.positive_weights`; None: no weights.
    optimizer : {"sgd", "adamw"}
        With `momentum` (SGD; Nesterov's it is not), `weight_decay` (of weights, not of biases and
        norms), and gradients scaled down to a norm of `clip_norm` if that is given.
    lr, head_lr_factor : float
        Learning rate, and that of the head in units of it.
    schedule : {"constant", "cosine"}
        After a linear rise over `warmup_epochs`; the cosine ends at 0.
    ema : float, optional
        Decay of an exponential moving average of the weights, which is then the result. It rises
        to this: (1 + t) / (10 + t) at step t if that is less.
    plateau_epochs, plateau_improvement
        Stop when the training loss has not fallen by this share in so many epochs.
    precision : {"fp32", "bf16"}
        bf16: autocast; weights and loss stay float32, and so do features computed once.
    channels_last, compile : bool
        Memory layout of photos; torch.compile.
    seed : int
        Of everything that is drawn.
    evaluate_epochs : int
        Evaluate after every so many epochs, and after the last.
    checkpoint_minutes : float
        At most so long between two checkpoints.

    Raises
    ------
    UserError
        A value is unusable.
    """

    layers: Literal["head", "all"] = "all"
    ridge: float | None = None
    epochs: int = 30
    batch: int = 64
    accumulate: int = 1
    loss: Literal["bce", "focal", "asymmetric"] = "bce"
    focal_gamma: float = 2.0
    asymmetric_gamma: float = 4.0
    asymmetric_clip: float = 0.05
    positive_weight_power: float | None = None
    positive_weight_cap: float = 20.0
    optimizer: Literal["sgd", "adamw"] = "adamw"
    lr: float = 5e-4
    head_lr_factor: float = 1.0
    momentum: float = 0.9
    weight_decay: float = 0.01
    clip_norm: float | None = None
    schedule: Literal["constant", "cosine"] = "cosine"
    warmup_epochs: float = 0.0
    ema: float | None = None
    plateau_epochs: int | None = None
    plateau_improvement: float = 0.01
    precision: Literal["fp32", "bf16"] = "fp32"
    channels_last: bool = True
    compile: bool = False
    seed: int = 0
    evaluate_epochs: int = 1
    checkpoint_minutes: float = 10.0

    def __post_init__(self) -> None:
        for field in fields(self):
            _check(field.name, getattr(self, field.name))
        if self.batch % self.accumulate:
            raise UserError(
                f"train.accumulate={self.accumulate}: give a divisor of train.batch={self.batch}"
            )
        if self.warmup_epochs > self.epochs:
            raise UserError(
                f"train.warmup_epochs={self.warmup_epochs:g}: give train.epochs={self.epochs} "
                "or fewer"
            )


def _check(key: str, value: Any) -> None:
    if key in CHOICES:
        if value not in CHOICES[key]:
            raise UserError(f"train.{key}={value}: give one of {', '.join(CHOICES[key])}")
    elif key in LEAST:
        if not (value is None and key in OPTIONAL):
            _check_number(key, value)
    elif not isinstance(value, bool):
        raise UserError(f"train.{key}={value}: give true or false")


def _check_number(key: str, value: Any) -> None:
    kind = int if key in WHOLE else int | float
    least, is_open = LEAST[key], key in OPEN
    good = isinstance(value, kind) and not isinstance(value, bool) and math.isfinite(value)
    if not good or value < least or (is_open and value == least):
        number = "a whole number" if key in WHOLE else "a number"
        limit = f"above {least:g}" if is_open else f"{least:g} or more"
        raise UserError(f"train.{key}={value}: give {number}, {limit}")
    if key in BELOW and value >= BELOW[key]:
        raise UserError(f"train.{key}={value}: give a number below {BELOW[key]:,}")
