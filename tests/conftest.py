"""Settings of all tests, and where the real photos are, for tests marked `real_data`."""

import os
from pathlib import Path

if "PYTEST_XDIST_WORKER" in os.environ:  # before torch is imported: one thread for each worker
    os.environ["OMP_NUM_THREADS"] = "1"

import pytest
from hypothesis import settings

settings.register_profile("no deadline", deadline=None)  # a busy machine is no failure
settings.load_profile("no deadline")

REAL_DATA = Path(
    os.environ.get("GROUNDING_DATA", Path(__file__).parents[2] / "shared" / "data")
).resolve()


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("real_data") and not REAL_DATA.is_dir():
        pytest.skip(f"no real photos: {REAL_DATA} is no folder (set GROUNDING_DATA)")


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Return the folder that holds VOCdevkit and the other real data."""
    return REAL_DATA
