"""Maps of the annotated classes of photos: what the stages on such photos share."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import torch
from omegaconf import DictConfig, OmegaConf
from PIL import Image
from torch import Tensor

from data_prep.annotated import AnnotatedData, AnnotatedPhoto, ClassRegions
from data_prep.errors import UserError, check_number
from data_prep.images import open_annotated
from data_prep.phrases import Problem
from grounding.class_words import class_words
from grounding.classifier import TagClassifier
from grounding.processes import Processes
from grounding.word_maps import Looks
from grounding.words import WordMatch
from pipeline.method_lines import MethodLine, check_layers, method_lines
from pipeline.models import classifier
from pipeline.parts import mark_of_classifier, mark_of_part, work_through
from pipeline.problems import REJECTS, tell_problems

ABSENT = "classes that the model does not know"  # a reason in what was left out

Row = dict[str, Any]


@dataclass(frozen=True)
class PhotoMaps:
    """Asks a classifier for the classes of a photo by every method.

    Attributes
    ----------
    classifier : TagClassifier
    words : mapping of str to WordMatch
        Of the dataset's classes those that the classifier knows.
    lines : tuple of MethodLine
        The methods.
    """

    classifier: TagClassifier
    words: Mapping[str, WordMatch]
    lines: tuple[MethodLine, ...]

    def asked(self, photo: AnnotatedPhoto) -> list[ClassRegions]:
        """Classes of a photo that the classifier knows."""
        return [each for each in photo.classes if each.label in self.words]

    @torch.no_grad()
    def __call__(self, image: Image.Image, labels: Sequence[str]) -> dict[str, Tensor]:
        """Maps (K, h, w) of K classes, one or more, by each line's name."""
        looks = Looks(self.classifier, image)
        priors = looks.priors([self.words[label] for label in labels])
        return {line.name: line(looks, priors) for line in self.lines}

    def try_out(self) -> None:
        """Make the maps of a grey picture.

        Raises
        ------
        UserError
            The classifier's net cannot be treated so, a package is missing, or `layers` name
            none that it has, or one twice.
        """
        self(Image.new("RGB", (64, 64), "grey"), list(self.words)[:1])
        check_layers(self.lines, self.classifier)


def photo_maps(
    config: DictConfig, data: Sequence[AnnotatedData], where: torch.device
) -> tuple[PhotoMaps, tuple[str, ...]]:
    """Load the classifier that asks for the classes of some splits of a dataset.

    Also names the classes that it does not know.

    Raises
    ------
    UserError
        A key is unusable, the model cannot be found, or it knows none of the classes.
    """
    lines = tuple(method_lines(config))
    renamed = _renamed(config)
    labels = _labels(data)
    tagger = classifier(config, where, labels if all(each.in_order for each in data) else ())
    words, absent = class_words(labels, tagger.vocabulary, renamed)
    return PhotoMaps(tagger, words, lines), absent


def _labels(data: Sequence[AnnotatedData]) -> Sequence[str]:
    """Classes of all splits: as one of them has them, if it has all."""
    most = max((each.labels for each in data), key=len)
    every = {label for each in data for label in each.labels}
    return most if len(most) == len(every) else sorted(every)


def _renamed(config: DictConfig) -> dict[str, str]:
    renamed = {str(label): word for label, word in mapping(config, "classes").items()}
    for label, word in renamed.items():
        if not isinstance(word, str):
            raise UserError(
                f"classes.{label}={word}: give one word, as in 'classes={{sofa: couch}}'"
            )
    return renamed


def work_on_photos(
    config: DictConfig,
    photos: Sequence[AnnotatedPhoto],
    schema: pa.Schema,
    maps: PhotoMaps,
    of_photo: Callable[[AnnotatedPhoto, Image.Image], list[Row]],
    here: Processes,
    title: str,
) -> None:
    """Write the parts of this process; `of_photo` gives the rows of an open photo.

    A photo that does not fit its annotation is unusable, since its boxes would be wrong. The rest
    is as of `work_through`.
    """
    classifier = mark_of_classifier(maps.classifier)

    def mark(some: Sequence[AnnotatedPhoto]) -> str:
        return mark_of_part(classifier, some)

    def rows(some: Sequence[AnnotatedPhoto]) -> tuple[list[Row], list[Problem]]:
        found: list[Row] = []
        problems = []
        for photo in some:
            try:
                size = photo.width, photo.height
                found += of_photo(photo, open_annotated(photo.path, size, config.max_pixels))
            except UserError as error:
                why = str(error).removeprefix(f"{photo.path}: ")
                problems.append(Problem(str(photo.path), getattr(error, "code", "unusable"), why))
        return found, problems

    work_through(config, photos, schema, mark, rows, here, title)


def check_common(config: DictConfig) -> None:
    """Raise a UserError where a key that the stages on such photos share is unusable."""
    for key in ("max_pixels", "chunk"):
        check_number(key, config[key], 1, whole=True)
    check_number("seed", config.seed, 0, whole=True)
    check_number("limit", config.limit, 1, whole=True, or_null=True)
    mapping(config, "blends")
    if not isinstance(config.published_source, str | None):
        raise UserError(f"published_source={config.published_source}: give a few words, or null")


def tell_rest(
    metrics: Mapping[str, Any], photos: int, problems: Sequence[Problem], out: Path, shown: str
) -> None:
    """Print what follows the table of a stage; last the speed on so many photos, and `shown`."""
    if metrics["published_source"]:
        print(f"as published: {metrics['published_source']}")
    if metrics["absent"]:
        print(f"not asked, since the model does not know them: {', '.join(metrics['absent'])}")
    tell_problems(problems, out / REJECTS)
    seconds = max(metrics["seconds"], 0.001)  # rounded to 3 places
    print(f"{photos * metrics['processes'] / seconds:.2f} photos/s; {shown}")


def inputs(config: DictConfig) -> list[Path]:
    """List the files and folders that the stage reads."""
    keys = ("root", "file", "images", "annotations", "difficult")
    places = [config.dataset.get(key) for key in keys]
    places += [config.model.get(key) for key in ("folder", "weights")]
    return [Path(str(place)) for place in places if place is not None]


def mapping(config: DictConfig, key: str) -> Mapping[Any, Any]:
    """Keys and values of a group that may be null.

    Raises
    ------
    UserError
        It is something else.
    """
    if not isinstance(config[key], DictConfig | None):
        raise UserError(f"{key}={config[key]}: give keys and values, or null; --cfg job shows how")
    found = OmegaConf.to_container(config[key]) if config[key] is not None else {}
    assert isinstance(found, dict)
    return found
