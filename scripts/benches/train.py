"""Training from shards: speed beside the same net on noise, bf16 beside fp32, a whole training.

Three parts, each with a record of its own; nets=[], agreement_steps=0 and full=false leave one out.

    scripts/bench train                              # on drawn scenes, which are made first
    scripts/bench train shards=DIR workers=16 full=true 'overrides=[train.precision=bf16]'

What is timed is `stage=train experiment=finetune`, in its own loop; the whole training may be of
another recipe (experiment=frozen). Figures that mean something
want a GPU and many cores (16: train.lanes is the most that read): each decodes and crops some
hundred photos a second. Nothing is downloaded: tag2box has to be installed, no extra. Where little
can be carried to the GPU, make the shards elsewhere; of VOC2007's photos, with its own split, these
take 22 kB a photo at jpeg_quality=80, 26 at 85 and 31 at 90:

    python -m pipeline stage=clean run=voc data=voc crawl=VOCdevkit/VOC2007 \
        clean.min_frequency=1 clean.min_tags=1 clean.min_alphabetical=null
    python -m pipeline stage=shards run=voc images=VOCdevkit/VOC2007/JPEGImages \
        split_column=split resize=short_side resize.size=256 jpeg_quality=80
"""

from __future__ import annotations

import itertools
import json
import math
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from hydra import compose, initialize_config_module
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from data_prep.errors import UserError
from grounding.heads import RANDOM
from grounding.processes import processes
from grounding.training.batch import Source
from grounding.training.checkpoint import Progress
from grounding.training.loop import train
from pipeline.stage import device
from scripts.benches import record
from scripts.benches.train_runs import Curve, Precision, Repeated, Timed, Trial

LANES = 16  # train.lanes: so many workers at most
PRECISIONS: tuple[Precision, ...] = ("fp32", "bf16")
SPEED = """\
Images/s of training with random weights, batch {batch}; on {shards}. `noise`: one batch of noise, \
on the device, again and again. `shards`: read, decoded, cropped and moved by {workers} workers. \
`loader`: the same, not trained on. They take turns in {rounds} rounds of {steps} steps, after \
{warmup} that do not count; wall clock, synchronised; medians, and `±`: highest minus lowest over \
the median. `shards/noise`: median over the rounds. `GiB`: peak of the GPU's memory. An epoch is \
made long enough by repeating the shards. fp32 is PyTorch's default: on NVIDIA \
GPUs, TF32 in convolutions."""
AGREEMENT = """\
The same pretrained net, photos ({shards}) and seed in both precisions; {agreement_steps} steps, \
batch {batch}, one cosine with a tenth of warm-up. `first`: loss of the first step in fp32; \
`fp32`, `bf16`: mean of the last tenth of the steps. `largest difference`: of the two curves, \
smoothed by the mean over a tenth of the steps, relative to that of fp32."""
FULL = """\
One whole `stage=train experiment={experiment}` in a process of its own, on {shards}. `wall s`: \
all of it; `images/s`: while training. mAP on the validation split: `macro`, mean over the tags; \
`micro`, over all pairs."""

Row = dict[str, Any]


def most_workers() -> int:
    """Give the largest power of two up to the cores and the lanes."""
    return 2 ** int(math.log2(min(os.cpu_count() or 1, LANES)))


@dataclass
class Settings:
    """What is measured.

    Attributes
    ----------
    nets : list of str
        Those that are timed, in both precisions.
    batch, seed : int
    steps, warmup, rounds : int
        Of the timing; many more steps than the 4 that are read ahead.
    agreement_steps : int
        Of bf16 against fp32.
    full : bool
        Also train to the end …
    experiment : str
        … by this recipe. The other parts use finetune.
    shards : str, optional
        Folder of stage=shards; None: of `images` drawn scenes, made in `folder`.
    workers : int
        That read; a divisor of train.lanes. The default: a power of two, as many as the cores.
    overrides : list of str
        Further keys of stage=train, for all parts.
    """

    nets: list[str] = field(default_factory=lambda: ["efficientnet_lite0", "resnet50"])
    batch: int = 64
    seed: int = 0
    steps: int = 100
    warmup: int = 20
    rounds: int = 5
    agreement_steps: int = 100
    full: bool = False
    experiment: str = "finetune"
    device: str = "auto"
    shards: str | None = None
    images: int = 2000
    folder: str = "runs/bench-train"
    workers: int = field(default_factory=most_workers)
    overrides: list[str] = field(default_factory=list)


def main() -> None:
    """Measure and write the records."""
    settings = record.read_settings(Settings)
    for key in ("steps", "rounds"):
        if getattr(settings, key) < 1:
            sys.exit(f"{key}={getattr(settings, key)}: give 1 or more")
    settings.shards = str(Path(settings.shards or drawn_shards(settings)).resolve())
    try:
        with processes(device(OmegaConf.create({"device": settings.device}))) as here:
            steps = max(settings.warmup + settings.steps, settings.agreement_steps)
            trial = Trial.open(read_config(settings), steps, here)
            if settings.nets:
                nets = itertools.product(settings.nets, PRECISIONS)
                report(settings, SPEED, [speed(trial, *one, settings) for one in nets])
            if settings.agreement_steps:
                report(settings, AGREEMENT, [agreement(trial, settings.agreement_steps)])
    except (UserError, HydraException, OmegaConfBaseException) as error:
        sys.exit(str(error).splitlines()[0])
    if settings.full:
        report(settings, FULL, [full_training(settings)])


def report(settings: Settings, notes: str, rows: list[Row]) -> None:
    """Print and record a part."""
    words = record.without_folders(vars(settings))
    path = record.write("train", settings, rows, notes.format(**words))
    print(record.table(rows))
    print(f"record: {path.relative_to(record.ROOT)}", flush=True)


def stage(*keys: str) -> None:
    """Run a stage in a process of its own; end the benchmark if it fails."""
    command = [sys.executable, "-m", "pipeline", *keys]
    if subprocess.run(command, cwd=record.ROOT, check=False).returncode:
        sys.exit(f"failed: python -m pipeline {' '.join(keys)}")


def drawn_shards(settings: Settings) -> Path:
    """Make shards of drawn scenes, unless they are there."""
    out = record.ROOT / settings.folder / str(settings.images)
    scenes, clean, shards = out / "scenes", out / "clean", out / "shards"
    frequency = max(1, settings.images // 100)
    stage("stage=scenes", f"images={settings.images}", "captioned=2", f"out='{scenes}'")
    keys = (f"crawl='{scenes / 'crawl'}'", f"clean.min_frequency={frequency}")
    stage("stage=clean", *keys, f"out='{clean}'")
    keys = (f"cleaned='{clean}'", f"images='{scenes / 'images'}'")
    stage("stage=shards", *keys, f"out='{shards}'")
    return shards


def stage_keys(settings: Settings, experiment: str = "finetune") -> list[str]:
    """Give the arguments that the stage is called with."""
    return [
        *("stage=train", f"experiment={experiment}", f"shards='{settings.shards}'"),
        *(f"device={settings.device}", f"train.batch={settings.batch}"),
        *(f"train.seed={settings.seed}", f"train.workers={settings.workers}"),
        *settings.overrides,
    ]


def read_config(settings: Settings) -> DictConfig:
    """Compose what the stage would read."""
    with initialize_config_module("conf", version_base="1.3"):
        return compose("config", stage_keys(settings))


def speed(trial: Trial, name: str, precision: Precision, settings: Settings) -> Row:
    """Images a second: on noise, from the shards, and of the loader alone."""
    on_gpu = trial.data.here.device.type == "cuda"
    run = trial.prepare(name, RANDOM, precision)
    shards = run.source
    first = next(iter(shards.batches(0, 0)))
    noise = Repeated(first._replace(inputs=[torch.randn_like(first.inputs[0])]))

    def timed(source: Source) -> Timed:
        wait = torch.cuda.synchronize if on_gpu else lambda: None
        return Timed(source, settings.steps, settings.warmup, wait)

    def trained(source: Source) -> float:
        run.source = turn = timed(source)
        train(run, Progress())
        return turn.rate

    def read() -> float:
        turn = timed(shards)
        for _ in turn.batches(0, 0):
            pass
        return turn.rate

    if on_gpu:
        torch.cuda.reset_peak_memory_stats()
    contestants = {"noise": lambda: trained(noise), "shards": lambda: trained(shards)}
    rates = take_turns(contestants | {"loader": read}, settings.rounds)
    row: Row = {"net": name, "precision": precision, "device": trial.data.here.device.type}
    for each, values in rates.items():
        row |= {each: statistics.median(values), f"± {each}": spread(values)}
    ratios = [one / bound for one, bound in zip(rates["shards"], rates["noise"], strict=True)]
    peak = torch.cuda.max_memory_allocated() / 2**30 if on_gpu else None
    return row | {"shards/noise": statistics.median(ratios), "GiB": peak}


def agreement(trial: Trial, steps: int) -> Row:
    """Loss curves of the pretrained net in both precisions."""
    trial = replace(trial, settings=replace(trial.settings, warmup_epochs=0.1))
    model = trial.config.model
    curves = []
    for precision in PRECISIONS:
        run = trial.prepare(model.name, model.weights, precision)
        run.source = Timed(run.source, steps, 0)
        run.loss = curve = Curve(run.loss)
        train(run, Progress())
        curves.append(torch.stack(curve.means).double().cpu().numpy())
    row = {"net": model.name, "device": trial.data.here.device.type}
    return row | compare_curves(*curves)


def spread(values: Sequence[float]) -> float:
    """Highest minus lowest, over the median."""
    return (max(values) - min(values)) / statistics.median(values)


def take_turns(contestants: dict[str, Callable[[], float]], rounds: int) -> dict[str, list[float]]:
    """Run each contestant once a round; what it gave, round by round."""
    found: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(rounds):
        for name, run in contestants.items():
            found[name].append(run())
    return found


def compare_curves(fp32: np.ndarray, bf16: np.ndarray) -> Row:
    """Compare the losses (steps,) of two trainings: at the end, and smoothed all along."""
    window = max(1, len(fp32) // 10)
    smooth = [np.convolve(each, np.full(window, 1 / window), "valid") for each in (fp32, bf16)]
    return {
        "first": float(fp32[0]),
        "fp32": float(fp32[-window:].mean()),
        "bf16": float(bf16[-window:].mean()),
        "largest difference": float((abs(smooth[1] - smooth[0]) / abs(smooth[0])).max()),
    }


def full_training(settings: Settings) -> Row:
    """Train to the end by the stage itself."""
    out = record.ROOT / settings.folder / "full"
    began = time.perf_counter()
    stage(*stage_keys(settings, settings.experiment), f"out='{out}'", "overwrite=true")
    wall = time.perf_counter() - began
    metrics = json.loads((out / "metrics.json").read_text(encoding="utf-8"))
    found = metrics["validation"]
    return {
        "net": metrics["backbone"],
        "experiment": settings.experiment,
        "train": metrics["train"],
        "val": metrics["val"],
        "epochs": metrics["epochs"],
        "wall s": wall,
        "images/s": metrics["train"] * metrics["epochs"] / metrics["training_seconds"],
        "mAP macro": found.get("map_macro"),
        "mAP micro": found.get("map_micro"),
    }


if __name__ == "__main__":
    main()
