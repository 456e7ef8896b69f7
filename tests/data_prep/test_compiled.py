"""Compiled functions, also where nothing can be kept on disk."""

import os
import subprocess
import sys
from pathlib import Path

from numba.core import caching

from data_prep.compiled import compiled

CODE = """
from numba.core import caching
caching.CacheImpl._locator_classes = []  # as where no folder can be written to
from data_prep.cleaning.rules import is_alphabetical
import numpy as np
print(is_alphabetical(np.array([1, 2], np.int32)))
"""


def test_nothing_needs_to_be_kept() -> None:
    assert caching.CacheImpl._locator_classes  # what is emptied in the code exists
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", CODE],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": str(root)},
    )
    assert done.stdout.strip() == "True"


def test_a_compiled_function_gives_what_python_gives() -> None:
    def power(base: int, exponent: int) -> int:
        result = 1
        for _ in range(exponent):
            result *= base
        return result

    assert compiled(power)(3, 5) == power(3, 5) == 243
