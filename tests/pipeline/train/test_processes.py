"""Two processes end with the weights of one that does the same global batches; and go on."""

import json
import os
import shutil
import signal
import time
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file
from sklearn.metrics import average_precision_score

from grounding.classifier import TagClassifier
from tests.pipeline.train.made import (
    SMALL,
    losses,
    metrics,
    run,
    sample,
    samples_of,
    write_shard,
    write_shards,
)
from tests.pipeline.train.processes import LIMIT, finish, torchrun, two

# No batch norm and no dropout: the first sees only its process's photos, the second draws in each.
WHOLE_NET = (
    *("experiment=finetune", "model.name=timm:nf_resnet26", "model.weights=random", *SMALL),
    *("train.epochs=2", "train.optimizer=sgd", "train.lr=0.0002", "train.accumulate=2"),
    *("train.batch=8", "train.lanes=4"),
    "model.preprocessing={size:32}",
)
FROZEN = ("experiment=frozen", *SMALL, "train.epochs=3", "train.batch=16", "train.lanes=4")


@pytest.fixture(scope="module")
def uneven(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """81 photos: eleven batches of 8, the last one of 1; two photos are bad."""
    folder = write_shards(tmp_path_factory.mktemp("uneven"), (42, 39), (9,))
    samples = [sample(number) for number in range(42)]
    samples[5] = samples[6] = sample(0, jpg=b"no photo")
    write_shard(folder / "train" / "000000.tar", samples)
    return folder


def together(*arguments: str) -> str:
    """Run with two processes; give what they print."""
    for each in reversed(two(arguments, arguments)):
        with each:
            printed, errors = finish(each)
        assert each.returncode == 0, errors
    return printed


def assert_same_weights(found: Path, wanted: Path, atol: float) -> None:
    found_weights, weights = (
        load_file(out / "model" / "weights.safetensors") for out in (found, wanted)
    )
    for name, value in weights.items():
        np.testing.assert_allclose(found_weights[name], value, atol=atol, rtol=0, err_msg=name)


@pytest.fixture(scope="module")
def unbroken(uneven: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("two") / "out"
    together(f"out={out}", f"shards={uneven}", *WHOLE_NET)
    return out


def assert_as_one(found: Path, one: Path, atol: float = 1e-5) -> None:
    assert losses(found) == pytest.approx(losses(one), abs=1e-5)
    assert metrics(found)["validation"] == pytest.approx(metrics(one)["validation"], abs=1e-5)
    assert metrics(found)["rejected"] == metrics(one)["rejected"]
    assert sum(metrics(found)["rejected"].values()) == 2
    assert_same_weights(found, one, atol)


def test_the_whole_net_as_with_one_process(uneven: Path, unbroken: Path, tmp_path: Path) -> None:
    run(f"out={tmp_path}", f"shards={uneven}", *WHOLE_NET)
    assert_as_one(unbroken, tmp_path)


def test_a_frozen_net_as_with_one_process(uneven: Path, tmp_path: Path) -> None:
    keys = [f"shards={uneven}", *FROZEN]
    with torchrun(f"out={tmp_path / 'two'}", *keys) as started:
        printed, errors = finish(started)
    assert started.returncode == 0, errors
    assert printed.count("model: ") == 1  # the first process speaks, the other is silent
    run(f"out={tmp_path / 'one'}", *keys)
    # Features of a batch of another size are rounded otherwise; the head's weights, of up to 10 on
    # features that hardly vary, enlarge it.
    assert_as_one(tmp_path / "two", tmp_path / "one", atol=1e-3)


def saved(out: Path) -> tuple[int, int]:
    """Epoch and step of the checkpoint."""
    path = out / "checkpoint.safetensors"
    if not path.is_file():
        return 0, 0
    with safe_open(path, "np") as file:
        progress = json.loads(file.metadata()["progress"])
    return progress["epoch"], progress["step"]


def test_a_signal_to_all_and_the_same_command(uneven: Path, unbroken: Path, tmp_path: Path) -> None:
    """The launcher passes it on. The run goes on with two processes, and, in a copy, with one."""
    keys = [f"shards={uneven}", *WHOLE_NET]
    out, copy = tmp_path / "out", tmp_path / "copy"
    with torchrun(f"out={out}", *keys, "train.checkpoint_minutes=0") as stopped:
        until = time.monotonic() + LIMIT
        while saved(out) < (0, 10):
            assert stopped.poll() is None, stopped.communicate()
            assert time.monotonic() < until
            time.sleep(0.01)
        os.killpg(stopped.pid, signal.SIGTERM)
        _, errors = finish(stopped)
    assert stopped.returncode != 0
    assert "Interrupted.\n" in errors
    assert "pipeline/" not in errors  # torchrun's own traceback is all there is
    epoch, step = saved(out)
    assert (0, 0) < (epoch, step) < (2, 0)
    shutil.copytree(out, copy)

    printed = together(f"out={out}", *keys)
    assert f"going on after epoch {epoch}, step {step} of 11\n" in printed
    assert_same_weights(out, unbroken, atol=0)
    assert losses(out) == losses(unbroken)
    assert metrics(out)["rejected"] == metrics(unbroken)["rejected"]
    run(f"out={copy}", *keys)
    assert_as_one(copy, unbroken)


def test_the_measured_model_is_the_saved_one(uneven: Path, tmp_path: Path) -> None:
    """Batch norm's statistics are of a process's own photos; all measure those of the first."""
    net = ["model.name=timm:test_resnet", "model.weights=random", "train.lr=0.003"]
    keys = [f"shards={uneven}", f"out={tmp_path}", "experiment=finetune", *SMALL, *net]
    keys += ["train.epochs=2", "train.batch=16", "train.lanes=4"]
    together(*keys)
    classifier = TagClassifier.load(tmp_path)
    photos = samples_of(uneven, "val")
    scores = np.array([classifier.logits(photo).double().numpy() for photo, _ in photos])
    has = np.array([[code in record["codes"] for code in range(6)] for _, record in photos])
    unknown = [[code in record.get("unknown", []) for code in range(6)] for _, record in photos]
    known = ~np.array(unknown)
    ap = [
        average_precision_score(has[known[:, c], c], scores[known[:, c], c])
        for c in range(6)
        if has[known[:, c], c].any() and not has[known[:, c], c].all()
    ]
    measured = metrics(tmp_path)["validation"]
    assert (measured["tags"], measured["images"]) == (len(ap), 9)
    assert measured["map_macro"] == pytest.approx(np.mean(ap), abs=1e-6)
    micro = average_precision_score(has[known], scores[known])
    assert measured["map_micro"] == pytest.approx(micro, abs=1e-6)
