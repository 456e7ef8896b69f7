"""Speed of Excitation Backprop against error backpropagation, layer by layer (the paper's Fig. 2).

On a CPU the contestants take turns in one process, and CPU time is quoted; on a GPU
(``device=cuda``) wall time.
"""

from __future__ import annotations

import copy
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from rich.console import Console
from torch import Tensor, nn

from grounding.excitation import ExcitationBackprop
from scripts.benches import engine, record

NOTES = """\
Weights are random (see the engine's benchmark), the image is noise, {size}x{size}. Times in ms of \
one image and one word, {clock}, medians of {rounds} rounds in which the contestants take turns; \
the forward pass is in each. A row is the layer at which a method ends, from the scores towards \
the image. `backprop`: error backpropagation of a class score to the layer's output by autograd; \
`cl`: the same with weights and image in channels-last order. `MWP`, `c-MWP`: Excitation Backprop, \
which runs the net in channels-last order. `…/backprop`: over the faster `backprop`. Picture: \
[speed.png](speed.png)."""

# Layers that all signal passes, from the scores towards the image; nothing after one works in
# place on its output.
LAYERS = {
    "googlenet": (
        *("avgpool", "inception5b", "inception5a", "maxpool4", "inception4e", "inception4d"),
        *("inception4c", "inception4b", "inception4a", "maxpool3", "inception3b", "inception3a"),
        *("maxpool2", "conv3", "conv2", "maxpool1", "conv1"),
    ),
    "vgg16": tuple(
        f"features.{i}" for i in (30, 29, 27, 25, 23, 22, 20, 18, 16, 15, 13, 11, 9, 8, 6, 4, 3, 1)
    ),
    "resnet50": (
        *("avgpool", "layer4.2", "layer4.1", "layer4.0", "layer3.5", "layer3.4", "layer3.3"),
        *("layer3.2", "layer3.1", "layer3.0", "layer2.3", "layer2.2", "layer2.1", "layer2.0"),
        *("layer1.2", "layer1.1", "layer1.0", "maxpool", "relu"),
    ),
}

INCHES = 8.0, 3.6  # of each net's panel
DPI = 150
# Column: how it is drawn.
CURVES = {
    "backprop": ("error backpropagation", "#5c5c5c", "-"),
    "backprop cl": ("the same, channels last", "#5c5c5c", ":"),
    "MWP": ("Excitation Backprop, MWP", "#1b4965", "-"),
    "c-MWP": ("Excitation Backprop, c-MWP", "#c8553d", "-"),
}

Row = dict[str, Any]


@dataclass
class Settings:
    """What is measured."""

    nets: list[str] = field(default_factory=lambda: list(LAYERS))
    device: str = "cpu"
    threads: int = 1
    size: int = 224
    rounds: int = 5
    seed: int = 0


def main() -> None:
    """Measure every net, draw the picture and write the record."""
    settings = record.read_settings(Settings)
    unknown = [name for name in settings.nets if name not in LAYERS]
    if unknown or not settings.nets:
        sys.exit(f"nets={settings.nets}: give some of {', '.join(LAYERS)}")
    for key in ("rounds", "threads", "size"):
        if getattr(settings, key) < 1:
            sys.exit(f"{key}={getattr(settings, key)}: give 1 or more")
    torch.set_num_threads(settings.threads)
    console = Console()
    rows: list[Row] = []
    for name in settings.nets:
        console.print(f"{name}: {len(LAYERS[name])} layers")
        rows += measure(name, settings)
    clock = "CPU time" if settings.device == "cpu" else "wall clock, synchronised"
    notes = NOTES.format(clock=clock, **vars(settings))
    console.print(record.table(rows), soft_wrap=True, markup=False)
    written = record.write("speed", settings, rows, notes)
    draw(rows, written.parent / "speed.png", clock)
    console.print(f"record: {written}")


def measure(name: str, settings: Settings) -> list[Row]:
    """Give a row for each layer of a net."""
    torch.manual_seed(settings.seed)
    model = engine.random_model(name).to(settings.device)
    fast = copy.deepcopy(model).to(memory_format=torch.channels_last)
    image = torch.randn(1, 3, settings.size, settings.size, device=settings.device)
    return [
        {"net": name, "layer": layer} | measure_layer(layer, model, fast, image, settings)
        for layer in LAYERS[name]
    ]


def measure_layer(
    layer: str, model: nn.Module, fast: nn.Module, image: Tensor, settings: Settings
) -> Row:
    """Times of all methods that end at a layer; `fast` is the model in channels-last order."""
    layout = image.contiguous(memory_format=torch.channels_last)
    ours = ExcitationBackprop(model, layer)
    times = engine.take_turns(
        {
            "forward": lambda: engine.forward(model, image),
            "backprop": lambda: engine.backprop(model, image, layer),
            "backprop cl": lambda: engine.backprop(fast, layout, layer),
            "MWP": lambda: ours(image).mwp([3]),
            "c-MWP": lambda: ours(image).cmwp([3]),
        },
        engine.Settings(device=settings.device, rounds=settings.rounds),
    )
    fastest = min(times["backprop"], times["backprop cl"])
    shares = {f"{method}/backprop": times[method] / fastest for method in ("MWP", "c-MWP")}
    grid = "×".join(map(str, ours(image).mwp([3]).shape[2:]))
    return {"grid": grid, **times, **shares}


def draw(rows: Sequence[Row], file: Path, clock: str) -> None:
    """Draw time over the layer at which a method ends, a panel for each net."""
    nets = list(dict.fromkeys(row["net"] for row in rows))
    figure = Figure(figsize=(INCHES[0], INCHES[1] * len(nets)), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(len(nets), 1, squeeze=False)[:, 0]
    for axes, net in zip(panels, nets, strict=True):
        _panel(axes, [row for row in rows if row["net"] == net])
        axes.set(title=net, ylabel=f"ms, {clock}")
    panels[0].legend(frameon=False)
    panels[-1].set_xlabel("layer at which the method ends, from the scores towards the image")
    figure.savefig(file, dpi=DPI, metadata={"Software": None})


def _panel(axes: Axes, rows: Sequence[Row]) -> None:
    place = range(len(rows))
    for column, (label, colour, style) in CURVES.items():
        axes.plot(place, [row[column] for row in rows], style, color=colour, label=label)
    axes.set_xticks(place, [f"{row['layer']}\n{row['grid']}" for row in rows], fontsize=7)
    axes.tick_params(axis="x", rotation=60)
    axes.set_ylim(bottom=0)
    axes.grid(color="#e3e3e3", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


if __name__ == "__main__":
    main()
