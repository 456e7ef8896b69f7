"""Shards that the tests of this folder share; none of them writes into it."""

from pathlib import Path

import pytest

from tests.pipeline.train.made import write_shards

TRAIN, VAL = (23, 5, 18, 1, 24), (14, 9)


@pytest.fixture(scope="session")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five shards of 71 training photos, two of 23 for validation, and six tags."""
    return write_shards(tmp_path_factory.mktemp("shards") / "shards", TRAIN, VAL)
