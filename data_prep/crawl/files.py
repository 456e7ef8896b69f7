"""Which files a crawl consists of, and how they are opened."""

from __future__ import annotations

import re
from contextlib import AbstractContextManager
from pathlib import Path, PurePosixPath
from typing import BinaryIO, get_args

import fsspec
from fsspec.implementations.local import LocalFileSystem

from data_prep.crawl.source import Format, Source
from data_prep.errors import UserError

SUFFIXES: dict[str, Format] = {
    ".parquet": "parquet", ".pq": "parquet", ".csv": "csv", ".tsv": "tsv",
    ".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "jsonl",
}  # fmt: skip
COMPRESSIONS = {".gz": "gzip", ".zst": "zstd"}
CHAIN = "::"  # in a URL: a file within, or by way of, another one
MAGIC = re.compile(r"[*?[]")  # of a glob


def list_files(source: Source) -> tuple[list[str], Format]:
    """Find the files of a crawl, sorted by path, and their format.

    Names that begin with a dot or an underscore or end in .part are passed over, as writers of
    Parquet give them to what is not data. In a folder only files of the format count.

    Raises
    ------
    UserError
        Nothing is there, or files of several formats are.
    """
    path = source.path
    if source.format not in ("auto", *get_args(Format)):
        raise UserError(f"data.format={source.format}: give auto, {', '.join(get_args(Format))}")
    if not path:
        raise UserError("crawl= is empty; give a file, a folder or a glob of files")
    try:
        system, root = fsspec.url_to_fs(path)
        found, named = _found(system, root)
    except FileNotFoundError:
        found, named = [], False
    except Exception as error:  # each kind of file system has its own
        raise UserError(f"{path}: cannot be opened ({error}); check the path") from error
    if not found:
        raise UserError(f"{path}: no such file; give a file, a folder or a glob of files")
    if source.format != "auto":
        wanted = "parquet" if source.format == "img2dataset" else source.format
        files = found if named else [f for f in found if _format(f) == wanted]
        form: Format = source.format
    else:
        files = [f for f in found if _format(f)]
        parquet = [f for f in files if _format(f) == "parquet"]
        if parquet and system.exists(_stats(parquet[0])):
            files, form = parquet, "img2dataset"
        else:
            form = _only_format(files, path)
    if not files:
        kinds = " ".join(SUFFIXES)
        raise UserError(f"{path}: no file with a known suffix ({kinds}); give data.format=csv …")
    if CHAIN in path:
        if files != [root]:
            raise UserError(f"{path}: a chained URL names a single file; give one, or a plain path")
        return [path], form
    local = isinstance(system, LocalFileSystem)
    return [f if local else system.unstrip_protocol(f) for f in files], form


def is_local(file: str) -> bool:
    """Tell whether a file as `list_files` names it is on a local disk."""
    return Path(file).is_absolute()


def suffix(file: str) -> str:
    """Give the last suffix of a file as `list_files` names it, in lower case."""
    links = file.lower().split(CHAIN)  # simplecache::zip://rows.csv.gz::https://…/all.zip
    name = next((link for link in links if "://" in link), links[-1])
    return PurePosixPath(name).suffix


def open_file(file: str) -> AbstractContextManager[BinaryIO]:
    """Open a file as `list_files` names it, for reading and seeking, in a `with` statement."""
    return Path(file).open("rb") if is_local(file) else fsspec.open(file, "rb")


def _found(system: fsspec.AbstractFileSystem, root: str) -> tuple[list[str], bool]:
    """List files that are data, and whether they were named (and not found in a folder)."""
    if system.isfile(root):
        return [root], True
    if system.isdir(root):
        return _below(system, root), False
    first = MAGIC.search(root)
    if first is None:
        return [], False
    fixed = root.rfind("/", 0, first.start()) + 1
    files: set[str] = set()
    for path, entry in system.glob(root, detail=True).items():
        if entry["type"] != "directory":
            files.add(path)
        elif "**" not in root:  # Spark writes folders that are named like files
            files.update(system.find(path))
    return sorted(path for path in files if _is_data(path[fixed:])), True


def _below(system: fsspec.AbstractFileSystem, root: str) -> list[str]:
    return sorted(path for path in system.find(root) if _is_data(path[len(root) :]))


def _is_data(path: str) -> bool:
    """Judge a path by its names below what was given."""
    names = PurePosixPath(path.lstrip("/")).parts
    return not path.endswith(".part") and not any(name.startswith((".", "_")) for name in names)


def _format(path: str) -> Format | None:
    pure = PurePosixPath(path.lower())
    if pure.suffix in COMPRESSIONS:
        pure = pure.with_suffix("")
        return None if SUFFIXES.get(pure.suffix) == "parquet" else SUFFIXES.get(pure.suffix)
    return SUFFIXES.get(pure.suffix)


def _stats(path: str) -> str:
    """Name the file that img2dataset writes beside a shard's Parquet file."""
    return path.rpartition(".")[0] + "_stats.json"


def _only_format(files: list[str], path: str) -> Format:
    first: dict[Format, str] = {}
    for file in files:
        form = _format(file)
        if form is not None:
            first.setdefault(form, file)
    if len(first) > 1:
        (a, one), (b, two) = list(first.items())[:2]
        raise UserError(f"{path}: {one} is {a} but {two} is {b}; choose with data.format={a}")
    return next(iter(first), "parquet")
