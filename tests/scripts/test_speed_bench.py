"""The benchmark of speed by layer, on a tiny net."""

import json
from pathlib import Path

import pytest
import torch
import torchvision
from PIL import Image
from torch import nn

from scripts.benches import engine, record, speed


def tiny(name: str) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, stride=4, padding=1), nn.ReLU(), nn.Conv2d(8, 8, 3, stride=2), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 10),
    ).requires_grad_(False)  # fmt: skip


def test_a_row_for_each_layer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["bench", "nets=[vgg16,resnet50]", "rounds=2", "size=64"])
    monkeypatch.setattr(record, "ROOT", tmp_path)
    monkeypatch.setattr(engine, "random_model", tiny)
    monkeypatch.setattr(speed, "LAYERS", {"vgg16": ("4", "3", "1"), "resnet50": ("3",)})
    speed.main()
    (path,) = (tmp_path / "benchmarks").glob("speed-*.json")
    rows = json.loads(path.read_text())["rows"]
    expected = [("vgg16", "4", "1×1"), ("vgg16", "3", "7×7"), ("vgg16", "1", "16×16")]
    expected.append(("resnet50", "3", "7×7"))
    assert [(row["net"], row["layer"], row["grid"]) for row in rows] == expected
    for row in rows:
        fastest = min(row["backprop"], row["backprop cl"])
        assert fastest > 0
        for method in ("MWP", "c-MWP"):
            assert row[f"{method}/backprop"] == pytest.approx(row[method] / fastest)
    with Image.open(tmp_path / "benchmarks" / "speed.png") as picture:
        assert picture.height > picture.width / 2


@pytest.mark.parametrize("name", ["googlenet", "resnet50"])
def test_all_signal_passes_each_layer(name: str) -> None:
    """The layers run in this order; with the output of any one zero, all images score alike."""
    model = engine.random_model(name)
    images = torch.rand(2, 3, 32, 32)
    seen: list[str] = []
    for layer in speed.LAYERS[name]:
        model.get_submodule(layer).register_forward_hook(lambda *_, of=layer: seen.append(of))
    usual = engine.forward(model, images)
    assert seen[::-1] == list(speed.LAYERS[name])
    assert not torch.allclose(usual[0], usual[1])
    for layer in speed.LAYERS[name]:
        module = model.get_submodule(layer)
        handle = module.register_forward_hook(lambda *call: torch.zeros_like(call[2]))
        one, other = engine.forward(model, images)
        handle.remove()
        torch.testing.assert_close(one, other)


def test_layers_of_a_chain() -> None:
    """All signal passes each layer of VGG; these end in a ReLU or a pooling layer."""
    with torch.device("meta"):
        layers = torchvision.models.vgg16(init_weights=False).features
    ends = [i for i, layer in enumerate(layers) if isinstance(layer, nn.ReLU | nn.MaxPool2d)]
    assert [f"features.{i}" for i in ends[::-1]] == list(speed.LAYERS["vgg16"])


@pytest.mark.parametrize(
    ("argument", "complaint"),
    [
        ("nets=[lenet]", "give some of googlenet"),
        ("nets=[]", "give some of googlenet"),
        ("rounds=0", "rounds=0: give 1 or more"),
        ("speed=3", "the keys are nets"),
    ],
)
def test_bad_keys_end_in_one_line(
    monkeypatch: pytest.MonkeyPatch, argument: str, complaint: str
) -> None:
    monkeypatch.setattr("sys.argv", ["bench", argument])
    with pytest.raises(SystemExit) as end:
        speed.main()
    assert complaint in str(end.value)
    assert "\n" not in str(end.value)
