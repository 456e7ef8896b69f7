"""Benchmark records: settings from the command line, tables, and what a record holds."""

import json
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import torch

from scripts.benches import record


@dataclass
class Settings:
    size: int = 224
    nets: list[str] = field(default_factory=lambda: ["vgg16"])


def command(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> None:
    monkeypatch.setattr("sys.argv", ["bench", *arguments])


def test_settings_from_the_command_line(monkeypatch: pytest.MonkeyPatch) -> None:
    command(monkeypatch, "size=32", "nets=[a,b]")
    assert record.read_settings(Settings) == Settings(32, ["a", "b"])


@pytest.mark.parametrize("argument", ["sise=32", "size=large"])
def test_a_wrong_key_or_value_ends_in_one_line(
    monkeypatch: pytest.MonkeyPatch, argument: str
) -> None:
    command(monkeypatch, argument)
    with pytest.raises(SystemExit) as end:
        record.read_settings(Settings)
    assert "the keys are size, nets" in str(end.value)
    assert "\n" not in str(end.value)


def test_table_takes_the_columns_of_the_first_row() -> None:
    rows: list[record.Row] = [{"net": "vgg16", "ms": 12.3456}, {"net": "alexnet", "ms": None}]
    assert record.table(rows).splitlines() == [
        "| net | ms |",
        "| --- | --- |",
        "| vgg16 | 12.35 |",
        "| alexnet |  |",
    ]


def test_a_record_says_how_it_was_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    command(monkeypatch, "size=32")
    monkeypatch.setattr(record, "ROOT", tmp_path)
    path = record.write("speed", Settings(32), [{"ms": 1.5}], "Times.")
    content = json.loads(path.read_text())
    assert path.parent == tmp_path / "benchmarks"
    assert content["command"] == "scripts/bench speed size=32"
    assert content["settings"] == {"size": 32, "nets": ["vgg16"]}
    assert content["rows"] == [{"ms": 1.5}]
    assert content["versions"]["torch"] == torch.__version__.split("+")[0]
    assert content["hardware"]["cores"] >= 1
    record.write("speed", Settings(32), [{"ms": 2.5}])
    summary = (tmp_path / "benchmarks/speed.md").read_text()
    assert summary.count("`scripts/bench speed size=32`") == 2
    assert "| 1.5 |" in summary
    assert "| 2.5 |" in summary


def test_no_folder_of_the_machine_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record, "ROOT", tmp_path / "house")
    inside, outside = f"{tmp_path}/house/runs/a", f"{tmp_path}/data/VOC 2007"
    given = {
        "shards": inside,
        "data": outside,
        "overrides": [f"model.weights='{outside}'", f"x=[{inside},{outside}]", "lr=1/2", "a/b"],
        "seed": 3,
    }
    assert record.without_folders(given) == {
        "shards": "runs/a",
        "data": "VOC 2007",
        "overrides": ["model.weights='VOC 2007'", "x=[runs/a,VOC 2007]", "lr=1/2", "a/b"],
        "seed": 3,
    }
