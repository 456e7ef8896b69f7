"""Attention maps of words in a photo, over several scales, mirror images and layers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast, get_args

import torch
from PIL import Image, ImageOps
from torch import Tensor
from torch.nn import functional

from data_prep.errors import UserError
from grounding.baselines import BaselineMethod, baseline_maps
from grounding.baselines.cam import cam_features, cam_of_features
from grounding.classifier import TagClassifier
from grounding.excitation import State
from grounding.excitation.plan import Bottlenecks, Residual
from grounding.pointing import centre
from grounding.priors import scores_and_priors
from grounding.words import WordMatch

DEFAULT_LAYER = 14  # the target's grid for a 224 × 224 input
LARGEST_SIDE = 4096  # pixels; more is a slip, and would fill the memory

ENGINE = ("cmwp", "mwp", "wta")  # methods of the engine
METHODS = (*ENGINE, *get_args(BaselineMethod), "centre")

Rule = Literal["mean", "product"]


@dataclass(frozen=True)
class MapSettings:
    """Maps of a word by one method: one for each layer, scale and mirror image.

    Attributes
    ----------
    method : {"cmwp", "mwp", "wta", "cam", …, "centre"}
        Contrastive MWP, MWP, deterministic winner-take-all (a word of several classes is asked as
        the most probable of them), one of `grounding.baselines`, or "centre": one map at the
        photo's size, 1 at its `grounding.pointing.centre` and 0 elsewhere, at whatever scales.
    layers : tuple of int or str, optional
        Target layers of the first three: a grid's side for a 224 × 224 input (7, 14, 28), or a
        module's path, each once; None: 14. The others have layers of their own.
    short_sides : tuple of int
        The photo's short side as the classifier sees it, pixels, each once; see
        `grounding.preprocessing.attention_size`.
    flip : bool
        The mirror image as well.
    residual, bottlenecks : str
        Of the first three, how they treat residual sums and linear bottlenecks; see
        `grounding.excitation.ExcitationBackprop`.

    Raises
    ------
    UserError
        A value is unusable; the message begins with its name.
    """

    method: str = "cmwp"
    layers: tuple[int | str, ...] | None = None
    short_sides: tuple[int, ...] = (384,)
    flip: bool = False
    residual: Residual = "positive"
    bottlenecks: Bottlenecks = "positive"

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise UserError(f"method={self.method}: give one of {', '.join(METHODS)}")
        of_engine = self.method in ENGINE
        if not of_engine and self.layers is not None:
            raise UserError(
                f"layers={_shown(self.layers)}: give none, {self.method} has its own layer"
            )
        if self.layers is not None and not _are_different(self.layers, _is_layer):
            raise UserError(
                f"layers={_shown(self.layers)}: give grids or layers, as in [7,14], each once"
            )
        if not _are_different(self.short_sides, _is_side):
            raise UserError(
                f"short_sides={_shown(self.short_sides)}: give whole numbers of pixels from 1 to "
                f"{LARGEST_SIDE}, as in [384], each once"
            )
        if not isinstance(self.flip, bool):
            raise UserError(f"flip={self.flip}: give true or false")
        for name, allowed in (("residual", Residual), ("bottlenecks", Bottlenecks)):
            value, known = getattr(self, name), get_args(allowed)
            if value not in known:
                raise UserError(f"{name}={value}: give one of {', '.join(known)}")
            if not of_engine and value != "positive":
                raise UserError(f"{name}={value}: leave it out, {self.method} has none")

    def engine_options(self) -> dict[str, Any]:
        """Options of `TagClassifier.engine` beside the target."""
        return {"residual": self.residual, "bottlenecks": self.bottlenecks}


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

    def priors(self, words: Sequence[WordMatch]) -> Tensor:
        """Words as priors (K, M) over the classes; see `grounding.priors.scores_and_priors`."""
        classes = [word.classes for word in words]
        if any(len(each) != 1 for each in classes):
            return scores_and_priors(self.logits(), words, self.classifier.multi_label)[1]
        priors = torch.zeros(len(words), len(self.classifier.vocabulary))  # no need to look
        priors[range(len(words)), [each[0] for each in classes]] = 1
        return priors.to(self.classifier.device)

    def pixels(self, short_side: int, flipped: bool) -> Tensor:
        """Input of the model, (1, 3, H, W)."""

        def make() -> Tensor:
            seen = ImageOps.mirror(self.image) if flipped else self.image
            pixels = self.classifier.preprocess(seen, short_side).unsqueeze(0)
            return pixels.to(self.classifier.device)

        pixels: Tensor = self._once(("pixels", short_side, flipped), make)
        return pixels

    def state(self, short_side: int, flipped: bool, layer: int | str, **options: Any) -> State:
        """Excitations with this target layer, and these options of the engine."""
        pixels = self.pixels(short_side, flipped)
        state: State = self._once(
            ("state", short_side, flipped, layer, *sorted(options.items())),
            lambda: self.classifier.state(pixels, **engine_target(layer), **options),
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
def word_maps(
    looks: Looks, priors: Tensor, settings: Sequence[MapSettings], rule: Rule = "mean"
) -> Tensor:
    """Ask a classifier where it sees words; all maps, each scaled to sum 1, become one.

    Parameters
    ----------
    looks : Looks
        At a photo.
    priors : Tensor (K, M)
        Each word as a prior over the classes.
    settings : sequence of MapSettings
        One or more.
    rule : {"mean", "product"}
        How a word's maps become one: their mean, or their `product`.

    Returns
    -------
    Tensor (K, h, w) float32
        ≥ 0, on the grid of the finest map, each summing to 1; all zero for a word that has no
        attention anywhere, all NaN for one of whose maps one is not finite. On the classifier's
        device.

    Raises
    ------
    ValueError
        The rule is unknown.
    """
    if rule not in get_args(Rule):
        raise ValueError(f"rule {rule!r}: choose from {', '.join(get_args(Rule))}")
    found = [each for one in settings for each in _maps(looks, priors, one)]
    size = max((maps.shape[1:] for maps in found), key=lambda grid: grid[0] * grid[1])
    scaled = [shares(_resized(maps, size)) for maps in found]
    if rule == "product":
        return shares(torch.stack([product(of_word) for of_word in torch.stack(scaled, 1)]))
    return shares(torch.stack(scaled).sum(0))


def _maps(looks: Looks, priors: Tensor, settings: MapSettings) -> Iterator[Tensor]:
    """Maps (K, h, w) at each scale, the photo before its mirror image, in each layer."""
    if settings.method == "centre":  # of the photo: a mirror image's would be another pixel
        x, y = centre(*looks.image.size)
        middle = priors.new_zeros((len(priors), *looks.image.size[::-1]), dtype=torch.float32)
        middle[:, y, x] = 1
        yield middle.to(looks.classifier.device)
        return
    for short_side in settings.short_sides:
        for flipped in (False, True) if settings.flip else (False,):
            for maps in _of_view(looks, (short_side, flipped), priors, settings):
                yield maps.flip(-1) if flipped else maps


def _of_view(
    looks: Looks, view: tuple[int, bool], priors: Tensor, settings: MapSettings
) -> Iterator[Tensor]:
    classifier, method = looks.classifier, settings.method
    if method in ENGINE:
        options = settings.engine_options()
        # The winner takes all among the classes too.
        words = priors.argmax(1) if method == "wta" else priors
        for layer in settings.layers or (DEFAULT_LAYER,):
            yield getattr(looks.state(*view, layer, **options), method)(words)[0].float()
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
    """Scale each of the maps (K, h, w), ≥ 0, to sum 1; zeros stay, and so does what is no number.

    A map with infinity or NaN anywhere gets a NaN.
    """
    totals = maps.sum((1, 2), keepdim=True)
    return torch.where(totals == 0, 0, maps / totals)


def product(maps: Tensor) -> Tensor:
    """Geometric mean (h, w) of the maps (N, h, w) that have attention, each of sum 1.

    Where these have no cell in common, the plain mean of all.
    """
    seen = maps[maps.flatten(1).any(1)]
    geometric = seen.log().mean(0).exp()  # log 0 = -inf, whose exp is 0
    return geometric if (geometric > 0).any() else maps.mean(0)


def _are_different(values: object, is_one: Callable[[object], bool]) -> bool:
    """Whether these are one or more such values, none of them twice."""
    return (
        isinstance(values, tuple)
        and len(values) > 0
        and all(map(is_one, values))
        and len(set(values)) == len(values)
    )


def _shown(value: object) -> object:
    return list(value) if isinstance(value, tuple) else value


def _is_layer(value: object) -> bool:
    return isinstance(value, str) or (_is_whole(value) and cast(int, value) >= 1)


def _is_side(value: object) -> bool:
    return _is_whole(value) and 1 <= cast(int, value) <= LARGEST_SIDE


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
