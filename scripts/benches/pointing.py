"""Pointing game on PASCAL VOC photos: methods, target layers, resolutions, linear bottlenecks.

A linear 20-class head is fitted to a frozen ImageNet network on ``train``. Every image-class pair
of ``val`` is then played by the centre baseline, class activation maps (CAM), MWP and c-MWP.
"""

from __future__ import annotations

import os
import random
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import cast

import numpy as np
import torch
from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress, TimeElapsedColumn, TimeRemainingColumn
from torch import Tensor, nn
from torch.nn import functional as F

from data_prep.difficult import read_difficult
from data_prep.voc import VOC_CLASSES, VocImage, read_voc
from grounding.classifier import TagClassifier
from grounding.excitation import ExcitationBackprop
from grounding.excitation.plan import Bottlenecks
from grounding.pointing import Outcome, accuracy, centre, hit, point_hits
from scripts.benches import record, voc_head

CAFFE = {"mean": (104, 117, 123), "std": (1, 1, 1), "white": 255, "channels": "BGR"}

NOTES = """\
{backbone}, frozen, with a linear 20-class head fitted on `train` ({train} photos; mAP on `val` \
{maps}). Played: {images} photos of `val`, {pairs} image-class pairs, {difficult} of them difficult.
`All` and `Difficult`: mean over classes of the hit rate, %, 15 px tolerance in the original photo.
`kept`: share of the MWP's mass that arrives at the target layer. `ms`: CPU time a photo, forward \
pass included, preprocessing not. Grid: of a photo of the commonest size."""


@dataclass
class Settings:
    """What is compared; lists are combined with each other."""

    data: str | None = None  # folder with VOCdevkit; None: $GROUNDING_DATA or ../shared/data
    backbone: str = "efficientnet_lite0"
    weights: str | None = None  # a local file; None: the bundled or downloaded ones
    caffe: bool = False  # the weights want BGR, 0–255, less the Caffe mean
    short_sides: list[int] = field(default_factory=lambda: [224])
    targets: list[str] = field(default_factory=list)  # module paths; none: CAM only
    bottlenecks: list[str] = field(default_factory=lambda: ["positive"])
    strength: float = 0.003  # C of the head's logistic regressions
    limit: int = 0  # photos of val, drawn with the seed; 0: all
    seed: int = 0
    batch: int = 4


@dataclass(frozen=True)
class Line:
    """What a line of the table stands for."""

    method: str
    short_side: int | None = None
    target: str = ""
    bottlenecks: str = ""


@dataclass
class Tally:
    """The plays of one line, the mass that arrived, CPU seconds and the grids met."""

    outcomes: list[Outcome] = field(default_factory=list)
    kept: list[float] = field(default_factory=list)
    seconds: float = 0.0
    grids: list[str] = field(default_factory=list)

    def figures(self) -> dict[str, object]:
        """The measured columns of the table."""
        photos = len({play.image for play in self.outcomes})
        return {
            "grid": max(set(self.grids), key=self.grids.count, default=None),
            "All": round(100 * accuracy(self.outcomes), 1),
            "Difficult": round(100 * accuracy(self.outcomes, difficult=True), 1),
            "kept": round(float(np.mean(self.kept)), 3) if self.kept else None,
            "ms": round(1000 * self.seconds / photos) if self.seconds else None,
        }


class Game:
    """Keeps the score of every line while batches of equal-sized photos are played."""

    def __init__(self, difficult: dict[str, frozenset[str]]) -> None:
        self.difficult = difficult
        self.tallies: dict[Line, Tally] = defaultdict(Tally)

    def add(self, line: Line, image: VocImage, label: str, found: bool) -> None:
        play = Outcome(image.id, label, found, label in self.difficult[image.id])
        self.tallies[line].outcomes.append(play)

    def play_centre(self, images: Sequence[VocImage]) -> None:
        for image in images:
            for label, boxes in image.class_boxes().items():
                found = point_hits(centre(image.width, image.height), boxes)
                self.add(Line("centre"), image, label, found)

    def play_maps(self, line: Line, batch: list[VocImage], maps: Tensor, seconds: float) -> None:
        """Play (N, K, h, w) maps; K follows each image's classes, surplus maps are ignored."""
        tally = self.tallies[line]
        tally.seconds += seconds
        tally.grids += ["×".join(map(str, maps.shape[2:]))] * len(batch)
        for image, attention in zip(batch, maps, strict=True):
            asked = image.class_boxes()
            size = (image.height, image.width)
            resized = F.interpolate(attention[None, : len(asked)], size, mode="bilinear")[0]
            for (label, boxes), one in zip(asked.items(), resized.numpy(), strict=True):
                self.add(line, image, label, hit(one, boxes))

    def play_cam(
        self, line: Line, batch: list[VocImage], pixels: Tensor, model: nn.Module, head: nn.Linear
    ) -> None:
        began = time.process_time()
        features = voc_head.feature_maps(model, pixels)
        maps = torch.einsum("nkm,mf,nfhw->nkhw", priors(batch), head.weight, features)
        self.play_maps(line, batch, maps, time.process_time() - began)

    def play_engine(
        self,
        mwp: Line,
        cmwp: Line,
        batch: list[VocImage],
        pixels: Tensor,
        engine: ExcitationBackprop,
    ) -> None:
        words = priors(batch)
        began = time.process_time()
        state = engine(pixels)
        forward = time.process_time()
        contrastive = state.cmwp(words)
        middle = time.process_time()
        plain = state.mwp(words)
        end = time.process_time()
        self.play_maps(cmwp, batch, contrastive, middle - began)
        self.play_maps(mwp, batch, plain, forward - began + end - middle)
        kept = (1 - state.leak(words))[words.sum(2) > 0].tolist()
        self.tallies[mwp].kept += kept
        self.tallies[cmwp].kept += kept


def priors(batch: Sequence[VocImage]) -> Tensor:
    """The classes asked of each photo, (N, K, 20) one-hot; rows beyond a photo's classes are 0."""
    asked = [[VOC_CLASSES.index(label) for label in image.class_boxes()] for image in batch]
    words = torch.zeros(len(batch), max(map(len, asked)), len(VOC_CLASSES))
    for n, classes in enumerate(asked):
        words[n, range(len(classes)), classes] = 1
    return words


def fit(
    settings: Settings,
    classifier: TagClassifier,
    short_side: int,
    splits: dict[str, list[VocImage]],
) -> tuple[nn.Linear, float]:
    """The head for one resolution and its mAP on ``val``."""
    features = {
        split: voc_head.pooled_features(images, classifier, short_side)
        for split, images in splits.items()
    }
    head = voc_head.fit_head(features["train"], voc_head.labels(splits["train"]), settings.strength)
    with torch.inference_mode():
        scores = head(torch.from_numpy(features["val"])).numpy()
    return head, voc_head.mean_average_precision(scores, voc_head.labels(splits["val"]))


def play(
    settings: Settings,
    game: Game,
    classifier: TagClassifier,
    head: nn.Linear,
    short_side: int,
    images: list[VocImage],
) -> None:
    """Play CAM and every engine at one resolution."""
    model = voc_head.with_head(classifier.model, head)
    engines = {
        (target, treatment): ExcitationBackprop(
            model, target, bottlenecks=cast(Bottlenecks, treatment)
        )
        for treatment in settings.bottlenecks
        for target in settings.targets
    }
    columns = (
        *Progress.get_default_columns()[:3],
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns) as progress, torch.inference_mode():
        task = progress.add_task(f"playing, short side {short_side}", total=len(images))
        for batch in voc_head.batches(images, settings.batch):
            pixels = voc_head.load(batch, classifier, short_side)
            game.play_cam(Line("CAM", short_side), batch, pixels, model, head)
            for (target, treatment), engine in engines.items():
                mwp, cmwp = (
                    Line(method, short_side, target, treatment) for method in ("MWP", "c-MWP")
                )
                game.play_engine(mwp, cmwp, batch, pixels, engine)
            progress.advance(task, len(batch))


def main() -> None:
    settings = record.read_settings(Settings)
    console = Console()
    usual = os.environ.get("GROUNDING_DATA", record.ROOT.parent / "shared" / "data")
    root = Path(settings.data or usual) / "VOCdevkit" / "VOC2007"
    splits = {split: read_voc(root, split) for split in ("train", "val")}
    game = Game(read_difficult(root / "pointing_game_difficult.txt", VOC_CLASSES))
    images = [image for image in splits["val"] if image.class_boxes()]
    if settings.limit:
        images = random.Random(settings.seed).sample(images, settings.limit)
    classifier = TagClassifier.pretrained(
        settings.backbone, settings.weights, preprocessing=CAFFE if settings.caffe else None
    )
    game.play_centre(images)
    scores = {}
    for short_side in settings.short_sides:
        head, scores[short_side] = fit(settings, classifier, short_side, splits)
        console.print(f"short side {short_side}: mAP on val {scores[short_side]:.4f}")
        play(settings, game, classifier, head, short_side, images)
    rows = [asdict(line) | tally.figures() for line, tally in game.tallies.items()]
    plays = game.tallies[Line("centre")].outcomes
    notes = NOTES.format(
        backbone=classifier.name,
        train=len(splits["train"]),
        maps=", ".join(f"{100 * score:.1f} % at {side}" for side, score in scores.items()),
        images=len(images),
        pairs=len(plays),
        difficult=sum(play.difficult is True for play in plays),
    )
    console.print(record.table(rows), soft_wrap=True, markup=False)
    console.print(f"record: {record.write('pointing', settings, rows, notes)}")


if __name__ == "__main__":
    main()
