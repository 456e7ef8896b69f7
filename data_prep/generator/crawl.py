"""Generated rows as Arrow record batches."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pyarrow as pa

from data_prep.generator.sampling import (
    COUNTED,
    SIZES,
    Rows,
    Shares,
    State,
    Tables,
    alias_table,
    fill,
)
from data_prep.generator.settings import CrawlSettings
from data_prep.generator.spelling import make_tags, spell_oddly
from data_prep.text import normalise

BATCH_ROWS = 1 << 17

SCHEMA = pa.schema(
    [
        pa.field("image_id", pa.int64(), nullable=False),
        pa.field("user_id", pa.int64(), nullable=False),
        pa.field("tags", pa.list_(pa.dictionary(pa.int32(), pa.string()))),
        pa.field("width", pa.int32(), nullable=False),
        pa.field("height", pa.int32(), nullable=False),
    ]
)


@dataclass
class Counts:
    """What was generated so far.

    Attributes
    ----------
    images, users, largest_user, tags : int
        Rows; users that have any; rows of the user who has most; list entries.
    alphabetical, few_tags : int
        Images whose list was sorted; that have fewer than five list entries, or no list.
    null_lists, duplicate_tags, null_tags, empty_tags : int
        Images with that dirt.
    odd_spellings : int
        Tags.
    """

    images: int = 0
    users: int = 0
    largest_user: int = 0
    tags: int = 0
    alphabetical: int = 0
    few_tags: int = 0
    null_lists: int = 0
    duplicate_tags: int = 0
    null_tags: int = 0
    empty_tags: int = 0
    odd_spellings: int = 0

    def _update(self, state: State) -> None:
        self.images = int(state.images.sum())
        self.users = int(np.count_nonzero(state.images))
        self.largest_user = int(state.images.max())
        for name, count in zip(COUNTED, state.counts.tolist(), strict=True):
            setattr(self, name, count)


def generate_crawl(
    settings: CrawlSettings, counts: Counts | None = None
) -> Iterator[pa.RecordBatch]:
    """Generate a crawl, batch by batch, in crawl order.

    The same settings give the same rows, on any number of threads; the first rows of a longer
    crawl are those of a shorter one.

    Parameters
    ----------
    settings : CrawlSettings
        Size, seed and shape.
    counts : Counts, optional
        Brought up to date with every batch.

    Yields
    ------
    pa.RecordBatch
        131,072 rows (the last one fewer) of `SCHEMA`: image_id (ascending, with gaps), user_id,
        tags (a dictionary per batch; null lists, null and odd tags occur), width, height.
    """
    spellings, ranks = _spellings(settings.distinct_tags, settings.seed)
    tables = Tables(
        alias_table(zipf_mandelbrot(*_tag_law(settings))),
        alias_table(tag_counts(settings)),
        alias_table(zipf_mandelbrot(settings.users, settings.user_exponent, settings.user_offset)),
        ranks,
    )
    shares = Shares(
        last_of_shoot=1 / settings.shoot_mean,
        **{
            name: float(getattr(settings, name))
            for name in Shares._fields
            if name != "last_of_shoot"
        },
    )
    user_ids = 1 + np.random.default_rng([settings.seed, 3]).permutation(settings.users + 1)
    state = _new_state(settings)
    seed = np.uint64(settings.seed)
    for first in range(0, settings.images, BATCH_ROWS):
        rows = _room(min(BATCH_ROWS, settings.images - first), settings.tags_cap)
        fill(rows, tables, shares, state, seed)
        if counts is not None:
            counts._update(state)
        yield _batch(rows, spellings, user_ids)


def zipf_mandelbrot(count: int, exponent: float, offset: float) -> np.ndarray:
    """Probabilities of ranks 1 … count, ∝ (rank + offset)^-exponent: (count,) float64."""
    weights = (np.arange(1.0, count + 1) + offset) ** -exponent
    return weights / weights.sum()


def tag_counts(settings: CrawlSettings) -> np.ndarray:
    """Probabilities that an image has 0 … tags_cap tags, before dirt: (tags_cap + 1,) float64."""
    low, high = math.log(0.1), math.log(100 * settings.tags_cap)
    for _ in range(60):  # bisection: the mean rises with the middle
        middle = (low + high) / 2
        chances = _cut_lognormal(middle, settings.tags_sigma, settings.tags_cap)
        if chances @ np.arange(chances.size) < settings.tags_mean:
            low = middle
        else:
            high = middle
    chances *= 1 - settings.few_tags
    chances[:5] += settings.few_tags / 5
    return chances


def _cut_lognormal(middle: float, sigma: float, cap: int) -> np.ndarray:
    """Lognormal rounded to 1 … cap, with all that lies beyond on the ends."""
    edges = [(math.log(count + 0.5) - middle) / sigma for count in range(1, cap)]
    below = [0.0, *((1 + math.erf(edge / math.sqrt(2))) / 2 for edge in edges), 1.0]
    return np.concatenate([[0.0], np.diff(below)])


def _tag_law(settings: CrawlSettings) -> tuple[int, float, float]:
    return settings.distinct_tags, settings.zipf_exponent, settings.zipf_offset


@lru_cache(maxsize=2)
def _spellings(count: int, seed: int) -> tuple[pa.StringArray, np.ndarray]:
    """Give all strings there are, and alphabetical ranks of the normalised: (2 · count,) int32."""
    tags = make_tags(count, seed)
    odd = spell_oddly(tags, seed)
    order = np.array([*tags, *map(normalise, odd)], dtype=object)
    ranks = np.unique(order, return_inverse=True)[1].astype(np.int32)
    return pa.array([*tags, *odd, "", " "]), ranks


def _new_state(settings: CrawlSettings) -> State:
    return State(
        random=np.array([settings.seed], np.uint64),
        shoot=np.zeros(4, np.int64),
        core=np.empty(settings.tags_cap, np.int32),
        stamps=np.zeros(settings.distinct_tags, np.int64),
        stamp=np.zeros(1, np.int64),
        image_id=np.zeros(1, np.int64),
        shoots=np.zeros(settings.users + 1, np.int64),
        images=np.zeros(settings.users + 1, np.int64),
        counts=np.zeros(len(COUNTED), np.int64),
    )


def _room(rows: int, cap: int) -> Rows:
    return Rows(
        image_id=np.empty(rows, np.int64),
        user=np.empty(rows, np.int64),
        size=np.empty(rows, np.int64),
        null=np.empty(rows, np.bool_),
        offsets=np.zeros(rows + 1, np.int32),
        tags=np.empty(rows * cap, np.int32),
    )


def _batch(rows: Rows, spellings: pa.StringArray, user_ids: np.ndarray) -> pa.RecordBatch:
    tags = rows.tags[: rows.offsets[-1]]
    used = np.zeros(len(spellings) + 1, np.bool_)
    used[tags] = True
    codes = (np.cumsum(used, dtype=np.int32) - 1)[tags]  # a dictionary of what occurs, no more
    null = tags == len(spellings)
    used[-1] = False
    entries = pa.DictionaryArray.from_arrays(
        pa.array(codes, mask=null), spellings.take(pa.array(np.flatnonzero(used)))
    )
    lists = pa.ListArray.from_arrays(pa.array(rows.offsets), entries, mask=pa.array(rows.null))
    width, height = SIZES[rows.size].T
    columns = [rows.image_id, user_ids[rows.user], lists, width.copy(), height.copy()]
    return pa.record_batch([pa.array(column) for column in columns], schema=SCHEMA)
