"""The classifier that the configuration group `model` names."""

from collections.abc import Sequence
from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf

from data_prep.errors import UserError
from data_prep.vocabulary import Vocabulary
from grounding.classifier import TagClassifier
from pipeline.stage import device


def classifier(
    config: DictConfig, where: torch.device | None = None, labels: Sequence[str] = ()
) -> TagClassifier:
    """Load it on a device, the stage's by default: from a folder of stage=train, or by its name.

    `labels` are the dataset's classes, if it has them in an order of its own;
    ``model.vocabulary=dataset`` stands for them.

    Raises
    ------
    UserError
        A key of the group is unusable; see `TagClassifier.load` and `TagClassifier.pretrained`.
    """
    model = config.model
    if "folder" in model:  # conf/model/folder.yaml; a recipe may have added other keys
        if OmegaConf.is_missing(model, "folder"):
            raise UserError("model.folder is missing; give model=DIR, as stage=train wrote it")
        return TagClassifier.load(str(model.folder), where or device(config))
    check_names(config)
    keys = {str(key): value for key, value in model.items() if key != "vocabulary"}
    vocabulary = _vocabulary(model.vocabulary, labels)
    return TagClassifier.pretrained(**keys, vocabulary=vocabulary, device=where or device(config))


def _vocabulary(words: Any, labels: Sequence[str]) -> Vocabulary | None:
    """Read what the outputs mean from a list of words or a file; None: ImageNet's classes."""
    if words is None:
        return None
    if words == "dataset":
        if not labels:
            raise UserError(
                "model.vocabulary=dataset: here is no dataset that has its classes in an order of "
                "its own; give a list of words"
            )
        return Vocabulary.from_tags(labels)
    if OmegaConf.is_list(words):
        return Vocabulary.from_tags(map(str, words))
    if not isinstance(words, str):
        raise UserError(f"model.vocabulary={words}: give a list of words, or a vocabulary.json")
    return Vocabulary.load(words)


def check_names(config: DictConfig) -> None:
    """Refuse a net, weights or `multi_label` that are none."""
    model = config.model
    if not isinstance(model.name, str):
        raise UserError(f"model.name={model.name}: give the name of a net, as in resnet50")
    if not isinstance(model.weights, str | None):
        raise UserError(f"model.weights={model.weights}: give a file of weights")
    if not isinstance(model.multi_label, bool):
        raise UserError(f"model.multi_label={model.multi_label}: give true or false")
