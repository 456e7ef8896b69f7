"""Splitting delimited text into rows, with a way on after a quote that is never closed."""

from __future__ import annotations

import re
from dataclasses import dataclass

ROW_LINES = 1000  # a row of more lines is taken for a quote that is never closed
ROW_BYTES = 1 << 20


@dataclass(frozen=True)
class Rows:
    """The rows of a block that are well formed, and the lines that are in none.

    Attributes
    ----------
    data : bytes
        The good rows.
    lines : list of int
        The line on which each of them begins.
    bad : list of (int, str, bytes)
        Line, reason and text of the others.
    rest : bytes
        The beginning of a row that the next block may complete.
    rest_line : int
        The line on which `rest`, or else the next block, begins.
    """

    data: bytes
    lines: list[int]
    bad: list[tuple[int, str, bytes]]
    rest: bytes
    rest_line: int


class Splitter:
    """Splits text into rows of `width` fields (None: of any number), after RFC 4180.

    As pyarrow reads it, a quote counts only where a field begins (12" is no quoted text), and
    text may follow the closing quote; a row of several lines must keep to the letter.
    """

    def __init__(self, delimiter: bytes, width: int | None) -> None:
        d = re.escape(delimiter)
        quoted = rb'"[^"]*+(?:""[^"]*+)*+"'
        plain = rb'[^"\r\n' + d + rb"][^\r\n" + d + rb"]*+"
        self.delimiter = delimiter
        self.width = width
        self._line = _row(rb"(?:" + quoted + rb"[^\r\n" + d + rb"]*+|" + plain + rb")?+", d)
        self._row = _row(rb"(?:" + quoted + rb"|" + plain + rb")?+", d)
        self._field = re.compile(rb"(?:" + quoted + rb")?+[^" + d + rb"]*+" + d)

    def is_row(self, line: bytes) -> bool:
        """Tell whether a line is a row, whatever the number of fields."""
        return self._line.fullmatch(line) is not None

    def split(self, data: bytes, line: int, last: bool) -> Rows:
        """Split a block that begins on `line`; `last`: no block follows."""
        good: list[bytes] = []
        lines: list[int] = []
        bad: list[tuple[int, str, bytes]] = []
        at = 0
        while at < len(data):
            text = data[at : data.index(b"\n", at) + 1]
            reason = ""
            if not self.is_row(text):
                match = self._row.match(data, at)
                if match and _is_short(match.group()):
                    text = match.group()
                elif not last and _is_short(data[at : at + ROW_BYTES + 1]):
                    return Rows(b"".join(good), lines, bad, data[at:], line)
                else:
                    reason = "not well formed: a quote or a carriage return out of place"
            width = self._width(text)
            if not reason and self.width not in (None, width):
                reason = f"{width} columns instead of {self.width}"
            if text.strip(b"\r\n"):  # else a blank line
                if reason:
                    bad.append((line, reason, text))
                else:
                    good.append(text)
                    lines.append(line)
            at += len(text)
            line += text.count(b"\n")
        return Rows(b"".join(good), lines, bad, b"", line)

    def _width(self, row: bytes) -> int:
        if b'"' not in row:
            return row.count(self.delimiter) + 1
        return len(self._field.findall(row.rstrip(b"\r\n") + self.delimiter))


def _row(field: bytes, d: bytes) -> re.Pattern[bytes]:
    return re.compile(field + rb"(?:" + d + field + rb")*+\r?\n")


def _is_short(text: bytes) -> bool:
    return len(text) <= ROW_BYTES and text.count(b"\n") <= ROW_LINES
