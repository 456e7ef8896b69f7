"""Rows of the phrase table: what came of the phrases of one photo."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from PIL import Image

from data_prep.phrases import Phrase, PhrasePhoto
from grounding.localisation import THRESHOLD, first_hit, overlaps
from grounding.localiser import Answer, Localiser, PhraseSettings
from grounding.phrases import PhraseResolver, PhraseWords
from grounding.word_maps import Looks, MapSettings

SHOWN = 10  # boxes of a phrase that are written


@dataclass(frozen=True)
class PhotoLocaliser:
    """Answers all phrases of a photo, by the method and by those it is compared with.

    Attributes
    ----------
    resolver : PhraseResolver
    localiser : Localiser
    baselines : mapping of str to Localiser
        Name to the same with other maps.
    """

    resolver: PhraseResolver
    localiser: Localiser
    baselines: Mapping[str, Localiser]

    def rows(
        self, photo: PhrasePhoto, image: Image.Image, boxes: np.ndarray | None
    ) -> list[dict[str, Any]]:
        """Give a row of `pipeline.phrase_table.SCHEMA` for each phrase.

        Parameters
        ----------
        photo : PhrasePhoto
            At the size of `image`.
        image : PIL.Image.Image
            RGB.
        boxes : ndarray (N, 4) or None
            Proposals; None: all windows of the maps' grid.
        """
        words = [self.resolver(photo.captions[p.caption], p.start, p.end) for p in photo.phrases]
        captions = [phrase.caption for phrase in photo.phrases]
        looks = Looks(self.localiser.classifier, image)  # one for all: they share some
        answers, ranked = self.localiser(looks, words, captions, boxes)
        others = {
            name: localiser(looks, words, captions, boxes)[0]
            for name, localiser in self.baselines.items()
        }
        rows = []
        for i, phrase in enumerate(photo.phrases):
            row = _about(photo, phrase, words[i]) | _scored(answers[i], ranked, phrase)
            row["baselines"] = [
                {"name": name, **_ranks(found[i], phrase), **_point(found[i])}
                for name, found in others.items()
            ]
            rows.append(row)
        return rows


def _about(photo: PhrasePhoto, phrase: Phrase, words: PhraseWords) -> dict[str, Any]:
    return {
        "id": phrase.id,
        "image_id": photo.id,
        "photo": str(photo.path),
        "width": photo.width,
        "height": photo.height,
        "caption": photo.captions[phrase.caption],
        "start": phrase.start,
        "end": phrase.end,
        "phrase": phrase.text,
        "types": phrase.types,
        "chain": phrase.chain,
        "words": list(dict.fromkeys(name for word in words.words for name in word.names)),
        "head": words.head_noun,
        "dropped": words.dropped,
        "backed_off": [f"{written} → {used}" for written, used in words.backed_off],
        "out_of_vocabulary": words.out_of_vocabulary,
        "boxes": phrase.boxes,
    }


def _scored(answer: Answer, ranked: np.ndarray, phrase: Phrase) -> dict[str, Any]:
    """Compare the ranked boxes, and all boxes (N, 4) in their own order, with the truth."""
    in_order = dict(zip(("merged", "any"), overlaps(ranked, phrase.boxes), strict=True))
    found: dict[str, Any] = {"proposals": len(ranked)} | _ranks(answer, phrase) | _point(answer)
    for protocol, iou in in_order.items():
        hits = int((iou >= THRESHOLD).sum())
        found[f"hits_{protocol}"], found[f"upper_{protocol}"] = hits, hits > 0
        found[f"first_{protocol}"] = first_hit(iou)
    best = overlaps(answer.boxes[:1], phrase.boxes)
    for protocol, iou in zip(("merged", "any"), best, strict=True):
        found[f"iou_{protocol}"] = float(iou[0]) if len(iou) else None
    attention = answer.attention
    levels = np.round(255 * attention / (attention.max() or 1)).astype(np.uint8)
    return found | {
        "top_boxes": answer.boxes[:SHOWN].tolist(),
        "top_scores": answer.scores[:SHOWN].tolist(),
        "attention": levels.tobytes(),
        "grid_width": levels.shape[1],
        "grid_height": levels.shape[0],
    }


def _ranks(answer: Answer, phrase: Phrase) -> dict[str, int | None]:
    merged, each = overlaps(answer.boxes, phrase.boxes)
    return {"rank_merged": first_hit(merged), "rank_any": first_hit(each)}


def _point(answer: Answer) -> dict[str, int | None]:
    x, y = answer.point or (None, None)
    return {"point_x": x, "point_y": y}


def map_baselines(names: Sequence[str], localiser: Localiser) -> dict[str, Localiser]:
    """Give for each method the localiser of its plain maps: one look, the mean over the words."""
    plain = PhraseSettings()
    return {name: replace(localiser, maps=(MapSettings(name),), phrase=plain) for name in names}
