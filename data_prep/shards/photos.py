"""Where the bytes of a row's photo are: a file in a folder, or a member of a tar."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from string import Formatter
from typing import Any, Protocol

from data_prep.errors import UserError
from data_prep.images import UnusableImage

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".JPG", ".JPEG", ".PNG", ".WEBP", ".gif", ".bmp")
BYTES_PER_PIXEL = 8  # a photo of 16-bit RGBA; a longer file holds something else

TAR, OFFSET, SIZE = "tar", "offset", "size"  # columns that say where a member is


class Photos(Protocol):
    """Reads one photo at a time."""

    def read(self, row: Mapping[str, Any]) -> bytes:
        """Read the file of a row's photo.

        Raises
        ------
        UnusableImage
            There is none, or it may not be read.
        """
        ...


@dataclass(frozen=True)
class FolderPhotos:
    """Photos as files.

    Attributes
    ----------
    folder : Path
    template : str
        File name below the folder, with the names of columns in braces. Where no such file
        exists, the usual suffixes are tried.
    max_pixels : int
        Files too long to be a photo of that size are not read.
    """

    folder: Path
    template: str
    max_pixels: int

    def columns(self) -> list[str]:
        """Name the columns in the template.

        Raises
        ------
        UserError
            The template cannot be read or names none.
        """
        try:
            fields = [field for _, field, _, _ in Formatter().parse(self.template)]
        except ValueError as error:
            raise UserError(f"file={self.template}: {error}; as in {{image_id}}.jpg") from None
        names = [name for name in fields if name is not None]
        if not names or not all(name.isidentifier() for name in names):
            raise UserError(f"file={self.template}: give columns in braces, as in {{image_id}}.jpg")
        return names

    def read(self, row: Mapping[str, Any]) -> bytes:
        """Read a photo; see `Photos`."""
        try:
            name = self.template.format_map(row)
        except (ValueError, TypeError) as error:
            raise UnusableImage(f"file={self.template}: {error}", "no file name") from None
        if not name or "\0" in name or Path(name).is_absolute() or ".." in Path(name).parts:
            raise UnusableImage(f"{name}: not a name inside the folder", "unsafe file name")
        for path in (self.folder / f"{name}{suffix}" for suffix in ("", *SUFFIXES)):
            try:
                if path.is_file():
                    return self._content(path)
            except PermissionError:
                raise UnusableImage(f"{path}: may not be read", "not permitted") from None
            except OSError:  # a name that is too long, a disk that fails
                raise UnusableImage(f"{path}: cannot be read", "not readable") from None
        raise UnusableImage(f"{self.folder / name}: no such file", "missing")

    def _content(self, path: Path) -> bytes:
        _check_length(path, path.stat().st_size, self.max_pixels)
        return path.read_bytes()


@dataclass(frozen=True)
class TarPhotos:
    """Photos as members of tar files; the rows say where (`data_prep.shards.tars`).

    Attributes
    ----------
    files : tuple of Path
        The tars that the rows count in.
    max_pixels : int
        Members too long to be a photo of that size are not read.
    """

    files: tuple[Path, ...]
    max_pixels: int

    def read(self, row: Mapping[str, Any]) -> bytes:
        """Read a photo; see `Photos`."""
        if row[TAR] is None:
            raise UnusableImage("no member of a tar has this key", "missing")
        file = self.files[row[TAR]]
        _check_length(file, row[SIZE], self.max_pixels)
        try:
            with file.open("rb") as opened:
                opened.seek(row[OFFSET])
                return opened.read(row[SIZE])
        except PermissionError:
            raise UnusableImage(f"{file}: may not be read", "not permitted") from None
        except OSError:
            raise UnusableImage(f"{file}: cannot be read", "not readable") from None


def _check_length(path: Path, length: int, max_pixels: int) -> None:
    if length > BYTES_PER_PIXEL * max_pixels:
        raise UnusableImage(f"{path}: too long for max_pixels", "too large")
