"""Random numbers and random images of a generated crawl, compiled.

Nothing here runs in parallel and no state is shared: the numbers depend on the seed alone.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from data_prep.compiled import compiled

# Constants of SplitMix64 (Steele, Lea, Flood 2014, https://doi.org/10.1145/2660193.2660195).
GOLDEN = np.uint64(0x9E3779B97F4A7C15)
MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
MIX_2 = np.uint64(0x94D049BB133111EB)
S11, S27, S30, S31, S32 = (np.uint64(shift) for shift in (11, 27, 30, 31, 32))
LOW = np.uint64(0xFFFFFFFF)

# Of thumbnails, (S, 2) int32: width and height, pixels.
SIZES = np.array(
    [
        (450, 300),
        (300, 450),
        (450, 338),
        (338, 450),
        (450, 450),
        (450, 253),
        (450, 320),
        (320, 450),
    ],
    np.int32,
)


class AliasTable(NamedTuple):
    """Draws in constant time from weights (Walker 1977; built as Vose 1991)."""

    keep: np.ndarray  # (N,) uint32: chance to stay at the entry, of 2^32
    other: np.ndarray  # (N,) int32: where to go else


class Tables(NamedTuple):
    """What images are drawn from."""

    tags: AliasTable
    lengths: AliasTable  # tags per image
    users: AliasTable
    ranks: np.ndarray  # (2 · tags,) int32: alphabetical rank of each tag, then each odd spelling


class Shares(NamedTuple):
    """The settings of the same names, and the chance that an image is the last of its shoot."""

    hot_user: float
    last_of_shoot: float
    returns: float
    shared_tags: float
    changed_tags: float
    same_order: float
    alphabetical: float
    null_lists: float
    duplicate_tags: float
    null_tags: float
    empty_tags: float
    odd_spellings: float


class State(NamedTuple):
    """Where the generator is; every call goes on from here."""

    random: np.ndarray  # (1,) uint64: of SplitMix64
    shoot: np.ndarray  # (4,) int64: user, alphabetical, size of photos; whether it goes on
    core: np.ndarray  # (cap,) int32: tags of the shoot
    stamps: np.ndarray  # (tags,) int64: the last list that has the tag
    stamp: np.ndarray  # (1,) int64
    image_id: np.ndarray  # (1,) int64: the last one
    shoots: np.ndarray  # (users + 1,) int64: of each user so far
    images: np.ndarray  # (users + 1,) int64: of each user so far
    counts: np.ndarray  # (8,) int64: see COUNTED


class Rows(NamedTuple):
    """Room for the rows of a batch; tags of row i are `tags[offsets[i]:offsets[i + 1]]`."""

    image_id: np.ndarray  # (R,) int64
    user: np.ndarray  # (R,) int64
    size: np.ndarray  # (R,) int64
    null: np.ndarray  # (R,) bool: the list is null
    offsets: np.ndarray  # (R + 1,) int32
    tags: np.ndarray  # (R · cap,) int32: 2 N empty, 2 N + 1 a space, 2 N + 2 null, N + tag odd


COUNTED = (
    "tags",
    "alphabetical",
    "few_tags",
    "null_lists",
    "duplicate_tags",
    "null_tags",
    "empty_tags",
    "odd_spellings",
)
TAGS, ALPHABETICAL, FEW, NULL_LISTS, DUPLICATES, NULLS, EMPTIES, ODD = range(len(COUNTED))
USER, SORTED, SIZE, GOES_ON = range(4)


@compiled
def mix(value: np.uint64) -> np.uint64:
    """Scatter the bits of a number."""
    value = (value ^ (value >> S30)) * MIX_1
    value = (value ^ (value >> S27)) * MIX_2
    return value ^ (value >> S31)


@compiled
def next_bits(random: np.ndarray) -> np.uint64:
    """Give the next 64 random bits (SplitMix64)."""
    random[0] += GOLDEN
    return mix(random[0])


@compiled
def happens(random: np.ndarray, share: float) -> bool:
    """Tell whether a thing of this probability happens."""
    return bool(np.float64(next_bits(random) >> S11) * 2.0**-53 < share)


@compiled
def below(random: np.ndarray, count: int) -> int:
    """Draw a whole number of 0 … count - 1, count < 2^32."""
    return int(((next_bits(random) >> S32) * np.uint64(count)) >> S32)


@compiled
def draw(random: np.ndarray, table: AliasTable) -> int:
    """Draw an entry of a table."""
    bits = next_bits(random)
    entry = np.int64(((bits >> S32) * np.uint64(table.keep.size)) >> S32)
    if (bits & LOW) < np.uint64(table.keep[entry]):
        return int(entry)
    return int(table.other[entry])


@compiled
def alias_table(weights: np.ndarray) -> AliasTable:
    """Build a table from weights, (N,) float64, not all zero."""
    count = weights.size
    heights = weights * (count / weights.sum())
    keep = np.full(count, 2**32 - 1, np.uint32)
    other = np.arange(count).astype(np.int32)
    low, high = np.empty(count, np.int64), np.empty(count, np.int64)
    lows = highs = 0
    for entry in range(count):
        if heights[entry] < 1:
            low[lows] = entry
            lows += 1
        else:
            high[highs] = entry
            highs += 1
    while lows and highs:
        lows -= 1
        small, large = low[lows], high[highs - 1]
        keep[small] = np.uint32(heights[small] * 2.0**32)
        other[small] = large
        heights[large] -= 1 - heights[small]
        if heights[large] < 1:
            highs -= 1
            low[lows] = large
            lows += 1
    return AliasTable(keep, other)


@compiled
def fill(rows: Rows, tables: Tables, shares: Shares, state: State, seed: np.uint64) -> None:
    """Draw the next images into `rows`."""
    end = 0
    for row in range(rows.image_id.size):
        if not state.shoot[GOES_ON]:
            _new_shoot(tables, shares, state, seed)
        user = state.shoot[USER]
        state.image_id[0] += 1 + below(state.random, 8)
        rows.image_id[row], rows.user[row] = state.image_id[0], user
        rows.size[row] = state.shoot[SIZE]
        state.images[user] += 1
        rows.null[row] = happens(state.random, shares.null_lists)
        if rows.null[row]:
            state.counts[NULL_LISTS] += 1
            length = 0
        else:
            length = draw(state.random, tables.lengths)
            tags = rows.tags[end : end + length]
            _draw_tags(tags, tables, shares, state)
            _soil(tags, tables, shares, state)
        end += length
        rows.offsets[row + 1] = end
        state.counts[TAGS] += length
        state.counts[FEW] += length < 5
        state.counts[ALPHABETICAL] += state.shoot[SORTED]
        state.shoot[GOES_ON] = not happens(state.random, shares.last_of_shoot)


@compiled
def _new_shoot(tables: Tables, shares: Shares, state: State, seed: np.uint64) -> None:
    random, shoot = state.random, state.shoot
    user = state.shoots.size - 1  # the hot one
    if not happens(random, shares.hot_user):
        user = draw(random, tables.users)
    theme = state.shoots[user]
    if theme and happens(random, shares.returns):
        theme = below(random, theme)
    state.shoots[user] += 1
    shoot[USER], shoot[SORTED] = user, happens(random, shares.alphabetical)
    shoot[SIZE] = below(random, len(SIZES))
    # A theme's tags come from numbers of its own: an earlier one is made again, not remembered.
    own = np.empty(1, np.uint64)
    own[0] = mix(mix(seed + np.uint64(user) * GOLDEN) + np.uint64(theme))
    state.stamp[0] += 1
    for place in range(state.core.size):
        state.core[place] = _fresh(own, tables.tags, state)


@compiled
def _fresh(random: np.ndarray, table: AliasTable, state: State) -> int:
    """Draw a tag that the list of the present stamp does not have."""
    while True:
        tag = draw(random, table)
        if state.stamps[tag] != state.stamp[0]:
            state.stamps[tag] = state.stamp[0]
            return tag


@compiled
def _draw_tags(tags: np.ndarray, tables: Tables, shares: Shares, state: State) -> None:
    """Draw distinct tags: those shared with the shoot first, then others."""
    random = state.random
    shared = np.int64(tags.size * shares.shared_tags + 0.5)
    tags[:shared] = state.core[:shared]
    if not happens(random, shares.same_order):
        for place in range(shared - 1, 0, -1):
            other = below(random, place + 1)
            tags[place], tags[other] = tags[other], tags[place]
    state.stamp[0] += 1
    for place in range(tags.size):
        if place >= shared or happens(random, shares.changed_tags):
            tags[place] = -1
        else:
            state.stamps[tags[place]] = state.stamp[0]
    for place in range(tags.size):
        if tags[place] < 0:
            tags[place] = _fresh(random, tables.tags, state)


@compiled
def _soil(tags: np.ndarray, tables: Tables, shares: Shares, state: State) -> None:
    """Spell some tags oddly, sort the list if the shoot is sorted, spoil single tags."""
    random, counts, distinct = state.random, state.counts, state.stamps.size
    for place in range(tags.size):
        if happens(random, shares.odd_spellings):
            tags[place] += distinct
            counts[ODD] += 1
    if state.shoot[SORTED]:
        _sort(tags, tables.ranks)
    if tags.size > 1 and happens(random, shares.duplicate_tags):
        place = 1 + below(random, tags.size - 1)
        tags[place] = tags[below(random, place)]  # after its like: the order stays
        counts[DUPLICATES] += 1
    if tags.size and happens(random, shares.empty_tags):
        tags[below(random, tags.size)] = 2 * distinct + below(random, 2)
        counts[EMPTIES] += 1
    if tags.size and happens(random, shares.null_tags):
        tags[below(random, tags.size)] = 2 * distinct + 2
        counts[NULLS] += 1


@compiled
def _sort(tags: np.ndarray, ranks: np.ndarray) -> None:
    """Sort by rank, by insertion: the lists are short."""
    for place in range(1, tags.size):
        tag = tags[place]
        before = place - 1
        while before >= 0 and ranks[tags[before]] > ranks[tag]:
            tags[before + 1] = tags[before]
            before -= 1
        tags[before + 1] = tag
