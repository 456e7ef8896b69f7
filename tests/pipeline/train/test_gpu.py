"""Training on a GPU: what the CPU does, stopped and resumed, and without hidden waits."""

import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from data_prep.shards.index import ShardIndex
from grounding.classifier import TagClassifier
from grounding.preprocessing import Preprocessing
from grounding.processes import Processes
from grounding.training import loop
from grounding.training.batch import Batch
from grounding.views import View
from pipeline.loading import Shards, ShardSource
from pipeline.rejects import Rejects
from tests.pipeline.train.made import SMALL, TAGS, losses, metrics, run, samples_of

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")

ON_GPU = (*SMALL, "device=cuda")
FINETUNE = (
    *("experiment=finetune", "model.name=timm:test_resnet", "model.weights=random", *ON_GPU),
    *("train.precision=bf16", "train.accumulate=2", "train.ema=0.9", "train.clip_norm=1"),
    *("train.epochs=2", "train.batch=16"),
)


def check_scores(out: Path, shards: Path) -> None:
    """The saved model scores on the GPU as on the CPU."""
    cpu, gpu = TagClassifier.load(out), TagClassifier.load(out, "cuda")
    for photo, _ in samples_of(shards, "val")[:5]:
        found = gpu.logits(photo)
        torch.testing.assert_close(found.cpu(), cpu.logits(photo), rtol=1e-3, atol=1e-3)


def test_the_whole_net_is_stopped_and_goes_on(
    shards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the second epoch. Sums on a GPU have no fixed order: losses are only nearly equal."""
    inner, done = loop._step, [0]

    def step(*arguments: Any) -> Any:
        done[0] += 1
        if done[0] == 7:
            os.kill(os.getpid(), signal.SIGTERM)
        return inner(*arguments)

    out, whole = tmp_path / "out", tmp_path / "whole"
    with monkeypatch.context() as patched:
        patched.setattr(loop, "_step", step)
        with pytest.raises(KeyboardInterrupt):
            run(f"shards={shards}", f"out={out}", *FINETUNE)
    run(f"shards={shards}", f"out={out}", *FINETUNE)
    run(f"shards={shards}", f"out={whole}", *FINETUNE)
    assert losses(out) == pytest.approx(losses(whole), rel=0.02)
    assert np.isfinite(losses(out)).all()
    assert metrics(out)["validation"]["images"] == 23
    check_scores(out, shards)


def test_frozen(shards: Path, tmp_path: Path) -> None:
    keys = [f"shards={shards}", "experiment=frozen", "train.epochs=4"]
    run(*keys, f"out={tmp_path / 'gpu'}", *ON_GPU)
    run(*keys, f"out={tmp_path / 'cpu'}", *SMALL)
    assert losses(tmp_path / "gpu") == pytest.approx(losses(tmp_path / "cpu"), rel=0.01)
    check_scores(tmp_path / "gpu", shards)


class Unwaiting(ShardSource):
    """Refuses to wait for the GPU while it puts a batch together."""

    def _to_batch(self, *arguments: Any) -> Batch:
        torch.cuda.set_sync_debug_mode("error")
        try:
            return super()._to_batch(*arguments)
        finally:
            torch.cuda.set_sync_debug_mode("default")


def batches(
    kind: type[ShardSource], folder: Path, device: str, view: str, workers: int
) -> list[Batch]:
    files = ShardIndex.load(folder).train
    preprocessing = Preprocessing((0.5,) * 3, (0.25,) * 3, size=64)
    shards = Shards(
        sizes=tuple(shard.samples for shard in files),
        files=[str(folder / shard.file) for shard in files],
        tags=len(TAGS),
        view=View(preprocessing, view),  # type: ignore[arg-type]
        batch=16,
        lanes=4,
        block=8,
        seed=0,
    )
    here = Processes(0, 1, torch.device(device))
    return list(kind(shards, here, workers, Rejects()).batches(0))


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("view", ["whole", "random_resized_crop"])
def test_batches_are_those_of_the_cpu(shards: Path, view: str, workers: int) -> None:
    batches(ShardSource, shards, "cuda:0", view, 0)  # the first one may wait: for memory
    found = batches(Unwaiting, shards, "cuda:0", view, workers)
    wanted = batches(ShardSource, shards, "cpu", view, 0)
    for gpu, cpu in zip(found, wanted, strict=True):
        assert torch.equal(gpu.targets.cpu(), cpu.targets)
        assert torch.equal(gpu.numbers, cpu.numbers)
        assert gpu.total == cpu.total
        for inputs, others in zip(gpu.inputs, cpu.inputs, strict=True):
            assert inputs.device.type == "cuda"
            torch.testing.assert_close(inputs.cpu(), others, rtol=0, atol=1e-5)
