"""Stage `localize`: boxes for the phrases of captions, scored.

Beside this module: `phrase_data` (the dataset), `photo_boxes` (proposals), `localized_photo` (the
rows of one photo), `phrase_table` (their columns), `parts` (what a kill leaves),
`localize_output` (what is left behind). The method itself is in `grounding.localiser`.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from data_prep.errors import UserError, check_number
from data_prep.images import open_image
from data_prep.phrases import PhrasePhoto, Problem
from grounding.localiser import Localiser, PhraseSettings
from grounding.phrases import PhraseResolver
from grounding.processes import Processes, processes
from grounding.proposals.generators import make_generator
from grounding.ranking import RankSettings
from grounding.word_maps import METHODS, MapSettings
from pipeline.groups import from_group
from pipeline.localize_output import REPORT, TABLE, write_results
from pipeline.localized_photo import PhotoLocaliser, map_baselines
from pipeline.method_lines import settings_of
from pipeline.models import classifier
from pipeline.parts import PARTS, mark_of_classifier, mark_of_part, work_through
from pipeline.photo_boxes import PhotoBoxes, find_boxes, make_boxes
from pipeline.phrase_data import SIZE_MISMATCH, fit_to_photo, read_phrases
from pipeline.phrase_table import SCHEMA
from pipeline.problems import REJECTS, first_of
from pipeline.proposal_folder import BOXES, ProposalFolder
from pipeline.proposal_folder import WRITES as PROPOSAL_FILES
from pipeline.propose import proposal_settings
from pipeline.stage import device, disk_full, is_finished, start, strings

PROPOSALS = "proposals"
FOLDERS = (PARTS, f"{PROPOSALS}/{BOXES}")  # hold nothing but our files
WRITES = (
    *(TABLE, REPORT, REJECTS, f"{PARTS}/*.parquet"),
    *(f"{PROPOSALS}/{pattern}" for pattern in PROPOSAL_FILES),
)


def run(config: DictConfig) -> None:
    """Write the table of phrases, the metrics and the report.

    Under torchrun the processes share the photos; the first one merges and prints. A killed run
    goes on with the parts that it had not finished, or that were made of something else.

    Raises
    ------
    UserError
        A key is unusable, model, photos or proposals cannot be found, or there is no phrase to
        evaluate.
    """
    _check(config)
    with processes(device(config)) as here:
        if here.on_first(lambda: is_finished(config)):
            return
        data = read_phrases(config)
        photos = [photo for photo in data.photos if photo.phrases]
        if not photos:
            raise UserError(
                f"dataset={config.dataset.kind}: no phrase with a box in {len(data.photos):,} "
                f"photos, {len(data.problems):,} problems{first_of(data.problems)}"
            )
        localiser = _localiser(config, here)
        folder = _proposal_folder(config)
        here.on_first(lambda: start(config, _inputs(config), WRITES, FOLDERS, resume=()))
        with disk_full(config.out, "free some, and the same command goes on"):
            boxes = _boxes(config, photos, folder, here)
            _localise(config, photos, localiser, boxes, here)
            here.wait()
            here.on_first(lambda: write_results(config, data, here.world))


def _localiser(config: DictConfig, here: Processes) -> PhotoLocaliser:
    tagger = classifier(config, here.device)
    resolver = from_group(partial(PhraseResolver, tagger.vocabulary), config, "words")
    localiser = Localiser(
        tagger,
        _map_settings(config),
        from_group(PhraseSettings, config, "phrase"),
        from_group(RankSettings, config, "rank"),
    )
    baselines = map_baselines(strings(config.baselines), localiser)
    for each in (localiser, *baselines.values()):  # what cannot be treated is told at once
        each.try_out()
    return PhotoLocaliser(resolver, localiser, baselines)


def _map_settings(config: DictConfig) -> tuple[MapSettings, ...]:
    names = list(config.maps) if isinstance(config.maps, DictConfig) else []
    if not names:
        raise UserError(f"maps={config.maps}: give its keys; --cfg job shows them")
    return tuple(settings_of(name, config.maps[name], f"maps.{name}") for name in names)


def _proposal_folder(config: DictConfig) -> ProposalFolder | None:
    """Say where the proposals are, or will be; None: all windows are looked at."""
    settings = proposal_settings(config)
    if settings["kind"] == "exhaustive":
        return None
    if settings["kind"] == "folder":
        if not isinstance(path := settings.get("folder"), str):
            raise UserError(f"proposals.folder={path}: give a folder of stage=propose")
        folder = ProposalFolder(Path(path))
        folder.settings()
        return folder
    make_generator(settings)
    return ProposalFolder(Path(config.out, PROPOSALS))


def _inputs(config: DictConfig) -> list[Path]:
    places = [config.dataset.get(key) for key in ("root", "file", "images")]
    places += [config.model.get("folder")]
    places += [config.proposals.get(key) for key in ("folder", "path", "model_file")]
    return [Path(str(place)) for place in places if place is not None]


def _boxes(
    config: DictConfig,
    photos: Sequence[PhrasePhoto],
    folder: ProposalFolder | None,
    here: Processes,
) -> PhotoBoxes:
    """Find the boxes of photos; those of OUT/proposals are made."""
    if folder is None:
        return PhotoBoxes()
    if folder.path == Path(config.out, PROPOSALS):
        return make_boxes(config, folder, photos, here)
    return find_boxes(folder, photos)


def _localise(
    config: DictConfig,
    photos: Sequence[PhrasePhoto],
    localiser: PhotoLocaliser,
    boxes: PhotoBoxes,
    here: Processes,
) -> None:
    """Write the parts of this process that are not there yet, or were made of something else."""
    classifier = mark_of_classifier(localiser.localiser.classifier)

    def mark(some: Sequence[PhrasePhoto]) -> str:
        return mark_of_part(classifier, some, [boxes.file(photo) for photo in some])

    def rows(some: Sequence[PhrasePhoto]) -> tuple[list[dict[str, Any]], list[Problem]]:
        return _of_photos(some, config, localiser, boxes)

    work_through(config, photos, SCHEMA, mark, rows, here, "Phrases")


def _of_photos(
    photos: Sequence[PhrasePhoto], config: DictConfig, localiser: PhotoLocaliser, boxes: PhotoBoxes
) -> tuple[list[dict[str, Any]], list[Problem]]:
    rows: list[dict[str, Any]] = []
    problems: list[Problem] = []
    for photo in photos:
        try:
            image = open_image(photo.path, config.max_pixels)
            fitted, found = fit_to_photo(photo, image, config.size_mismatch)
            rows += localiser.rows(fitted, image, boxes.read(fitted))
        except UserError as error:
            reason = str(error).removeprefix(f"{photo.path}: ")
            found = [Problem(str(photo.path), getattr(error, "code", "unusable"), reason)]
        problems += found
    return rows, problems


def _check(config: DictConfig) -> None:
    if config.size_mismatch not in SIZE_MISMATCH:
        raise UserError(
            f"size_mismatch={config.size_mismatch}: give one of {', '.join(SIZE_MISMATCH)}"
        )
    for key in ("max_pixels", "chunk"):
        check_number(key, config[key], 1, whole=True)
    check_number("threads", config.threads, 1, whole=True, or_null=True)
    check_number("seed", config.seed, 0, whole=True)
    for name in strings(config.baselines):
        if name not in METHODS:
            raise UserError(f"baselines={name}: give some of {', '.join(METHODS)}")
