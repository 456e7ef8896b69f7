"""Phrase localisation: maps of a photo's words against TorchRay's, ranking against the maps.

With ``stage=[model=DIR,dataset.root=DIR,…]``, keys of ``stage=localize``, the stage itself is timed
instead, and how often it opens a photo and runs the net is counted.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pyarrow.parquet as pq
import torch
from hydra import compose, initialize_config_module
from hydra.errors import HydraException
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException
from PIL import Image
from rich.console import Console
from torch import Tensor, nn

from data_prep.errors import UserError
from data_prep.vocabulary import Vocabulary
from grounding import word_maps as word_maps_module
from grounding.classifier import TagClassifier
from grounding.excitation import ExcitationBackprop
from grounding.localiser import answers
from grounding.preprocessing import Preprocessing
from grounding.ranking import RankSettings, score_boxes
from grounding.word_maps import Looks, MapSettings, word_maps
from pipeline import localize
from pipeline.__main__ import with_folders
from scripts.benches import engine, record

FULL_SIZE = {"photos": 1000, "phrases": 14481}  # the test split of Flickr30k Entities

MAPS = """\
Weights are random (see the engine's benchmark), the photo is noise, {size}x{size}; grid 14x14. \
Times in ms, {clock}, medians of {rounds} rounds in which the contestants take turns, all words of \
a photo together. `maps`: c-MWP as stage=localize makes it (`word_maps`: preprocessing and forward \
pass included). `TorchRay`: its contrastive excitation backprop, word by word, without \
preprocessing. `score`: scores of {boxes} boxes for every word; `rank`: all that follows the maps: \
scores, the boxes of every word ordered with suppression and voting, the map's maximum."""
STAGE = """\
`stage=localize` with these keys, in one process. `photos/s`, `phrases/s`: reading the photos, \
words, maps (baselines too), ranking and scoring, without proposals and report. `h of all`: the \
estimate for {photos:,} photos and {phrases:,} phrases, from photos/s. `opened`: times that a \
photo was opened (not for proposals, nor for the report); `passes`: runs of the net on it; \
fewest–most. A photo whose words are one class each needs no run for their probabilities. The \
rest is what the run reached, as in its metrics."""


@dataclass
class Settings:
    """What is measured; the first block is for maps and ranking."""

    nets: list[str] = field(default_factory=lambda: list(engine.NETS))
    words: list[int] = field(default_factory=lambda: [2, 4, 8, 20])  # of a photo's phrases
    boxes: int = 1000
    size: int = 224
    rounds: int = 5
    torchray: bool = True  # also run the peer (extra `bench`)
    threads: int = 1
    device: str = "cpu"
    seed: int = 0
    stage: list[str] = field(default_factory=list)  # keys of stage=localize, to time the stage


def main() -> None:
    """Measure and write the record."""
    settings = record.read_settings(Settings)
    unknown = [name for name in settings.nets if name not in engine.NETS]
    if unknown or not settings.nets:
        sys.exit(f"nets={settings.nets}: give some of {', '.join(engine.NETS)}")
    if not settings.words or not all(1 <= count <= 1000 for count in settings.words):
        sys.exit(f"words={settings.words}: give numbers from 1 to 1000")
    for key in ("boxes", "rounds", "threads"):
        if getattr(settings, key) < 1:
            sys.exit(f"{key}={getattr(settings, key)}: give 1 or more")
    torch.set_num_threads(settings.threads)
    if settings.stage:
        rows, notes = [whole_stage(settings)], STAGE.format(**FULL_SIZE)
    else:
        rows = [row for name in settings.nets for row in maps_and_ranks(name, settings)]
        clock = "CPU time" if settings.device == "cpu" else "wall clock, synchronised"
        notes = MAPS.format(clock=clock, **vars(settings))
    console = Console()
    console.print(record.table(rows))
    console.print(f"record: {record.write('localize', settings, rows, notes)}")


def maps_and_ranks(name: str, settings: Settings) -> Iterator[dict[str, Any]]:
    """Give a row for each number of words."""
    torch.manual_seed(settings.seed)
    model = engine.random_model(name).to(settings.device)
    random = np.random.default_rng(settings.seed)
    photo = Image.fromarray(random.integers(0, 256, (settings.size,) * 2 + (3,), dtype=np.uint8))
    boxes = random_boxes(settings.boxes)
    for count in settings.words:
        yield {"net": name, "words": count} | one_photo(name, model, photo, count, boxes, settings)


def one_photo(
    name: str, model: nn.Module, photo: Image.Image, count: int, boxes: Tensor, settings: Settings
) -> dict[str, float]:
    """Times of the words of one photo."""
    preprocessing = Preprocessing((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    classifier = TagClassifier(model, Vocabulary.imagenet(), preprocessing, name)
    words = list(range(0, 1000, 1000 // count))[:count]
    priors = torch.eye(1000, device=settings.device)[words]
    how = [MapSettings(short_sides=(settings.size,))]
    rank = RankSettings()
    maps = word_maps(Looks(classifier, photo), priors, how)
    pixel_boxes = (settings.size * boxes).numpy()

    contestants: dict[str, Callable[[], object]] = {
        "maps": lambda: word_maps(Looks(classifier, photo), priors, how),
        "score": lambda: score_boxes(maps, boxes, rank),
        "rank": lambda: answers(maps, photo.size, pixel_boxes, rank),
    }
    if settings.torchray:
        target = classifier.engine(resolution=14).target
        theirs = engine.torchray_cmwp(name, model, target)
        pixels = classifier.preprocess(photo, settings.size)[None].to(settings.device)
        contestants["TorchRay"] = lambda: [theirs(pixels, word) for word in words]
    turns = engine.Settings(device=settings.device, rounds=settings.rounds)
    times = engine.take_turns(contestants, turns)
    shares = {f"{key}/maps": times[key] / times["maps"] for key in times if key != "maps"}
    return {**times, "maps of a word": times["maps"] / count, **shares}


def random_boxes(count: int) -> Tensor:
    """Boxes of 5 % to 100 % of a photo's sides, as shares of them: (count, 4) float64."""
    sides = 0.05 + 0.95 * torch.rand(count, 2, dtype=torch.float64)
    corners = torch.rand(count, 2, dtype=torch.float64) * (1 - sides)
    return torch.cat([corners, corners + sides], 1)


def whole_stage(settings: Settings) -> dict[str, Any]:
    """Run stage=localize and count."""
    opened: list[str] = []
    passes: Counter[str] = Counter()

    def note_photo(path: object, *_: object) -> None:
        opened.append(str(path))

    def note_pass(*_: object) -> None:
        if opened:  # before the first photo the stage tries the net out
            passes[opened[-1]] += 1

    with tempfile.TemporaryDirectory() as folder, ExitStack() as counters:
        out = Path(folder, "out")
        counters.enter_context(noted(localize, "open_image", note_photo))
        counters.enter_context(noted(ExcitationBackprop, "__call__", note_pass))
        counters.enter_context(noted(TagClassifier, "logits", note_pass))
        counters.enter_context(noted(word_maps_module, "cam_features", note_pass))
        try:
            localize.run(read_config(settings, out))
        except (UserError, HydraException, OmegaConfBaseException) as error:
            sys.exit(f"stage=localize: {' '.join(str(error).split())}")
        phrases = Counter(pq.read_table(out / localize.TABLE)["photo"].to_pylist())
        metrics = json.loads((out / "metrics.json").read_text(encoding="utf-8"))
    return {
        "photos": metrics["photos"],
        "phrases": metrics["phrases"],
        "s": metrics["seconds"],
        "photos/s": metrics["photos"] / metrics["seconds"],
        "phrases/s": metrics["phrases"] / metrics["seconds"],
        "h of all": FULL_SIZE["photos"] / metrics["photos"] * metrics["seconds"] / 3600,
        "opened": span(Counter(opened)),
        "passes": span(passes),
        "phrases of a photo": span(phrases),
        **{f"R@{k}": metrics["recall"]["merged"][k] for k in ("1", "5", "10")},
        "pointing": metrics["pointing"]["any_box"],
        "upper bound": metrics["upper_bound"],
    }


def span(counts: Counter[str]) -> str:
    """Name the fewest and the most."""
    fewest, most = min(counts.values()), max(counts.values())
    return str(most) if fewest == most else f"{fewest}–{most}"


@contextmanager
def noted(owner: Any, name: str, note: Callable[..., None]) -> Iterator[None]:
    """Tell each call of a function, which else stays as it is."""
    function = getattr(owner, name)

    def noting(*arguments: Any, **keys: Any) -> Any:
        note(*arguments)
        return function(*arguments, **keys)

    with mock.patch.object(owner, name, noting):
        yield


def read_config(settings: Settings, out: Path) -> DictConfig:
    """Compose what the stage would read."""
    keys = ["stage=localize", "baselines=[]", f"device={settings.device}", *settings.stage]
    with initialize_config_module("conf", version_base="1.3"):
        return compose("config", with_folders([*keys, f"out='{out}'"]))


if __name__ == "__main__":
    main()
