"""Proposals of a dataset's photos: made by the processes of a run, or found in a folder."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from omegaconf import DictConfig

from data_prep.phrases import PhrasePhoto
from grounding.processes import Processes
from grounding.proposals.boxes import NoProposals
from pipeline.proposal_folder import Outcome, ProposalFolder, make_proposals, prepare_folder
from pipeline.propose import ids_of, progress, proposal_settings
from pipeline.stage import cores


@dataclass(frozen=True)
class PhotoBoxes:
    """Where the boxes of each photo are.

    Attributes
    ----------
    folder : ProposalFolder or None
        None: no proposals, all windows are looked at.
    ids : mapping of Path to str
        Photo to its id in the folder.
    failed : mapping of str to Outcome
        Ids of photos of which no proposals could be made.
    """

    folder: ProposalFolder | None = None
    ids: Mapping[Path, str] = field(default_factory=dict)
    failed: Mapping[str, Outcome] = field(default_factory=dict)

    def file(self, photo: PhrasePhoto) -> Path | None:
        """Return where the boxes of a photo are, or would be."""
        return None if self.folder is None else self.folder.file(self.ids[photo.path])

    def read(self, photo: PhrasePhoto) -> np.ndarray | None:
        """Give the boxes (N, 4) of a photo at its own size.

        Raises
        ------
        NoProposals
            There are none, or not of this photo.
        """
        if self.folder is None:
            return None
        assert photo.width is not None
        assert photo.height is not None
        image_id = self.ids[photo.path]
        if image_id in self.failed:
            raise NoProposals(self.failed[image_id].reason, self.failed[image_id].code)
        return self.folder.proposals(image_id, (photo.width, photo.height)).boxes


def find_boxes(folder: ProposalFolder, photos: Sequence[PhrasePhoto]) -> PhotoBoxes:
    """Find photos in a folder that stage=propose has made, perhaps of other photos, too.

    There a photo may be known by its path, as given then, since others shared its stem.
    """
    by_id = ids_of([photo.path for photo in photos])
    ids = {}
    for image_id, path in by_id.items():
        names = (str(path), str(path.absolute()), os.path.relpath(path))
        ids[path] = next((name for name in names if folder.file(name).is_file()), image_id)
    return PhotoBoxes(folder, ids)


def make_boxes(
    config: DictConfig, folder: ProposalFolder, photos: Sequence[PhrasePhoto], here: Processes
) -> PhotoBoxes:
    """Make the proposals that a folder lacks; each process makes those of its share of photos."""
    settings = proposal_settings(config)
    by_id = ids_of([photo.path for photo in photos])
    mine = dict(list(by_id.items())[here.rank :: here.world])
    here.on_first(lambda: prepare_folder(folder.path, settings))
    outcomes = make_proposals(
        mine,
        settings,
        folder.path,
        max(1, cores(config) // here.world),
        config.max_pixels,
        lambda coming: progress(coming, len(mine), shown=here.is_first),
    )
    failed = {one.image_id: one for one in outcomes if one.code}
    of_all = here.from_first(here.gather(failed))  # none goes on before all are done
    ids = {path: image_id for image_id, path in by_id.items()}
    return PhotoBoxes(folder, ids, {k: one for share in of_all for k, one in share.items()})
