"""Phrases to look at: best, worst and at random, with photo, attention and boxes."""

from __future__ import annotations

import base64
import io
import re
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from PIL import Image

from data_prep.errors import UserError
from grounding.drawing import overlay
from grounding.localisation import union_box

CARDS = 12  # of a group
OF_ONE_PHOTO = 2  # at most
SIDE = 400  # of a picture's longer side; pixels
BYTES = 25_000  # of a picture, about
QUALITIES = (80, 65, 50, 35, 20)

OpenPhoto = Callable[[str], Image.Image]


@dataclass(frozen=True)
class Group:
    """Cards that belong together: a name for the page's code, a title, how they were chosen."""

    name: str
    title: str
    choice: str
    cards: list[Card]


@dataclass(frozen=True)
class Card:
    """One phrase to look at.

    Attributes
    ----------
    row : dict
        Of the table of phrases.
    before, after : str
        The caption around the phrase.
    picture, heat : str or None
        Photo and attention over it, as data: URIs; None where there is none.
    truth, found : list of tuple (x, y, width, height)
        Boxes in the photo's pixels; the best ones found, best first.
    """

    row: dict[str, Any]
    before: str
    after: str
    picture: str | None
    heat: str | None
    truth: list[tuple[float, ...]]
    found: list[tuple[float, ...]]


def choose(table: pa.Table, seed: int = 0) -> dict[str, list[int]]:
    """Rows to look at, at most `CARDS` a group and `OF_ONE_PHOTO` of a photo in it.

    Best: phrases whose first box hits, the closest first. Worst: missed phrases with a known word,
    the least overlap first; of equals (most overlap nothing) those that a proposal could have
    answered, then the larger thing. Random: of all phrases. Else in the table's order.
    """
    columns = ["photo", "width", "height", "boxes", "out_of_vocabulary", "rank_merged"]
    rows = table.select([*columns, "iou_merged", "upper_merged"]).to_pylist()
    best = [i for i, row in enumerate(rows) if row["rank_merged"] == 1]
    worst = [
        i for i, row in enumerate(rows) if row["rank_merged"] != 1 and not row["out_of_vocabulary"]
    ]
    orders = {
        "best": sorted(best, key=lambda i: -rows[i]["iou_merged"]),
        "worst": sorted(worst, key=lambda i: _badness(rows[i])),
        "random": np.random.default_rng(seed).permutation(len(rows)).tolist(),
    }
    photos = [row["photo"] for row in rows]
    return {name: _take(order, photos) for name, order in orders.items()}


def _badness(row: dict[str, Any]) -> tuple[float, bool, float]:
    x1, y1, x2, y2 = union_box(row["boxes"])
    size = (x2 - x1) * (y2 - y1) / (row["width"] * row["height"])
    return row["iou_merged"] or 0.0, not row["upper_merged"], -size


def _take(order: Iterable[int], photos: list[str]) -> list[int]:
    taken: list[int] = []
    count: Counter[str] = Counter()
    for i in order:
        if len(taken) < CARDS and count[photos[i]] < OF_ONE_PHOTO:
            count[photos[i]] += 1
            taken.append(i)
    return taken


def gallery(table: pa.Table, photo: OpenPhoto, seed: int = 0) -> list[Group]:
    """Make the cards of all groups.

    Parameters
    ----------
    table : pyarrow.Table
        See `pipeline.phrase_table.SCHEMA`.
    photo : callable
        Path to photo, mode RGB. One that cannot be opened leaves its card without pictures.
    seed : int
        Of the random choice.
    """
    titles = {
        "best": ("Best", "First boxes that hit, closest first."),
        "worst": (
            "Worst",
            "Missed though a word is known, least overlap first; of equals, large things that a "
            "proposal could have answered.",
        ),
        "random": ("Random", f"Drawn from all phrases, seed {seed}: how it usually looks."),
    }
    groups = []
    for name, rows in choose(table, seed).items():
        chosen = table.take(pa.array(rows, pa.int64())).to_pylist()
        groups.append(Group(name, *titles[name], [_card(row, photo) for row in chosen]))
    return groups


def _card(row: dict[str, Any], photo: OpenPhoto) -> Card:
    picture = heat = None
    try:
        small = photo(row["photo"]).convert("RGB")
    except (UserError, OSError):
        pass  # the numbers need no photo
    else:
        small.thumbnail((SIDE, SIDE))
        picture = _data_uri(small)
        if row["attention"] is not None:
            heat = _data_uri(overlay(small, _attention(row, small.size)))
    return Card(
        row=row,
        before=row["caption"][: row["start"]],
        after=_with_its_stop(row["caption"][row["end"] :]),
        picture=picture,
        heat=heat,
        truth=[_corner_and_size(box) for box in row["boxes"]],
        found=[_corner_and_size(box) for box in row["top_boxes"][:3]],
    )


def _with_its_stop(caption: str) -> str:
    """Keep the full stop of a tokenised caption from a line of its own."""
    return re.sub(r"\s+(?=[.!?]\s*$)", "\N{NO-BREAK SPACE}", caption)


def _attention(row: dict[str, Any], size: tuple[int, int]) -> np.ndarray:
    """Enlarge a phrase's map to (height, width), float32."""
    grid = np.frombuffer(row["attention"], np.uint8)
    grid = grid.reshape(row["grid_height"], row["grid_width"]).astype(np.float32)
    return np.asarray(Image.fromarray(grid).resize(size, Image.Resampling.BILINEAR))


def _corner_and_size(box: list[float]) -> tuple[float, ...]:
    x1, y1, x2, y2 = box
    return tuple(round(number, 1) for number in (x1, y1, x2 - x1, y2 - y1))


def _data_uri(picture: Image.Image) -> str:
    for quality in QUALITIES:
        buffer = io.BytesIO()
        picture.save(buffer, "WEBP", quality=quality)
        if buffer.tell() <= BYTES:
            break
    return "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode()
