"""Reads boxes as others write them.

======  ==============================================  ===========================================
suffix  file of one photo                               file of all photos
======  ==============================================  ===========================================
.npz    `boxes` (N, 4), perhaps `scores` (N,)           an array (N, 4) for each id
.json   [[…], …], or {"boxes": [[…], …], "scores": …}   {id: either of these}
.mat    `boxes` (N, 4), perhaps `scores`                cell arrays `boxes`, `images`, perhaps
                                                        `scores`, as long as one another
======  ==============================================  ===========================================
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from data_prep.errors import UserError

SUFFIXES = (".npz", ".json", ".mat")


class Content(NamedTuple):
    """What is written about a photo, unchecked."""

    boxes: Any
    scores: Any = None


def read_one(file: Path, variable: str) -> Content:
    """Read a file of one photo.

    Raises
    ------
    UserError
        The file cannot be read or lacks `variable`.
    """
    content = _read(file)
    if isinstance(content, list):
        return Content(content)
    if variable not in content:
        raise UserError(f"{file}: no {variable} in it; set proposals.variable")
    return Content(content[variable], content.get("scores"))


def read_all(file: Path, variable: str) -> dict[str, Content]:
    """Read a file with the boxes of all photos, by their ids.

    Raises
    ------
    UserError
        The file cannot be read or has another layout.
    """
    content = _read(file)
    if isinstance(content, list):
        raise UserError(f'{file}: a list; give an object {{"ID": [[x1, y1, x2, y2], …], …}}')
    if file.suffix == ".mat":
        return _cells(content, file, variable)
    return {
        str(name): Content(value[variable], value.get("scores"))
        if isinstance(value, dict) and variable in value
        else Content(value)
        for name, value in content.items()
    }


def _read(file: Path) -> Any:
    """Read a file's arrays by name, or the list that a JSON file is."""
    readers = {".npz": _read_npz, ".json": _read_json, ".mat": _read_mat}
    if file.suffix not in readers:
        raise UserError(f"{file}: give a file that ends in {', '.join(SUFFIXES)}")
    try:
        return readers[file.suffix](file)
    except NotImplementedError:
        raise UserError(f"{file}: MATLAB's format 7.3; save it by save(…, '-v7')") from None
    except MemoryError:
        raise
    except Exception as error:  # damaged files make the readers raise anything
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise UserError(f"{file}: cannot be read ({reason}); write it anew") from error


def _read_npz(file: Path) -> Mapping[str, Any]:
    if not zipfile.is_zipfile(file):
        raise ValueError("not an npz file")
    with np.load(file, allow_pickle=False) as arrays:
        return dict(arrays)


def _read_json(file: Path) -> Any:
    content = json.loads(file.read_text(encoding="utf-8"))
    if not isinstance(content, dict | list):
        raise ValueError("neither an object nor a list")
    return content


def _read_mat(file: Path) -> Mapping[str, Any]:
    from scipy.io import loadmat  # slow to import, seldom needed

    return {name: value for name, value in loadmat(file).items() if not name.startswith("__")}


def _cells(content: Mapping[str, Any], file: Path, variable: str) -> dict[str, Content]:
    """Match the cell arrays of a mat file: names, boxes and perhaps scores of photos."""
    cells = {name: content.get(name) for name in ("images", variable, "scores")}
    images, boxes, scores = (None if cell is None else cell.ravel() for cell in cells.values())
    if images is None or boxes is None:
        raise UserError(
            f"{file}: no cell arrays images and {variable} in it; set proposals.variable, or give "
            "the folder if it is a file of one photo"
        )
    if len(images) != len(boxes) or (scores is not None and len(scores) != len(boxes)):
        raise UserError(f"{file}: images, {variable} and scores differ in length; write it anew")
    names = [str(np.asarray(name).ravel()[0]) if np.size(name) else "" for name in images]
    return {
        name: Content(boxes[i], None if scores is None else scores[i])
        for i, name in enumerate(names)
    }
