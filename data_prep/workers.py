"""Runs tasks in several processes so that nothing is left behind, whatever ends the run."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import warnings
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from itertools import islice
from typing import TypeVar

from PIL import Image

from data_prep.errors import UserError

Task = TypeVar("Task")
Result = TypeVar("Result")

AHEAD = 2  # tasks handed out per process


def run_tasks(
    function: Callable[[Task], Result], tasks: Iterable[Task], processes: int
) -> Generator[Result, None, None]:
    """Give the results of tasks as they are done, in any order.

    Parameters
    ----------
    function : callable
        Can be pickled.
    tasks : iterable
        Taken a few ahead.
    processes : int
        1: all is done in this process.

    Raises
    ------
    UserError
        A process was killed from outside.
    """
    if processes == 1:
        yield from map(function, tasks)
        return
    context = multiprocessing.get_context("spawn")  # a fork would copy locks of Arrow's threads
    pool = ProcessPoolExecutor(processes, context, _begin)
    others = set(multiprocessing.active_children())
    waiting = iter(tasks)
    try:
        with _interrupts_ignored():  # also by the processes that this starts
            running: set[Future] = {
                pool.submit(function, task) for task in islice(waiting, AHEAD * processes)
            }
        while running:
            done, running = wait(running, return_when=FIRST_COMPLETED)
            running |= {pool.submit(function, task) for task in islice(waiting, len(done))}
            for future in done:
                yield future.result()
        pool.shutdown()
    except BrokenProcessPool:
        raise UserError(
            "a worker process was killed, perhaps for want of memory; give fewer threads= and "
            "run again"
        ) from None
    finally:
        for process in set(multiprocessing.active_children()) - others:
            process.terminate()
        pool.shutdown(cancel_futures=True)


@contextmanager
def _interrupts_ignored() -> Iterator[None]:
    """Let Ctrl-C wait; processes started meanwhile never see it."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _begin() -> None:
    """Prepare a process: Ctrl-C is for its parent, whose end it does not survive."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    warnings.filterwarnings("ignore", module="PIL")  # photos that are unusable are listed
    Image.MAX_IMAGE_PIXELS = None  # the recipe has its own limit


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)
