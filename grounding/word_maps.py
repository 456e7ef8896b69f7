"""Attention maps of words in a photo, over several scales, mirror images and layers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, cast, get_args

import torch
from PIL import Image, ImageOps
from torch import Tensor
from torch.nn import functional

from data_prep.errors import UserError
from grounding.baseline_maps import BaselineMethod, baseline_maps
from grounding.classifier import TagClassifier

LARGEST_SIDE = 4096  # pixels; more is a slip, and would fill the memory

ENGINE = ("cmwp", "mwp")  # methods of the engine
METHODS = (*ENGINE, *get_args(BaselineMethod))


@dataclass(frozen=True)
class MapSettings:
    """Maps of a word by one method: one for each layer, scale and mirror image.

    Attributes
    ----------
    method : {"cmwp", "mwp", "cam", "grad_cam", "gradient"}
        Contrastive MWP, MWP, or one of `grounding.baseline_maps`.
    layers : tuple of int or str
        Target layers of the first two: a grid's side for a 224 × 224 input (7, 14, 28), or a
        module's path. The others have layers of their own.
    short_sides : tuple of int
        The photo's short side as the classifier sees it, pixels; see
        `grounding.preprocessing.attention_size`.
    flip : bool
        The mirror image as well.

    Raises
    ------
    UserError
        A value is unusable.
    """

    method: str = "cmwp"
    layers: tuple[int | str, ...] = (14,)
    short_sides: tuple[int, ...] = (384,)
    flip: bool = False

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise UserError(f"maps.{self.method}: give some of {', '.join(METHODS)}")
        key = f"maps.{self.method}"
        if not _is_list(self.layers) or not all(
            isinstance(each, str) or (_is_whole(each) and each >= 1) for each in self.layers
        ):
            raise UserError(
                f"{key}.layers={_shown(self.layers)}: give grids or layers, as in [7,14]"
            )
        if not _is_list(self.short_sides) or not all(
            _is_whole(side) and 1 <= side <= LARGEST_SIDE for side in self.short_sides
        ):
            raise UserError(
                f"{key}.short_sides={_shown(self.short_sides)}: give whole numbers of pixels "
                f"from 1 to {LARGEST_SIDE}, as in [384]"
            )
        if not isinstance(self.flip, bool):
            raise UserError(f"{key}.flip={self.flip}: give true or false")


@torch.no_grad()
def word_maps(
    classifier: TagClassifier, image: Image.Image, priors: Tensor, settings: Sequence[MapSettings]
) -> Tensor:
    """Ask a classifier where it sees words; the mean of all maps, each scaled to sum 1.

    Parameters
    ----------
    classifier : TagClassifier
    image : PIL.Image.Image
        RGB.
    priors : Tensor (K, M)
        Each word as a prior over the classes.
    settings : sequence of MapSettings
        One or more.

    Returns
    -------
    Tensor (K, h, w) float32
        ≥ 0, on the grid of the finest map, each summing to 1; all zero for a word that has no
        attention anywhere. On the classifier's device.
    """
    found = [each for one in settings for each in _maps(classifier, image, priors, one)]
    size = max((maps.shape[1:] for maps in found), key=lambda grid: grid[0] * grid[1])
    total = sum(_shares(_resized(maps, size)) for maps in found)
    assert isinstance(total, Tensor)
    return _shares(total)


def _maps(
    classifier: TagClassifier, image: Image.Image, priors: Tensor, settings: MapSettings
) -> Iterator[Tensor]:
    """Maps (K, h, w) at each scale, the photo before its mirror image, in each layer."""
    for short_side in settings.short_sides:
        for flipped in (False, True) if settings.flip else (False,):
            seen = ImageOps.mirror(image) if flipped else image
            pixels = classifier.preprocess(seen, short_side).unsqueeze(0).to(classifier.device)
            for maps in _of_pixels(classifier, pixels, priors, settings):
                yield maps.flip(-1) if flipped else maps


def _of_pixels(
    classifier: TagClassifier, pixels: Tensor, priors: Tensor, settings: MapSettings
) -> Iterator[Tensor]:
    if settings.method not in ENGINE:
        yield baseline_maps(classifier, cast(BaselineMethod, settings.method), pixels, priors)
        return
    for layer in settings.layers:
        state = classifier.state(pixels, **engine_target(layer))
        yield getattr(state, settings.method)(priors)[0].float()


def engine_target(layer: int | str) -> dict[str, Any]:
    """One of `MapSettings.layers` as arguments of `TagClassifier.engine` and `state`."""
    return {"target": layer} if isinstance(layer, str) else {"resolution": layer}


def _resized(maps: Tensor, size: torch.Size) -> Tensor:
    """(K, h, w) at another grid, bilinear; cell centres stay where they are."""
    if maps.shape[1:] == size:
        return maps
    return functional.interpolate(maps[None], tuple(size), mode="bilinear")[0]


def _shares(maps: Tensor) -> Tensor:
    """Scale each map to sum 1; zeros stay."""
    totals = maps.sum((1, 2), keepdim=True)
    return torch.where(totals > 0, maps / totals, 0)


def _is_list(value: object) -> bool:
    return isinstance(value, tuple) and len(value) > 0


def _shown(value: object) -> object:
    return list(value) if isinstance(value, tuple) else value


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
