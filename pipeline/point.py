"""Stage `point`: the pointing game, for many methods side by side.

Beside this module: `annotated_data` (the dataset), `method_lines` (the methods), `pointed_photo`
(the plays on one photo), `parts` (what a kill leaves), `point_output` (what is left behind).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from data_prep.annotated import AnnotatedPhoto
from data_prep.errors import UserError, check_number
from data_prep.images import open_image
from data_prep.phrases import Problem
from grounding.class_words import class_words
from grounding.processes import processes
from pipeline.annotated_data import read_annotated
from pipeline.method_lines import method_lines
from pipeline.models import classifier
from pipeline.parts import PARTS, mark_of_classifier, mark_of_part, work_through
from pipeline.point_output import WRITES, write_results
from pipeline.pointed_photo import SCHEMA, PhotoPlayer
from pipeline.problems import first_of
from pipeline.stage import device, disk_full, is_finished, start


def run(config: DictConfig) -> None:
    """Write the plays, the metrics, tables, pictures and the report.

    Under torchrun the processes share the photos; the first one merges and prints. A killed run
    goes on with the parts that it had not finished, or that were made of something else.

    Raises
    ------
    UserError
        A key is unusable, model or photos cannot be found, or there is nothing to play on.
    """
    _check(config)
    with processes(device(config)) as here:
        if here.on_first(lambda: is_finished(config)):
            return
        lines = tuple(method_lines(config))
        data = read_annotated(config)
        tagger = classifier(config, here.device)
        words, absent = class_words(data.labels, tagger.vocabulary, _renamed(config))
        player = PhotoPlayer(tagger, words, lines, config.tolerance)
        photos = [photo for photo in data.photos if player.asked(photo)][: config.limit]
        if not photos:
            raise UserError(
                f"dataset={config.dataset.kind}: no class to ask for in {len(data.photos):,} "
                f"photos, {len(data.problems):,} problems{first_of(data.problems)}"
            )
        player.try_out()
        here.on_first(lambda: start(config, _inputs(config), WRITES, (PARTS,), resume=()))
        with disk_full(config.out, "free some, and the same command goes on"):
            _play(config, photos, player, here)
            here.wait()
            here.on_first(lambda: write_results(config, data, photos, player, absent, here.world))


def _play(
    config: DictConfig, photos: Sequence[AnnotatedPhoto], player: PhotoPlayer, here: Any
) -> None:
    classifier_mark = mark_of_classifier(player.classifier)

    def mark(some: Sequence[AnnotatedPhoto]) -> str:
        return mark_of_part(classifier_mark, some)

    def rows(some: Sequence[AnnotatedPhoto]) -> tuple[list[dict[str, Any]], list[Problem]]:
        return _of_photos(some, config.max_pixels, player)

    work_through(config, photos, SCHEMA, mark, rows, here, "Pointing")


def _of_photos(
    photos: Sequence[AnnotatedPhoto], max_pixels: int, player: PhotoPlayer
) -> tuple[list[dict[str, Any]], list[Problem]]:
    rows: list[dict[str, Any]] = []
    problems = []
    for photo in photos:
        try:
            rows += player.rows(photo, open_image(photo.path, max_pixels))
        except UserError as error:
            reason = str(error).removeprefix(f"{photo.path}: ")
            problems.append(Problem(str(photo.path), getattr(error, "code", "unusable"), reason))
    return rows, problems


def _inputs(config: DictConfig) -> list[Path]:
    keys = ("root", "file", "images", "annotations", "difficult")
    places = [config.dataset.get(key) for key in keys]
    places += [config.model.get(key) for key in ("folder", "weights")]
    return [Path(str(place)) for place in places if place is not None]


def _renamed(config: DictConfig) -> dict[str, str]:
    return {str(label): str(word) for label, word in _mapping(config, "classes").items()}


def _mapping(config: DictConfig, key: str) -> Mapping[Any, Any]:
    """Keys and values of a group that may be null."""
    if not isinstance(config[key], DictConfig | None):
        raise UserError(f"{key}={config[key]}: give keys and values, as in '{key}={{cat: tabby}}'")
    found = OmegaConf.to_container(config[key]) if config[key] is not None else {}
    assert isinstance(found, dict)
    return found


def _check(config: DictConfig) -> None:
    for key in ("max_pixels", "chunk"):
        check_number(key, config[key], 1, whole=True)
    for key in ("seed", "examples"):
        check_number(key, config[key], 0, whole=True)
    check_number("tolerance", config.tolerance, 0)
    check_number("limit", config.limit, 1, whole=True, or_null=True)
    _mapping(config, "blends")
    for name, figures in _mapping(config, "published").items():
        if not isinstance(figures, list) or len(figures) != 2:
            raise UserError(
                f"published.{name}={figures}: give All and Difficult in per cent, as in [85.1,72.3]"
            )
        for figure in figures:
            check_number(f"published.{name}", figure, 0, 100, or_null=True)
