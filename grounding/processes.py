"""The processes of a run: one, or those that torchrun has started."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch import distributed as dist

from data_prep.errors import UserError

TIMEOUT = timedelta(hours=2)  # processes drift apart while features are computed
PEER_IS_GONE = ("Connection closed by peer", "Connection reset by peer", "Broken pipe")  # of gloo

T = TypeVar("T")


@dataclass(frozen=True)
class Processes:
    """This process among its fellows.

    Attributes
    ----------
    rank, world : int
        Its number, and how many there are.
    device : torch.device
        Where it computes.
    """

    rank: int
    world: int
    device: torch.device

    @property
    def is_first(self) -> bool:
        """Whether this process writes and prints."""
        return self.rank == 0

    def total(self, values: Tensor) -> Tensor:
        """Sum a tensor over the processes; the sum may lie on the device of this one."""
        if self.world > 1:
            values = values.to(self.device)
            dist.all_reduce(values)
        return values

    def any(self, flag: bool) -> bool:
        """Tell whether the flag is set in any process."""
        return bool(self.total(torch.tensor(float(flag))) > 0)

    def wait(self) -> None:
        """Wait until all processes are here."""
        if self.world > 1:
            self.any(False)  # unlike dist.barrier, on the device of this process

    def from_first(self, value: Any) -> Any:
        """Give every process the value of the first."""
        if self.world == 1:
            return value
        values = [value]
        dist.broadcast_object_list(values, src=0, device=self.device)
        return values[0]

    def on_first(self, work: Callable[[], T]) -> T:
        """Let the first process do something, and give its value to all.

        Raises
        ------
        UserError
            That of `work`, in all processes: none is left waiting for the first.
        """
        value, failure = None, None
        if self.is_first:
            try:
                value = work()
            except UserError as error:
                failure = error
        value, failure = self.from_first((value, failure))
        if failure is not None:
            raise failure
        return value

    @torch.no_grad()
    def spread(self, model: nn.Module) -> None:
        """Give every process the buffers of the first one's model.

        Parameters are alike anyway; statistics of batch norm are of a process's own photos.
        """
        if self.world > 1:
            for buffer in model.buffers():
                dist.broadcast(buffer, src=0)

    def gather(self, value: Any) -> list[Any]:
        """Give the first process the values of all, by rank; the others get none."""
        if self.world == 1:
            return [value]
        values: list[Any] | None = [None] * self.world if self.is_first else None
        dist.gather_object(value, values)
        return values or []


@contextmanager
def processes(device: torch.device) -> Iterator[Processes]:
    """Join the processes that torchrun has started; without torchrun this one is alone.

    Parameters
    ----------
    device : torch.device
        "cuda" without a number becomes the GPU of this process.

    Raises
    ------
    UserError
        There are fewer GPUs here than processes, or another process has ended.
    """
    world, rank = int(os.environ.get("WORLD_SIZE", 1)), int(os.environ.get("RANK", 0))
    local = int(os.environ.get("LOCAL_RANK", 0))
    if device.type == "cuda":
        if local >= torch.cuda.device_count():
            raise UserError(
                f"--nproc-per-node: process {local + 1} has no GPU, there are "
                f"{torch.cuda.device_count()} here; start as many processes as GPUs"
            )
        if device.index is None or world > 1:
            device = torch.device("cuda", local)
        torch.cuda.set_device(device)
    if world == 1:
        yield Processes(0, 1, device)
        return
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo", timeout=TIMEOUT)
    try:
        yield Processes(rank, world, device)
    except KeyboardInterrupt:
        dist.destroy_process_group()
        raise
    except RuntimeError as error:
        if isinstance(error, dist.DistError) or any(each in str(error) for each in PEER_IS_GONE):
            raise UserError("another process has ended; its message tells why") from error
        raise
    # Not after an error: it could wait for what the others never send.
    dist.destroy_process_group()
