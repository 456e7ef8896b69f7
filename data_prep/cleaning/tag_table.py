"""Tags as numbers: every spelling met, the tag it stands for, and what normalisation changed."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pyarrow as pa

from data_prep.compiled import compiled
from data_prep.text import changes, normalise

KINDS = ("unicode", "case", "space")  # of what normalisation changes
REMOVED = ("empty", "repeated")  # kinds of tags that are taken out


class TagTable:
    """The tags of a crawl, numbered in the order in which they were met.

    Its memory grows with the number of distinct spellings (about 200 bytes each), not with the
    number of images.

    Attributes
    ----------
    tags : list of str
        Tag of each code.
    changed : Counter
        How many tags on images were changed by normalisation, by kind (`unicode`, `case`,
        `space`; one tag may count under several), and removed from their image: `empty` (also
        null), `repeated`.
    """

    def __init__(self, normalised: bool) -> None:
        self.tags: list[str] = []
        self.changed = Counter(dict.fromkeys((*KINDS, *REMOVED), 0))
        self._normalised = normalised
        self._codes: dict[str, int] = {}
        self._entries: dict[str | None, int] = {None: _entry(-1, ())}  # of each spelling

    def encode(self, lists: pa.ListArray) -> pa.ListArray:
        """Turn lists of spellings into lists of codes, without empty and repeated tags.

        Parameters
        ----------
        lists : list<string> or list<dictionary<…, string>> (N,)
            A null list has no tags.

        Returns
        -------
        list<int32> (N,)
            The first occurrence of each tag, in order; no nulls.
        """
        lengths = lists.value_lengths().fill_null(0).to_numpy()
        offsets = np.zeros(len(lists) + 1, np.int32)
        np.cumsum(lengths, out=offsets[1:])
        values = lists.flatten()
        if not pa.types.is_dictionary(values.type):
            values = values.dictionary_encode()
        indices = values.indices.fill_null(-1).to_numpy()
        known = [self._entry_of(spelling) for spelling in values.dictionary.to_pylist()]
        entries = np.array([*known, self._entries[None]], np.int64)  # the last serves index -1
        self._count_changes(entries, indices)
        codes = np.empty(len(indices), np.int32)
        kept = np.empty(len(lists) + 1, np.int32)
        last_image = np.full(len(self.tags), -1, np.int32)
        empty, repeated = _without_repeats(
            indices, offsets, entries >> len(KINDS), last_image, codes, kept
        )
        self.changed["empty"] += int(empty)
        self.changed["repeated"] += int(repeated)
        return pa.ListArray.from_arrays(kept, codes[: kept[-1]])

    def _entry_of(self, spelling: str | None) -> int:
        entry = self._entries.get(spelling)
        if entry is None:
            assert spelling is not None
            tag = normalise(spelling) if self._normalised else spelling
            code = self._codes.setdefault(tag, len(self.tags)) if tag else -1
            if code == len(self.tags):
                self.tags.append(tag)
            entry = _entry(code, changes(spelling) if tag != spelling else ())
            self._entries[spelling] = entry
        return entry

    def _count_changes(self, entries: np.ndarray, indices: np.ndarray) -> None:
        changed = np.flatnonzero(entries & ((1 << len(KINDS)) - 1))
        if len(changed):
            uses = np.bincount(indices + 1, minlength=len(entries))[changed + 1]
            for bit, kind in enumerate(KINDS):
                self.changed[kind] += int(uses[(entries[changed] >> bit & 1).astype(bool)].sum())


def _entry(code: int, kinds: tuple[str, ...]) -> int:
    """Pack a code and what normalisation changes into one number: the kinds are its last bits."""
    return code << len(KINDS) | sum(1 << KINDS.index(kind) for kind in kinds)


@compiled
def _without_repeats(
    indices: np.ndarray,
    offsets: np.ndarray,
    code_of: np.ndarray,
    last_image: np.ndarray,
    codes: np.ndarray,
    kept: np.ndarray,
) -> tuple[int, int]:
    """Write each image's codes to `codes` and its bounds to `kept`; count what was left out.

    `indices` (T,) index `code_of`, whose last entry serves -1; `last_image` (D,) starts at -1.
    """
    empty = repeated = written = 0
    kept[0] = 0
    for n in range(offsets.size - 1):
        for k in range(offsets[n], offsets[n + 1]):
            code = code_of[indices[k]]
            if code < 0:
                empty += 1
            elif last_image[code] == n:
                repeated += 1
            else:
                last_image[code] = n
                codes[written] = code
                written += 1
        kept[n + 1] = written
    return empty, repeated
