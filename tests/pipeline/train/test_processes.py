"""Two processes of torchrun end with the weights of one that does the same global batches."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from tests.pipeline.train.made import (
    SMALL,
    losses,
    metrics,
    run,
    sample,
    write_shard,
    write_shards,
)

# No batch norm and no dropout: the first sees only its process's photos, the second draws in each.
WHOLE_NET = (
    *("experiment=finetune", "model.name=timm:nf_resnet26", "model.weights=random"),
    *("train.epochs=2", "train.optimizer=sgd", "train.lr=0.0002", "train.accumulate=2"),
    "model.preprocessing={size:32}",
)
FROZEN = ("experiment=frozen", "train.epochs=3")


@pytest.fixture(scope="module")
def uneven(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """33 photos in batches of 16: the second process has none for the last step; two are bad."""
    folder = write_shards(tmp_path_factory.mktemp("uneven"), (17, 16), (9,))
    samples = [sample(number) for number in range(17)]
    samples[5] = samples[6] = sample(0, jpg=b"no photo")
    write_shard(folder / "train" / "000000.tar", samples)
    return folder


@pytest.mark.parametrize("recipe", [WHOLE_NET, FROZEN], ids=["whole net", "frozen"])
def test_two_processes_are_as_one(uneven: Path, tmp_path: Path, recipe: tuple[str, ...]) -> None:
    keys = [f"shards={uneven}", *SMALL, *recipe, "train.batch=16", "train.lanes=4"]
    torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    two = tmp_path / "two"
    with subprocess.Popen(
        [sys.executable, *torchrun, "-m", "pipeline", "stage=train", f"out={two}", *keys],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as started:
        one = tmp_path / "one"
        run(f"out={one}", *keys)
        printed, errors = started.communicate(timeout=120)
    assert started.returncode == 0, errors
    assert printed.count("model: ") == 1  # the first process speaks, the other is silent
    assert losses(two) == pytest.approx(losses(one), abs=1e-5)
    assert metrics(two)["validation"] == pytest.approx(metrics(one)["validation"], abs=1e-5)
    assert metrics(two)["rejected"] == metrics(one)["rejected"]
    assert sum(metrics(two)["rejected"].values()) == 2
    wanted, found = (load_file(out / "model" / "weights.safetensors") for out in (one, two))
    for name, value in wanted.items():
        np.testing.assert_allclose(found[name], value, atol=1e-5, rtol=0, err_msg=name)
