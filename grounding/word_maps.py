"""Attention maps of words in a photo, over several scales, mirror images and layers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, cast, get_args

import torch
from PIL import Image, ImageOps
from torch import Tensor
from torch.nn import functional

from data_prep.errors import UserError
from grounding.baseline_maps import (
    BaselineMethod,
    baseline_maps,
    cam_features,
    cam_of_features,
)
from grounding.classifier import TagClassifier
from grounding.excitation import State

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
    layers : tuple of int or str, optional
        Target layers of the first two: a grid's side for a 224 × 224 input (7, 14, 28), or a
        module's path; None: 14. The others have layers of their own.
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
    layers: tuple[int | str, ...] | None = None
    short_sides: tuple[int, ...] = (384,)
    flip: bool = False

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise UserError(f"maps.{self.method}: give some of {', '.join(METHODS)}")
        key = f"maps.{self.method}"
        if self.method not in ENGINE and self.layers is not None:
            raise UserError(
                f"{key}.layers={_shown(self.layers)}: give none, {self.method} has its own layer"
            )
        if self.layers is not None and not (
            _is_list(self.layers) and all(_is_layer(each) for each in self.layers)
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


class Looks:
    """A photo as a classifier sees it; what is asked for again is not computed again.

    Parameters
    ----------
    classifier : TagClassifier
    image : PIL.Image.Image
        RGB.
    """

    def __init__(self, classifier: TagClassifier, image: Image.Image) -> None:
        self.classifier, self.image = classifier, image
        self._kept: dict[tuple[Any, ...], Any] = {}

    def logits(self) -> Tensor:
        """Class scores (M,)."""
        logits: Tensor = self._once(("logits",), lambda: self.classifier.logits(self.image))
        return logits

    def pixels(self, short_side: int, flipped: bool) -> Tensor:
        """Input of the model, (1, 3, H, W)."""

        def make() -> Tensor:
            seen = ImageOps.mirror(self.image) if flipped else self.image
            pixels = self.classifier.preprocess(seen, short_side).unsqueeze(0)
            return pixels.to(self.classifier.device)

        pixels: Tensor = self._once(("pixels", short_side, flipped), make)
        return pixels

    def state(self, short_side: int, flipped: bool, layer: int | str) -> State:
        """Excitations with this target layer."""
        pixels = self.pixels(short_side, flipped)
        state: State = self._once(
            ("state", short_side, flipped, layer),
            lambda: self.classifier.state(pixels, **engine_target(layer)),
        )
        return state

    def features(self, short_side: int, flipped: bool) -> Tensor:
        """Features (C, h, w) that CAM weights."""
        pixels = self.pixels(short_side, flipped)
        features: Tensor = self._once(
            ("features", short_side, flipped), lambda: cam_features(self.classifier, pixels)
        )
        return features

    def _once(self, key: tuple[Any, ...], make: Callable[[], Any]) -> Any:
        if key not in self._kept:
            self._kept[key] = make()
        return self._kept[key]


@torch.no_grad()
def word_maps(looks: Looks, priors: Tensor, settings: Sequence[MapSettings]) -> Tensor:
    """Ask a classifier where it sees words; the mean of all maps, each scaled to sum 1.

    Parameters
    ----------
    looks : Looks
        At a photo.
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
    found = [each for one in settings for each in _maps(looks, priors, one)]
    size = max((maps.shape[1:] for maps in found), key=lambda grid: grid[0] * grid[1])
    total = sum(shares(_resized(maps, size)) for maps in found)
    assert isinstance(total, Tensor)
    return shares(total)


def _maps(looks: Looks, priors: Tensor, settings: MapSettings) -> Iterator[Tensor]:
    """Maps (K, h, w) at each scale, the photo before its mirror image, in each layer."""
    for short_side in settings.short_sides:
        for flipped in (False, True) if settings.flip else (False,):
            for maps in _of_view(looks, (short_side, flipped), priors, settings):
                yield maps.flip(-1) if flipped else maps


def _of_view(
    looks: Looks, view: tuple[int, bool], priors: Tensor, settings: MapSettings
) -> Iterator[Tensor]:
    classifier, method = looks.classifier, settings.method
    if method in ENGINE:
        for layer in settings.layers or (14,):
            yield getattr(looks.state(*view, layer), method)(priors)[0].float()
    elif method == "cam":
        yield cam_of_features(classifier, looks.features(*view), priors)
    else:
        of_peer = cast(BaselineMethod, method)
        yield baseline_maps(classifier, of_peer, looks.pixels(*view), priors)


def engine_target(layer: int | str) -> dict[str, Any]:
    """One of `MapSettings.layers` as arguments of `TagClassifier.engine` and `state`."""
    return {"target": layer} if isinstance(layer, str) else {"resolution": layer}


def _resized(maps: Tensor, size: torch.Size) -> Tensor:
    """(K, h, w) at another grid, bilinear; cell centres stay where they are."""
    if maps.shape[1:] == size:
        return maps
    return functional.interpolate(maps[None], tuple(size), mode="bilinear")[0]


def shares(maps: Tensor) -> Tensor:
    """Scale each of the maps (K, h, w) to sum 1; zeros stay."""
    totals = maps.sum((1, 2), keepdim=True)
    return torch.where(totals > 0, maps / totals, 0)


def _is_list(value: object) -> bool:
    return isinstance(value, tuple) and len(value) > 0


def _shown(value: object) -> object:
    return list(value) if isinstance(value, tuple) else value


def _is_layer(value: object) -> bool:
    return isinstance(value, str) or (_is_whole(value) and cast(int, value) >= 1)


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
