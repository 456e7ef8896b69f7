"""Folders that a run on Spark writes to: made, known again, and whole or recognisably not.

Files are written under names that begin with an underscore, which readers of Parquet pass over,
and of which every attempt at a task has its own; what a finished task wrote is renamed.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import BinaryIO
from uuid import uuid4

import fsspec
from fsspec.implementations.local import LocalFileSystem

from data_prep.errors import UserError

MARK = "_tag2box-"  # then the owner's digits; the file is empty, or Polars would not pass it over
SUCCESS = "_SUCCESS"
REMEDY = "give another spark.storage, or remove that folder yourself"
RENAMES = 16  # at a time: object storage takes long for one


class Folder:
    """A folder on storage that the driver and all executors reach.

    Parameters
    ----------
    path : str
        Local path or URL.
    owner : str
        Of whom the folder is: only the same one may write into it again.
    """

    def __init__(self, path: str, owner: str) -> None:
        self._system, self._root = fsspec.url_to_fs(path)
        local = isinstance(self._system, LocalFileSystem)
        self.url = self._root if local else self._system.unstrip_protocol(self._root)
        self._mark = MARK + hashlib.sha256(owner.encode()).hexdigest()[:16]

    def check(self, inputs: Iterable[str]) -> None:
        """Make sure that nothing of others is lost when the folder is cleared.

        Raises
        ------
        UserError
            One of the files `inputs` lies in it, or it is neither empty nor the owner's.
        """
        place = _place(self.url)
        for file in inputs:
            if f"{_place(file)}/".startswith(f"{place}/"):
                raise UserError(f"{self.url}: {file} of the crawl lies in it and would be removed; "
                                "give another spark.storage")  # fmt: skip
        names = set(self._names())
        if not names or self._mark in names:
            return
        if any(name.startswith(MARK) for name in names):
            raise UserError(f"{self.url}: holds a run of another out=; {REMEDY}")
        raise UserError(f"{self.url}: holds other files; {REMEDY}")

    def clear(self) -> None:
        """Make the folder, with nothing but the owner's mark in it."""
        self._system.makedirs(self._root, exist_ok=True)
        self._system.touch(f"{self._root}/{self._mark}")
        self._remove(name for name in self._names() if name != self._mark)

    def remove(self) -> None:
        """Remove the folder; the mark goes last."""
        self.clear()
        self._system.rm(self._root, recursive=True)

    def publish(self, names: Iterable[str]) -> None:
        """Give temporary files their names, remove other ones, and say that all are there."""
        with ThreadPoolExecutor(RENAMES) as pool:
            list(pool.map(self._rename, names))
        kept = (self._mark, SUCCESS)
        self._remove(name for name in self._names() if name[0] == "_" and name not in kept)
        self._system.touch(f"{self._root}/{SUCCESS}")

    def _rename(self, name: str) -> None:
        self._system.mv(f"{self._root}/{name}", f"{self._root}/{_final(name)}")

    def _names(self) -> list[str]:
        self._system.invalidate_cache()  # which knows nothing of what executors write
        try:
            paths = self._system.ls(self._root, detail=False)
        except FileNotFoundError:
            return []
        names = (path.rpartition("/")[2] for path in paths)
        return [name for name in names if name]  # of object storage: not the folder itself

    def _remove(self, names: Iterable[str]) -> None:
        paths = [f"{self._root}/{name}" for name in names]
        if paths:
            self._system.rm(paths, recursive=True)


def temporary(name: str) -> str:
    """Name what is to become a file, otherwise each time."""
    return f"_{name}.{uuid4().hex}"


@contextmanager
def new_file(path: str) -> Iterator[BinaryIO]:
    """Write a file into a folder that is there.

    Raises
    ------
    UserError
        The folder is not seen on this machine.
    """
    system, root = fsspec.url_to_fs(path)
    try:
        file = system.open(root, "wb")
    except FileNotFoundError as error:
        raise UserError(f"{path}: the folder is not there on this machine; name storage that all "
                        "machines share") from error  # fmt: skip
    with file:
        yield file


@contextmanager
def whole_file(path: str) -> Iterator[BinaryIO]:
    """Write a file that has its name only once it is whole."""
    folder, _, name = path.rpartition("/")
    part = f"{folder}/{temporary(name)}"
    with new_file(part) as file:
        yield file
    system, root = fsspec.url_to_fs(path)
    system.mv(fsspec.url_to_fs(part)[1], root)


def _final(name: str) -> str:
    return name[1:].rpartition(".")[0]


def _place(path: str) -> str:
    """Name a file or folder in one way only."""
    system, root = fsspec.url_to_fs(path)
    local = isinstance(system, LocalFileSystem)
    return os.path.realpath(root) if local else system.unstrip_protocol(root)
