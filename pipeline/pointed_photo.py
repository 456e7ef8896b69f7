"""Plays of the pointing game on one photo, by every method."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import torch
from PIL import Image
from torch import Tensor

from data_prep.annotated import AnnotatedPhoto, ClassRegions
from data_prep.images import UnusableImage
from grounding.classifier import TagClassifier
from grounding.pointing import peak, point_hits, point_hits_mask
from grounding.preprocessing import upsampled
from grounding.word_maps import Looks
from grounding.words import WordMatch
from pipeline.method_lines import MethodLine

SCHEMA = pa.schema(
    [
        pa.field("image", pa.string()),
        pa.field("photo", pa.string()),
        pa.field("width", pa.int32()),
        pa.field("height", pa.int32()),
        pa.field("label", pa.string()),  # the dataset's class
        pa.field("word", pa.string()),  # what the model was asked
        pa.field("difficult", pa.bool_()),  # null where nobody knows
        pa.field("method", pa.string()),  # a line's name
        pa.field("hit", pa.bool_()),
        pa.field("x", pa.int32()),  # the map's maximum in pixels; null of a degenerate map
        pa.field("y", pa.int32()),
    ]
)


@dataclass(frozen=True)
class PhotoPlayer:
    """Asks a classifier for the classes of a photo by every method.

    Attributes
    ----------
    classifier : TagClassifier
    words : mapping of str to WordMatch
        Of the dataset's classes those that the classifier knows.
    lines : tuple of MethodLine
        The methods.
    tolerance : float
        Of a hit, pixels.
    """

    classifier: TagClassifier
    words: Mapping[str, WordMatch]
    lines: tuple[MethodLine, ...]
    tolerance: float

    def asked(self, photo: AnnotatedPhoto) -> list[ClassRegions]:
        """Classes of a photo that the classifier knows."""
        return [each for each in photo.classes if each.label in self.words]

    def rows(self, photo: AnnotatedPhoto, image: Image.Image) -> list[dict[str, Any]]:
        """Give a row of `SCHEMA` for each class and method.

        Raises
        ------
        UnusableImage
            The photo has another size than its annotation.
        """
        if image.size != (photo.width, photo.height):
            raise UnusableImage(
                f"{photo.path}: {image.width}×{image.height} pixels, but annotated as "
                f"{photo.width}×{photo.height}; get the photo in its original size",
                "other size",
            )
        asked = self.asked(photo)
        maps = self.maps(image, [each.label for each in asked])
        return [
            row
            for i, regions in enumerate(asked)
            for row in self._plays(photo, regions, {name: found[i] for name, found in maps.items()})
        ]

    @torch.no_grad()
    def maps(self, image: Image.Image, labels: Sequence[str]) -> dict[str, Tensor]:
        """Maps (K, h, w) of K classes by each line."""
        if not labels:
            return {}
        looks = Looks(self.classifier, image)
        priors = looks.priors([self.words[label] for label in labels])
        return {line.name: line(looks, priors) for line in self.lines}

    def try_out(self) -> None:
        """Make the maps of a grey picture.

        Raises
        ------
        UserError
            The classifier's net cannot be treated so, or a package is missing.
        """
        self.maps(Image.new("RGB", (64, 64), "grey"), list(self.words)[:1])

    def _plays(
        self, photo: AnnotatedPhoto, regions: ClassRegions, maps: Mapping[str, Tensor]
    ) -> Iterator[dict[str, Any]]:
        mask = regions.mask(photo.height, photo.width)
        for method, attention in maps.items():
            point = peak(upsampled(attention, photo.width, photo.height))
            if mask is None:
                hit = point_hits(point, regions.boxes, self.tolerance)
            else:
                hit = point_hits_mask(point, mask, self.tolerance)
            x, y = point or (None, None)
            yield {
                "image": photo.id,
                "photo": str(photo.path),
                "width": photo.width,
                "height": photo.height,
                "label": regions.label,
                "word": self.words[regions.label].word,
                "difficult": regions.difficult,
                "method": method,
                "hit": hit,
                "x": x,
                "y": y,
            }
