"""One model, one dataset and one finished run for the tests of stage=localize."""

from pathlib import Path

import pytest

from tests.pipeline.localize.made import QUICK, WINDOWS, run, write_entities, write_model


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return f"model.folder={write_model(tmp_path_factory.mktemp('model'))}"


@pytest.fixture(scope="session")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_entities(tmp_path_factory.mktemp("entities"))


@pytest.fixture(scope="session")
def keys(model: str, root: Path) -> list[str]:
    """What all runs on the dataset have in common, but for `out`."""
    return [model, f"dataset.root={root}", "chunk=1", *WINDOWS, *QUICK]


@pytest.fixture(scope="session")
def finished(keys: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("finished") / "out"
    run(*keys, f"out={out}")
    return out


@pytest.fixture
def no_report(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out the report, which takes half of a run, where it is not looked at."""
    monkeypatch.setattr("pipeline.localize_output.write_report", lambda *_: None)
