"""What a training run leaves in its folder."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from omegaconf import DictConfig, OmegaConf

from grounding.classifier import TagClassifier
from grounding.training.checkpoint import Progress
from pipeline.rejects import write_rejects
from pipeline.reporting import draw_curves, in_words
from pipeline.stage import finish
from pipeline.train_data import TrainData

MODEL, FEATURES, LOGS = "model", "features", "tensorboard"
CHECKPOINT, CURVES, TAGS = "checkpoint.safetensors", "curves.png", "tags.parquet"
REJECTS = "rejects.jsonl"  # of all processes; each keeps its own in rejects-RANK.jsonl
WRITES = (
    *(CHECKPOINT, CURVES, TAGS, REJECTS, "rejects-*.jsonl"),
    *(f"{FEATURES}/*.npy", f"{FEATURES}/*.npz", f"{MODEL}/*", f"{LOGS}/events*"),
)


def write(
    config: DictConfig,
    data: TrainData,
    trained: TagClassifier,
    progress: Progress,
    ap: np.ndarray | None,
) -> None:
    """Write curves, tags and model, then metrics and the mark of completion; tell of them.

    Parameters
    ----------
    ap : ndarray (V,) or None
        Average precision per tag on the validation photos.
    """
    out = Path(config.out)
    metrics = _metrics(data, trained, progress)
    of_tags = {
        "tag": data.tags,
        "train": data.counts.numpy(),
        "average_precision": pa.array(
            np.full(len(data.tags), np.nan) if ap is None else ap, from_pandas=True
        ),  # null where a tag cannot be measured
    }
    pq.write_table(pa.table(of_tags), out / TAGS)
    draw_curves(progress.history, out / CURVES)
    record = {
        "config": OmegaConf.to_container(config, resolve=True),
        "data": data.record(),
        "metrics": {key: value for key, value in metrics.items() if key != "history"},
    }
    trained.save(out / MODEL, record)
    write_rejects(out / REJECTS, data.rejects)
    finish(out, metrics)
    # After the mark: a run that is killed before it goes on with them.
    shutil.rmtree(out / FEATURES, ignore_errors=True)
    for own in out.glob("rejects-*.jsonl"):
        own.unlink()
    print(f"validation: {in_words(metrics['validation'])}")
    print(f"model: {out / MODEL}; curves: {out / CURVES}; logs: {out / LOGS}")


def _metrics(data: TrainData, trained: TagClassifier, progress: Progress) -> dict[str, Any]:
    epochs = len(progress.history)
    last = dict(progress.history[-1])
    del last["epoch"]
    return {
        "backbone": trained.name,
        "train": data.index.samples("train"),
        "val": data.index.samples("val"),
        "tags": len(data.tags),
        "epochs": epochs,
        "stopped": "epochs" if epochs == data.settings.epochs else "plateau",
        "loss": last.pop("loss"),
        "validation": last,
        "rejected": data.rejects.by_reason(),
        "training_seconds": round(progress.seconds, 3),
        "history": progress.history,
    }
