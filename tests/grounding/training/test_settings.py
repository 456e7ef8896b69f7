"""Which settings of the training are refused, and how."""

import math
from dataclasses import asdict, fields
from importlib.resources import files
from typing import Any

import pytest
import yaml

from data_prep.errors import UserError
from grounding.training.settings import TrainSettings

NO_NUMBERS: list[Any] = ["a", "1", True, False, math.nan, math.inf, -math.inf, [1], {}]
WHOLE = ["epochs", "batch", "accumulate", "plateau_epochs", "seed", "evaluate_epochs"]
ABOVE_0 = ["lr", "ridge", "head_lr_factor", "clip_norm", "positive_weight_cap"]
FROM_0 = [
    *("weight_decay", "warmup_epochs", "plateau_improvement", "positive_weight_power"),
    *("focal_gamma", "asymmetric_gamma", "checkpoint_minutes"),
]
FROM_0_BELOW_1 = ["momentum", "ema", "asymmetric_clip"]
CHOICES = {
    "layers": ["head", "all"],
    "loss": ["bce", "focal", "asymmetric"],
    "optimizer": ["sgd", "adamw"],
    "schedule": ["constant", "cosine"],
    "precision": ["fp32", "bf16"],
}
SWITCHES = ["channels_last", "compile"]
MAY_BE_NONE = ["clip_norm", "ridge", "ema", "plateau_epochs", "positive_weight_power"]

UNUSABLE: dict[str, list[Any]] = {
    **{key: [0, -1, 1.0, 2.5, *NO_NUMBERS] for key in WHOLE},
    "seed": [-1, 1.0, 2**64, *NO_NUMBERS],
    **{key: [0, 0.0, -1e-9, *NO_NUMBERS] for key in ABOVE_0},
    **{key: [-1e-9, *NO_NUMBERS] for key in FROM_0},
    **{key: [-0.1, 1, 1.0, 1.5, *NO_NUMBERS] for key in FROM_0_BELOW_1},
    **{key: ["", "x", "ALL", None, 1, True, ["head"]] for key in CHOICES},
    **{key: [None, 0, 1, "true", "no"] for key in SWITCHES},
}
USABLE: dict[str, list[Any]] = {
    **{key: [1, 7] for key in WHOLE},
    "seed": [0, 2**63 - 1],
    **{key: [1, 1e-12, 3.5] for key in ABOVE_0},
    **{key: [0, 0.0, 2] for key in FROM_0},
    **{key: [0, 0.0, 0.9999] for key in FROM_0_BELOW_1},
    **CHOICES,
    **{key: [True, False] for key in SWITCHES},
}


def test_the_table_has_every_setting() -> None:
    assert set(UNUSABLE) == set(USABLE) == {field.name for field in fields(TrainSettings)}


def test_the_defaults_are_those_of_the_stage() -> None:
    given = yaml.safe_load((files("conf") / "stage" / "train.yaml").read_text("utf-8"))["train"]
    defaults = asdict(TrainSettings())
    assert {key: given[key] for key in defaults} == defaults


@pytest.mark.parametrize("key", UNUSABLE)
def test_unusable_values(key: str) -> None:
    values = UNUSABLE[key] + ([] if key in MAY_BE_NONE else [None])
    for value in values:
        with pytest.raises(UserError) as caught:
            TrainSettings(**{key: value})
        message = str(caught.value)
        assert message.startswith(f"train.{key}={value}: "), message
        assert "give " in message
        assert "\n" not in message


@pytest.mark.parametrize("key", USABLE)
def test_usable_values(key: str) -> None:
    for value in USABLE[key] + ([None] if key in MAY_BE_NONE else []):
        batch = 14 if key == "accumulate" else 64
        assert getattr(TrainSettings(**({"batch": batch} | {key: value})), key) == value


def test_the_warm_up_ends() -> None:
    TrainSettings(epochs=3, warmup_epochs=3)
    with pytest.raises(
        UserError, match=r"^train\.warmup_epochs=3\.5: give train\.epochs=3 or fewer"
    ):
        TrainSettings(epochs=3, warmup_epochs=3.5)


def test_pieces_are_equal() -> None:
    assert asdict(TrainSettings(batch=6, accumulate=3))["accumulate"] == 3
    for pieces in (4, 12):
        with pytest.raises(UserError, match=rf"^train\.accumulate={pieces}: .*train\.batch=6$"):
            TrainSettings(batch=6, accumulate=pieces)
