"""Ctrl-C and SIGTERM as a wish to stop at a good moment."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

ONE_WISH = 1.0  # seconds; `timeout` and torchrun under a scheduler send a signal twice


@contextmanager
def stop_signals() -> Iterator[Callable[[], bool]]:
    """Turn Ctrl-C and SIGTERM into a wish to stop; another one, a second later, stops at once.

    Yields
    ------
    callable
        Whether one of them has come.
    """
    asked: list[float] = []

    def note(*_: object) -> None:
        now = time.monotonic()
        if not asked:
            asked.append(now)
            os.write(2, b"stopping after this step; once more stops at once\n")  # print may be busy
        elif now - asked[0] > ONE_WISH:
            raise KeyboardInterrupt

    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: bool(asked)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
