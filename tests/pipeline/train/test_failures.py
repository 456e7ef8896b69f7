"""What fails while a run is going on, in it or in one of its processes: one line, no waiting."""

import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils.data import get_worker_info

from data_prep.errors import UserError
from grounding.training import loop
from grounding.views import View
from tests.pipeline.train.made import SMALL, run, weights
from tests.pipeline.train.processes import finish, two

NET = ("experiment=finetune", "model.name=timm:test_resnet", "model.weights=random", *SMALL)
SHORT = ("train.epochs=1", "train.batch=16")


def ended(started: list[subprocess.Popen[str]]) -> list[str]:
    """Wait for two processes that fail; give what each has said, which is one line."""
    said = []
    for each, begin in zip(started, ("error: ", "error (process 1): "), strict=True):
        with each:
            _, errors = finish(each)
        assert each.returncode == 1
        assert errors.startswith(begin)
        assert errors.count("\n") == 1
        said.append(errors.removeprefix(begin).rstrip())
    return said


def test_two_processes_refuse_a_bad_key(shards: Path, tmp_path: Path) -> None:
    keys = [f"shards={shards}", f"out={tmp_path / 'out'}", *NET, "train.lanes=1"]
    (message,) = set(ended(two(keys, keys)))
    assert message.startswith("train.lanes=1: 2 processes cannot share them evenly; ")
    assert not (tmp_path / "out").exists()


def test_two_processes_refuse_the_folders_of_others(shards: Path, tmp_path: Path) -> None:
    """Of a finished run; and two folders, of which the second one's has a checkpoint."""
    one, other = tmp_path / "one", tmp_path / "other"
    keys = [f"shards={shards}", *NET, *SHORT]
    run(*keys, f"out={one}")
    changed = [*keys, f"out={one}", "train.loss=focal"]
    finished = two(changed, changed)
    (message,) = set(ended(finished))
    assert message == (
        f"out={one}: holds a finished run with another train.loss; give another out= or "
        "overwrite=true"
    )
    (one / "done.json").unlink()
    first, second = ended(two([*keys, f"out={other}"], [*keys, f"out={one}"]))
    assert second == f"out={one}: is not one folder for all processes; give a shared one"
    assert first in (
        "another process has ended; its message tells why",
        f"out={other}: is not one folder for all processes; give a shared one",
    )
    assert not (other / "done.json").exists()


def refused(*arguments: str) -> str:
    """Give the message of a refusal: one line."""
    with pytest.raises(UserError) as caught:
        run(*arguments)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("recipe", [NET, ("experiment=frozen", *SMALL)], ids=["whole", "frozen"])
def test_a_reading_process_is_killed(
    shards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, recipe: tuple[str, ...]
) -> None:
    """By the system, as for memory."""
    inner = View.__call__

    def look(view: View, *arguments: Any) -> Any:
        if get_worker_info() is not None:
            os.kill(os.getpid(), signal.SIGKILL)
        return inner(view, *arguments)

    keys = [f"shards={shards}", *recipe, *SHORT]
    out, wanted = tmp_path / "out", tmp_path / "wanted"
    with monkeypatch.context() as patched:
        patched.setattr(View, "__call__", look)
        message = refused(*keys, f"out={out}", "train.workers=1")
    assert message.startswith("a reading process was killed, probably for memory")
    assert "with fewer train.workers the same command goes on" in message
    run(*keys, f"out={out}")
    run(*keys, f"out={wanted}")
    assert weights(out) == weights(wanted)


def test_the_memory_of_the_gpu_is_full(
    shards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.\n GPU 0 has")

    keys = [f"shards={shards}", f"out={tmp_path}", *NET, *SHORT]
    with monkeypatch.context() as patched:
        patched.setattr(loop, "_step", full)
        message = refused(*keys)
    assert message == (
        "the GPU's memory is full; raise train.accumulate, or lower train.batch; the same command "
        "then needs overwrite=true"
    )
    run(*keys, "train.accumulate=2", "overwrite=true")
