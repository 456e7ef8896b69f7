"""A tag classifier that can be asked where it sees a word."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from data_prep.errors import UserError
from data_prep.images import open_image
from data_prep.vocabulary import Vocabulary
from grounding import model_folder
from grounding.excitation import ExcitationBackprop, State, UnsupportedOperation
from grounding.models import BUNDLED, load_model
from grounding.preprocessing import Preprocessing, attention_size, scoring_size, upsampled
from grounding.priors import scores_and_priors
from grounding.words import WordMatch, resolve

SHORT_SIDE = 384  # pixels; of the photo as the classifier sees it

# What torch says where a layer's window does not fit its input.
TOO_SMALL = re.compile("[Oo]utput size is too small|Kernel size can't be greater")

Method = Literal["cmwp", "mwp", "wta"]


@dataclass(frozen=True)
class Attention:
    """Where a classifier sees words in one photo.

    Attributes
    ----------
    maps : dict of str to ndarray
        Per word (H, W) float32 at the photo's size, ≥ 0, in units of mass per cell of the
        target's grid: comparable between the words of a photo.
    matches : list of WordMatch
        Per word the classes it stands for, in the order of `maps`.
    scores : dict of str to float
        Per word the classifier's probability, in [0, 1]; see `TagClassifier.logits`.
    leak : dict of str to float
        Per word the MWP mass lost on the way to the target, in [0, 1].
    target : str
        Module path of the layer the maps come from.
    seconds : float
        Wall time, without reading the photo's file.
    """

    maps: dict[str, np.ndarray]
    matches: list[WordMatch]
    scores: dict[str, float]
    leak: dict[str, float]
    target: str
    seconds: float


@dataclass(frozen=True)
class TagClassifier:
    """A convnet, what its outputs mean, and how it wants its photos.

    Attributes
    ----------
    model : nn.Module
        (N, 3, H, W) → logits (N, M); in eval mode.
    vocabulary : Vocabulary
        The M classes.
    preprocessing : Preprocessing
        From a photo to the model's input.
    name : str
        For messages and records.
    multi_label : bool
        Probabilities by a sigmoid per class; otherwise by a softmax over the classes.
    """

    model: nn.Module
    vocabulary: Vocabulary
    preprocessing: Preprocessing
    name: str
    multi_label: bool = False
    _engines: dict[tuple[Any, ...], ExcitationBackprop] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    @classmethod
    def pretrained(
        cls,
        name: str = BUNDLED,
        weights: str | Path | None = None,
        device: str | torch.device = "cpu",
        *,
        vocabulary: Vocabulary | None = None,
        preprocessing: Mapping[str, Any] | None = None,
        multi_label: bool = False,
    ) -> TagClassifier:
        """Load a classifier by name.

        Parameters
        ----------
        name, weights
            See `grounding.models.load_model`. The default needs no download.
        device : str or torch.device
            Where it runs.
        vocabulary : Vocabulary or None
            Meaning of the outputs; the 1000 ImageNet classes by default.
        preprocessing : mapping or None
            Fields of `Preprocessing` that differ from the library's for this model. Weights
            converted from Caffe, for one: ``{"mean": (104, 117, 123), "std": (1, 1, 1),
            "white": 255, "channels": "BGR"}``.
        multi_label : bool
            See the class.

        Raises
        ------
        UserError
            Unknown model, weights that cannot be had or do not fit, unknown preprocessing field.
        """
        vocabulary = vocabulary or Vocabulary.imagenet()
        model, usual, full_name = load_model(name, weights, len(vocabulary))
        own = model_folder.override(usual, preprocessing or {})
        return cls(model.to(device), vocabulary, own, full_name, multi_label)

    @classmethod
    def load(cls, folder: str | Path, device: str | torch.device = "cpu") -> TagClassifier:
        """Load what `save` wrote; nothing is downloaded.

        `folder` is the model's, or the one above it, whose subfolder ``model`` it is.

        Raises
        ------
        UserError
            A file is missing or of a later format, or weights, vocabulary and backbone do not
            match.
        """
        model, vocabulary, preprocessing, name, multi_label = model_folder.load(Path(folder))
        return cls(model.to(device), vocabulary, preprocessing, name, multi_label)

    def save(self, folder: str | Path, record: Mapping[str, Any]) -> None:
        """Write weights.safetensors, vocabulary.json, training.json and, last, classifier.json.

        Parameters
        ----------
        folder : str or Path
            Made if need be; a model in it is replaced.
        record : mapping
            How it was trained, for training.json: configuration, data, metrics.

        Raises
        ------
        UserError
            The model is not one that `grounding.heads.tag_net` rebuilds from its name, its
            outputs are not the vocabulary's, or the folder cannot be written.
        """
        parts = (self.model, self.vocabulary, self.preprocessing, self.name, self.multi_label)
        model_folder.save(Path(folder), *parts, record)

    @property
    def device(self) -> torch.device:
        return next(self.model.parameters()).device

    def preprocess(self, image: Image.Image, short_side: int = SHORT_SIDE) -> Tensor:
        """Photo at its true aspect ratio as the model's input (3, H, W), on the CPU."""
        return self.preprocessing(image, attention_size(*image.size, short_side))

    @torch.no_grad()
    def logits(self, image: Image.Image) -> Tensor:
        """Class scores (M,) of a photo at the area of the training's photos; see `scoring_size`."""
        size = scoring_size(*image.size, self.preprocessing.size)
        batch = self.preprocessing(image, size).unsqueeze(0).to(self.device)
        return self.model(batch)[0]

    def attend(
        self, image: Image.Image | str | Path, words: Sequence[str], **options: Any
    ) -> dict[str, np.ndarray]:
        """Attention maps of words: `attention(image, words, **options).maps`."""
        return self.attention(image, words, **options).maps

    def attention(
        self,
        image: Image.Image | str | Path,
        words: Sequence[str],
        *,
        method: Method = "cmwp",
        short_side: int = SHORT_SIDE,
        target: str | None = None,
        resolution: int | None = None,
    ) -> Attention:
        """Ask where the classifier sees words.

        A word that stands for several classes is asked as one prior over them, in proportion to
        their probabilities in this photo (by "wta" as the most probable of them); its score is
        the sum of their probabilities (multi-label: the largest).

        Parameters
        ----------
        image : PIL.Image.Image, str or Path
            Upright RGB photo of W × H pixels, or its file.
        words : sequence of str
            Each is resolved by `grounding.words.resolve`.
        method : {"cmwp", "mwp", "wta"}
            Contrastive MWP, MWP, or the strongest path only.
        short_side : int
            The photo's short side as the classifier sees it for the maps, pixels; see
            `grounding.preprocessing.attention_size`.
        target, resolution
            Layer whose attention is given, by name or by its grid for a 224 × 224 input; see
            `ExcitationBackprop`.

        Raises
        ------
        UserError
            A word is unknown or too general, the photo cannot be opened, the method is none of
            the three, `short_side` is too small for the model, or the model has an operation
            that Excitation Backprop has no rule for.
        """
        if method not in get_args(Method):
            raise UserError(f"method {method!r} is none of {', '.join(get_args(Method))}")
        words = list(dict.fromkeys([words] if isinstance(words, str) else words))
        matches = [resolve(word, self.vocabulary) for word in words]
        photo = image if isinstance(image, Image.Image) else open_image(image)
        began = time.perf_counter()
        scores, priors = scores_and_priors(self.logits(photo), matches, self.multi_label)
        pixels = self.preprocess(photo, short_side).unsqueeze(0).to(self.device)
        asked = priors.argmax(1) if method == "wta" else priors  # the winner takes all there too
        with self._told_in_a_line():
            state = self.state(pixels, target, resolution)
            grids = getattr(state, method)(asked)[0]  # (K, h, w)
            leak = state.leak(priors)[0].tolist()
        maps = [upsampled(grid, *photo.size) for grid in grids]
        return Attention(
            maps=dict(zip(words, maps, strict=True)),
            matches=matches,
            scores=dict(zip(words, scores, strict=True)),
            leak=dict(zip(words, leak, strict=True)),
            target=self.engine(target, resolution).target,
            seconds=time.perf_counter() - began,
        )

    def state(
        self,
        pixels: Tensor,
        target: str | None = None,
        resolution: int | None = None,
        **options: Any,
    ) -> State:
        """Run the model on pixels (1, 3, H, W) of `preprocess`; the state answers any words.

        Raises
        ------
        UserError
            As `engine`, or the photo is too small for the model.
        """
        try:
            with self._told_in_a_line():
                return self.engine(target, resolution, **options)(pixels)
        except RuntimeError as error:
            if not TOO_SMALL.search(str(error)):
                raise
            height, width = pixels.shape[2:]
            raise UserError(
                f"model {self.name}: a photo of {width}×{height} pixels is too small for it; "
                "raise short_side"
            ) from error

    def engine(
        self, target: str | None = None, resolution: int | None = None, **options: Any
    ) -> ExcitationBackprop:
        """Engine of a target; traced once, the photos that follow reuse it.

        `options` are others of `ExcitationBackprop`, such as ``bottlenecks="composed"``.

        Raises
        ------
        UserError
            The target does not exist, or Excitation Backprop has no rule for an operation.
        """
        options = {"resolution": resolution, **options}
        key = (target, *sorted(options.items()))
        if key not in self._engines:
            with self._told_in_a_line():
                self._engines[key] = ExcitationBackprop(self.model, target, **options)
        return self._engines[key]

    @contextmanager
    def _told_in_a_line(self) -> Iterator[None]:
        try:
            yield
        except UnsupportedOperation as error:
            raise UserError(f"model {self.name}: {' '.join(str(error).split())}") from error
