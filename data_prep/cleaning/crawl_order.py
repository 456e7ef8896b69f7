"""Crawl order: whether rows already come in it, and what to sort by where they do not."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from data_prep.crawl.column_types import is_text

DIGITS = 38  # at most, in a text that counts as a whole number


class CrawlOrder:
    """Learns, batch by batch, how a column is ordered.

    Text that is a whole number in every row is ordered as numbers, other text by code point.
    Equal keys are ordered as their rows come, missing ones last.
    """

    def __init__(self) -> None:
        self._numbers: bool | None = None  # text, but every row a number; None: nothing seen
        self._as_number = _Run()
        self._as_text = _Run()

    def add(self, keys: pa.Array) -> None:
        """Look at the next rows."""
        if not is_text(keys.type):
            self._numbers = False
            self._as_text.add(keys)
            return
        if self._numbers is not False:
            self._numbers = _all_numbers(keys)
            if self._numbers and self._as_number.sorted:
                self._as_number.add(padded(keys))
        if self._as_text.sorted:
            self._as_text.add(keys)

    @property
    def numbers(self) -> bool:
        """Tell whether the keys are text, but every one a whole number."""
        return bool(self._numbers)

    @property
    def sorted(self) -> bool:
        """Tell whether the rows come in crawl order."""
        return self._as_number.sorted if self._numbers else self._as_text.sorted

    @property
    def distinct(self) -> bool:
        """Tell whether no key can have come twice, as each was larger than the one before."""
        return self._as_number.increasing if self._numbers else self._as_text.increasing

    def sort_keys(self, keys: pa.Array) -> pa.Array:
        """Give what the rows are to be sorted by."""
        return padded(keys) if self._numbers else keys


class _Run:
    """Keys that come one after the other."""

    def __init__(self) -> None:
        self.sorted = True
        self.increasing = True
        self._last: pa.Scalar | None = None

    def add(self, keys: pa.Array) -> None:
        if len(keys) == 0:
            return
        if keys.null_count:
            self.sorted = self.increasing = False
            return
        pairs = [(keys[:-1], keys[1:])]
        if self._last is not None:
            pairs.append((self._last, keys[0]))
        for before, after in pairs:
            self.sorted &= _holds(pc.less_equal(before, after))
            self.increasing &= _holds(pc.less(before, after))
        self._last = keys[-1]


def padded(keys: pa.Array) -> pa.Array:
    """Put zeros before whole numbers (text, of at most 38 digits): then text sorts as numbers."""
    return pc.utf8_lpad(keys, DIGITS, "0")


def _holds(found: pa.Array | pa.Scalar) -> bool:
    return bool((pc.all(found) if isinstance(found, pa.Array) else found).as_py() is not False)


def _all_numbers(keys: pa.Array) -> bool:
    return _holds(pc.match_substring_regex(keys, rf"^[0-9]{{1,{DIGITS}}}$"))
