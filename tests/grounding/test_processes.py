"""Two processes that talk, and one whose fellow has gone."""

import json
import os
import socket
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import distributed as dist
from torch import multiprocessing, nn

from data_prep.errors import UserError
from grounding.processes import Processes, processes
from grounding.training.batch import Batch
from grounding.training.checkpoint import Progress
from grounding.training.loop import train
from grounding.training.settings import TrainSettings
from tests.grounding.training.runs import ALONE, Noise, make_run, small_net

CPU = torch.device("cpu")


@dataclass
class Share(Noise):
    """Every other photo of a batch."""

    rank: int = 0

    def batches(self, epoch: int, first_step: int = 0) -> Iterator[Batch]:
        for inputs, targets, numbers, total in super().batches(epoch, first_step):
            own = slice(self.rank, None, 2)
            yield Batch([inputs[0][own]], targets[own], numbers[own], total)


def statistics(model: nn.Module) -> list[list[float]]:
    return [buffer.double().flatten().tolist() for buffer in model.buffers()]


def trained(here: Processes, folder: Path) -> list[Any]:
    """Train a net with batch norm and an average; give the statistics that are evaluated."""
    seen: list[Any] = []

    def evaluate(model: nn.Module) -> dict[str, float]:
        seen.append(statistics(model))
        return {}

    settings = TrainSettings(epochs=2, ema=0.5)
    run = make_run(folder, settings, net=small_net(norm=True), evaluate=evaluate)
    train(replace(run, processes=here, source=Share(rank=here.rank)), Progress())
    return seen


def refused() -> None:
    raise UserError("train.lr=-1: refused")


def process(rank: int, port: int, folder: Path) -> None:
    """Use everything, and write down what came; then the first process fails."""
    os.environ |= {"RANK": str(rank), "WORLD_SIZE": "2", "LOCAL_RANK": str(rank)}
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    came: dict[str, Any] = {}
    try:
        with processes(CPU) as here:
            came["total"] = here.total(torch.tensor([1.0, rank])).tolist()
            came["any"] = [here.any(False), here.any(rank == 1)]
            came["on first"] = here.on_first(lambda: f"of {rank}")
            try:
                here.on_first(refused)
            except UserError as error:
                came["refused"] = str(error)
            net = nn.BatchNorm1d(3)
            for buffer in net.buffers():
                buffer.fill_(5 + rank)
            here.spread(net)
            came["spread"] = statistics(net)
            came["trained"] = trained(here, folder)
            if rank == 0:
                raise UserError("shard 3: gone")
            here.wait()
    except UserError as error:
        came["ended"] = str(error)
    (folder / f"{rank}.json").write_text(json.dumps(came))
    os._exit(0)  # as after an error: without a word to the other


def test_two_processes(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    context = multiprocessing.get_context("spawn")
    started = [context.Process(target=process, args=(n, port, tmp_path)) for n in range(2)]
    for each in started:
        each.start()
    for each in started:
        each.join(60)
        each.kill()
    first, second = (json.loads((tmp_path / f"{n}.json").read_text()) for n in range(2))
    assert first.pop("ended") == "shard 3: gone"
    assert second.pop("ended") == "another process has ended; its message tells why"
    assert first == second
    assert len(first.pop("trained")) == 2
    assert first == {
        "total": [2, 1],
        "any": [False, True],
        "on first": "of 0",
        "refused": "train.lr=-1: refused",
        "spread": [[5, 5, 5], [5, 5, 5], [5]],
    }


def test_alone() -> None:
    assert ALONE.on_first(lambda: 3) == 3
    with pytest.raises(UserError, match="refused"):
        ALONE.on_first(refused)
    net = nn.BatchNorm1d(3)
    ALONE.spread(net)
    assert statistics(net) == [[0, 0, 0], [1, 1, 1], [0]]


@pytest.fixture
def group(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What is asked of a process group that is none."""
    asked: list[Any] = []
    monkeypatch.setattr(dist, "init_process_group", lambda *_, **given: asked.append(given))
    monkeypatch.setattr(dist, "destroy_process_group", lambda: asked.append("destroyed"))
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "1")
    return asked


def test_processes_may_drift_apart(group: list[Any]) -> None:
    with processes(CPU) as here:
        assert (here.rank, here.world) == (1, 2)
    assert group[0]["timeout"].total_seconds() >= 3600
    assert group[1:] == ["destroyed"]


@pytest.mark.parametrize(
    ("error", "kind", "told"),
    [
        (KeyboardInterrupt(), KeyboardInterrupt, ""),
        (UserError("own"), UserError, "own"),
        (OSError("own"), OSError, "own"),
        (RuntimeError("own"), RuntimeError, "own"),
        (RuntimeError("[pair.cc:553] Connection closed by peer [::1]:9"), UserError, "another pro"),
        (RuntimeError("Read error [::1]:9: Connection reset by peer"), UserError, "another pro"),
        (dist.DistBackendError("NCCL: remote process exited"), UserError, "another pro"),
    ],
)
def test_how_it_ends(
    group: list[Any], error: BaseException, kind: type[BaseException], told: str
) -> None:
    """A group is not taken down after an error: that may wait for the others for ever."""
    with pytest.raises(kind) as caught, processes(CPU):
        raise error
    assert str(caught.value).startswith(told)
    assert ("destroyed" in group) == (kind is KeyboardInterrupt)
