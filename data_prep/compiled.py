"""Functions compiled to machine code."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from numba import njit

F = TypeVar("F", bound=Callable[..., object])


def compiled(function: F) -> F:
    """Compile with Numba at the first call, without Python's lock.

    The code is kept on disk for the next time: beside the source or in the user's cache, and
    nowhere if neither can be written to, as in some containers.
    """
    made: Any
    try:
        made = njit(cache=True, nogil=True)(function)
    except RuntimeError:
        made = njit(nogil=True)(function)
    return made
