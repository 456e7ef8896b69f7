"""From phrases to ranked boxes in one photo."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from data_prep.errors import UserError, check_number
from grounding.classifier import TagClassifier
from grounding.phrase_maps import combine
from grounding.phrases import PhraseWords
from grounding.pointing import Point, peak
from grounding.preprocessing import upsampled
from grounding.ranking import RankSettings, grid_windows, rank_boxes, score_boxes, vote_boxes
from grounding.word_maps import Looks, MapSettings, shares, word_maps
from grounding.words import WordMatch

MOST_LINES = 32  # cells a side of the grid of all windows
SCORES_AT_ONCE = 1_000_000  # maps × boxes; bounds the memory
POINT_SIDE = 1024  # pixels; a larger photo's map is looked at in this size for its maximum
SPREAD = 0.3  # of the map of an unknown phrase, in photo sides

Combination = Literal["mean", "max", "product", "head", "prior"]
Unknown = Literal["seen", "centre"]


@dataclass(frozen=True)
class PhraseSettings:
    """How the words of a phrase become one map.

    Attributes
    ----------
    combine : {"mean", "max", "product", "head", "prior"}
        See `grounding.phrase_maps.combine`; "prior" asks for all words together, by one prior over
        their classes in proportion to their probabilities.
    head_weight : float
        Of the head noun, from 0 to 1; for "head".
    unknown : {"seen", "centre"}
        What answers a phrase without a known word: what the classifier sees at all, by one prior
        over all classes in proportion to their probabilities; or the middle of the photo.
    centre : float or None
        Photographers put things in the middle: maps are multiplied by a Gaussian around it, of
        this deviation in photo sides. None: no such prior.
    context : float
        From 0. A phrase's map m gives way where the other phrases of its caption are seen, those
        with a known word: with q the mean of their maps, it becomes m · (m / (m + q))^context.

    Raises
    ------
    UserError
        A value is unusable.
    """

    combine: Combination = "mean"
    head_weight: float = 0.5
    unknown: Unknown = "centre"
    centre: float | None = None
    context: float = 0.0

    def __post_init__(self) -> None:
        for key, allowed in (("combine", Combination), ("unknown", Unknown)):
            if getattr(self, key) not in get_args(allowed):
                raise UserError(
                    f"phrase.{key}={getattr(self, key)}: give one of {', '.join(get_args(allowed))}"
                )
        check_number("phrase.head_weight", self.head_weight, 0, 1)
        check_number("phrase.context", self.context, 0, 10)
        check_number("phrase.centre", self.centre, 0.01, 100, or_null=True)


@dataclass(frozen=True)
class Answer:
    """Where a phrase is in a photo.

    Attributes
    ----------
    attention : ndarray (h, w) float32
        ≥ 0, over the whole photo.
    point : tuple of int or None
        The maximum of the map at the photo's size, in pixels; None of a map that points nowhere.
    boxes : ndarray (≤ 100, 4) float64
        Pixels, the best first.
    scores : ndarray (≤ 100,) float64
        Of `boxes`, by `grounding.ranking.score_boxes`; before a vote moved them.
    """

    attention: np.ndarray
    point: Point | None
    boxes: np.ndarray
    scores: np.ndarray


@dataclass(frozen=True)
class Localiser:
    """Answers the phrases of a photo with maps and ranked boxes.

    Attributes
    ----------
    classifier : TagClassifier
    maps, phrase, rank
        Settings of the three steps.
    """

    classifier: TagClassifier
    maps: tuple[MapSettings, ...]
    phrase: PhraseSettings
    rank: RankSettings

    @torch.no_grad()
    def phrase_maps(
        self, looks: Looks, phrases: Sequence[PhraseWords], captions: Sequence[int]
    ) -> Tensor:
        """Make the maps (P, h, w) of phrases; the photo is classified alike for any number.

        On the classifier's device, ≥ 0. `captions` tells which phrases stand together.
        """
        groups = [self._words(phrase) for phrase in phrases]
        asked = list(dict.fromkeys(group for each in groups for group in each))
        if asked:
            maps = word_maps(looks, self._priors(looks, asked), self.maps)
            maps = maps.nan_to_num(0)  # or one word's would spread to its caption's other phrases
        else:  # no phrase has a known word
            maps = torch.zeros(0, 12, 12, device=self.classifier.device)
        place = {group: i for i, group in enumerate(asked)}
        height, width = maps.shape[1:]
        unknown = middle(height, width, SPREAD).to(maps)
        rule = "mean" if self.phrase.combine == "prior" else self.phrase.combine
        found = []
        for phrase, own in zip(phrases, groups, strict=True):
            words = maps[[place[group] for group in own]]
            head = None if len(own) < 2 else phrase.head
            found.append(combine(words, head, rule, self.phrase.head_weight) if own else unknown)
        result = torch.stack(found)
        if self.phrase.centre is not None:
            result = result * middle(height, width, self.phrase.centre).to(result)
        known = [not phrase.out_of_vocabulary for phrase in phrases]
        return in_context(result, captions, known, self.phrase.context)

    def __call__(
        self,
        looks: Looks,
        phrases: Sequence[PhraseWords],
        captions: Sequence[int],
        boxes: np.ndarray | None,
    ) -> tuple[list[Answer], np.ndarray]:
        """Rank boxes for phrases.

        Parameters
        ----------
        looks : Looks
            At the photo.
        phrases : sequence of P PhraseWords
        captions : sequence of P int
            The caption that each of them stands in.
        boxes : ndarray (N, 4) or None
            Proposals in pixels; None: all windows of the maps' grid, or of one of
            `MOST_LINES` cells a side if that is finer.

        Returns
        -------
        list of P Answer
        ndarray (N, 4) float64
            The boxes that were ranked.
        """
        if not phrases:
            return [], np.zeros((0, 4))
        maps = self.phrase_maps(looks, phrases, captions)
        return answers(maps, looks.image.size, boxes, self.rank)

    def try_out(self) -> None:
        """Make a map of a grey picture.

        Raises
        ------
        UserError
            The classifier's net cannot be treated so, or a package is missing.
        """
        word = torch.eye(1, len(self.classifier.vocabulary), device=self.classifier.device)
        word_maps(Looks(self.classifier, Image.new("RGB", (64, 64), "grey")), word, self.maps)

    def _words(self, phrase: PhraseWords) -> list[tuple[WordMatch, ...]]:
        """Say what is asked for a phrase: a map for each of these groups of words."""
        if phrase.out_of_vocabulary:
            return [()] if self.phrase.unknown == "seen" else []
        if self.phrase.combine == "prior":
            return [phrase.words]
        return [(word,) for word in phrase.words]

    def _priors(self, looks: Looks, asked: Sequence[tuple[WordMatch, ...]]) -> Tensor:
        """Turn groups of words into priors (K, M); a group without words is all classes."""
        every = range(len(self.classifier.vocabulary))
        matches = []
        for group in asked:
            classes = tuple(sorted({c for word in group for c in word.classes}))
            matches.append(WordMatch("", classes or tuple(every), (), "hypernym"))
        return looks.priors(matches)


def answers(
    maps: Tensor, size: tuple[int, int], boxes: np.ndarray | None, settings: RankSettings
) -> tuple[list[Answer], np.ndarray]:
    """Rank boxes by maps (P, h, w); see `Localiser`. `size` is the photo's width and height."""
    scale = torch.tensor([*size, *size], dtype=torch.float64)
    if boxes is None:
        height, width = (min(side, MOST_LINES) for side in maps.shape[1:])
        pixels = grid_windows(height, width) * scale
    else:
        pixels = torch.from_numpy(boxes.astype(np.float64))
    together = max(1, SCORES_AT_ONCE // max(1, len(pixels)))
    scores = (
        own for some in maps.split(together) for own in score_boxes(some, pixels / scale, settings)
    )
    found = []
    for attention, own in zip(maps, scores, strict=True):
        order = rank_boxes(own, pixels, settings.nms)
        best = pixels[order]
        if settings.vote is not None:
            best = vote_boxes(order, own, pixels, settings.vote)
        answer = Answer(
            attention.cpu().numpy(),
            _point(attention, size),
            best.numpy(),
            own.cpu()[order].numpy(),
        )
        found.append(answer)
    return found, pixels.numpy()


def middle(height: int, width: int, spread: float) -> Tensor:
    """Map (height, width) of a Gaussian around the photo's middle; deviation in photo sides."""
    y, x = ((torch.arange(side) + 0.5) / side - 0.5 for side in (height, width))
    return torch.exp(-(x**2 + y[:, None] ** 2) / (2 * spread**2))


def in_context(
    maps: Tensor, captions: Sequence[int], known: Sequence[bool], strength: float
) -> Tensor:
    """Let the maps (P, h, w) of phrases give way to each other; see `PhraseSettings.context`."""
    of = torch.tensor(captions, device=maps.device)
    seen = torch.tensor(known, device=maps.device) & maps.flatten(1).any(1)
    together = ((of[:, None] == of) & seen).float().fill_diagonal_(0)
    others = together.sum(1)
    if strength == 0 or not others.any():
        return maps
    scaled = shares(maps)
    mean = torch.einsum("pq,qhw->phw", together / others.clamp(min=1)[:, None], scaled)
    own = torch.where(scaled > 0, scaled / (scaled + mean), 0)
    return scaled * own**strength


def _point(attention: Tensor, size: tuple[int, int]) -> Point | None:
    """Pixel of the maximum of a map (h, w) at the photo's size, to a thousandth of its sides."""
    scale = min(1.0, POINT_SIDE / max(size))
    width, height = (max(1, round(scale * side)) for side in size)
    point = peak(upsampled(attention, width, height))
    if point is None:
        return None
    x, y = ((place + 0.5) / side for place, side in zip(point, (width, height), strict=True))
    return int(x * size[0]), int(y * size[1])
