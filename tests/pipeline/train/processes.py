"""Runs of a stage, mostly train, with two processes: of torchrun, or begun by hand."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence

LIMIT = 300  # seconds, after which a run hangs: on a very busy machine one has taken 150


def begin(module: Sequence[str], *arguments: str, **environment: str) -> subprocess.Popen[str]:
    """Start python -m MODULE in a process group of its own, as a scheduler does."""
    return subprocess.Popen(
        [sys.executable, "-m", *module, *arguments],
        env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def finish(process: subprocess.Popen[str]) -> tuple[str, str]:
    """Wait for a process that `begin` started; give what it printed. One that hangs is killed."""
    try:
        return process.communicate(timeout=LIMIT)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        raise


def torchrun(*arguments: str) -> subprocess.Popen[str]:
    """Start two processes by torchrun."""
    launcher = ["torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    return begin(launcher, "-m", "pipeline", "stage=train", *arguments)


def two(
    first: Sequence[str], second: Sequence[str], stage: str = "train"
) -> list[subprocess.Popen[str]]:
    """Start two processes by hand, whose arguments may differ."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    where = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    return [
        begin(["pipeline"], f"stage={stage}", *arguments, **where, RANK=rank, LOCAL_RANK=rank)
        for rank, arguments in (("0", first), ("1", second))
    ]
