"""A trained classifier on disk: weights, vocabulary, what rebuilds the net, how it was trained."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import nn

from data_prep.errors import UserError
from data_prep.vocabulary import Vocabulary
from grounding.heads import RANDOM, head_of, tag_net
from grounding.models import fit, read_weights
from grounding.preprocessing import Preprocessing

FORMAT = 1  # of the folder; raised when an older version could not read it
WEIGHTS, VOCABULARY = "weights.safetensors", "vocabulary.json"
CLASSIFIER, TRAINING = "classifier.json", "training.json"


def save(
    folder: Path,
    model: nn.Module,
    vocabulary: Vocabulary,
    preprocessing: Preprocessing,
    name: str,
    multi_label: bool,
    record: Mapping[str, Any],
) -> None:
    """Write a classifier's folder; see `TagClassifier.save`."""
    with torch.random.fork_rng(devices=[]):  # who trains on gets the same random numbers
        rebuilt = tag_net(name, len(vocabulary), RANDOM)[0]
    outputs = head_of(model)[1].out_features
    if outputs != len(vocabulary):
        raise UserError(
            f"model {name}: has {outputs} outputs, its vocabulary {len(vocabulary)} tags; "
            "give the vocabulary it was trained on"
        )
    tensors = {key: value.detach().cpu().clone() for key, value in model.state_dict().items()}
    fit(rebuilt, tensors, f"model {name}: not a net of tag_net, cannot be saved")
    about = {
        "format": FORMAT,
        "backbone": name,
        "classes": outputs,
        "multi_label": multi_label,
        "preprocessing": dataclasses.asdict(preprocessing),
    }
    texts = {TRAINING: _json(record), CLASSIFIER: _json(about)}
    parts = {each: folder / f"{each}.part" for each in (WEIGHTS, VOCABULARY, TRAINING, CLASSIFIER)}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        save_file({key: value.contiguous() for key, value in tensors.items()}, parts[WEIGHTS])
        vocabulary.save(parts[VOCABULARY])
        for each, text in texts.items():
            parts[each].write_text(text, encoding="utf-8")
        (folder / CLASSIFIER).unlink(missing_ok=True)  # it comes last: without it, no model
        for each, part in parts.items():
            part.replace(folder / each)
    except (OSError, SafetensorError) as error:
        for part in parts.values():
            if part.exists():
                part.unlink()
        raise UserError(
            f"{folder}: the model cannot be written ({' '.join(str(error).split())}); "
            "make room, or give another folder"
        ) from error


def load(folder: Path) -> tuple[nn.Module, Vocabulary, Preprocessing, str, bool]:
    """Read what `save` wrote; see `TagClassifier.load`."""
    folder = find(folder)
    about = _read_about(folder / CLASSIFIER)
    missing = [each for each in (WEIGHTS, VOCABULARY) if not (folder / each).is_file()]
    if missing:
        raise UserError(f"{folder}: {missing[0]} is missing; train the model again")
    vocabulary = Vocabulary.load(folder / VOCABULARY)
    name, classes = about["backbone"], about["classes"]
    if len(vocabulary) != classes:
        raise UserError(
            f"{folder / VOCABULARY}: has {len(vocabulary)} tags, the model {classes} outputs; "
            "give the vocabulary it was trained on"
        )
    with torch.random.fork_rng(devices=[]):
        model, usual, name = tag_net(name, classes, RANDOM)
    fit(model, read_weights(folder / WEIGHTS), f"{folder / WEIGHTS}: does not fit {name}")
    try:
        preprocessing = override(usual, about["preprocessing"])
    except UserError as error:
        raise UserError(f"{folder / CLASSIFIER}: {error}") from error
    return model, vocabulary, preprocessing, name, about["multi_label"]


def find(folder: Path) -> Path:
    """Give the model's folder, which may be `folder` itself or the folder model in it.

    Raises
    ------
    UserError
        There is none.
    """
    for each in (folder, folder / "model"):
        if (each / CLASSIFIER).is_file():
            return each
    if not folder.is_dir():
        raise UserError(
            f"{folder}: no such folder; give that of a finished stage=train, as in model=DIR"
        )
    raise UserError(
        f"{folder}: {CLASSIFIER} is missing, no finished model; give the folder model that "
        "stage=train writes"
    )


def override(usual: Preprocessing, fields: Mapping[str, Any]) -> Preprocessing:
    """Give a preprocessing some other fields.

    Raises
    ------
    UserError
        A field is unknown or its value unusable.
    """
    if not isinstance(fields, Mapping):
        raise UserError(f"preprocessing={fields}: give fields and values, as in {{white:255}}")
    known = {each.name for each in dataclasses.fields(Preprocessing)}
    values: dict[str, Any] = {}
    for key, value in fields.items():
        if key not in known:
            raise UserError(f"preprocessing has no {key!r}; it has {', '.join(sorted(known))}")
        several = key in ("mean", "std")
        if several and (isinstance(value, str) or not isinstance(value, Sequence)):
            raise UserError(f"preprocessing: {key}={value} is no list; give three numbers")
        values[key] = tuple(value) if several else value
        numbers = values[key] if several else (value,) if key in ("white", "size") else ()
        kind, told = (int, "whole pixels") if key == "size" else (int | float, "finite numbers")
        if not all(isinstance(number, kind) and math.isfinite(number) for number in numbers):
            raise UserError(f"preprocessing: {key}={value} is unusable; give {told}")
    return dataclasses.replace(usual, **values)


def _read_about(path: Path) -> dict[str, Any]:
    """Read classifier.json and check its keys."""
    try:
        about = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UserError(f"{path}: not JSON ({error}); train the model again") from error
    number = about.get("format") if isinstance(about, dict) else None
    if isinstance(number, int) and number > FORMAT:
        raise UserError(
            f"{path}: has format {number}, this version reads up to {FORMAT}; upgrade tag2box"
        )
    kinds = {
        "format": int,
        "backbone": str,
        "classes": int,
        "multi_label": bool,
        "preprocessing": dict,
    }
    for key, kind in kinds.items():
        if not isinstance(about, dict) or not isinstance(about.get(key), kind):
            raise UserError(f"{path}: {key} is missing or no {kind.__name__}; train it again")
    return about


def _json(content: Mapping[str, Any]) -> str:
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"
