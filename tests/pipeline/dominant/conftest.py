"""One model, one dataset and one finished run for the tests of stage=dominant."""

import shutil
from pathlib import Path

import pytest

from tests.pipeline.dominant.made import TRAIN, VAL, run, write_voc
from tests.pipeline.localize.made import write_model


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="session")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Photos that no test changes."""
    root = tmp_path_factory.mktemp("data") / "voc"
    write_voc(root, "train", TRAIN)
    write_voc(root, "val", VAL)
    return root


@pytest.fixture(scope="session")
def keys(model: Path, root: Path) -> list[str]:
    return [
        *(f"model.folder={model}", f"dataset.root={root}", "dataset.split=val", "tune_split=train"),
        *("methods=[cmwp,mwp]", "short_sides=[64]", "chunk=1"),
    ]


@pytest.fixture(scope="session")
def finished(keys: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("finished") / "out"
    run(*keys, f"out={out}")
    return out


@pytest.fixture
def own(root: Path, tmp_path: Path) -> Path:
    """Photos to change."""
    return Path(shutil.copytree(root, tmp_path / "own"))
