"""One model, one dataset and one finished run for the tests of stage=point."""

from pathlib import Path

import pytest

from tests.pipeline.point.made import METHODS, QUICK, RENAMED, run, write_model, write_voc


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return f"model.folder={write_model(tmp_path_factory.mktemp('model'))}"


@pytest.fixture(scope="session")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_voc(tmp_path_factory.mktemp("voc"))


@pytest.fixture(scope="session")
def keys(model: str, root: Path) -> list[str]:
    """What all runs on the dataset have in common, but for `out`."""
    return [model, f"dataset.root={root}", "chunk=1", RENAMED, METHODS, *QUICK]


@pytest.fixture(scope="session")
def finished(keys: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("finished") / "out"
    run(*keys, f"out={out}")
    return out


@pytest.fixture
def no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out pictures and report, which take most of a run, where they are not looked at."""
    monkeypatch.setattr("pipeline.point_output._pictures", lambda *_: [])
    monkeypatch.setattr("pipeline.point_output.write_point_report", lambda *_: None)
