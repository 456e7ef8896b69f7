"""Stage `train`: a multi-label tag classifier from shards.

Beside this module: `train_data` (the shards and who reads them), `loading` (batches of photos),
`features` (batches of pooled features), `train_output` (what is written), `reporting` (what is
shown). What learns is in `grounding.training`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf
from torch import nn

from data_prep.errors import UserError
from data_prep.shards.index import INDEX
from data_prep.vocabulary import Vocabulary
from grounding.classifier import TagClassifier
from grounding.heads import check_nonnegative, head_of, tag_net
from grounding.model_folder import override
from grounding.processes import processes
from grounding.training.batch import CountedSource, Source
from grounding.training.checkpoint import Progress
from grounding.training.evaluation import Evaluation
from grounding.training.feature_heads import CalibratedHead, StandardisedHead, ridge_weight
from grounding.training.loop import train
from grounding.training.settings import TrainSettings
from grounding.training.setup import make_run, prepare
from grounding.views import View
from pipeline.features import FeatureSource
from pipeline.models import check_names
from pipeline.rejects import write_rejects
from pipeline.reporting import TrainReporter
from pipeline.signals import stop_signals
from pipeline.stage import device, disk_full, is_finished, start
from pipeline.train_data import Reading, TrainData
from pipeline.train_output import CHECKPOINT, FEATURES, LOGS, REJECTS, WRITES, write

# What a run that goes on may have changed: MAY_CHANGE is what a loss that is not finite calls for;
# MAY_DIFFER also has what only says how the work is done, as in stage.NOT_COMPARED.
MAY_CHANGE = ("train.lr", "train.clip_norm")
MAY_DIFFER = {"lr", "clip_norm", "checkpoint_minutes", "workers"}


def run(config: DictConfig) -> None:
    """Write the model folder, the last checkpoint, curves, logs and metrics.

    Under torchrun every process runs this; the first one writes and prints.

    Raises
    ------
    UserError
        A key is unusable; shards, vocabulary and model do not go together; the loss is not finite.
    KeyboardInterrupt
        Ctrl-C or SIGTERM; a checkpoint is saved.
    """
    settings, reading = _settings(config)
    with processes(device(config)) as here, stop_signals() as stop:
        if here.on_first(lambda: is_finished(config)):
            return
        for key in ("shards", "vocabulary"):
            if not isinstance(config[key], str) or not config[key]:
                raise UserError(f"{key}={config[key]}: give what stage=shards wrote, or its URL")
        data = TrainData.open(str(config.shards), str(config.vocabulary), settings, reading, here)
        classifier = _new_classifier(config, data)
        view = View(classifier.preprocessing, reading.view, reading.scale, reading.flip)  # type: ignore[arg-type]
        _check_view(view, settings)
        inputs = [Path(data.folder, INDEX)]
        here.on_first(lambda: start(config, inputs, WRITES, resume=MAY_CHANGE))
        with disk_full(config.out, "free some, and the same command goes on"), _memory_full():
            _train(config, data, classifier, view, stop)


def _train(
    config: DictConfig,
    data: TrainData,
    classifier: TagClassifier,
    view: View,
    stop: Callable[[], bool],
) -> None:
    out, settings, here = Path(config.out), data.settings, data.here
    data.rejects.keep_in(out, here.rank)
    mark = _mark(data, classifier)
    prepare(classifier.model, settings, data.counts, data.index.samples("train"), here.device)
    learner: nn.Module = classifier.model
    source: Source = data.source("train", view, shuffle=True)
    validation: CountedSource = data.source("val", View(classifier.preprocessing), shuffle=False)
    if not view.varies:
        learner, source, validation = _on_features(data, classifier, out / FEATURES, mark, stop)
    evaluate = Evaluation(validation, here, settings.precision)
    reporter = TrainReporter(
        out / LOGS, settings.epochs, source.steps, "images" if view.varies else "features"
    )
    this = make_run(
        learner,
        settings,
        data.counts,
        data.index.samples("train"),
        source=source,
        evaluate=evaluate,
        processes=here,
        checkpoint=out / CHECKPOINT,
        mark=mark,
        reporter=reporter,
        stop=stop,
    )
    progress = this.checkpoint.restore() or Progress()
    if progress != here.from_first(progress):
        raise UserError(f"out={out}: is not one folder for all processes; give a shared one")
    with reporter.shown(progress) if here.is_first else nullcontext():
        train(this, progress)
    if here.from_first(evaluate.ap is None):  # not yet, in a run that goes on after the last epoch
        progress.history[-1] |= evaluate(this.result)
    for met in here.gather(data.rejects.met):
        data.rejects.add(met)
    if here.is_first:
        model = this.result
        if isinstance(model, StandardisedHead):
            head = head_of(classifier.model)[1]
            head.weight.data, head.bias.data = model.folded()
            model = classifier.model
        trained = replace(classifier, model=model.eval())
        write(config, data, trained, progress, evaluate.ap)


def _on_features(
    data: TrainData, classifier: TagClassifier, folder: Path, mark: str, stop: Callable[[], bool]
) -> tuple[StandardisedHead, FeatureSource, FeatureSource]:
    """Compute the features of all photos; give a head that learns from them."""
    folder.mkdir(exist_ok=True)
    model, view, here = classifier.model, View(classifier.preprocessing), data.here
    path, head = head_of(model)
    model.set_submodule(path, nn.Identity())  # the scores of all tags are not needed here
    train_photos, val_photos = (
        data.features(model, head.in_features, view, split, folder / f"{split}-{mark}.npy", stop)
        for split in ("train", "val")
    )
    model.set_submodule(path, head)
    if not len(train_photos.rows):
        write_rejects(folder.parent / REJECTS, data.rejects)
        raise UserError(f"{data.folder}: no photo could be read; make the shards anew")
    tags, batch, seed = len(data.tags), data.settings.batch, data.settings.seed
    learner = StandardisedHead(head.cpu(), *train_photos.mean_and_std())
    if (strength := data.settings.ridge) is not None:
        weight = here.on_first(lambda: ridge_weight(train_photos.chunks(tags), strength))
        learner = CalibratedHead(head, learner.mean, learner.std, weight)
    return (
        learner.to(here.device),
        FeatureSource(train_photos, tags, batch, seed, here),
        FeatureSource(val_photos, tags, batch, None, here),
    )


@contextmanager
def _memory_full() -> Iterator[None]:
    """Tell in one line what runs out most often."""
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise UserError(
            "the GPU's memory is full; raise train.accumulate, or lower train.batch; the same "
            "command then needs overwrite=true"
        ) from error
    except RuntimeError as error:
        if not str(error).startswith("DataLoader worker"):
            raise
        raise UserError(
            "a reading process was killed, probably for memory (or a small /dev/shm); with fewer "
            "train.workers the same command goes on; a smaller train.block needs overwrite=true"
        ) from error


def _new_classifier(config: DictConfig, data: TrainData) -> TagClassifier:
    """Build the backbone under a fresh head of the vocabulary."""
    vocabulary = Vocabulary.from_tags(data.tags)
    if "name" not in config.model:
        raise UserError(
            f"model={config.model.folder}: training begins with a backbone; give model.name=…, and "
            "model.weights=DIR/model/weights.safetensors for that of a trained model"
        )
    check_names(config)
    torch.manual_seed(data.settings.seed)
    model, usual, name = tag_net(config.model.name, len(data.tags), config.model.weights)
    preprocessing = override(usual, config.model.preprocessing or {})
    check_nonnegative(model, name, preprocessing.size)
    return TagClassifier(model, vocabulary, preprocessing, name, multi_label=True)


def _check_view(view: View, settings: TrainSettings) -> None:
    if settings.ridge is not None and view.varies:
        raise UserError(
            f"train.ridge={settings.ridge}: is for features that are computed once; give "
            "train.view=whole train.layers=head train.flip=false, as experiment=ridge does"
        )
    if view.kind == "whole" and (settings.layers == "all" or view.flip):
        raise UserError(
            "train.view=whole: is for train.layers=head with train.flip=false, whose features are "
            "computed once; give train.view=random_crop or random_resized_crop"
        )


def _mark(data: TrainData, classifier: TagClassifier) -> str:
    """Tell runs apart that cannot go on from each other's features and checkpoints.

    The initial weights count as they are, not by their file's name.
    """
    settings = asdict(data.settings)
    reading = asdict(data.reading)
    for keys in (settings, reading):
        for key in MAY_DIFFER & keys.keys():
            del keys[key]
    about = [classifier.name, asdict(classifier.preprocessing), data.record()]
    content = [*about, settings, reading]
    digest = hashlib.sha256(json.dumps(content).encode())
    for tensor in classifier.model.state_dict().values():
        digest.update(tensor.numpy().tobytes())
    return digest.hexdigest()[:16]


def _settings(config: DictConfig) -> tuple[TrainSettings, Reading]:
    if not OmegaConf.is_dict(config.train):
        raise UserError(f"train={config.train}: give its keys, as in train.epochs=10")
    keys: Any = OmegaConf.to_container(config.train, resolve=True)
    of_loop = {field.name for field in fields(TrainSettings)}
    of_reading = {field.name for field in fields(Reading)}
    if unknown := keys.keys() - of_loop - of_reading:
        known = ", ".join(sorted(of_loop | of_reading))
        raise UserError(f"train.{unknown.pop()}: no such key; there are {known}")
    if not isinstance(keys["scale"], list):
        raise UserError(f"train.scale={keys['scale']}: give two numbers, as in [0.35,1]")
    keys["scale"] = tuple(keys["scale"])
    return (
        TrainSettings(**{key: keys[key] for key in of_loop}),
        Reading(**{key: keys[key] for key in of_reading}),
    )
