"""A run goes on bitwise from any of its checkpoints; files that are no use are refused."""

import errno
import itertools
import json
import os
import resource
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import nn

from data_prep.errors import UserError
from grounding.training import checkpoint as checkpoint_module
from grounding.training import loop
from grounding.training.checkpoint import Checkpoint, Progress
from grounding.training.loop import Run, train
from grounding.training.settings import TrainSettings
from tests.grounding.training.runs import Noise, make_run, small_net, state

STEPS = 3


def new_run(folder: Path, options: dict[str, Any], seed: int = 0) -> Run:
    """Two epochs; `seed` of what the net begins with where that is learned."""
    settings = TrainSettings(**{"epochs": 2, "lr": 0.1, "checkpoint_minutes": 0} | options)
    net = small_net(norm=True, dropout=0.3, seed=0)
    with torch.no_grad():
        learned = net if settings.layers == "all" else net[6]
        for value in learned.parameters():
            value.add_(seed)
    return make_run(folder, settings, net=net, source=Noise(count=11, batch=4))


def keep_every_save(run: Run, folder: Path) -> list[Path]:
    """Copy each checkpoint that the run saves; the list fills as it goes."""
    kept: list[Path] = []
    save = run.checkpoint.save

    def save_and_copy(progress: Progress) -> None:
        save(progress)
        kept.append(folder / str(len(kept)) / "checkpoint.safetensors")
        kept[-1].parent.mkdir()
        shutil.copy(run.checkpoint.path, kept[-1])

    run.checkpoint.save = save_and_copy  # type: ignore[method-assign]
    return kept


@pytest.mark.parametrize("ema", [None, 0.9])
@pytest.mark.parametrize("layers", ["head", "all"])
@pytest.mark.parametrize(
    "of_optimizer",
    [
        {"optimizer": "sgd", "momentum": 0.9, "weight_decay": 0.1},
        {"optimizer": "sgd", "momentum": 0.0, "clip_norm": 0.5},
        {"optimizer": "adamw", "weight_decay": 0.1, "warmup_epochs": 0.5, "accumulate": 2},
    ],
)
def test_going_on_after_every_step(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    of_optimizer: dict[str, Any],
    layers: str,
    ema: float | None,
) -> None:
    monkeypatch.setattr(loop, "CHECK_STEPS", 1)
    options = {"layers": layers, "ema": ema, **of_optimizer}
    unbroken, progress = new_run(tmp_path, options), Progress()
    kept = keep_every_save(unbroken, tmp_path)
    train(unbroken, progress)
    expected = state(unbroken)
    assert len(kept) == 2 * (STEPS + 2)
    places = []
    for file in kept:
        run = new_run(file.parent, options, seed=1)
        restored = run.checkpoint.restore()
        assert restored is not None
        places.append((restored.epoch, restored.step))
        train(run, restored)
        found = state(run)
        assert found.keys() == expected.keys()
        for name, value in expected.items():
            assert torch.equal(found[name], value), (places[-1], name)
        losses = [row["loss"] for row in restored.history]
        assert losses == pytest.approx([row["loss"] for row in progress.history], rel=1e-12)
        assert [row["epoch"] for row in restored.history] == [1, 2]
    of_epochs = [[*((epoch, n) for n in (1, 2, 3, 3)), (epoch + 1, 0)] for epoch in (0, 1)]
    assert places == of_epochs[0] + of_epochs[1]


def test_a_later_session_goes_on_with_the_rate_of_the_schedule(tmp_path: Path) -> None:
    """What restoring does to the optimizer leaves no trace in its groups or gradients."""
    run = new_run(tmp_path, {})
    train(run, Progress())
    again = new_run(tmp_path, {})
    again.checkpoint.restore()
    assert [group["lr"] for group in again.optimizer.param_groups] == [0.1] * 4
    assert all(each.grad is None for each in again.model.parameters())


def test_nothing_to_go_on_from(tmp_path: Path) -> None:
    run = new_run(tmp_path, {})
    before = state(run)
    assert run.checkpoint.restore() is None
    assert all(torch.equal(before[name], value) for name, value in state(run).items())


@pytest.mark.parametrize("options", [{"optimizer": "sgd"}, {"optimizer": "adamw", "ema": 0.5}])
def test_only_what_changes_is_saved(tmp_path: Path, options: dict[str, Any]) -> None:
    options, learned = {"layers": "head", **options}, ("weight", "bias")
    train(new_run(tmp_path, options), Progress())
    with safe_open(tmp_path / "checkpoint.safetensors", "pt") as file:
        names = set(file.keys())
    of_optimizer = {
        "sgd": {"momentum_buffer"},
        "adamw": {"step", "exp_avg", "exp_avg_sq"},
    }[options["optimizer"]]
    assert names == {
        *(f"model.6.{name}" for name in learned),
        *(f"average.6.{name}" for name in learned if "ema" in options),
        *(f"optimizer.6.{n}.{key}" for n, key in itertools.product(learned, of_optimizer)),
    }


class WithIdlePart(nn.Sequential):
    """A net with a layer that never gets a gradient."""

    def __init__(self) -> None:
        super().__init__(nn.Flatten(), nn.Linear(3 * 6 * 6, 5))
        self.idle: nn.Module = nn.Conv2d(1, 1, 1)

    def forward(self, photos: torch.Tensor) -> torch.Tensor:
        return self[1](self[0](photos))


def test_a_parameter_without_gradients(tmp_path: Path) -> None:
    settings = TrainSettings(epochs=2)

    def run() -> Run:
        torch.manual_seed(0)
        return make_run(tmp_path, settings, net=WithIdlePart())

    first = run()
    train(first, Progress())
    again = run()
    progress = again.checkpoint.restore()
    assert progress is not None
    assert progress.epoch == 2
    assert all(torch.equal(v, state(again)[k]) for k, v in state(first).items())


@pytest.mark.parametrize("damage", ["truncated", "no header", "empty", "noise", "other file"])
def test_a_damaged_file(tmp_path: Path, damage: str) -> None:
    train(new_run(tmp_path, {"epochs": 1}), Progress())
    path = tmp_path / "checkpoint.safetensors"
    content = path.read_bytes()
    path.write_bytes(
        {
            "truncated": content[:-1],
            "no header": content[:20],
            "empty": b"",
            "noise": os.urandom(len(content)),
            "other file": b"PK\x03\x04" + content,
        }[damage]
    )
    run = new_run(tmp_path, {"epochs": 1})
    before = state(run)
    with pytest.raises(UserError) as caught:
        run.checkpoint.restore()
    assert str(caught.value) == f"{path}: no checkpoint that can be read; remove it to start anew"
    assert all(torch.equal(before[name], value) for name, value in state(run).items())


def test_a_file_of_another_run(tmp_path: Path) -> None:
    run = new_run(tmp_path, {"epochs": 1})
    train(run, Progress())
    path = run.checkpoint.path
    other = Checkpoint(path, run.model, run.optimizer, None, "other")
    with pytest.raises(UserError, match="is of another model, other data or other settings; give"):
        other.restore()
    for note in (None, {}, {"fingerprint": "mark"}, {"progress": json.dumps({})}):
        save_file({"a": torch.zeros(1)}, path, note)
        with pytest.raises(UserError, match=r"^[^\n]+ is of another model[^\n]+ overwrite=true"):
            run.checkpoint.restore()


def changed(path: Path, what: str) -> None:
    """Rewrite a checkpoint as the program before a change might have."""
    with safe_open(path, "pt") as file:
        note, tensors = file.metadata(), {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    if what == "a tensor less":
        del tensors["model.6.bias"]
    elif what == "a tensor more":
        tensors["model.7.bias"] = torch.zeros(5)
    elif what == "another name":
        tensors["optimizer.6.bias.mean"] = tensors.pop("optimizer.6.bias.exp_avg")
    elif what == "another shape":
        tensors["model.6.bias"] = torch.zeros(1)  # copy_ would broadcast it
    else:
        progress = json.loads(note["progress"])
        del progress["seconds"]
        renamed = {"time": 1.0} if what == "another field" else {}
        note["progress"] = json.dumps(progress | renamed)
    save_file(tensors, path, note)


@pytest.mark.parametrize(
    "what",
    [
        *("a tensor less", "a tensor more", "another name", "another shape"),
        *("a field less", "another field"),
    ],
)
def test_a_file_of_the_program_before_a_change(tmp_path: Path, what: str) -> None:
    train(new_run(tmp_path, {"epochs": 1}), Progress())
    run = new_run(tmp_path, {"epochs": 1}, seed=1)
    before = state(run)
    changed(run.checkpoint.path, what)
    with pytest.raises(UserError, match=r"^[^\n]+ is of another model[^\n]+ overwrite=true"):
        run.checkpoint.restore()
    assert all(torch.equal(state(run)[name], value) for name, value in before.items())


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
@pytest.mark.parametrize("kind", [OSError, SafetensorError])
def test_a_full_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: type[Exception], number: int
) -> None:
    """The stage knows it by its number; the earlier checkpoint stays, half a file does not."""
    run = new_run(tmp_path, {"epochs": 1})
    train(run, Progress())
    before = run.checkpoint.path.read_bytes()

    def fill(_: object, path: Path, __: object) -> None:
        Path(path).write_bytes(before[:100])
        if kind is OSError:
            raise OSError(number, os.strerror(number))
        raise SafetensorError(
            f"Error while serializing: I/O error: {os.strerror(number)} (os error {number})"
        )

    monkeypatch.setattr(checkpoint_module, "save_file", fill)
    with pytest.raises(OSError, match=os.strerror(number)) as caught:
        run.checkpoint.save(Progress())
    assert caught.value.errno == number
    assert run.checkpoint.path.read_bytes() == before
    assert [each.name for each in tmp_path.iterdir()] == ["checkpoint.safetensors"]


def test_a_disk_that_is_really_at_its_limit(tmp_path: Path) -> None:
    run = new_run(tmp_path, {"epochs": 1})
    train(run, Progress())
    before = run.checkpoint.path.read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (500, limits[1]))
    try:
        with pytest.raises(OSError, match="File too large") as caught:
            run.checkpoint.save(Progress())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert caught.value.errno == errno.EFBIG
    assert run.checkpoint.path.read_bytes() == before
    assert [each.name for each in tmp_path.iterdir()] == ["checkpoint.safetensors"]


def test_a_folder_that_is_gone(tmp_path: Path) -> None:
    run = new_run(tmp_path / "gone", {})
    with pytest.raises(FileNotFoundError):
        run.checkpoint.save(Progress())
