"""Every recipe of conf/experiment, and the keys that recipes are made of, on tiny shards."""

from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from grounding.classifier import TagClassifier
from tests.pipeline.train.made import SMALL, configuration, losses, metrics, run, weights

EXPERIMENTS = sorted(
    path.name.removesuffix(".yaml")
    for path in (files("conf") / "experiment").iterdir()
    if path.name.endswith(".yaml")
)
NET = ("experiment=finetune", "model.name=timm:test_resnet", "model.weights=random")
SHORT = ("train.epochs=2", "train.batch=32", "train.lr=0.003")


def test_the_recipes_are_all_there() -> None:
    assert {"finetune", "frozen", "paper"} <= set(EXPERIMENTS)


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_each_recipe_on_the_default_net(shards: Path, tmp_path: Path, experiment: str) -> None:
    """At its own learning rate and batch; a warm-up must fit into the two epochs."""
    own = configuration(f"experiment={experiment}").train
    warmup = min(own.warmup_epochs, 1)
    keys = ["train.epochs=2", f"train.warmup_epochs={warmup}", f"train.lanes={own.batch}"]
    run(f"shards={shards}", f"out={tmp_path}", *SMALL, f"experiment={experiment}", *keys)
    found = metrics(tmp_path)
    assert np.isfinite(losses(tmp_path)).all()
    assert found["epochs"] == 2
    assert 0 < found["validation"]["map_macro"] <= 1
    assert TagClassifier.load(tmp_path).name == "bundled:efficientnet_lite0"


@pytest.mark.parametrize(
    "keys",
    [
        ["train.loss=focal"],
        ["train.loss=asymmetric", "train.accumulate=4"],
        ["train.positive_weight_power=0.5"],
        ["train.optimizer=sgd", "train.schedule=constant", "train.view=random_crop"],
        ["train.ema=null", "train.clip_norm=null", "train.evaluate_epochs=2"],
        ["train.precision=bf16", "train.channels_last=false"],
        ["train.layers=head", "train.view=whole", "train.flip=false", "train.ema=0.9"],
        ["train.layers=head", "train.view=whole", "train.flip=false", "train.precision=bf16"],
        ["train.view=random_resized_crop", "train.scale=[1,1]", "train.block=1", "train.lanes=1"],
    ],
    ids=" ".join,
)
def test_what_recipes_are_made_of(shards: Path, tmp_path: Path, keys: list[str]) -> None:
    run(f"shards={shards}", f"out={tmp_path}", *SMALL, *NET, *SHORT, *keys)
    first, last = losses(tmp_path)
    assert 0 < last < first
    assert metrics(tmp_path)["validation"]["map_macro"] > 0.3


def test_the_result_is_the_moving_average(shards: Path, tmp_path: Path) -> None:
    """One step: the average stands between the first weights and the last ones."""
    keys = [*NET, "train.epochs=1", "train.batch=80", "train.optimizer=sgd"]
    found = []
    for number, (lr, ema) in enumerate([(1e-30, "null"), (0.5, "null"), (0.5, 0.999)]):
        out = tmp_path / str(number)
        run(f"shards={shards}", f"out={out}", *SMALL, *keys, f"train.lr={lr}", f"train.ema={ema}")
        found.append(load_file(out / "model" / "weights.safetensors")["fc.weight"])
    before, after, average = found
    assert np.abs(after - before).max() > 1e-3
    # The decay rises to 0.999 and is 1/10 in the first step.
    np.testing.assert_allclose(average, 0.1 * before + 0.9 * after, atol=1e-6)


def test_pieces_of_a_batch_add_up(shards: Path, tmp_path: Path) -> None:
    """With the net's batch norm frozen, as only the head is trained."""
    keys = ["experiment=paper", "train.epochs=2", "train.view=random_resized_crop"]
    for pieces in (1, 4):
        out = tmp_path / str(pieces)
        run(f"shards={shards}", f"out={out}", *SMALL, *NET[1:], *keys, f"train.accumulate={pieces}")
    assert losses(tmp_path / "1") == pytest.approx(losses(tmp_path / "4"), abs=1e-5)
    one, four = (load_file(tmp_path / name / "model" / "weights.safetensors") for name in "14")
    for name, value in one.items():
        np.testing.assert_allclose(four[name], value, atol=1e-6, err_msg=name)


def test_the_seed_decides(shards: Path, tmp_path: Path) -> None:
    """And nothing else: not the number of workers, for one."""
    found = []
    for number, keys in enumerate([["train.seed=0"], ["train.workers=1"], ["train.seed=1"]]):
        out = tmp_path / str(number)
        run(f"shards={shards}", f"out={out}", *SMALL, *NET, "train.epochs=1", *keys)
        found.append(weights(out))
    assert found[0] == found[1] != found[2]


def test_training_ends_when_the_loss_levels_off(shards: Path, tmp_path: Path) -> None:
    keys = ["experiment=paper", "train.lr=1e-9", "train.epochs=9", "train.plateau_epochs=2"]
    run(f"shards={shards}", f"out={tmp_path}", *SMALL, *NET[1:], *keys)
    found = metrics(tmp_path)
    assert found["stopped"] == "plateau"
    assert found["epochs"] == len(found["history"]) == 3
