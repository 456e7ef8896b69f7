"""What files in the style of COCO have in common: lists of objects, ids, sizes, boxes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from data_prep.crawl.json_values import Misfit, parse
from data_prep.errors import UserError
from data_prep.phrases import Box, Problem, fit_box, is_box

Row = dict[str, Any]


def load(path: Path, remedy: str) -> Row:
    """Read a file with one JSON object, UTF-8.

    Raises
    ------
    UserError
        It cannot be read or holds something else; `remedy` ends the message.
    """
    try:
        return parse(path.read_bytes().removeprefix(b"\xef\xbb\xbf"))
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); check the path") from error
    except Misfit as misfit:
        raise UserError(f"{path}: {misfit}; {remedy}") from misfit


def part(data: Row, name: str, path: Path, remedy: str) -> list[Row]:
    """Give the list of objects that has this name in the file.

    Raises
    ------
    UserError
        There is none, or something else.
    """
    if name not in data:
        raise UserError(f"{path}: no `{name}`; {remedy}")
    rows = data[name]
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise UserError(f"{path}: `{name}` is no list of objects; {remedy}")
    return rows


def key(value: object) -> str:
    """Give an id of any JSON kind as text, so that 7 and "7" are one."""
    return str(value)


def side(value: object) -> int | None:
    """Give a width or height in pixels; None where it is none."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        return None
    return value


def read_box(
    row: Row, width: int | None, height: int | None, where: str, problems: list[Problem]
) -> Box | None:
    """Give the `bbox` of an annotation, clipped to the photo; None, and a problem, if unusable.

    The problems are those of `fit_box`.
    """
    written = row.get("bbox")
    if not is_box(written):
        reason = f"the bbox {written!r} is not [x, y, width, height]; correct it"
        problems.append(Problem(where, "bad box", reason))
        return None
    x, y, across, down = (float(value) for value in written)
    return fit_box((x, y, x + across, y + down), width, height, where, problems)
