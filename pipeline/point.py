"""Stage `point`: the pointing game, for many methods side by side.

Beside this module: `annotated_data` (the dataset), `photo_maps` and `method_lines` (the maps),
`pointed_photo` (the plays on one photo), `parts` (what a kill leaves), `point_output` (what is
left behind).
"""

from __future__ import annotations

from omegaconf import DictConfig

from data_prep.annotated import AnnotatedData
from data_prep.errors import UserError, check_number
from grounding.processes import processes
from pipeline.annotated_data import read_annotated
from pipeline.parts import PARTS
from pipeline.photo_maps import (
    ABSENT,
    check_common,
    inputs,
    mapping,
    photo_maps,
    work_on_photos,
)
from pipeline.point_output import WRITES, write_results
from pipeline.pointed_photo import SCHEMA, PhotoPlayer
from pipeline.problems import first_of
from pipeline.published import check_published
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
        data = read_annotated(config)
        maps, absent = photo_maps(config, [data], here.device)
        photos = [photo for photo in data.photos if maps.asked(photo)][: config.limit]
        if not photos:
            raise UserError(f"dataset={config.dataset.kind}: {_why_none(data)}")
        maps.try_out()
        here.on_first(lambda: start(config, inputs(config), WRITES, (PARTS,), resume=()))
        with disk_full(config.out, "free some, and the same command goes on"):
            player = PhotoPlayer(maps, config.tolerance)
            work_on_photos(config, photos, SCHEMA, maps, player.rows, here, "Pointing")
            here.wait()
            here.on_first(lambda: write_results(config, data, photos, maps, absent, here.world))


def _why_none(data: AnnotatedData) -> str:
    pairs = {**data.left_out, ABSENT: sum(len(photo.classes) for photo in data.photos)}
    counted = ", ".join(f"{reason} ({count:,})" for reason, count in pairs.items() if count)
    return (
        f"no class to ask for in {len(data.photos):,} photos; not asked: {counted or 'none'}; "
        f"{len(data.problems):,} problems{first_of(data.problems)}"
    )


def _check(config: DictConfig) -> None:
    check_common(config)
    check_number("examples", config.examples, 0, whole=True)
    check_number("tolerance", config.tolerance, 0)
    for name, figures in mapping(config, "published").items():
        if not isinstance(figures, list) or len(figures) != 2:
            raise UserError(
                f"published.{name}={figures}: give All and Difficult in per cent, as in [85.1,72.3]"
            )
        for figure in figures:
            check_number(f"published.{name}", figure, 0, 100, or_null=True)
    check_published(config)
