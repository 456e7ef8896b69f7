"""What a person sees of a training run: progress, a line an epoch, TensorBoard, curves."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from torch.utils.tensorboard import SummaryWriter

from grounding.training.checkpoint import Progress as TrainProgress

TELL_SECONDS = 300.0  # between two lines of a long epoch where no bar can be shown
SHOWN = {"map_macro": "mAP", "map_micro": "micro", "precision_at_5": "P@5"}


class TrainReporter:
    """Shows a training run as it goes; a `grounding.training.loop.Reporter`.

    Parameters
    ----------
    folder : Path
        Of the TensorBoard logs.
    epochs, steps : int
        Most epochs, and steps of one.
    unit : str
        What a step is fed with.
    """

    def __init__(self, folder: Path, epochs: int, steps: int, unit: str = "images") -> None:
        self._folder, self._epochs, self._steps, self._unit = folder, epochs, steps, unit
        self._console = Console(stderr=True)

    @contextmanager
    def shown(self, progress: TrainProgress) -> Iterator[None]:
        """Open bar and logs, from where a run stands; what the logs have of later is superseded."""
        done = self._done(progress)
        if done:
            print(f"going on after epoch {progress.epoch}, step {progress.step} of {self._steps}")
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.completed}/{task.total} steps  {task.fields[news]}"),
            TimeRemainingColumn(),
            console=self._console,
            transient=True,
            disable=not self._console.is_terminal,
        )
        total = self._epochs * self._steps
        self._task = self._bar.add_task("Training", total=total, completed=done, news="")
        self._photos, self._rate = 0, 0.0
        self._since = self._told = time.monotonic()
        with self._bar, SummaryWriter(str(self._folder), purge_step=done + 1) as self._logs:
            yield

    def steps(
        self, progress: TrainProgress, steps: int, loss: float, lr: float, photos: int
    ) -> None:
        done = self._done(progress)
        self._photos += photos
        now = time.monotonic()
        self._rate = self._photos / max(now - self._since, 1e-9)
        self._logs.add_scalar("train/loss", loss, done)
        self._logs.add_scalar("train/lr", lr, done)
        self._logs.add_scalar(f"train/{self._unit}_per_second", self._rate, done)
        news = f"loss {loss:.4g}  {self._rate:,.0f} {self._unit}/s"
        self._bar.update(self._task, completed=done, news=news)
        if not self._console.is_terminal and now - self._told > TELL_SECONDS:
            place = f"epoch {progress.epoch + 1}, step {progress.step} of {self._steps}"
            print(f"{place}: {news}", flush=True)
            self._told = now

    def _done(self, progress: TrainProgress) -> int:
        """Steps done over the whole run."""
        return progress.epoch * self._steps + progress.step

    def epoch(self, row: dict[str, Any]) -> None:
        done = row["epoch"] * self._steps
        for key, value in row.items():
            if key != "epoch":
                self._logs.add_scalar(f"epoch/{key}", value, done)
        shown = [f"{name} {row[key]:.4f}" for key, name in SHOWN.items() if key in row]
        numbers = ", ".join(
            [f"loss {row['loss']:.4f}", *shown, f"{self._rate:,.0f} {self._unit}/s"]
        )
        print(f"epoch {row['epoch']}/{self._epochs}: {numbers}", flush=True)
        self._photos, self._since = 0, time.monotonic()


def in_words(measured: Mapping[str, float]) -> str:
    """Say what `grounding.training.evaluation.Evaluation` has measured."""
    if not measured:
        return "none, the val split has no tag that can be measured"
    count = measured.get("images_left_out", 0)
    left_out = f", {count:,} left out" if count else ""
    return (
        f"mAP {measured['map_macro']:.4f} (mean over {measured['tags']} tags), "
        f"{measured['map_micro']:.4f} (all pairs), P@5 {measured['precision_at_5']:.4f}, "
        f"{measured['images']:,} photos{left_out}"
    )


def draw_curves(history: Sequence[dict[str, Any]], path: Path) -> None:
    """Draw loss and validation metrics over the epochs, as a PNG."""
    figure = Figure(figsize=(10, 4), dpi=120, layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    left.plot([row["epoch"] for row in history], [row["loss"] for row in history], ".-")
    left.set(xlabel="epoch", ylabel="training loss per photo, all tags", title="Training")
    left.set_ylim(bottom=0)
    measured = [row for row in history if "map_macro" in row]
    for key, label in {"map_macro": "mAP, mean over tags", "map_micro": "mAP, all pairs"}.items():
        right.plot([r["epoch"] for r in measured], [r[key] for r in measured], ".-", label=label)
    for key, label in {"precision_at_1": "P@1", "precision_at_5": "P@5"}.items():
        right.plot([r["epoch"] for r in measured], [r[key] for r in measured], ":", label=label)
    right.set(xlabel="epoch", title="Validation", ylim=(0, 1))
    if measured:
        right.legend(frameon=False, loc="lower right")
    else:
        right.text(
            0.5, 0.5, "nothing to measure", ha="center", va="center", transform=right.transAxes
        )
    for axes in (left, right):
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(color="#e3e3e3", linewidth=0.8)
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path)
