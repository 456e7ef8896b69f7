"""Plays of the pointing game on one photo, by every method."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
from PIL import Image
from torch import Tensor

from data_prep.annotated import AnnotatedPhoto, ClassRegions
from grounding.pointing import peak, point_hits, point_hits_mask
from grounding.preprocessing import upsampled
from pipeline.photo_maps import PhotoMaps

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
    """Plays on a photo: every class by every method.

    Attributes
    ----------
    maps : PhotoMaps
    tolerance : float
        Of a hit, pixels.
    """

    maps: PhotoMaps
    tolerance: float

    def rows(self, photo: AnnotatedPhoto, image: Image.Image) -> list[dict[str, Any]]:
        """Give a row of `SCHEMA` for each class and method."""
        asked = self.maps.asked(photo)
        maps = self.maps(image, [each.label for each in asked])
        return [
            row
            for i, regions in enumerate(asked)
            for row in self._plays(photo, regions, {name: found[i] for name, found in maps.items()})
        ]

    def _plays(
        self, photo: AnnotatedPhoto, regions: ClassRegions, maps: Mapping[str, Tensor]
    ) -> Iterator[dict[str, Any]]:
        mask = regions.mask()
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
                "word": self.maps.words[regions.label].word,
                "difficult": regions.difficult,
                "method": method,
                "hit": hit,
                "x": x,
                "y": y,
            }
