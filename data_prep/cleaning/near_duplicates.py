"""Near-duplicate images of one user: their first tags are nearly the same set.

Two sets share more than m tags exactly when they share a subset of m + 1. So every image has one
key per such subset of its first tags, and it resembles an earlier image exactly when one of its
keys was met before. Linear in the number of images, whoever owns them.
"""

from __future__ import annotations

from itertools import combinations

import numpy as np

from data_prep.cleaning.rules import Rules
from data_prep.compiled import compiled


def near_duplicates(users: np.ndarray, first: np.ndarray, rules: Rules) -> np.ndarray:
    """Find the images that resemble an earlier image of their user.

    Parameters
    ----------
    users : int32 or int64 (N,)
        User of each image. The images of a user stand in crawl order.
    first : int32 (N, F)
        The first tags of each image, -1 where it has fewer.
    rules : Rules
        `max_shared_first_tags` and `compare_to`.

    Returns
    -------
    int64 (N,)
        Index of the first image of the same user that an image resembles; -1 for none.
    """
    if rules.max_shared_first_tags is None or len(users) == 0:
        return np.full(len(users), -1, np.int64)
    order = np.argsort(users, kind="stable")
    starts = np.flatnonzero(np.diff(users[order], prepend=users[order[0]] - 1))
    bounds = np.append(starts, len(users))
    size = rules.max_shared_first_tags + 1
    subsets = np.array(list(combinations(range(first.shape[1]), size)), np.int64)
    largest = int(np.diff(bounds).max()) * len(subsets)
    entry = np.int32 if largest < 2**31 else np.int64
    table = np.empty(_slots(largest), entry)
    like = _mark(
        -np.sort(-first[order], axis=1), bounds, subsets, rules.compare_to == "kept", table
    )
    found = np.full(len(users), -1, np.int64)
    found[order] = np.where(like >= 0, order[like], -1)
    return found


@compiled
def _slots(entries: int) -> int:
    """Size of a hash table, a power of two at most half full."""
    size = 16
    while size < 2 * entries:
        size *= 2
    return size


@compiled
def _hash(tags: np.ndarray, subset: np.ndarray) -> np.uint64:
    """Mix the tags of a subset into 64 bits (FNV-1a by words, then a finishing shift)."""
    mixed = np.uint64(14695981039346656037)
    for k in subset:
        mixed = (mixed ^ np.uint64(tags[k])) * np.uint64(1099511628211)
        mixed ^= mixed >> np.uint64(29)
    return mixed


@compiled
def _mark(
    first: np.ndarray, bounds: np.ndarray, subsets: np.ndarray, only_kept: bool, table: np.ndarray
) -> np.ndarray:
    """For images sorted by user give the first image that each resembles, or -1.

    `first` (N, F) has every image's tags in descending order, missing ones (-1) last. A slot of
    `table` holds image * subsets + subset, counted from the user's first image, or -1.
    """
    like = np.full(first.shape[0], -1, np.int64)
    for user in range(bounds.size - 1):
        begin, end = bounds[user], bounds[user + 1]
        if end - begin < 2:
            continue
        size = _slots((end - begin) * subsets.shape[0])
        table[:size] = -1
        for n in range(begin, end):
            for s in range(subsets.shape[0]):
                if first[n, subsets[s, -1]] < 0:
                    continue  # fewer tags than the subset asks for
                entry = table[_find(first, n, s, subsets, begin, table, size)]
                if entry >= 0:
                    other = begin + entry // subsets.shape[0]
                    like[n] = other if like[n] < 0 else min(like[n], other)
            if like[n] >= 0 and only_kept:
                continue
            for s in range(subsets.shape[0]):
                if first[n, subsets[s, -1]] >= 0:
                    slot = _find(first, n, s, subsets, begin, table, size)
                    if table[slot] < 0:
                        table[slot] = (n - begin) * subsets.shape[0] + s
    return like


@compiled
def _find(
    first: np.ndarray,
    n: int,
    s: int,
    subsets: np.ndarray,
    begin: int,
    table: np.ndarray,
    size: int,
) -> np.int64:
    """Give the slot that holds the key of subset `s` of image `n`, or the free one for it."""
    slot = np.int64(_hash(first[n], subsets[s]) & np.uint64(size - 1))
    while table[slot] >= 0:
        other = begin + table[slot] // subsets.shape[0]
        its = subsets[table[slot] % subsets.shape[0]]
        same = True
        for k in range(its.size):
            if first[other, its[k]] != first[n, subsets[s, k]]:
                same = False
                break
        if same:
            break
        slot = (slot + 1) & (size - 1)
    return slot
