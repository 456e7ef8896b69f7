"""The benchmark of phrase localisation: all parts on tiny inputs, and what it counts."""

import json
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

from scripts.benches import engine, localize, record
from tests.pipeline.localize.made import QUICK, WINDOWS, write_entities, write_model


def tiny(name: str) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 8, 16, stride=16), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        nn.Linear(8, 1000),
    ).requires_grad_(False)  # fmt: skip


def result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *keys: str) -> dict[str, Any]:
    """Run the benchmark and return its record."""
    monkeypatch.setattr("sys.argv", ["bench", *keys])
    monkeypatch.setattr(record, "ROOT", tmp_path)
    localize.main()
    (path,) = (tmp_path / "benchmarks").glob("localize-*.json")
    content: dict[str, Any] = json.loads(path.read_text())
    return content


def test_a_row_for_each_number_of_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    monkeypatch.setattr(engine, "random_model", tiny)
    monkeypatch.setattr(engine, "torchray_cmwp", lambda *_: lambda image, word: asked.append(word))
    keys = ("nets=[vgg16]", "words=[2,3]", "boxes=50", "rounds=2", "size=32")
    found = result(tmp_path, monkeypatch, *keys)
    rows = found["rows"]
    assert [(row["net"], row["words"]) for row in rows] == [("vgg16", 2), ("vgg16", 3)]
    for row in rows:
        assert row["rank"] > row["score"] > 0
        assert row["maps of a word"] == pytest.approx(row["maps"] / row["words"])
        for key in ("rank", "score", "TorchRay"):
            assert row[f"{key}/maps"] == pytest.approx(row[key] / row["maps"])
    assert asked == [0, 500] * 3 + [0, 333, 666] * 3  # a warm-up and two rounds


def test_the_stage_is_timed_and_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, root = write_model(tmp_path / "model"), write_entities(tmp_path / "entities")
    keys = [f"model={model}", f"dataset.root={root}", "chunk=3", *WINDOWS, *QUICK]
    found = result(tmp_path, monkeypatch, f"stage={json.dumps(keys)}")
    (row,) = found["rows"]
    assert row["photos"] == 4
    assert row["opened"] == "1"
    assert row["phrases of a photo"] == "1–3"
    assert row["passes"] in ("1", "1–2", "2")  # with the run for the probabilities of classes
    assert row["h of all"] == pytest.approx(1000 / row["photos/s"] / 3600)
    assert row["phrases/s"] == pytest.approx(row["phrases"] / row["s"])
    assert str(tmp_path) not in json.dumps(found)


def test_calls_are_noted_and_unchanged() -> None:
    owner = SimpleNamespace(double=lambda number: 2 * number)
    original = owner.double
    seen: list[int] = []
    with localize.noted(owner, "double", seen.append):
        assert [owner.double(3), owner.double(4)] == [6, 8]
    assert seen == [3, 4]
    assert owner.double is original


def test_spans() -> None:
    assert localize.span(Counter(a=2, b=2)) == "2"
    assert localize.span(Counter(a=2, b=5, c=1)) == "1–5"


def test_boxes_lie_in_the_photo() -> None:
    x1, y1, x2, y2 = localize.random_boxes(200).unbind(1)
    assert (x1 >= 0).all()
    assert (x1 + 0.05 <= x2 + 1e-9).all()
    assert (y1 + 0.05 <= y2 + 1e-9).all()
    assert max(x2.max(), y2.max()) <= 1


@pytest.mark.parametrize(
    ("argument", "complaint"),
    [
        ("nets=[lenet]", "give some of googlenet"),
        ("words=[0]", "give numbers from 1 to 1000"),
        ("rounds=0", "rounds=0: give 1 or more"),
        ("stage=[dataset=jsonl]", "stage=localize: "),
    ],
)
def test_bad_keys_end_in_one_line(
    monkeypatch: pytest.MonkeyPatch, argument: str, complaint: str
) -> None:
    monkeypatch.setattr("sys.argv", ["bench", argument])
    with pytest.raises(SystemExit) as end:
        localize.main()
    assert complaint in str(end.value)
    assert "\n" not in str(end.value)
