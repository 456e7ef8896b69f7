"""Stage `train`: a multi-label tag classifier from shards."""

from __future__ import annotations

import errno
import hashlib
import json
import shutil
import signal
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from omegaconf import DictConfig, OmegaConf
from torch import nn

from data_prep.errors import UserError
from data_prep.shards.reading import Lost
from data_prep.vocabulary import Vocabulary
from grounding.classifier import TagClassifier
from grounding.heads import check_nonnegative, head_of, tag_net
from grounding.model_folder import override
from grounding.training.batch import Source
from grounding.training.checkpoint import Checkpoint, Progress
from grounding.training.evaluation import Evaluation
from grounding.training.loop import Run, train
from grounding.training.objective import make_loss, set_prior_bias
from grounding.training.optimisation import Average, freeze, make_optimizer
from grounding.training.processes import Processes, processes
from grounding.training.settings import TrainSettings
from grounding.views import View
from pipeline.features import FeatureSource, StandardisedHead
from pipeline.reporting import TrainReporter, draw_curves, in_words
from pipeline.stage import device, finish, is_finished, start
from pipeline.train_data import Reading, TrainData

MODEL, FEATURES, LOGS = "model", "features", "tensorboard"
CHECKPOINT, CURVES, TAGS = "checkpoint.safetensors", "curves.png", "tags.parquet"
REJECTS = "rejects.jsonl"
WRITES = (
    *(CHECKPOINT, CURVES, TAGS, REJECTS),
    *(f"{FEATURES}/*.npy", f"{FEATURES}/*.npz", f"{MODEL}/*", f"{LOGS}/events*"),
)


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
    with processes(device(config)) as here, _stop_signals() as stop:
        if here.from_first(here.is_first and is_finished(config)):
            return
        data = TrainData.open(str(config.shards), str(config.vocabulary), settings, reading, here)
        classifier = _new_classifier(config, data)
        view = View(classifier.preprocessing, reading.view, reading.scale, reading.flip)  # type: ignore[arg-type]
        _check_view(view, settings)
        if here.is_first:
            start(config, [], WRITES, resume=True)
        here.wait()
        try:
            _train(config, data, classifier, view, stop)
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            raise UserError(
                f"out={config.out}: the disk is full; free some, and the same command goes on"
            ) from error


def _train(
    config: DictConfig,
    data: TrainData,
    classifier: TagClassifier,
    view: View,
    stop: Callable[[], bool],
) -> None:
    out, settings, here = Path(config.out), data.settings, data.here
    head = head_of(classifier.model)[1]
    set_prior_bias(head, data.counts, data.index.samples("train"))
    freeze(classifier.model, settings)
    memory = torch.channels_last if settings.channels_last else torch.contiguous_format
    learner = classifier.model.to(here.device, memory_format=memory)  # type: ignore[call-overload]
    whole = View(classifier.preprocessing)
    source: Source
    validation: Source
    if view.varies:
        source = data.source("train", view, shuffle=True)
        validation = data.source("val", whole, shuffle=False)
    else:
        learner, source, validation = _on_features(data, learner, whole, out / FEATURES, stop)
    evaluate = Evaluation(validation, here)
    average = None if settings.ema is None else Average(learner, settings.ema)
    optimizer = make_optimizer(learner, settings)
    mark = _fingerprint(data, classifier.name)
    checkpoint = Checkpoint(out / CHECKPOINT, learner, optimizer, average, mark)
    progress = checkpoint.restore() or Progress()
    with _reporter(out, settings, source, progress, here) as reporter:
        this = Run(
            model=learner,
            average=average,
            optimizer=optimizer,
            loss=make_loss(settings, data.counts.to(here.device), data.index.samples("train")),
            source=source,
            evaluate=evaluate,
            checkpoint=checkpoint,
            settings=settings,
            processes=here,
            reporter=reporter,
            stop=stop,
        )
        train(this, progress)
    measured = evaluate(this.result)
    rejects = {one for some in here.gather(data.rejects) for one in some}
    if here.is_first:
        model = this.result
        if isinstance(model, StandardisedHead):
            head.weight.data, head.bias.data = model.folded()
            model = classifier.model
        trained = replace(classifier, model=model.eval())
        _write(config, data, trained, progress, measured, evaluate.ap, rejects)


def _on_features(
    data: TrainData, model: nn.Module, view: View, folder: Path, stop: Callable[[], bool]
) -> tuple[StandardisedHead, FeatureSource, FeatureSource]:
    """Compute the features of all photos; give a head that learns from them."""
    folder.mkdir(exist_ok=True)
    mark = _data_record(data)["index"]  # shards may have been made anew since
    train_photos, val_photos = (
        data.features(model, view, split, folder / f"{split}-{mark}.npy", stop)
        for split in ("train", "val")
    )
    if not len(train_photos.rows):
        raise UserError(f"{data.folder}: no photo could be read; look at the shards")
    tags, batch, seed = len(data.tags), data.settings.batch, data.settings.seed
    head = StandardisedHead(head_of(model)[1], *train_photos.mean_and_std()).to(data.here.device)
    return (
        head,
        FeatureSource(train_photos, tags, batch, seed, data.here),
        FeatureSource(val_photos, tags, batch, None, data.here),
    )


def _write(
    config: DictConfig,
    data: TrainData,
    trained: TagClassifier,
    progress: Progress,
    measured: dict[str, float],
    ap: np.ndarray | None,
    rejects: set[Lost],
) -> None:
    """Write what the run has come to, the mark of completion last."""
    out = Path(config.out)
    epochs = len(progress.history)
    metrics = {
        "backbone": trained.name,
        "train": data.index.samples("train"),
        "val": data.index.samples("val"),
        "tags": len(data.tags),
        "epochs": epochs,
        "stopped": "epochs" if epochs == data.settings.epochs else "plateau",
        "loss": progress.history[-1]["loss"],
        "validation": measured,
        "rejected": Counter(one.reason for one in rejects),
        "seconds": round(progress.seconds, 3),
        "history": progress.history,
    }
    lines = [json.dumps(asdict(one), ensure_ascii=False) for one in sorted(rejects, key=_where)]
    if lines:
        (out / REJECTS).write_text("\n".join(lines) + "\n", encoding="utf-8")
    of_tags = {
        "tag": data.tags,
        "train": data.counts.numpy(),
        "average_precision": np.full(len(data.tags), np.nan) if ap is None else ap,
    }
    pq.write_table(pa.table(of_tags), out / TAGS)
    draw_curves(progress.history, out / CURVES)
    record = {
        "config": OmegaConf.to_container(config, resolve=True),
        "data": _data_record(data),
        "metrics": {key: value for key, value in metrics.items() if key != "history"},
    }
    trained.save(out / MODEL, record)
    shutil.rmtree(out / FEATURES, ignore_errors=True)
    finish(out, metrics)
    print(f"validation: {in_words(measured)}")
    if rejects:
        print(f"rejected: {len(rejects):,} samples, listed in {out / REJECTS}")
    print(f"model: {out / MODEL}; curves: {out / CURVES}; logs: {out / LOGS}")


def _where(lost: Lost) -> tuple[str, int]:
    return lost.file, lost.place


def _new_classifier(config: DictConfig, data: TrainData) -> TagClassifier:
    """Build the backbone under a fresh head of the vocabulary."""
    vocabulary = Vocabulary.from_tags(data.tags)
    if "name" not in config.model:
        raise UserError(
            f"model={config.model.folder}: training begins with a backbone; give model.name=…, and "
            "model.weights=DIR/weights.safetensors for that of a trained model"
        )
    torch.manual_seed(data.settings.seed)
    model, usual, name = tag_net(config.model.name, len(data.tags), config.model.weights)
    preprocessing = override(usual, config.model.preprocessing or {})
    check_nonnegative(model, name, preprocessing.size)
    return TagClassifier(model, vocabulary, preprocessing, name, multi_label=True)


def _check_view(view: View, settings: TrainSettings) -> None:
    if view.kind == "whole" and (settings.layers == "all" or view.flip):
        raise UserError(
            "train.view=whole: is for train.layers=head with train.flip=false, whose features are "
            "computed once; give train.view=random_crop or random_resized_crop"
        )


def _data_record(data: TrainData) -> dict[str, Any]:
    index = json.dumps(asdict(data.index)).encode()
    return {
        "shards": data.folder,
        "index": hashlib.sha256(index).hexdigest()[:16],
        "vocabulary": data.index.vocabulary,
    }


def _fingerprint(data: TrainData, name: str) -> str:
    """Tell runs apart that cannot go on from each other's checkpoints."""
    settings = asdict(data.settings)
    del settings["checkpoint_minutes"]
    content = [name, settings, _data_record(data)]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:16]


def _reporter(
    out: Path, settings: TrainSettings, source: Source, progress: Progress, here: Processes
) -> Any:
    if not here.is_first:
        return nullcontext()
    done = progress.epoch * source.steps + progress.step
    if done:
        print(f"going on after epoch {progress.epoch}, step {progress.step} of {source.steps}")
    return TrainReporter(out / LOGS, settings.epochs, source.steps, done)


@contextmanager
def _stop_signals() -> Iterator[Callable[[], bool]]:
    """Turn Ctrl-C and SIGTERM into a wish to stop; the second one stops at once."""
    asked: list[int] = []

    def note(number: int, _: object) -> None:
        asked.append(number)
        signal.signal(number, signal.default_int_handler)
        print("stopping after this step; once more stops at once", file=sys.stderr)

    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: bool(asked)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


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
