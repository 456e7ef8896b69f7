"""Runs that are killed or stopped, and the same command again: it ends as if nothing had been."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open
from tensorboard.backend.event_processing.event_accumulator import (  # type: ignore[import-untyped]
    EventAccumulator,
)

from grounding.training import loop
from grounding.training.batch import Batch
from pipeline import features
from pipeline import train as stage
from tests.pipeline.train.made import (
    SMALL,
    losses,
    metrics,
    run,
    sample,
    weights,
    write_shard,
    write_shards,
)
from tests.pipeline.train.processes import LIMIT, finish

# With momentum and second moments, batch norm, a moving average and a schedule to restore.
KEYS = (
    *("experiment=finetune", "model.name=timm:test_resnet", "model.weights=random", *SMALL),
    *("train.epochs=2", "train.batch=4", "train.lanes=4", "train.checkpoint_minutes=0"),
)
FROZEN = ("experiment=frozen", "train.epochs=3", "train.batch=16", *SMALL)


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """25 steps of 4 photos: the loop looks for signals, and saves, every 10."""
    return write_shards(tmp_path_factory.mktemp("many") / "shards", (35, 20, 45), (8,))


@pytest.fixture(scope="module")
def unbroken(many: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("unbroken") / "out"
    run(f"shards={many}", f"out={out}", *KEYS)
    return out


def begin(*arguments: str) -> subprocess.Popen[str]:
    """Start a run in a process of its own, with as many threads as this one has."""
    return subprocess.Popen(
        [sys.executable, "-m", "pipeline", "stage=train", *arguments],
        env={**os.environ, "OMP_NUM_THREADS": str(torch.get_num_threads())},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,  # a process group, to which a terminal sends Ctrl-C
    )


def saved(out: Path) -> tuple[int, int]:
    """Epoch and step of the checkpoint."""
    with safe_open(out / "checkpoint.safetensors", "np") as file:
        progress = json.loads(file.metadata()["progress"])
    return progress["epoch"], progress["step"]


def wait_for(condition: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    until = time.monotonic() + LIMIT
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < until
        time.sleep(0.01)


def in_the_middle_of_the_second_epoch(out: Path) -> bool:
    return (out / "checkpoint.safetensors").is_file() and (1, 0) < saved(out) < (2, 0)


def test_kill_and_the_same_command(
    many: Path, unbroken: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    arguments = [f"shards={many}", f"out={tmp_path}", *KEYS]
    killed = begin(*arguments)
    wait_for(lambda: in_the_middle_of_the_second_epoch(tmp_path), killed)
    killed.kill()
    killed.communicate()
    epoch, step = saved(tmp_path)
    assert (epoch, step % 10) == (1, 0)
    run(*arguments)
    assert f"going on after epoch 1, step {step} of 25\n" in capsys.readouterr().out
    assert weights(tmp_path) == weights(unbroken)
    assert losses(tmp_path) == losses(unbroken)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_and_the_same_command(
    many: Path, unbroken: Path, tmp_path: Path, number: signal.Signals
) -> None:
    """The workers get it, too. What the logs show is whole: the mean loss of every ten steps."""
    arguments = [f"shards={many}", f"out={tmp_path}", *KEYS]
    keys = ["train.workers=2", "train.checkpoint_minutes=10"]  # saved after an epoch, or now
    with begin(*arguments, *keys) as stopped:
        wait_for((tmp_path / "checkpoint.safetensors").is_file, stopped)
        os.killpg(stopped.pid, number)
        _, errors = finish(stopped)
    assert stopped.returncode == 130
    assert errors == "stopping after this step; once more stops at once\nInterrupted.\n"
    epoch, step = saved(tmp_path)
    assert (epoch, step) > (1, 0)
    run(*arguments)
    assert weights(tmp_path) == weights(unbroken)

    logs = EventAccumulator(str(tmp_path / "tensorboard"))
    logs.Reload()
    shown = logs.Scalars("train/loss")
    assert [event.step for event in shown] == sorted({10, 20, 25, 25 + step, 35, 45, 50})
    for row, events in zip(metrics(tmp_path)["history"], (shown[:3], shown[3:]), strict=True):
        steps = np.diff([25 * (row["epoch"] - 1), *(event.step for event in events)])
        losses = [event.value for event in events]
        assert np.average(losses, weights=steps) == pytest.approx(row["loss"], rel=1e-5)
    assert [event.step for event in logs.Scalars("epoch/loss")] == [25, 50]


def test_a_stop_at_any_step(many: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three sessions are interrupted, each after three steps."""
    inner, done = loop._step, [0]

    def step(*arguments: Any) -> Any:
        done[0] += 1
        if done[0] % 3 == 0:
            os.kill(os.getpid(), signal.SIGINT)
        return inner(*arguments)

    arguments = [f"shards={many}", *KEYS, "train.epochs=1"]
    out, whole = tmp_path / "out", tmp_path / "whole"
    with monkeypatch.context() as patched:
        patched.setattr(loop, "_step", step)
        for session in range(1, 4):
            with pytest.raises(KeyboardInterrupt):
                run(f"out={out}", *arguments)
            assert saved(out) == (0, 3 * session)
    run(f"out={out}", *arguments)
    run(f"out={whole}", *arguments)
    assert weights(out) == weights(whole)
    assert losses(out) == losses(whole)


def test_a_kill_in_an_evaluation(
    many: Path, unbroken: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The epoch is not done again."""

    def die(*_: object) -> None:
        raise MemoryError

    arguments = [f"shards={many}", f"out={tmp_path}", *KEYS]
    with monkeypatch.context() as patched:
        patched.setattr(stage.Evaluation, "__call__", die)
        with pytest.raises(MemoryError):
            run(*arguments)
    assert saved(tmp_path) == (0, 25)
    run(*arguments)
    assert weights(tmp_path) == weights(unbroken)
    assert metrics(tmp_path)["history"] == metrics(unbroken)["history"]


Compute = Callable[[Batch, np.ndarray], np.ndarray]


class Killed:
    """Computes features, until it dies after so many photos as suddenly as by a kill."""

    def __init__(self, compute: Compute, photos: int) -> None:
        self._compute, self._photos, self.done = compute, photos, 0

    def __call__(self, batch: Batch, numbers: np.ndarray) -> np.ndarray:
        if self.done >= self._photos:
            raise MemoryError
        self.done += len(numbers)
        return self._compute(batch, numbers)


def kill_in_features(patch: pytest.MonkeyPatch, photos: int, *arguments: str) -> None:
    with patch.context() as patched:
        patched.setattr(features, "SAVE_SECONDS", 0)
        patched.setattr(features, "_pairs", Killed(features._pairs, photos))
        with pytest.raises(MemoryError):
            run(*arguments)


def test_features_are_not_computed_twice(
    shards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed after two batches of 16; then after the other 39 training photos and a third one."""
    arguments = [f"shards={shards}", *FROZEN]
    run(f"out={tmp_path / 'whole'}", *arguments)
    out = tmp_path / "out"
    kill_in_features(monkeypatch, 32, f"out={out}", *arguments)
    kill_in_features(monkeypatch, 39 + 16, f"out={out}", *arguments)
    last = Killed(features._pairs, 1000)
    monkeypatch.setattr(features, "_pairs", last)
    run(f"out={out}", *arguments)
    assert last.done == 23 - 16
    assert weights(out) == weights(tmp_path / "whole")
    assert not (out / "features").exists()


@pytest.fixture
def with_bad_photos(tmp_path: Path) -> Path:
    """40 photos, of which two at the begin are bad."""
    folder = write_shards(tmp_path / "shards", (40,), (8,))
    samples = [sample(number) for number in range(40)]
    samples[3] = samples[6] = sample(0, jpg=b"no photo")
    write_shard(folder / "train" / "000000.tar", samples)
    return folder


def assert_same_rejects(out: Path, wanted: Path) -> None:
    """Two, in the metrics and in the list; no other file tells of them."""
    assert metrics(out)["rejected"] == metrics(wanted)["rejected"]
    assert sum(metrics(out)["rejected"].values()) == 2
    found, lines = ((each / "rejects.jsonl").read_text() for each in (out, wanted))
    assert found == lines
    assert not list(out.glob("rejects-*"))


def test_rejects_of_a_run_killed_after_its_features(
    with_bad_photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The photos are not read again."""

    def die(*_: object, **__: object) -> None:
        raise MemoryError

    arguments = [f"shards={with_bad_photos}", *FROZEN]
    out = tmp_path / "out"
    with monkeypatch.context() as patched:
        patched.setattr(stage, "make_run", die)
        with pytest.raises(MemoryError):
            run(f"out={out}", *arguments)
    run(f"out={out}", *arguments)
    run(f"out={tmp_path / 'whole'}", *arguments)
    assert_same_rejects(out, tmp_path / "whole")


def test_rejects_of_a_run_stopped_in_its_last_epoch(
    with_bad_photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before its last step: the bad photos do not come again."""
    inner, done = loop._step, [0]

    def step(*arguments: Any) -> Any:
        done[0] += 1
        if done[0] == 19:
            os.kill(os.getpid(), signal.SIGTERM)
        return inner(*arguments)

    arguments = [f"shards={with_bad_photos}", *KEYS]
    out = tmp_path / "out"
    with monkeypatch.context() as patched:
        patched.setattr(loop, "_step", step)
        with pytest.raises(KeyboardInterrupt):
            run(f"out={out}", *arguments)
    assert saved(out) == (1, 9)
    run(f"out={out}", *arguments)
    run(f"out={tmp_path / 'whole'}", *arguments)
    assert_same_rejects(out, tmp_path / "whole")


def test_features_of_other_shards_are_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The shards were made anew after the kill, under the same name."""
    shards, out = tmp_path / "shards", tmp_path / "out"
    write_shards(shards, (40,), (10,))
    arguments = [f"shards={shards}", *FROZEN]
    kill_in_features(monkeypatch, 40, f"out={out}", *arguments)
    shutil.rmtree(shards)
    write_shards(shards, (9, 31), (10,))
    write_shard(shards / "train" / "000000.tar", [sample(number) for number in range(100, 109)])
    run(f"out={out}", *arguments)
    run(f"out={tmp_path / 'whole'}", *arguments)
    assert weights(out) == weights(tmp_path / "whole")
