"""Proposals on disk: a folder with a file for each photo, made in several processes, resumable."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from collections.abc import Generator as Generated
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from data_prep.errors import UserError
from data_prep.images import UnusableImage, open_image
from data_prep.workers import run_tasks
from grounding.proposals.boxes import Generator, NoProposals, Proposals
from grounding.proposals.generators import make_generator
from pipeline.stage import write_json

BOXES, SETTINGS = "boxes", "proposals.json"
WRITES = (f"{BOXES}/*.npz", SETTINGS)  # patterns of what a folder holds


@dataclass(frozen=True)
class Outcome:
    """What became of a photo.

    Attributes
    ----------
    image_id, path : str
    boxes, dropped : int
        Proposals, and boxes that the generator gave but were unusable.
    code, reason : str
        Why there is no file; empty if there is one.
    made : bool
        Now; not by an earlier run.
    """

    image_id: str
    path: str
    boxes: int = 0
    dropped: int = 0
    code: str = ""
    reason: str = ""
    made: bool = True


@dataclass(frozen=True)
class ProposalFolder:
    """A folder that stage=propose, or `make_proposals`, has filled.

    Attributes
    ----------
    path : Path
        Holds `boxes/`, with boxes (N, 4) float32, perhaps scores (N,) float32, width, height,
        image_id and dropped in each file, and `proposals.json` with the generator's settings.
    """

    path: Path

    def settings(self) -> dict[str, Any]:
        """Return the settings of the generator.

        Raises
        ------
        UserError
            This is no folder of proposals.
        """
        try:
            found = json.loads((self.path / SETTINGS).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            raise UserError(
                f"{self.path}: no readable {SETTINGS} there; give a folder of stage=propose"
            ) from None
        if not isinstance(found, dict):
            raise UserError(f"{self.path / SETTINGS}: holds no settings; make the folder anew")
        return found

    def file(self, image_id: str) -> Path:
        """Return where the boxes of a photo are, or would be."""
        return self.path / BOXES / f"{_file_name(image_id)}.npz"

    def proposals(self, image_id: str, size: tuple[int, int] | None = None) -> Proposals:
        """Read the proposals of a photo.

        Parameters
        ----------
        image_id : str
            For stage=propose the stem of the photo's file name.
        size : tuple of int, optional
            Width and height of the photo; must be those that the boxes were made for.

        Raises
        ------
        NoProposals
            There are none, they are damaged, or the photo has another size.
        """
        file = self.file(image_id)
        try:
            with np.load(file, allow_pickle=False) as found:
                proposals = Proposals(
                    found["boxes"], found.get("scores"), dropped=int(found["dropped"])
                )
                made_for, written = (int(found["width"]), int(found["height"])), found["image_id"]
        except FileNotFoundError:
            raise NoProposals(
                f"{file}: no such file; make proposals of {image_id} by stage=propose", "no boxes"
            ) from None
        except Exception as error:  # a damaged file can make the reader raise anything
            reason = f"{file}: cannot be read ({error}); make it anew"
            raise NoProposals(reason, "damaged boxes") from error
        if str(written) != image_id:
            reason = f"{file}: holds boxes of {written}, not of {image_id}; rename one"
            raise NoProposals(reason, "other boxes")
        if size is not None and size != made_for:
            was, now = (f"{width}×{height}" for width, height in (made_for, size))
            reason = f"{file}: made for a photo of {was} pixels, not of {now}; make it anew"
            raise NoProposals(reason, "other boxes")
        return proposals

    def write(self, image_id: str, proposals: Proposals, size: tuple[int, int]) -> None:
        """Write the proposals of a photo; the file is either whole or absent."""
        arrays: dict[str, Any] = {"boxes": proposals.boxes, "image_id": image_id}
        arrays |= {"width": size[0], "height": size[1], "dropped": proposals.dropped}
        if proposals.scores is not None:
            arrays["scores"] = proposals.scores
        file = self.file(image_id)
        part = file.with_name(file.name + ".part")
        with part.open("wb") as stream:
            np.savez(stream, **arrays)
        part.replace(file)


def make_proposals(
    photos: Mapping[str, Path],
    settings: Mapping[str, Any],
    folder: Path,
    processes: int,
    max_pixels: int,
    watch: Callable[[Iterable[Outcome]], Iterable[Outcome]] = iter,
) -> list[Outcome]:
    """Make the proposals of photos that a folder does not hold yet.

    Parameters
    ----------
    photos : mapping of str to Path
        Image id to file.
    settings : mapping
        Keys of the group `proposals`.
    folder : Path
        Made if need be; one with other settings is refused.
    processes : int
        The result does not depend on it.
    max_pixels : int
        Larger photos are rejected.
    watch : callable
        Passes outcomes on as they come, to show progress.

    Returns
    -------
    list of Outcome
        In the order of `photos`.

    Raises
    ------
    UserError
        A setting is unusable, or the folder has boxes made with other settings.
    """
    generator = make_generator(settings)
    proposals = prepare_folder(folder, settings)
    with closing(_outcomes(photos, generator, proposals, processes, max_pixels)) as outcomes:
        found_by_id = {outcome.image_id: outcome for outcome in watch(outcomes)}
    return [found_by_id[image_id] for image_id in photos]


def prepare_folder(folder: Path, settings: Mapping[str, Any]) -> ProposalFolder:
    """Make a folder for boxes made with these settings, if need be.

    Where several processes make boxes, one of them does this before the others begin.

    Raises
    ------
    UserError
        It has boxes made with other settings.
    """
    proposals = ProposalFolder(folder)
    (folder / BOXES).mkdir(parents=True, exist_ok=True)
    if not (folder / SETTINGS).is_file():
        write_json(folder / SETTINGS, dict(settings))
    elif (found := proposals.settings()) != settings:
        keys = sorted(k for k in found.keys() | settings.keys() if found.get(k) != settings.get(k))
        raise UserError(
            f"{folder}: its boxes were made with another proposals.{keys[0]}; remove it, or give "
            "another folder"
        )
    return proposals


def _outcomes(
    photos: Mapping[str, Path],
    generator: Generator,
    folder: ProposalFolder,
    processes: int,
    max_pixels: int,
) -> Generated[Outcome, None, None]:
    missing: list[tuple[str, Path]] = []
    for image_id, path in photos.items():
        try:
            found = folder.proposals(image_id)
        except UserError:
            missing.append((image_id, path))
        else:
            count = len(found.boxes)
            yield Outcome(image_id, str(path), count, found.dropped, made=False)
    make = partial(_make, generator=generator, folder=folder, max_pixels=max_pixels)
    with closing(run_tasks(make, missing, max(1, min(processes, len(missing))))) as made:
        yield from made


def _make(
    task: tuple[str, Path], generator: Generator, folder: ProposalFolder, max_pixels: int
) -> Outcome:
    image_id, path = task
    try:
        image: Image.Image = open_image(path, max_pixels)
        proposals = generator.generate(image, image_id)
    except (UnusableImage, NoProposals) as error:
        reason = str(error).removeprefix(f"{path}: ")
        return Outcome(image_id, str(path), code=error.code, reason=reason)
    folder.write(image_id, proposals, image.size)
    return Outcome(image_id, str(path), len(proposals.boxes), proposals.dropped)


def _file_name(image_id: str) -> str:
    """Turn an id into a name without separators, with a digest where that changes the id."""
    if re.fullmatch(r"[\w-]{1,80}", image_id):
        return image_id
    digest = blake2b(image_id.encode(errors="surrogateescape"), digest_size=4).hexdigest()
    base = re.sub(r"[^\w-]+", "_", image_id)[:60]
    return f"{base}-{digest}"
